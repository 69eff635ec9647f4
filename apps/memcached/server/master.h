// The master: makes what the workers share, starts them, and starts another one for each that dies.
//
// A worker dies: the kernel tells the master, which starts another one and gives back what the dead
// one held. Its clients lose their connections, and nothing else happens to the others.
// The master dies: the kernel ends its workers. Started again on the same file, the cache is warm.
#ifndef KILL9_APPS_MEMCACHED_SERVER_MASTER_H_
#define KILL9_APPS_MEMCACHED_SERVER_MASTER_H_

#include <string_view>

#include "apps/memcached/server/worker.h"
#include "variants/registry.h"

namespace kill9::memcached {

// Runs the server until it is told to end, and returns the exit code. `find` knows the designs that
// it may take.
using FindDesign = const Variant* (*)(std::string_view name);
int RunServer(const Options& options, FindDesign find = &FindStoreDesign);

}  // namespace kill9::memcached

#endif  // KILL9_APPS_MEMCACHED_SERVER_MASTER_H_
