#include "harness/explore/scenes/scenes.h"

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "harness/explore/scenes/channel_scene.h"
#include "harness/explore/scenes/store_scene.h"
#include "variants/registry.h"

namespace kill9::explore {
namespace {

const Variant* AsStore(const Design& design) {
  return design.kind() == Variant::kKind ? static_cast<const Variant*>(&design) : nullptr;
}
const ChannelDesign& AsChannel(const Design& design) {
  return static_cast<const ChannelDesign&>(design);
}

const ScenarioWords& WordsOf(const Design& design) {
  return AsStore(design) != nullptr ? StoreWords() : ChannelWords();
}

bool HasCall(const Design& design, size_t call) {
  const Variant* const store = AsStore(design);
  return store != nullptr ? HasStoreCall(store->traits(), call)
                          : HasChannelCall(AsChannel(design).traits(), call);
}

}  // namespace

std::string WhyNotExplored(const Design& design) {
  if (AsStore(design) != nullptr) return "";
  if (design.kind() != ChannelDesign::kKind) {
    return absl::StrCat("there are no scenes of a ", std::string(design.kind()), " yet");
  }
  if (AsChannel(design).traits().delivery == ChannelTraits::Delivery::kBroadcast) {
    return "there are no scenes of a broadcast yet";
  }
  return "";
}

absl::StatusOr<std::unique_ptr<Scene>> NewScene(const Design& design, std::string_view scenario) {
  const absl::StatusOr<Scenario> parsed = ParseScenario(scenario, WordsOf(design));
  if (!parsed.ok()) return parsed.status();
  if (const Variant* const store = AsStore(design); store != nullptr) {
    return std::make_unique<StoreScene>(*store, *parsed);
  }
  return std::make_unique<ChannelScene>(AsChannel(design), *parsed);
}

std::vector<std::string> AllPairs(const Design& design) {
  return AllPairs(WordsOf(design), [&](size_t call) { return HasCall(design, call); });
}

std::vector<std::string> LargerScenes(const Design& design) {
  return ThoseThatAreThere(AsStore(design) != nullptr ? LargerStoreScenes() : LargerChannelScenes(),
                           WordsOf(design), [&](size_t call) { return HasCall(design, call); });
}

}  // namespace kill9::explore
