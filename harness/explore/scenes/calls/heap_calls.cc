// Which calls scenes of heaps have, and which scenes there are.
#include <iterator>

#include "harness/explore/scenes/heap_scene.h"

namespace kill9::explore {
namespace {

constexpr std::string_view kHeapNames[] = {"alloc",      "free", "drop",   "share",      "pass",
                                           "grab",       "use",  "owners", "recover",    "join",
                                           "wait_alloc", "keep", "come",   "soon_alloc", "tick"};
constexpr std::string_view kWaitingHeapScenes[] = {"wait_alloc+free@full",
                                                   "wait_alloc+free,recover@full",
                                                   "wait_alloc+drop@full",
                                                   "free+wait_alloc,free@full",
                                                   "wait_alloc+wait_alloc+free@full",
                                                   "wait_alloc+pass@full",
                                                   "wait_alloc,wait_alloc+free,drop@full",
                                                   "wait_alloc+wait_alloc+free,drop@full",
                                                   "soon_alloc+tick,free@full",
                                                   "soon_alloc+free+tick@full",
                                                   "soon_alloc+wait_alloc+tick,free@full",
                                                   "wait_alloc+free@full@new",
                                                   "wait_alloc+owners@full@new",
                                                   "wait_alloc+alloc+free@full"};
constexpr std::string_view kHeapBeginnings[] = {"", "@empty", "@full"};
constexpr std::string_view kLargerHeapScenes[] = {
    "alloc,free+alloc,free",     "free,alloc+free,alloc@full", "free,alloc+drop,recover@full",
    "drop+drop+owners",          "share,drop+grab,drop",       "share,free+grab,owners",
    "pass,drop+grab,alloc@full", "pass+pass+recover",          "pass,recover+grab,grab",
    "use,free+alloc,free",       "free,use+free,alloc@full",   "alloc+alloc+free@full",
    "share,pass+recover,grab"};
constexpr std::string_view kWiderHeapScenes[] = {"alloc+free+recover", "share+grab+drop",
                                                 "pass+grab+recover", "alloc+alloc+join@full",
                                                 "use+free+owners"};

}  // namespace

const ScenarioWords& HeapWords() {
  static constexpr ScenarioWords kWords = {kHeapNames, kHeapBeginnings};
  return kWords;
}

bool HasHeapCall(const HeapDesign& design, size_t call) {
  switch (static_cast<HeapMove>(call)) {
    case HeapMove::kUse:
    case HeapMove::kKeep:
      return design.traits().has_reserve;
    case HeapMove::kRecover:
    case HeapMove::kCome:
      return design.traits().has_recovery;
    case HeapMove::kWaitAlloc:
    case HeapMove::kSoonAlloc:
    case HeapMove::kTick:
      return design.role() == Design::Role::kDesign;
    default:
      return true;
  }
}

bool IsTimedHeapCall(size_t call) {
  const auto move = static_cast<HeapMove>(call);
  return move == HeapMove::kSoonAlloc || move == HeapMove::kTick;
}

std::span<const std::string_view> LargerHeapScenes() { return kLargerHeapScenes; }

std::span<const std::string_view> WiderHeapScenes() { return kWiderHeapScenes; }

std::span<const std::string_view> WaitingHeapScenes() { return kWaitingHeapScenes; }

bool HeapScene::MayComeBefore(size_t call) const {
  if (call >= std::size(kHeapNames) || !HasHeapCall(design_, call)) return false;
  const auto move = static_cast<HeapMove>(call);
  return move != HeapMove::kWaitAlloc && move != HeapMove::kKeep && !IsTimedHeapCall(call);
}

}  // namespace kill9::explore
