// A sweep that was interrupted goes on: what its result says besides its runs, and what of it is
// taken over. What was finished is not run again, and the result is that of a sweep that nobody
// interrupted.
#ifndef KILL9_HARNESS_SWEEP_CONTINUATION_H_
#define KILL9_HARNESS_SWEEP_CONTINUATION_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "harness/result/result.h"
#include "harness/sweep/address_sums.h"
#include "harness/sweep/cell/cell.h"

namespace kill9::sweep {

struct SweepOptions;

std::string CellName(const CellRequest& request);  // "cas_slots get one_entry"

class Continuation {
 public:
  // `cells`: all that the options ask for.
  Continuation(const SweepOptions& options, const std::vector<CellRequest>& cells);

  // Takes over what `earlier` has, a result of the same program with the same options.
  // kInvalidArgument says what it is not.
  absl::Status TakeOver(const Json& earlier);

  // What is left of the cells.
  std::vector<CellRequest> Left(const std::vector<CellRequest>& cells) const;
  // Taken over, in their order.
  const std::vector<Json>& runs() const { return runs_; }
  uint64_t kills() const { return kills_; }
  double seconds() const { return seconds_; }
  const AddressSums& addresses() const { return addresses_; }

  // A cell that is done now. One that is undecided is left.
  void Note(const CellRequest& cell, const CellArea& area);
  // The field "to_continue" of a result that was interrupted.
  Json ToJson() const;

 private:
  Json asked_;
  std::map<std::string, bool> is_planned_;  // by name; false once it is done
  std::vector<Json> runs_;
  uint64_t kills_ = 0;
  double seconds_ = 0;
  AddressSums addresses_;  // of the cells that are done
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_CONTINUATION_H_
