// The names of scenes: what each participant does, one operation after another, and what the object
// is like when they begin.
//
//     put+get          one participant puts, another gets
//     put,get+erase    the first does two things
//     put+put@empty    begins with another state than the usual one; each kind has its own
//     get+put@fences   the kernel has no membarrier(2): alone, or after the state
//     put+get@new      who waits has never waited before; after the state, before @drawn
//     put+get@drawn17  the shape of the object and what came before are drawn from this number;
//                      after the state, before @fences
#ifndef KILL9_HARNESS_EXPLORE_SCENES_SCENARIO_H_
#define KILL9_HARNESS_EXPLORE_SCENES_SCENARIO_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"

namespace kill9::explore {

struct Scenario {
  std::string name;
  std::vector<std::vector<size_t>> calls;  // of each participant, as the kind numbers them
  size_t beginning = 0;                    // 0: the usual one
  bool have_waited = true;                 // all who wait, once before
  bool kernel_has_barrier = true;
  uint64_t drawn = 0;  // 0: in the usual shape
};

// What there is of a kind.
struct ScenarioWords {
  std::span<const std::string_view> calls;
  std::span<const std::string_view> beginnings;  // the first is the usual one, which has no name
};

// kInvalidArgument: there is no such scenario; says what there is.
absl::StatusOr<Scenario> ParseScenario(std::string_view name, const ScenarioWords& words);

// Every two operations among those that `has` is true of.
std::vector<std::string> AllPairs(const ScenarioWords& words,
                                  absl::FunctionRef<bool(size_t call)> has);
// Those of `names` all of whose operations `has` is true of.
std::vector<std::string> ThoseThatAreThere(std::span<const std::string_view> names,
                                           const ScenarioWords& words,
                                           absl::FunctionRef<bool(size_t call)> has);

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SCENES_SCENARIO_H_
