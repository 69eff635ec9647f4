#include "harness/channel_driver/broadcast_board.h"

#include "harness/result/result.h"
#include "harness/torture/run_statistics.h"

namespace kill9 {

std::string WhatIsMissingOf(const BroadcastBoard& board, bool full) {
  MissingEvents missing;
  missing.Require(board.lapped, "no subscriber was lapped");
  if (full) {
    missing.Require(board.came_again, "no message came again to who had returned it");
    missing.Require(board.pins_refused, "nobody held as much as it may");
    missing.Require(board.sends_refused, "pins never left a sender without room");
  }
  return missing.Text();
}

Json CountsOf(const BroadcastBoard& board) {
  return {{"subscribed", Counted(board.subscribed)},
          {"missed", Counted(board.missed)},
          {"lapped", Counted(board.lapped)},
          {"came_again", Counted(board.came_again)},
          {"pins_refused", Counted(board.pins_refused)},
          {"sends_refused", Counted(board.sends_refused)}};
}

}  // namespace kill9
