// A run of torture that was interrupted and goes on (--continue): what it finished is not run
// again.
#ifndef KILL9_STRESS_COMMAND_TORTURE_TORTURE_CONTINUATION_H_
#define KILL9_STRESS_COMMAND_TORTURE_TORTURE_CONTINUATION_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "harness/result/result.h"

namespace kill9 {

class TortureContinuation {
 public:
  // `asked`: what two runs must have alike to be the same one, by the names of its options.
  explicit TortureContinuation(Json asked) : asked_(std::move(asked)) {}

  // What the result at `path` has finished, in the order of this run's units. kInvalidArgument: it
  // is not of this run, or was not interrupted.
  absl::StatusOr<Json> FinishedRuns(const std::string& path) const;

  // A unit was run to its end. One that was not, or could not be run here, is run again, and so are
  // those behind it.
  void Done(bool to_its_end) {
    in_a_row_ = in_a_row_ && to_its_end;
    finished_ += in_a_row_;
  }

  // The field "to_continue" of a result that was interrupted.
  Json ToJson() const { return {{"asked", asked_}, {"finished", finished_}}; }

 private:
  Json asked_;
  size_t finished_ = 0;
  bool in_a_row_ = true;
};

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_TORTURE_TORTURE_CONTINUATION_H_
