// What the processes of a run on a broadcast count together. Statistics: read when the run is over.
#ifndef KILL9_HARNESS_CHANNEL_DRIVER_BROADCAST_BOARD_H_
#define KILL9_HARNESS_CHANNEL_DRIVER_BROADCAST_BOARD_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "harness/result/json_forward.h"

namespace kill9 {

struct alignas(128) BroadcastBoard {
  std::atomic<uint64_t> subscribed;     // subscribers that began
  std::atomic<uint64_t> missed;         // messages, by one subscriber or another
  std::atomic<uint64_t> lapped;         // receives that told of missed ones
  std::atomic<uint64_t> came_again;     // messages that their subscriber had returned
  std::atomic<uint64_t> pins_refused;   // takes, by who held as much as it may
  std::atomic<uint64_t> sends_refused;  // since pins and drafts left no room
};

// What must have happened, and has not; empty: nothing. `full`: where pins are to leave no room.
std::string WhatIsMissingOf(const BroadcastBoard& board, bool full);
Json CountsOf(const BroadcastBoard& board);

}  // namespace kill9

#endif  // KILL9_HARNESS_CHANNEL_DRIVER_BROADCAST_BOARD_H_
