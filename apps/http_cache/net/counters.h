// What the workers count: a row for each in memory that they and their master share, so that what a
// dead worker had counted stays.
#ifndef KILL9_APPS_HTTP_CACHE_NET_COUNTERS_H_
#define KILL9_APPS_HTTP_CACHE_NET_COUNTERS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

namespace kill9::http {

enum class Counter : uint8_t {
  kConnections,
  kRequests,
  kHits,         // answered from the cache, without the origin
  kRevalidated,  // the origin said 304
  kStaleServed,  // of the hits and of errors of the origin
  kMisses,       // fetched, and might have been stored
  kPassed,       // fetched without a thought of storing
  kCollapsed,    // waited for somebody else's fetch
  kNotModified,  // 304 to a client
  kOriginRequests,
  kOriginErrors,
  kStored,
  kNotStored,  // might have been stored, but had no room, or the place had changed
  kInvalidated,
  kRefused,  // 4xx and 5xx of our own
  kCutOff,   // answers that ended before their end
  kBytesToClients,
  kStarts,  // of the worker
  kMany,
};
inline constexpr size_t kCounters = static_cast<size_t>(Counter::kMany);
inline constexpr std::array<std::string_view, kCounters> kCounterNames = {
    "connections", "requests",    "hits",         "revalidated",     "stale_served",     "misses",
    "passed",      "collapsed",   "not_modified", "origin_requests", "origin_errors",    "stored",
    "not_stored",  "invalidated", "refused",      "cut_off",         "bytes_to_clients", "starts"};

// Written by one worker, read by all. Relaxed throughout: each number stands for itself.
struct alignas(64) CounterRow {
  std::array<std::atomic<uint64_t>, kCounters> counts;
  std::atomic<int64_t> pid;       // of the worker that lives, or lived last
  std::atomic<uint64_t> clients;  // that it has now

  void Add(Counter counter, uint64_t number = 1) {
    std::atomic<uint64_t>& count = counts[static_cast<size_t>(counter)];
    count.store(count.load(std::memory_order_relaxed) + number, std::memory_order_relaxed);
  }
  uint64_t Of(Counter counter) const {
    return counts[static_cast<size_t>(counter)].load(std::memory_order_relaxed);
  }
};

}  // namespace kill9::http

#endif  // KILL9_APPS_HTTP_CACHE_NET_COUNTERS_H_
