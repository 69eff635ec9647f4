#ifndef KILL9_APPS_HTTP_CACHE_PROXY_OPTIONS_H_
#define KILL9_APPS_HTTP_CACHE_PROXY_OPTIONS_H_

#include <cstdint>
#include <string>

namespace kill9::http {

// What a worker is told.
struct ProxyOptions {
  std::string statistics_path = "/.kill9";  // empty: no such page
  bool statistics_for_all = false;          // else for clients on this machine only
  bool purge_for_all = false;               // the same of PURGE
  uint64_t max_object_bytes = 0;
  int max_connections = 4096;  // of each worker
  int64_t origin_patience_ms = 60'000;
  int64_t lease_ms = 10'000;  // a worker that fetches for longer is not waited for
  int64_t head_patience_ms = 20'000;
  int64_t idle_patience_ms = 75'000;
  int64_t stall_patience_ms = 30'000;  // no byte of a body could be read or written
  int64_t stale_if_error_s = 0;        // for responses that do not say
};

}  // namespace kill9::http

#endif  // KILL9_APPS_HTTP_CACHE_PROXY_OPTIONS_H_
