// What the workers count. Each has a slot of its own in memory that all of them see; a worker that
// replaces a dead one goes on with its slot.
#ifndef KILL9_APPS_MEMCACHED_COMMANDS_COUNTERS_H_
#define KILL9_APPS_MEMCACHED_COMMANDS_COUNTERS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "variants/store.h"

namespace kill9::memcached {

enum class Counter : uint8_t {
  kTotalConnections,
  kRejectedConnections,
  kConnectionYields,
  kIdleKicks,
  kBytesRead,
  kBytesWritten,
  kCmdGet,
  kCmdSet,
  kCmdFlush,
  kCmdTouch,
  kCmdMeta,
  kGetHits,
  kGetMisses,
  kDeleteHits,
  kDeleteMisses,
  kIncrHits,
  kIncrMisses,
  kDecrHits,
  kDecrMisses,
  kCasHits,
  kCasMisses,
  kCasBadValue,
  kTouchHits,
  kTouchMisses,
  kTooLarge,
  kNoMemory,
  kTotalItems,
  kOutOfBuffers,
  kCount,
};

inline constexpr std::string_view kCounterNames[] = {"total_connections", "rejected_connections",
                                                     "conn_yields",       "idle_kicks",
                                                     "bytes_read",        "bytes_written",
                                                     "cmd_get",           "cmd_set",
                                                     "cmd_flush",         "cmd_touch",
                                                     "cmd_meta",          "get_hits",
                                                     "get_misses",        "delete_hits",
                                                     "delete_misses",     "incr_hits",
                                                     "incr_misses",       "decr_hits",
                                                     "decr_misses",       "cas_hits",
                                                     "cas_misses",        "cas_badval",
                                                     "touch_hits",        "touch_misses",
                                                     "store_too_large",   "store_no_memory",
                                                     "total_items",       "response_obj_oom"};
static_assert(std::size(kCounterNames) == static_cast<size_t>(Counter::kCount));

// Written by its worker, or by the master when there is none; read by all. Each word stands for
// itself, so all accesses are relaxed.
struct alignas(64) WorkerSlot {
  std::array<std::atomic<uint64_t>, static_cast<size_t>(Counter::kCount)> counters;
  std::atomic<uint64_t> connections;
  std::atomic<int32_t> pid;  // 0: there is none now

  void Add(Counter counter, uint64_t more = 1) {
    auto& word = counters[static_cast<size_t>(counter)];
    word.store(word.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
};

inline constexpr int kWorkersMost = 64;

// Shared by the master and its workers; it ends with them.
struct SharedState {
  int64_t started_ms = 0;
  int32_t master_pid = 0;
  int32_t workers = 0;
  std::atomic<int64_t> clock_shift_ms;  // tests only
  std::atomic<uint64_t> restarts;
  std::atomic<uint64_t> disk_writes;  // of the file, by whichever worker
  // What the store had counted when statistics began: its own go on over restarts.
  std::atomic<uint64_t> expired_before;
  std::atomic<uint64_t> flushed_before;
  std::atomic<uint64_t> evicted_before;
  std::array<WorkerSlot, kWorkersMost> slots;

  uint64_t Sum(Counter counter) const {
    uint64_t sum = 0;
    for (const WorkerSlot& slot : slots) {
      sum += slot.counters[static_cast<size_t>(counter)].load(std::memory_order_relaxed);
    }
    return sum;
  }
  uint64_t Connections() const {
    uint64_t sum = 0;
    for (const WorkerSlot& slot : slots) sum += slot.connections.load(std::memory_order_relaxed);
    return sum;
  }
  void Reset(const StoreCounters& of_store) {
    expired_before.store(of_store.expired, std::memory_order_relaxed);
    flushed_before.store(of_store.cleared, std::memory_order_relaxed);
    evicted_before.store(of_store.evictions, std::memory_order_relaxed);
    for (WorkerSlot& slot : slots) {
      for (auto& counter : slot.counters) counter.store(0, std::memory_order_relaxed);
    }
  }
};

// It stays mapped until the process ends.
absl::StatusOr<SharedState*> MapSharedState();

}  // namespace kill9::memcached

#endif  // KILL9_APPS_MEMCACHED_COMMANDS_COUNTERS_H_
