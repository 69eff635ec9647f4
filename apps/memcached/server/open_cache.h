// The segment that a server keeps its items in.
#ifndef KILL9_APPS_MEMCACHED_SERVER_OPEN_CACHE_H_
#define KILL9_APPS_MEMCACHED_SERVER_OPEN_CACHE_H_

#include "absl/status/status.h"
#include "apps/memcached/server/worker.h"

namespace kill9::memcached {

// Opens the file, or makes it, of parts->design (null: there is none of that name), and fills in
// segment and shared. An error says what is wrong, and what to do. What the file says counts more
// than the options: parts->options is set to it.
absl::Status OpenCache(ServerParts* parts);

}  // namespace kill9::memcached

#endif  // KILL9_APPS_MEMCACHED_SERVER_OPEN_CACHE_H_
