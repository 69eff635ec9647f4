// What the command and the runner, its child, share.
#ifndef KILL9_HARNESS_PROGRAMS_EXCHANGE_H_
#define KILL9_HARNESS_PROGRAMS_EXCHANGE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "harness/history/history.h"

namespace kill9::programs {

// Relaxed where nothing else is said: news and counts that order nothing.
struct Exchange {
  static constexpr size_t kReportBytes = 1 << 18;
  static constexpr uint64_t kHistoryMost = 1 << 19;  // operations; later ones are not kept

  std::atomic<uint32_t> stop;       // the command's wish: end soon
  std::atomic<uint64_t> heartbeat;  // the runner is alive
  std::atomic<uint64_t> elapsed_ms;
  std::atomic<uint64_t> kills;
  std::atomic<uint64_t> operations;
  std::atomic<uint32_t> found;     // something that will be the verdict
  std::atomic<uint64_t> recorded;  // in `history`; release by the runner, pairs with the command
  std::atomic<uint32_t> ended;     // `report` is there; release, pairs with the command's acquire
  char report[kReportBytes];       // JSON: what the runner counted and found
  Operation history[kHistoryMost];
};

}  // namespace kill9::programs

#endif  // KILL9_HARNESS_PROGRAMS_EXCHANGE_H_
