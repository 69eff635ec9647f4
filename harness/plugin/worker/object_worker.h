// An object that is no store, as a fork server of the worker protocol (docs/bring_your_own.md): its
// calls may wait for others, so that who asks them may be none of those who call.
#ifndef KILL9_HARNESS_PLUGIN_WORKER_OBJECT_WORKER_H_
#define KILL9_HARNESS_PLUGIN_WORKER_OBJECT_WORKER_H_

#include <kill9/kill9.h>

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "harness/programs/protocol/workload.h"
#include "variants/object.h"

namespace kill9 {

// What asks an object that is no store: a command line that serves it, and a workload.
struct ObjectWorker {
  std::string name;
  std::string fork_server;
  programs::WorkloadOptions workload;
};
// Nothing: the design is tortured as others are.
std::optional<ObjectWorker> WorkerOf(const Design& design);

// Serves the socket that is the descriptor 3, a child for each connection, until it is killed. The
// error says what is missing. REQUIRES: WorkerOf(design) is there.
absl::Status ServeObject(const Design& design);

}  // namespace kill9

#endif  // KILL9_HARNESS_PLUGIN_WORKER_OBJECT_WORKER_H_
