// Which memory orders of a design matter: each is weakened by one step, one at a time.
#ifndef KILL9_HARNESS_EXPLORE_SEARCH_ORDERING_SCORE_H_
#define KILL9_HARNESS_EXPLORE_SEARCH_ORDERING_SCORE_H_

#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "harness/explore/base/orderings.h"
#include "harness/explore/search/explore.h"

namespace kill9::explore {

struct WeakenedOrdering {
  std::string place;  // the line as it is written: variants/stores/cas_slots/heap.h:172
  Ordering::Of of = Ordering::Of::kLoad;
  Order from = Order::kRelaxed, to = Order::kRelaxed;
  std::string scenario;  // that found it; empty: none did
  std::string message;
  std::string spare;  // why it can be weaker, as the comment at its place says; empty: it does not
  uint64_t schedules = 0;
  uint64_t novelties = 0;  // choices in them that only the weaker order allows
  double seconds = 0;
  bool exhaustive = false;  // of what did not find it: no scenario left anything out
};

// What became of it. Those that matter are found, or they are missed.
enum class OrderingAnswer : uint8_t {
  kFound,
  kWronglySpare,   // found, though the comment at its place says that it can be weaker
  kNeverWrong,     // nothing was left out, and nothing found
  kAllowsNothing,  // the weaker order never allowed what the written one forbids
  kSpare,
  kMissed,
};
OrderingAnswer AnswerOf(const WeakenedOrdering& one, MemoryModel model);

std::string_view NameOf(Ordering::Of of);
std::string_view NameOf(Order order);

struct OrderingScoreOptions {
  // kC11: all orders but signal fences. kCompiler: signal fences alone.
  MemoryModel model = MemoryModel::kC11;
  int deaths = 1;
  double budget_seconds = 10;  // for each weakened ordering
  uint64_t schedules = 0;      // at most about so many for each; 0: as the budget says
  uint64_t seed = 1;
  std::string place = {};   // only orders at a place whose name contains it
  std::string design = {};  // of which some comments say that an order is spare there alone
  const volatile std::sig_atomic_t* interrupted = nullptr;
};

// `scene(name)` makes the scene of a scenario. Orderings that come up in no scenario, at a word
// that two participants touch, are not weakened: they are in no result.
std::vector<WeakenedOrdering> ScoreOrderings(
    const std::vector<std::string>& scenarios,
    const std::function<std::unique_ptr<Scene>(const std::string& name)>& scene,
    const OrderingScoreOptions& options);

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SEARCH_ORDERING_SCORE_H_
