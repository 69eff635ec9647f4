#include "harness/explore/scenes/scenes.h"

#include <algorithm>
#include <limits>
#include <random>
#include <span>

#include "absl/strings/str_cat.h"
#include "harness/explore/scenes/channel_scene.h"
#include "harness/explore/scenes/heap_scene.h"
#include "harness/explore/scenes/pools/pool_scene.h"
#include "harness/explore/scenes/store_scene.h"
#include "variants/registry.h"

namespace kill9::explore {
namespace {

// What there is of the scenes of a kind.
struct KindOfScenes {
  std::string_view kind;
  const ScenarioWords& (*words)();
  std::span<const std::string_view> (*larger)();
  std::span<const std::string_view> (*wider)();
  std::span<const std::string_view> (*others)();
  size_t ordinary;  // so many calls, the first ones, are in pairs
  size_t drawn;     // and so many in drawn scenes
  bool (*has)(const Design&, size_t call);
  bool (*fit)(std::span<const size_t> calls);  // in one scene
  bool (*is_timed)(size_t call);               // then somebody is to move the clock
  size_t tick;                                 // who does
  std::unique_ptr<Scene> (*make)(const Design&, const Scenario&);
};

template <typename OfKind, typename SceneOfKind>
std::unique_ptr<Scene> Make(const Design& design, const Scenario& scenario) {
  return std::make_unique<SceneOfKind>(static_cast<const OfKind&>(design), scenario);
}

constexpr size_t kAllCalls = std::numeric_limits<size_t>::max();

constexpr KindOfScenes kKinds[] = {
    {Variant::kKind, StoreWords, LargerStoreScenes, WiderStoreScenes, StoreScenesOfTerms,
     static_cast<size_t>(StoreCall::kClear), kAllCalls,
     [](const Design& design, size_t call) {
       return HasStoreCall(static_cast<const Variant&>(design).traits(), call);
     },
     FitStoreCalls, IsTimedStoreCall, static_cast<size_t>(StoreCall::kTick),
     Make<Variant, StoreScene>},
    {ChannelDesign::kKind, ChannelWords, LargerChannelScenes, WiderChannelScenes,
     WaitingChannelScenes, static_cast<size_t>(ChannelCall::kWaitReceive),
     static_cast<size_t>(ChannelCall::kToldReceive),
     [](const Design& design, size_t call) {
       return HasChannelCall(static_cast<const ChannelDesign&>(design).traits(), call);
     },
     [](std::span<const size_t>) { return true; }, IsTimedChannelCall,
     static_cast<size_t>(ChannelCall::kTick), Make<ChannelDesign, ChannelScene>},
    {HeapDesign::kKind, HeapWords, LargerHeapScenes, WiderHeapScenes, WaitingHeapScenes,
     static_cast<size_t>(HeapMove::kWaitAlloc), kAllCalls,
     [](const Design& design, size_t call) {
       return HasHeapCall(static_cast<const HeapDesign&>(design), call);
     },
     [](std::span<const size_t>) { return true; }, IsTimedHeapCall,
     static_cast<size_t>(HeapMove::kTick), Make<HeapDesign, HeapScene>},
    {kPoolKind, PoolWords, LargerPoolScenes, WiderPoolScenes,
     []() -> std::span<const std::string_view> { return {}; }, static_cast<size_t>(PoolCall::kCome),
     kAllCalls, [](const Design&, size_t) { return true; },
     [](std::span<const size_t>) { return true; }, [](size_t) { return false; }, /*tick=*/0,
     Make<Design, PoolScene>},
};

const KindOfScenes* Find(const Design& design) {
  for (const KindOfScenes& one : kKinds) {
    if (one.kind == design.kind()) return &one;
  }
  return nullptr;
}

}  // namespace

std::string WhyNotExplored(const Design& design) {
  if (Find(design) != nullptr) return "";
  return absl::StrCat("there are no scenes of a ", std::string(design.kind()), " yet");
}

absl::StatusOr<std::unique_ptr<Scene>> NewScene(const Design& design, std::string_view scenario) {
  const KindOfScenes& of = *Find(design);
  const absl::StatusOr<Scenario> parsed = ParseScenario(scenario, of.words());
  if (!parsed.ok()) return parsed.status();
  return of.make(design, *parsed);
}

std::vector<std::string> AllPairs(const Design& design) {
  const KindOfScenes& of = *Find(design);
  return AllPairs(of.words(),
                  [&](size_t call) { return call < of.ordinary && of.has(design, call); });
}

std::vector<std::string> LargerScenes(const Design& design) {
  const KindOfScenes& of = *Find(design);
  return ThoseThatAreThere(of.larger(), of.words(),
                           [&](size_t call) { return of.has(design, call); });
}

std::vector<std::string> WiderScenes(const Design& design) {
  const KindOfScenes& of = *Find(design);
  return ThoseThatAreThere(of.wider(), of.words(),
                           [&](size_t call) { return of.has(design, call); });
}

DrawnScene DrawScene(const Design& design, uint64_t seed, uint64_t number) {
  const KindOfScenes& of = *Find(design);
  const ScenarioWords& words = of.words();
  std::vector<size_t> there;
  for (size_t call = 0; call < std::min(words.calls.size(), of.drawn); ++call) {
    if (of.has(design, call)) there.push_back(call);
  }
  std::mt19937_64 random(Mix(seed, number));
  // One of these, each as often as it stands here.
  const auto one_of = [&random](auto... values) {
    const decltype(sizeof...(values)) which = random() % sizeof...(values);
    const size_t all[] = {static_cast<size_t>(values)...};
    return all[which];
  };
  // A swarm (Groce et al. 2012): only a few calls of all, each several times.
  std::vector<size_t> some;
  do {
    some.clear();
    for (size_t i = one_of(2, 2, 3, 3, 4, 5); i > 0; --i) {
      some.push_back(there[random() % there.size()]);
    }
  } while (!of.fit(some));
  if (std::any_of(some.begin(), some.end(), of.is_timed)) some.push_back(of.tick);
  DrawnScene drawn;
  const size_t participants = one_of(2, 2, 2, 3, 3, 3, 4);
  for (size_t i = 0; i < participants; ++i) {
    if (i > 0) drawn.name += '+';
    const size_t operations = one_of(1, 1, 1, 2, 2, 3);
    for (size_t n = 0; n < operations; ++n) {
      if (n > 0) drawn.name += ',';
      drawn.name += words.calls[some[random() % some.size()]];
    }
  }
  const std::string_view beginning = words.beginnings[random() % words.beginnings.size()];
  const uint64_t past = random() % 1'000'000 + 1;
  const bool lacks_barrier = random() % 8 == 0;
  drawn.deaths = static_cast<int>(one_of(0, 0, 1, 1, 1, 2));
  drawn.name += beginning;
  if (random() % 4 == 0) drawn.name += "@new";
  absl::StrAppend(&drawn.name, "@drawn", past);
  if (lacks_barrier) drawn.name += "@fences";
  return drawn;
}

std::vector<std::string> OtherScenes(const Design& design) {
  const KindOfScenes& of = *Find(design);
  return ThoseThatAreThere(of.others(), of.words(),
                           [&](size_t call) { return of.has(design, call); });
}

}  // namespace kill9::explore
