// The counts of a sweep's traces by address, of each design and operation: what its kill coverage
// is made of in the end, and what a sweep that was interrupted goes on with.
#ifndef KILL9_HARNESS_SWEEP_ADDRESS_SUMS_H_
#define KILL9_HARNESS_SWEEP_ADDRESS_SUMS_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>

#include "harness/stepper/trace/kill_coverage.h"

namespace kill9::sweep {

class AddressSums {
 public:
  using Counts = std::map<uint64_t, stepper::AddressCount>;  // by address

  void Add(const std::string& variant, const std::string& operation,
           std::span<const stepper::AddressCount> counts) {
    Counts& sums = groups_[{variant, operation}];
    for (const stepper::AddressCount& count : counts) {
      if (count.address == 0) continue;  // of the table, an entry that nobody took
      stepper::AddressCount& sum = sums[count.address];
      sum.address = count.address;
      for (const auto field : stepper::kAddressCounts) sum.*field += count.*field;
    }
  }
  const std::map<std::pair<std::string, std::string>, Counts>& groups() const { return groups_; }

 private:
  std::map<std::pair<std::string, std::string>, Counts> groups_;
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_ADDRESS_SUMS_H_
