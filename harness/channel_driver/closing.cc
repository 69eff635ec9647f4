#include "harness/channel_driver/closing.h"

#include <vector>

#include "absl/strings/str_join.h"

namespace kill9 {
namespace {

// Relaxed, here and below: read when the run is over, or again later.
uint64_t Load(const std::atomic<uint64_t>& word) { return word.load(std::memory_order_relaxed); }

}  // namespace

std::string WhatIsMissingOf(const ClosingBoard& board) {
  std::vector<const char*> missing;
  const auto require = [&missing](const std::atomic<uint64_t>& happened, const char* what) {
    if (Load(happened) == 0) missing.push_back(what);
  };
  require(board.closes, "nobody closed a channel");
  require(board.sends_refused, "nobody met a closed channel when sending");
  require(board.received_afterwards, "nothing was received from a closed channel");
  require(board.waiters_told, "nobody was closed upon while waiting");
  require(board.ended, "nobody was told the end of a channel");
  require(board.replaced, "no channel was found empty after its end");
  return absl::StrJoin(missing, "; ");
}

Json CountsOf(const ClosingBoard& board) {
  return {{"channels", Load(board.replaced)},
          {"closes_called", Load(board.closes_called)},
          {"closes_cut_off", Load(board.closes_called) - Load(board.closes)},
          {"sends_refused", Load(board.sends_refused)},
          {"received_afterwards", Load(board.received_afterwards)},
          {"waiters_told", Load(board.waiters_told)}};
}

}  // namespace kill9
