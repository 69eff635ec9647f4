// Explores one scene: all its schedules where they are few, else some at random; and makes of the
// first that goes wrong a short one that repeats it.
#ifndef KILL9_HARNESS_EXPLORE_SEARCH_EXPLORE_H_
#define KILL9_HARNESS_EXPLORE_SEARCH_EXPLORE_H_

#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/explore/runtime/machine.h"
#include "harness/explore/search/choosers.h"
#include "harness/explore/search/token.h"

namespace kill9::explore {

enum class Strategy : uint8_t {
  kAuto,  // exhaustive; at random once half of the budget is used up
  kExhaustive,
  kRandom,
};

struct ExploreOptions {
  MemoryModel model = MemoryModel::kSc;
  int deaths = 0;
  int preemptions = Exhaustive::kUnbounded;
  Strategy strategy = Strategy::kAuto;
  uint64_t schedules = 0;  // at most so many; 0: as the budget says
  double budget_seconds = 10;
  uint64_t seed = 1;
  bool prove_hooks = false;
  bool shortens = true;  // the schedule of a finding
  // At random: ends as well where the second half of the schedules has ended in nothing new.
  bool ends_when_dull = false;
  const volatile std::sig_atomic_t* interrupted = nullptr;
};

struct ExploreResult {
  Finding finding;
  Strategy strategy = Strategy::kExhaustive;  // of the schedule that was found, or that came last
  uint64_t schedules = 0;
  uint64_t distinct_states = 0;
  uint64_t deaths = 0;  // in all schedules
  uint64_t contended_words = 0;
  uint64_t novelties = 0;  // choices that a weaker order has brought
  double seconds = 0;
  bool exhaustive = false;          // nothing within the bounds was left out
  bool unsteady = false;            // the scene is not the same each time: nothing was proved
  Schedule schedule;                // of a finding
  std::vector<uint64_t> contended;  // what its token needs besides
  std::vector<Step> steps;          // of it
};

ExploreResult Explore(Scene& scene, const ExploreOptions& options);

// Runs the scene once, as the schedule says.
struct Replayed {
  Finding finding;
  std::vector<Step> steps;
};
Replayed Replay(const Schedule& schedule, const MachineLimits& limits);

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SEARCH_EXPLORE_H_
