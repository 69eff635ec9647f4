// The checker against a brute force that shares nothing with it: the same verdict on at least
// 100,000 random small histories of every model, under every condition. A disagreement is shrunk by
// rapidcheck and printed as EDN.
#include <algorithm>
#include <iostream>

#include "gtest/gtest.h"
#include "harness/checker/checker.h"
#include "harness/checker/models/cache.h"
#include "harness/checker/models/cas_register.h"
#include "harness/checker/models/map.h"
#include "harness/checker/models/register.h"
#include "harness/checker/search/prepare.h"
#include "harness/checker/window.h"
#include "harness/edn/edn.h"
#include "property/torture/small_run.h"
#include "rapidcheck.h"

namespace kill9 {
namespace {

constexpr int kHistories = 100'000;

struct Comparison {
  bool agree = true;
  bool legal = false;  // under the condition
  bool by_clusters = false;
};

bool StreamAccepts(std::string_view model, const History& history) {
  auto stream = FindModel(model)->NewStream(KeyHistory::Of(history).versions, {});
  for (Operation operation : history) {
    if (!IsKeyed(operation.function) || TellsNothing(operation)) continue;
    if (operation.outcome == Outcome::kUnknown) operation.finish = kNever;
    if (stream->Add(operation) != SearchResult::kLinearizable) return false;
  }
  return stream->Finish() == SearchResult::kLinearizable;
}

// The ways that are taken where the engine has no room: whether each that applies gives the answer.
struct Otherwise {
  bool agree = true;
  bool by_clusters = false;
};

template <typename Model>
Otherwise DecideOtherwise(Condition condition, const History& history, bool legal) {
  History keyed;
  std::copy_if(history.begin(), history.end(), std::back_inserter(keyed),
               [](const Operation& operation) {
                 return IsKeyed(operation.function) && !TellsNothing(operation);
               });
  const bool versions = KeyHistory::Of(keyed).versions;
  keyed = Prepare<Model>(condition, Recoveries(history), keyed);
  const SearchResult expected = legal ? SearchResult::kLinearizable : SearchResult::kViolated;
  Otherwise result;
  result.agree = DepthFirst<Model>(keyed).Run(Model::Init(versions), {}) == expected;
  if (versions) return result;
  if (const auto distinct = CheckDistinctValues(Model::kLossy, keyed)) {
    result.by_clusters = true;
    result.agree &= distinct->answer == expected;
    // What it shows as a violation is one by itself.
    if (!legal) {
      result.agree &= DepthFirst<Model>(distinct->violating).Run(Model::Init(false), {}) ==
                      SearchResult::kViolated;
    }
  }
  return result;
}

Otherwise DecideOtherwise(std::string_view model, Condition condition, const History& history,
                          bool legal) {
  if (model == "register") return DecideOtherwise<RegisterModel>(condition, history, legal);
  if (model == "cas-register") return DecideOtherwise<CasRegisterModel>(condition, history, legal);
  if (model == "map") return DecideOtherwise<MapModel>(condition, history, legal);
  if (model == "cache") return DecideOtherwise<CacheModel>(condition, history, legal);
  return {};
}

Comparison Compare(std::string_view model, Condition condition, const History& history) {
  Comparison result;
  result.legal = BruteForceLinearizable(model, condition, history);
  auto outcome = CheckHistory(*FindModel(model), history,
                              {.condition = condition, .threads = 1, .explain = false});
  result.agree =
      outcome.ok() && outcome->verdict == (result.legal ? Verdict::kPass : Verdict::kViolation);
  const Otherwise otherwise = DecideOtherwise(model, condition, history, result.legal);
  result.agree &= otherwise.agree;
  result.by_clusters = otherwise.by_clusters;
  // The same along with the run, as torture checks.
  if (condition == Condition::kStrict)
    result.agree &= StreamAccepts(model, history) == result.legal;
  return result;
}

// Lets rapidcheck drop operations as long as the disagreement stays.
void Report(std::string_view model, Condition condition, const History& history) {
  auto shrinkable = rc::shrinkable::shrinkRecur(
      history, [](const History& larger) { return rc::shrink::removeChunks(larger); });
  rc::Gen<History> generator([=](const rc::Random&, int) { return shrinkable; });
  rc::check("the checker agrees with the brute force", [&] {
    const History smaller = *generator.as("history");
    Comparison comparison = Compare(model, condition, smaller);
    if (!comparison.agree) {
      std::cerr << "brute force says " << (comparison.legal ? "legal" : "illegal") << " under "
                << ConditionName(condition) << ":\n"
                << WriteEdn(smaller, {});
    }
    RC_ASSERT(comparison.agree);
  });
  FAIL() << "the checker disagrees with the brute force on:\n" << WriteEdn(history, {});
}

class BruteForce : public testing::TestWithParam<std::string> {};

TEST_P(BruteForce, AgreesWithTheCheckerOnAHundredThousandHistories) {
  const std::string model = GetParam();
  int legal = 0;
  int crashed = 0;
  int told_apart = 0;  // legal under a weaker condition only
  int by_clusters = 0;
  for (int i = 0; i < kHistories; ++i) {
    const History history = SmallRun(model, static_cast<uint64_t>(i)).Make();
    bool strict = false;
    for (Condition condition : kConditions) {
      Comparison comparison = Compare(model, condition, history);
      if (!comparison.agree) {
        Report(model, condition, history);
        return;
      }
      if (condition == Condition::kStrict) strict = comparison.legal;
      by_clusters += comparison.by_clusters;
      if (condition == Condition::kPending) told_apart += comparison.legal && !strict;
    }
    legal += strict;
    crashed += std::any_of(history.begin(), history.end(), IsOptional);
  }
  std::cout << model << ": " << kHistories << " histories, legal " << legal << ", with crashes "
            << crashed << ", legal under a weaker condition only " << told_apart << "\n";
  EXPECT_GT(legal, kHistories * 35 / 100);
  EXPECT_LT(legal, kHistories * 65 / 100);
  EXPECT_GT(crashed, kHistories / 2);
  EXPECT_GT(told_apart, kHistories / 1000);
  if (model != "queue" && model != "cas-register") {
    EXPECT_GT(by_clusters, kHistories / 100);
  }
}

// Checkers with one fault each: the comparison must find them, or it proves nothing.
struct DoomsTooEarly : MapModel {
  static bool Doomed(const Operation& operation, const State& state) {
    return MapModel::Doomed(operation, state) ||
           (!IsObserver(operation) && operation.result_version == state.last + 1);
  }
};

struct LetsTheForgottenReturn : CacheModel {
  static bool Step(const Operation& operation, State* state) {
    bool misses = operation.function == Function::kGet && operation.result == kNothing;
    return misses || CacheModel::Step(operation, state);
  }
};

struct IgnoresVersions : MapModel {
  static State Init(bool) { return MapModel::Init(false); }
  static bool Step(const Operation& operation, State* state) {
    Operation without = operation;
    if (operation.function != Function::kCompareAndSwap) without.result_version = 0;
    return MapModel::Step(without, state);
  }
};

struct DominatesByValueAlone : MapModel {
  static bool Dominates(const State& a, const State& b) { return a.value == b.value; }
};

// How many of the histories it takes.
template <typename Faulty>
int HistoriesToDisagreement(std::string_view model, Condition asked, Condition checked) {
  for (int i = 0; i < kHistories; ++i) {
    const History history = SmallRun(model, static_cast<uint64_t>(i)).Make();
    History keyed;
    std::copy_if(history.begin(), history.end(), std::back_inserter(keyed),
                 [](const Operation& operation) {
                   return IsKeyed(operation.function) && !TellsNothing(operation);
                 });
    SearchResult answer = EngineChecker<Faulty>().Check(checked, Recoveries(history), {},
                                                        KeyHistory::Of(keyed), nullptr);
    bool legal = BruteForceLinearizable(model, asked, history);
    if ((answer == SearchResult::kLinearizable) != legal) return i;
  }
  return kHistories;
}

TEST(PlantedFaults, AreFoundByTheComparison) {
  constexpr Condition kStrict = Condition::kStrict;
  EXPECT_EQ(HistoriesToDisagreement<MapModel>("map", kStrict, kStrict), kHistories);
  EXPECT_LT(HistoriesToDisagreement<DoomsTooEarly>("map", kStrict, kStrict), kHistories / 10);
  EXPECT_LT(HistoriesToDisagreement<LetsTheForgottenReturn>("cache", kStrict, kStrict),
            kHistories / 10);
  EXPECT_LT(HistoriesToDisagreement<IgnoresVersions>("map", kStrict, kStrict), kHistories / 10);
  EXPECT_LT(HistoriesToDisagreement<DominatesByValueAlone>("map", kStrict, kStrict),
            kHistories / 10);
  // Crashed calls left open to the end of the history.
  EXPECT_LT(HistoriesToDisagreement<MapModel>("map", kStrict, Condition::kPending),
            kHistories / 10);
  EXPECT_LT(HistoriesToDisagreement<MapModel>("map", Condition::kRecoverable, kStrict),
            kHistories / 10);
}

INSTANTIATE_TEST_SUITE_P(Models, BruteForce,
                         testing::Values("register", "cas-register", "map", "cache", "queue"),
                         kModelTestName);

}  // namespace
}  // namespace kill9
