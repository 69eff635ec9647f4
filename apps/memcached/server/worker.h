// A worker: one process, one participant of the segment, one event loop.
#ifndef KILL9_APPS_MEMCACHED_SERVER_WORKER_H_
#define KILL9_APPS_MEMCACHED_SERVER_WORKER_H_

#include <memory>
#include <vector>

#include "apps/memcached/commands/counters.h"
#include "apps/memcached/options/options.h"
#include "apps/server/hand_over.h"
#include "variants/registry.h"

namespace kill9::memcached {

// What the master makes, and its workers inherit.
struct ServerParts {
  Options options;
  const Variant* design = nullptr;
  std::vector<std::shared_ptr<Segment>> segments;
  SharedState* shared = nullptr;
  std::vector<int> listeners;
  std::unique_ptr<server::HandOver> hand_over;
};

// Serves until SIGTERM or SIGINT, and returns the exit code. `index` is that of its slot.
int RunWorker(const ServerParts& parts, int index);

}  // namespace kill9::memcached

#endif  // KILL9_APPS_MEMCACHED_SERVER_WORKER_H_
