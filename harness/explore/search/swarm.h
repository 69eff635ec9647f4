// Explores many drawn scenes of a design (scenes.h), each by some hundred or thousand random
// schedules: what finds most is that they differ. Several processes share the work, each for a
// while: what explored code keeps of one scene after another ends with its process.
#ifndef KILL9_HARNESS_EXPLORE_SEARCH_SWARM_H_
#define KILL9_HARNESS_EXPLORE_SEARCH_SWARM_H_

#include <csignal>
#include <cstdint>
#include <optional>
#include <string>

#include "harness/explore/runtime/question.h"
#include "harness/explore/scenes/scenes.h"
#include "harness/explore/search/explore.h"
#include "variants/object.h"

namespace kill9::explore {

struct SwarmOptions {
  MemoryModel model = MemoryModel::kSc;
  uint64_t seed = 1;
  // Scenes enough for so many, if each had its most; 0: as the budget says.
  uint64_t schedules = 0;
  double budget_seconds = 10;
  uint32_t processes = 1;
  const volatile std::sig_atomic_t* interrupted = nullptr;
};

struct SwarmResult {
  uint64_t scenes = 0;
  uint64_t schedules = 0;
  uint64_t deaths = 0;
  uint64_t distinct_states = 0;
  double seconds = 0;
  // The first scene, by its number, in which something was wrong. `finding` says what, if it cannot
  // be explored again: it ended its process.
  struct Found {
    DrawnScene scene;
    std::optional<Finding> finding;
  };
  std::optional<Found> found;
};

// Of each scene so many schedules at most: it ends where its schedules end in nothing new.
inline constexpr uint64_t kSchedulesOfDrawnScene = 2500;

SwarmResult ExploreSwarm(const Design& design, const SwarmOptions& options);

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SEARCH_SWARM_H_
