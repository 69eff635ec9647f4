// What the processes of a run share whose work has a pattern: each asks and waits for its answer,
// or all send in bursts (channel_client_patterns.cc), or one message goes round.
#ifndef KILL9_HARNESS_CHANNEL_DRIVER_PATTERNS_PATTERN_BOARDS_H_
#define KILL9_HARNESS_CHANNEL_DRIVER_PATTERNS_PATTERN_BOARDS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "harness/result/json_forward.h"

namespace kill9 {

struct alignas(128) RequestBoard {
  static constexpr uint32_t kAskers = 64;  // slots of workers
  static constexpr uint64_t kNone = 0;

  // The request whose answer the process in a slot waits for. Written by it; by an audit, while
  // nobody works, since that takes all messages out; and by the next process in the slot. Who dies
  // leaves it: what answers it is nobody's then, once there is a next one.
  std::array<std::atomic<uint64_t>, kAskers> asked;

  // Statistics.
  std::atomic<uint64_t> requests;
  std::atomic<uint64_t> answers;    // that came to who waited for them
  std::atomic<uint64_t> passed_on;  // that another took, and returned
  std::atomic<uint64_t> of_nobody;  // that nobody waits for any more

  bool IsAwaited(uint64_t request) const;
  void Forget();
};

struct alignas(128) BurstBoard {
  // Statistics.
  std::atomic<uint64_t> bursts;
  std::atomic<uint64_t> met_full;   // bursts that ended as there was no room
  std::atomic<uint64_t> met_empty;  // looks that found no message: a burst comes next
};

// Of one message that goes round (channel_client_last_message.cc).
struct alignas(128) PassedOnBoard {
  std::atomic<uint64_t> sending;  // which is the last one, if it was sent
  std::atomic<uint64_t> sent;     // which is the last one that was sent
};

// What must have happened, and has not; empty: nothing. `fills`: a channel that can be full.
std::string WhatIsMissingOf(const RequestBoard& board);
std::string WhatIsMissingOf(const BurstBoard& board, bool fills);
Json CountsOf(const RequestBoard& board);
Json CountsOf(const BurstBoard& board);

}  // namespace kill9

#endif  // KILL9_HARNESS_CHANNEL_DRIVER_PATTERNS_PATTERN_BOARDS_H_
