// What kill9 explore runs one after another: scenes of designs.
#ifndef KILL9_STRESS_COMMAND_EXPLORE_EXPLORE_UNITS_H_
#define KILL9_STRESS_COMMAND_EXPLORE_EXPLORE_UNITS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/explore/runtime/stage.h"
#include "harness/explore/search/explore.h"
#include "harness/result/result.h"
#include "stress/command/explore/explore_arguments.h"
#include "variants/object.h"

namespace kill9 {

// The name of all drawn scenes of a design together.
inline constexpr std::string_view kDrawnScenes = "drawn";

// What is run on its own, and belongs to one shard: a scene of a design; with --orderings a design.
struct Unit {
  const Design* variant;
  std::string scenario;

  std::string name() const { return absl::StrCat(std::string(variant->name()), " ", scenario); }
  bool is_drawn() const { return scenario == kDrawnScenes; }
};

// How many explore at a time.
uint32_t ProcessesOf(const ExploreArguments& arguments);
explore::MemoryModel ChooseModel(const std::string& given);
explore::Strategy ChooseStrategy(const std::string& given);
std::unique_ptr<explore::Scene> SceneOf(const Design& design, const std::string& scenario);
// Those that a design of its kind can have.
std::vector<std::string> ScenariosOf(const Design& design, const std::string& given,
                                     const ExploreArguments& arguments);
// Those that are this run's, in the order in which it takes them.
std::vector<Unit> OwnUnits(const ExploreArguments& arguments, Json* result);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_EXPLORE_EXPLORE_UNITS_H_
