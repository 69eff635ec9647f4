// The worker: one process, one participant, working through the workload until it is killed, or
// asked to stop.
#ifndef KILL9_HARNESS_TORTURE_WORKER_WORKER_H_
#define KILL9_HARNESS_TORTURE_WORKER_WORKER_H_

#include <cstdint>

#include "harness/torture/run_context.h"

namespace kill9 {

// Both are called in a process that was just forked by the supervisor, and never return.
[[noreturn]] void RunWorker(const RunContext& context, uint32_t slot, uint32_t process);
// Attaches, audits as Control::audit_depth says, detaches, ends.
[[noreturn]] void RunFreshAuditor(const RunContext& context, uint32_t process);

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_WORKER_WORKER_H_
