// What the gate remembers from run to run, so that what is sampled is what was sampled longest ago:
// when each step was last answered as it should be. A small JSON file; without it everything is as
// old as can be, and the seed decides.
#ifndef KILL9_HARNESS_GATE_PLAN_PASS_HISTORY_H_
#define KILL9_HARNESS_GATE_PLAN_PASS_HISTORY_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "harness/gate/plan/step.h"

namespace kill9::gate {

class PassHistory {
 public:
  // An absent file is an empty memory; one that is no memory of a gate is an error.
  static absl::StatusOr<PassHistory> Load(const std::string& path);
  absl::Status Save(const std::string& path) const;

  void Passed(const GateStep& step, int64_t unix_time_us) { passed_[step.Id()] = unix_time_us; }
  // Longest ago first; those of the same time in an order that follows from the seed.
  void Order(std::vector<GateStep>& steps, uint64_t seed) const;

 private:
  std::map<std::string, int64_t> passed_;
};

// The first `most` steps, but so that each variant has its share before any has more: the order
// within a variant stays.
std::vector<GateStep> FairShare(const std::vector<GateStep>& steps, size_t most);

}  // namespace kill9::gate

#endif  // KILL9_HARNESS_GATE_PLAN_PASS_HISTORY_H_
