#include "stress/command/explore/explore_units.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_split.h"
#include "harness/base/stable_hash.h"
#include "harness/explore/scenes/scenes.h"
#include "harness/result/host.h"
#include "stress/command/arguments/choices.h"
#include "stress/command/arguments/shards.h"

namespace kill9 {
namespace {

using explore::MemoryModel;
using explore::Strategy;

constexpr uint64_t kDrawnOneByOne = 20;  // where each scene is asked something else

std::vector<std::string> NamesIn(const std::string& given) {
  return absl::StrSplit(given, ' ', absl::SkipEmpty());
}

// Scenes that have a name together.
using GroupOfScenes = std::vector<std::string>(const Design&);
GroupOfScenes* GroupOf(const std::string& name) {
  if (name == "pairs") return explore::AllPairs;
  if (name == "larger") return explore::LargerScenes;
  if (name == "wider") return explore::WiderScenes;
  if (name == "others") return explore::OtherScenes;
  return nullptr;
}

}  // namespace

uint32_t ProcessesOf(const ExploreArguments& arguments) {
  if (arguments.jobs != 0) return arguments.jobs;
  // What the states of one scene may take at most.
  constexpr uint64_t kBytesOfAScene = uint64_t{3} << 29;
  const uint64_t most = std::max<uint64_t>(MemoryBytes() / kBytesOfAScene, 1);
  return static_cast<uint32_t>(std::clamp<uint64_t>(std::thread::hardware_concurrency(), 1, most));
}

MemoryModel ChooseModel(const std::string& given) {
  return ChooseOne<MemoryModel>("--model", given,
                                {{"sc", MemoryModel::kSc, {}},
                                 {"tso", MemoryModel::kTso, {}},
                                 {"c11", MemoryModel::kC11, {}},
                                 {"compiler", MemoryModel::kCompiler, {}}});
}

Strategy ChooseStrategy(const std::string& given) {
  return ChooseOne<Strategy>("--strategy", given,
                             {{"auto", Strategy::kAuto, {}},
                              {"exhaustive", Strategy::kExhaustive, {}},
                              {"random", Strategy::kRandom, {}}});
}

std::unique_ptr<explore::Scene> SceneOf(const Design& design, const std::string& scenario) {
  absl::StatusOr<std::unique_ptr<explore::Scene>> scene = explore::NewScene(design, scenario);
  if (!scene.ok()) throw UsageError(std::string(scene.status().message()));
  return *std::move(scene);
}

std::vector<std::string> ScenariosOf(const Design& design, const std::string& given,
                                     const ExploreArguments& arguments) {
  std::vector<std::string> names;
  for (const std::string& name : NamesIn(given)) {
    if (name == kDrawnScenes) {
      const bool one_by_one = arguments.orderings || arguments.shipped > 0;
      if (!one_by_one) names.push_back(name);
      for (uint64_t i = 0; one_by_one && i < kDrawnOneByOne; ++i) {
        names.push_back(explore::DrawScene(design, arguments.seed, i).name);
      }
    } else if (GroupOfScenes* const group = GroupOf(name)) {
      for (std::string& scene : group(design)) names.push_back(std::move(scene));
    } else if (explore::NewScene(design, name).ok()) {
      names.push_back(name);
    }
  }
  return names;
}

namespace {

// Each name is one that some of the designs can have.
void CheckScenarios(const std::vector<const Design*>& designs, const ExploreArguments& arguments) {
  for (const std::string& name : NamesIn(arguments.scenario)) {
    absl::Status unknown = absl::OkStatus();
    bool known = false;
    for (const Design* design : designs) {
      if (!explore::WhyNotExplored(*design).empty()) continue;
      known = known || !ScenariosOf(*design, name, arguments).empty();
      if (!known && unknown.ok()) unknown = explore::NewScene(*design, name).status();
    }
    if (!known && !unknown.ok()) throw UsageError(std::string(unknown.message()));
  }
}

// Each once.
std::vector<Unit> UnitsOf(const ExploreArguments& arguments) {
  std::vector<Unit> units;
  absl::flat_hash_set<std::string> names;
  const std::vector<const Design*> designs = ChooseDesigns(arguments.variant);
  CheckScenarios(designs, arguments);
  for (const Design* variant : designs) {
    std::vector<std::string> scenarios = {arguments.scenario};
    if (!arguments.orderings && explore::WhyNotExplored(*variant).empty()) {
      scenarios = ScenariosOf(*variant, arguments.scenario, arguments);
    }
    for (std::string& scenario : scenarios) {
      Unit unit{variant, std::move(scenario)};
      if (names.insert(unit.name()).second) units.push_back(std::move(unit));
    }
  }
  return units;
}

}  // namespace

std::vector<Unit> OwnUnits(const ExploreArguments& arguments, Json* result) {
  std::vector<Unit> units = UnitsOf(arguments);
  const auto place = [&arguments](const Unit& unit) {
    return StableHash(absl::StrCat(arguments.seed, " ", unit.name()));
  };
  if (arguments.seconds > 0) {
    std::sort(units.begin(), units.end(), [&place](const Unit& a, const Unit& b) {
      return std::pair(a.is_drawn(), place(a)) < std::pair(b.is_drawn(), place(b));
    });
  }
  const Shard shard = ChooseShard(arguments.shard);
  if (shard.whole()) return units;
  if (arguments.seconds > 0) {
    throw UsageError("--shard and --seconds: what ends by time is no part that others complete");
  }
  std::vector<std::string> names;
  for (const Unit& unit : units) names.push_back(unit.name());
  std::vector<Unit> own;
  for (const size_t n : ChooseShare(shard, names)) own.push_back(units[n]);
  (*result)["shard"] = DescribeShard(shard, names);
  return own;
}

}  // namespace kill9
