// Scenes of every kind of object, by the design and the scenario's name.
#ifndef KILL9_HARNESS_EXPLORE_SCENES_SCENES_H_
#define KILL9_HARNESS_EXPLORE_SCENES_SCENES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "harness/explore/runtime/machine.h"
#include "variants/object.h"

namespace kill9::explore {

// Why no scene of the design can be explored; empty: some can.
std::string WhyNotExplored(const Design& design);

// REQUIRES of all: it can be explored.
// kInvalidArgument: there is no such scenario; says what there is.
absl::StatusOr<std::unique_ptr<Scene>> NewScene(const Design& design, std::string_view scenario);
// Every two operations on one key, or on the one channel, that neither wait nor are about terms.
std::vector<std::string> AllPairs(const Design& design);
// Scenes of two or three participants that do several things: too large to be exhausted.
std::vector<std::string> LargerScenes(const Design& design);
// Of three participants with one operation each, and of channels that are closed.
std::vector<std::string> WiderScenes(const Design& design);
// Of what pairs leave out: somebody waits for what others do; entries have deadlines and leases,
// and are cleared.
std::vector<std::string> OtherScenes(const Design& design);

// A scene that follows from a seed and its number: a few participants, with a few of some of all
// calls that there are, in a shape and after a past that its name says.
struct DrawnScene {
  std::string name;
  int deaths = 0;
};
DrawnScene DrawScene(const Design& design, uint64_t seed, uint64_t number);

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SCENES_SCENES_H_
