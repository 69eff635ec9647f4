// The list of what each kind brings to the sweep.
#ifndef KILL9_HARNESS_KINDS_SWEEP_KINDS_H_
#define KILL9_HARNESS_KINDS_SWEEP_KINDS_H_

#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "harness/sweep/driver/driver.h"

namespace kill9 {

std::span<const sweep::SweepDriver* const> AllSweepDrivers();
const sweep::SweepDriver* FindSweepDriver(std::string_view kind);  // null if there is none

// The names of the operations and states in which a design is swept; none of a kind without a
// sweep.
struct SweepCell {
  std::string_view operation, state;
};
std::vector<SweepCell> SweepCellsOf(const Design& design);

// Of kinds that a program adds. kAlreadyExists: a kind has one; nothing was added. REQUIRES: called
// before the list is first asked for, by one thread.
absl::Status AddSweepDrivers(std::span<const sweep::SweepDriver* const> drivers);

}  // namespace kill9

#endif  // KILL9_HARNESS_KINDS_SWEEP_KINDS_H_
