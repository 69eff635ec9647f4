#include "harness/channel_driver/closing.h"

#include "harness/result/result.h"
#include "harness/torture/run_statistics.h"

namespace kill9 {
std::string WhatIsMissingOf(const ClosingBoard& board) {
  MissingEvents missing;
  missing.Require(board.closes, "nobody closed a channel");
  missing.Require(board.sends_refused, "nobody met a closed channel when sending");
  missing.Require(board.received_afterwards, "nothing was received from a closed channel");
  missing.Require(board.waiters_told, "nobody was closed upon while waiting");
  missing.Require(board.ended, "nobody was told the end of a channel");
  missing.Require(board.replaced, "no channel was found empty after its end");
  return missing.Text();
}

Json CountsOf(const ClosingBoard& board) {
  return {{"channels", Counted(board.replaced)},
          {"closes_called", Counted(board.closes_called)},
          {"closes_cut_off", Counted(board.closes_called) - Counted(board.closes)},
          {"sends_refused", Counted(board.sends_refused)},
          {"received_afterwards", Counted(board.received_afterwards)},
          {"waiters_told", Counted(board.waiters_told)}};
}

}  // namespace kill9
