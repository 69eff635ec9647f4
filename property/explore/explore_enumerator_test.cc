// The explorer against a brute-force enumerator that shares no code with it: the same outcomes, of
// the litmus tests and of random small programs, with and without deaths.
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "property/explore/enumerator.h"
#include "property/explore/outcomes_for_tests.h"

namespace kill9::explore {
namespace {

std::set<Outcome> ByBruteForce(const std::vector<Thread>& threads, MemoryModel model, int deaths) {
  std::set<Outcome> outcomes;
  for (const auto& end : Enumerator(threads, model == MemoryModel::kTso, deaths).Run()) {
    Outcome outcome;
    for (size_t i = 0; i < threads.size(); ++i) {
      const auto& told = end.told[i];
      outcome.told.emplace_back(told.all.begin(),
                                told.all.begin() + static_cast<ptrdiff_t>(told.count));
    }
    outcome.words.assign(end.words.begin(), end.words.begin() + kWords);
    outcomes.insert(outcome);
  }
  return outcomes;
}

std::set<Outcome> AllByExploring(const std::vector<Thread>& threads, MemoryModel model, int deaths,
                                 const std::string& what) {
  ExploreResult result;
  std::set<Outcome> found = ByExploring(threads, model, deaths, &result);
  EXPECT_EQ(result.finding.verdict, Verdict::kPass) << what << result.finding.message;
  EXPECT_TRUE(result.exhaustive) << what;
  return found;
}

void ExpectTheSame(const std::vector<Thread>& threads, MemoryModel model, int deaths,
                   const std::string& what) {
  const std::string title =
      absl::StrCat(what, ", ", std::string(ModelName(model)), ", ", deaths, " deaths");
  ExpectTheSame(ByBruteForce(threads, model, deaths), AllByExploring(threads, model, deaths, title),
                title);
}

std::vector<Thread> Draw(std::mt19937_64& random) {
  std::vector<Thread> threads(2 + random() % 2);
  const size_t most = 12 / threads.size();
  const size_t words = 1 + random() % kWords;
  uint8_t next = 1;
  for (Thread& thread : threads) {
    const size_t length = 1 + random() % (threads.size() == 2 ? most - 1 : most);
    for (size_t i = 0; i < length; ++i) {
      thread.push_back(
          {static_cast<Code>(random() % 8), static_cast<uint8_t>(random() % words), next++});
    }
  }
  return threads;
}

void CompareRandomPrograms(MemoryModel model, int deaths, uint64_t seed) {
  std::mt19937_64 random = RandomForPrograms(seed);
  for (uint64_t i = 0; i < Programs() && !testing::Test::HasFailure(); ++i) {
    const std::vector<Thread> threads = Draw(random);
    ExpectTheSame(threads, model, deaths, absl::StrCat("program ", i, Text(threads)));
  }
}

TEST(ExploreEnumerator, RandomProgramsHaveTheSameOutcomesUnderSc) {
  CompareRandomPrograms(MemoryModel::kSc, 0, 1);
}
TEST(ExploreEnumerator, RandomProgramsHaveTheSameOutcomesUnderTso) {
  CompareRandomPrograms(MemoryModel::kTso, 0, 2);
}
TEST(ExploreEnumerator, RandomProgramsHaveTheSameOutcomesWithOneDeathUnderSc) {
  CompareRandomPrograms(MemoryModel::kSc, 1, 3);
}
TEST(ExploreEnumerator, RandomProgramsHaveTheSameOutcomesWithTwoDeathsUnderSc) {
  CompareRandomPrograms(MemoryModel::kSc, 2, 4);
}
TEST(ExploreEnumerator, RandomProgramsHaveTheSameOutcomesWithOneDeathUnderTso) {
  CompareRandomPrograms(MemoryModel::kTso, 1, 5);
}

// ---- Litmus tests: is the weak outcome possible? ------------------------------------------------

struct Litmus {
  const char* name;
  std::vector<Thread> threads;
  // What the threads tell in the weak outcome, or (if `memory`) what the words are in the end.
  std::vector<std::vector<uint64_t>> weak;
  std::vector<uint64_t> memory;
  bool sc, tso;
};

const Code L = Code::kLoad, S = Code::kStore, F = Code::kFence, X = Code::kStoreSeqCst,
           A = Code::kFetchAdd, C = Code::kCompareAndSwap;
constexpr uint8_t x = 0, y = 1;

std::vector<Litmus> AllLitmus() {
  return {
      {"SB", {{{S, x, 1}, {L, y, 0}}, {{S, y, 1}, {L, x, 0}}}, {{0, 0}, {0, 0}}, {}, false, true},
      {"SB+fences",
       {{{S, x, 1}, {F, x, 0}, {L, y, 0}}, {{S, y, 1}, {F, x, 0}, {L, x, 0}}},
       {{0, 0, 0}, {0, 0, 0}},
       {},
       false,
       false},
      {"SB+seq_cst",
       {{{X, x, 1}, {L, y, 0}}, {{X, y, 1}, {L, x, 0}}},
       {{0, 0}, {0, 0}},
       {},
       false,
       false},
      {"SB+update",
       {{{S, x, 1}, {A, 2, 1}, {L, y, 0}}, {{S, y, 1}, {A, 2, 1}, {L, x, 0}}},
       {{0, 0, 0}, {0, 1, 0}},
       {},
       false,
       false},
      {"MP", {{{S, x, 1}, {S, y, 1}}, {{L, y, 0}, {L, x, 0}}}, {{0, 0}, {1, 0}}, {}, false, false},
      {"LB", {{{L, x, 0}, {S, y, 1}}, {{L, y, 0}, {S, x, 1}}}, {{1, 0}, {1, 0}}, {}, false, false},
      {"2+2W", {{{S, x, 1}, {S, y, 2}}, {{S, y, 1}, {S, x, 2}}}, {}, {1, 1, 0}, false, false},
      {"R",
       {{{S, x, 1}, {S, y, 1}}, {{S, y, 2}, {L, x, 0}}},
       {{0, 0}, {0, 0}},
       {1, 2, 0},
       false,
       true},
      {"S",
       {{{S, x, 2}, {S, y, 1}}, {{L, y, 0}, {S, x, 1}}},
       {{0, 0}, {1, 0}},
       {2, 1, 0},
       false,
       false},
      {"WRC",
       {{{S, x, 1}}, {{L, x, 0}, {S, y, 1}}, {{L, y, 0}, {L, x, 0}}},
       {{0}, {1, 0}, {1, 0}},
       {},
       false,
       false},
      {"CoRR", {{{S, x, 1}}, {{L, x, 0}, {L, x, 0}}}, {{0}, {1, 0}}, {}, false, false},
      {"CoWW", {{{S, x, 1}, {S, x, 2}}}, {}, {1, 0, 0}, false, false},
      {"own store first",
       {{{S, x, 1}, {L, x, 0}, {L, y, 0}}, {{S, y, 1}, {L, y, 0}, {L, x, 0}}},
       {{0, 1, 0}, {0, 1, 0}},
       {},
       false,
       true},
      {"IRIW",
       {{{S, x, 1}}, {{S, y, 1}}, {{L, x, 0}, {L, y, 0}}, {{L, y, 0}, {L, x, 0}}},
       {{0}, {0}, {1, 0}, {1, 0}},
       {},
       false,
       false},
      {"others act before a fence",
       {{{C, y, 1}, {S, x, 2}, {S, y, 3}}, {{S, x, 4}, {L, y, 0}, {F, x, 0}, {C, x, 7}}},
       {{0, 0, 0}, {0, 0, 0, 4}},
       {4, 3, 0},
       false,
       true},
      {"others act before an update of another word",
       {{{A, x, 1}, {C, y, 2}}, {{S, y, 5}, {L, x, 0}, {A, 2, 7}}},
       {{0, 0}, {0, 0, 0}},
       {1, 5, 7},
       false,
       true},
      {"others act before a seq_cst store to another word",
       {{{A, x, 1}, {C, y, 2}}, {{S, y, 5}, {L, x, 0}, {X, 2, 7}}},
       {{0, 0}, {0, 0, 0}},
       {1, 5, 7},
       false,
       true},
      {"atomicity of updates", {{{A, x, 1}}, {{A, x, 1}}}, {{0}, {0}}, {}, false, false},
  };
}

TEST(ExploreEnumerator, LitmusTableIsExact) {
  for (const Litmus& litmus : AllLitmus()) {
    for (const MemoryModel model : {MemoryModel::kSc, MemoryModel::kTso}) {
      bool weak = false;
      for (const Outcome& outcome : AllByExploring(litmus.threads, model, 0, litmus.name)) {
        weak |= (litmus.weak.empty() || outcome.told == litmus.weak) &&
                (litmus.memory.empty() || outcome.words == litmus.memory);
      }
      EXPECT_EQ(weak, model == MemoryModel::kSc ? litmus.sc : litmus.tso)
          << litmus.name << " under " << ModelName(model);
      ExpectTheSame(litmus.threads, model, 0, litmus.name);
    }
  }
}

}  // namespace
}  // namespace kill9::explore
