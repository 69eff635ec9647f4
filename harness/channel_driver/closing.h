// What the processes of a run share that closes channels, one after the other, so that each can
// check at once what it is told against what others were told before. Channels have numbers from 1
// on; each word grows only, and tolerates that any worker is killed at any moment.
#ifndef KILL9_HARNESS_CHANNEL_DRIVER_CLOSING_H_
#define KILL9_HARNESS_CHANNEL_DRIVER_CLOSING_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "harness/result/json_forward.h"

namespace kill9 {

// The subject of a Close on a worker's board; the history has none.
inline constexpr uint64_t kCloseSubject = ~uint64_t{0};

struct alignas(128) ClosingBoard {
  // Written by an audit, while nobody else works.
  std::atomic<uint64_t> replaced;  // channels that were left: the present one is the next
  // The number of the last channel of which …
  std::atomic<uint64_t> close_called;  // … a Close was called
  std::atomic<uint64_t> closed;        // … a Close has returned
  std::atomic<uint64_t> ended;         // … a receiver was told the end

  // Statistics.
  std::atomic<uint64_t> closes_called;
  std::atomic<uint64_t> closes;         // that returned, the second ones of a channel included
  std::atomic<uint64_t> sends_refused;  // as the channel was closed
  std::atomic<uint64_t> received_afterwards;  // messages that were taken from a closed channel
  std::atomic<uint64_t> waiters_told;         // calls that could wait, and met the Close on the way
};

// What must have happened, and has not; empty: nothing.
std::string WhatIsMissingOf(const ClosingBoard& board);
Json CountsOf(const ClosingBoard& board);

}  // namespace kill9

#endif  // KILL9_HARNESS_CHANNEL_DRIVER_CLOSING_H_
