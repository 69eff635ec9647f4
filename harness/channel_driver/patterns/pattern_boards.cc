#include "harness/channel_driver/patterns/pattern_boards.h"

#include <algorithm>

#include "harness/result/result.h"
#include "harness/torture/run_statistics.h"

namespace kill9 {

// Acquire: pairs with the asker's store, which comes before its request. Who takes the answer sees
// that it is waited for.
bool RequestBoard::IsAwaited(uint64_t request) const {
  return std::any_of(asked.begin(), asked.end(), [request](const std::atomic<uint64_t>& one) {
    return one.load(std::memory_order_acquire) == request;
  });
}

void RequestBoard::Forget() {
  // Release: pairs with the acquires of IsAwaited and of ChannelClient::Ask.
  for (std::atomic<uint64_t>& one : asked) one.store(kNone, std::memory_order_release);
}

std::string WhatIsMissingOf(const RequestBoard& board) {
  MissingEvents missing;
  missing.Require(board.requests, "nobody asked");
  missing.Require(board.answers, "nobody had an answer");
  missing.Require(board.passed_on, "nobody met another's answer");
  return missing.Text();
}

std::string WhatIsMissingOf(const BurstBoard& board, bool fills) {
  MissingEvents missing;
  missing.Require(board.bursts, "nobody sent in bursts");
  missing.Require(board.met_empty, "no burst was received to its end");
  if (fills) missing.Require(board.met_full, "no burst met a full channel");
  return missing.Text();
}

Json CountsOf(const RequestBoard& board) {
  return {{"requests", Counted(board.requests)},
          {"answers", Counted(board.answers)},
          {"passed_on", Counted(board.passed_on)},
          {"of_nobody", Counted(board.of_nobody)}};
}

Json CountsOf(const BurstBoard& board) {
  return {{"bursts", Counted(board.bursts)},
          {"met_full", Counted(board.met_full)},
          {"met_empty", Counted(board.met_empty)}};
}

}  // namespace kill9
