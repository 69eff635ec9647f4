// The explorer against a brute-force enumerator that shares no code with it: the same outcomes, of
// the litmus tests and of random small programs, with and without deaths.
#include <cstdlib>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "harness/explore/base/arena.h"
#include "harness/explore/search/explore.h"
#include "property/explore/enumerator.h"

namespace kill9::explore {
namespace {

constexpr size_t kWords = 3;

// What a participant has told, or nothing if it died; and the memory in the end.
struct Outcome {
  std::vector<std::vector<uint64_t>> told;
  std::vector<uint64_t> words;
  auto operator<=>(const Outcome&) const = default;
};

std::string Text(const Outcome& outcome) {
  std::string text;
  for (const auto& told : outcome.told) {
    text += " [";
    for (const uint64_t one : told) absl::StrAppend(&text, one, " ");
    text += "]";
  }
  text += " memory";
  for (const uint64_t word : outcome.words) absl::StrAppend(&text, " ", word);
  return text;
}

std::set<Outcome> ByBruteForce(const std::vector<Thread>& threads, MemoryModel model, int deaths) {
  std::set<Outcome> outcomes;
  for (const auto& end : Enumerator(threads, model == MemoryModel::kTso, deaths).Run()) {
    outcomes.insert({end.told, {end.words.begin(), end.words.begin() + kWords}});
  }
  return outcomes;
}

std::set<Outcome> ByExploring(const std::vector<Thread>& threads, MemoryModel model, int deaths,
                              bool* exhaustive) {
  std::set<Outcome> outcomes;
  Program program;
  program.participants = static_cast<int>(threads.size());
  program.run = [&threads](char* memory, int participant, uint64_t* results) {
    Interpret(memory, threads[static_cast<size_t>(participant)], results);
  };
  program.judge = [&](char* memory, const ProgramOutcome& ended) {
    const OutsideArena outside;
    Outcome outcome;
    const auto* words = reinterpret_cast<const uint64_t*>(memory);
    outcome.words.assign(words, words + kWords);
    for (size_t i = 0; i < threads.size(); ++i) {
      std::vector<uint64_t>& told = outcome.told.emplace_back();
      if (!ended.returned[i]) continue;
      told.assign(ended.results[i].begin(), ended.results[i].begin() + threads[i].size());
    }
    outcomes.insert(outcome);
    return std::string();
  };
  ProgramScene scene(program);
  const ExploreResult result = Explore(
      scene,
      {.model = model, .deaths = deaths, .strategy = Strategy::kExhaustive, .budget_seconds = 600});
  EXPECT_EQ(result.finding.verdict, Verdict::kPass) << result.finding.message;
  EXPECT_FALSE(result.unsteady);
  *exhaustive = result.exhaustive;
  return outcomes;
}

void ExpectTheSame(const std::vector<Thread>& threads, MemoryModel model, int deaths,
                   const std::string& what) {
  bool exhaustive = false;
  const std::set<Outcome> expected = ByBruteForce(threads, model, deaths);
  const std::set<Outcome> found = ByExploring(threads, model, deaths, &exhaustive);
  EXPECT_TRUE(exhaustive) << what;
  if (expected == found) return;
  ADD_FAILURE() << what << ", " << ModelName(model) << ", " << deaths
                << " deaths: " << expected.size() << " outcomes, the explorer finds "
                << found.size();
  for (const Outcome& one : expected) {
    if (!found.contains(one)) ADD_FAILURE() << "not found:" << Text(one);
  }
  for (const Outcome& one : found) {
    if (!expected.contains(one)) ADD_FAILURE() << "impossible:" << Text(one);
  }
}

uint64_t Programs() {
  const char* given = std::getenv("KILL9_PROGRAMS");
  return given == nullptr ? 300 : std::strtoull(given, nullptr, 10);
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

std::string Text(const std::vector<Thread>& threads) {
  constexpr const char* kNames[] = {"load",       "store",     "store_seq_cst", "plain_store",
                                    "plain_load", "fetch_add", "cas",           "fence"};
  std::string text;
  for (const Thread& thread : threads) {
    text += " {";
    for (const Instruction& one : thread) {
      absl::StrAppend(&text, kNames[static_cast<size_t>(one.code)], " w", one.word, " ",
                      one.operand, "; ");
    }
    text += "}";
  }
  return text;
}

void CompareRandomPrograms(MemoryModel model, int deaths, uint64_t seed) {
  std::mt19937_64 random(seed);
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
      {"atomicity of updates", {{{A, x, 1}}, {{A, x, 1}}}, {{0}, {0}}, {}, false, false},
  };
}

TEST(ExploreEnumerator, LitmusTableIsExact) {
  for (const Litmus& litmus : AllLitmus()) {
    for (const MemoryModel model : {MemoryModel::kSc, MemoryModel::kTso}) {
      bool exhaustive = false;
      bool weak = false;
      for (const Outcome& outcome : ByExploring(litmus.threads, model, 0, &exhaustive)) {
        weak |= (litmus.weak.empty() || outcome.told == litmus.weak) &&
                (litmus.memory.empty() || outcome.words == litmus.memory);
      }
      EXPECT_TRUE(exhaustive) << litmus.name;
      EXPECT_EQ(weak, model == MemoryModel::kSc ? litmus.sc : litmus.tso)
          << litmus.name << " under " << ModelName(model);
      ExpectTheSame(litmus.threads, model, 0, litmus.name);
    }
  }
}

}  // namespace
}  // namespace kill9::explore
