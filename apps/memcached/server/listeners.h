// The sockets at which clients arrive. The master makes them, and all workers share them: a worker
// that dies loses no client that has not been taken up.
#ifndef KILL9_APPS_MEMCACHED_SERVER_LISTENERS_H_
#define KILL9_APPS_MEMCACHED_SERVER_LISTENERS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "apps/memcached/options/options.h"

namespace kill9::memcached {

// Descriptors that listen and do not block. An error says which address is in use (kAlreadyExists),
// or not allowed.
absl::StatusOr<std::vector<int>> Listen(const Options& options);

}  // namespace kill9::memcached

#endif  // KILL9_APPS_MEMCACHED_SERVER_LISTENERS_H_
