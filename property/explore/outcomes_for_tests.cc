#include "property/explore/outcomes_for_tests.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "harness/explore/base/arena.h"

namespace kill9::explore {

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

std::string Text(const std::vector<Thread>& threads) {
  constexpr const char* kNames[] = {"load",        "store",      "store_seq_cst",
                                    "plain_store", "plain_load", "fetch_add",
                                    "cas",         "fence",      "fence_of"};
  std::string text;
  for (const Thread& thread : threads) {
    text += " {";
    for (const Instruction& one : thread) {
      absl::StrAppend(&text, kNames[static_cast<size_t>(one.code)], " w", one.word, " ",
                      one.operand, " order ", static_cast<int>(one.order), "; ");
    }
    text += "}";
  }
  return text;
}

std::set<Outcome> ByExploring(const std::vector<Thread>& threads, MemoryModel model, int deaths,
                              ExploreResult* result) {
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
  *result = Explore(
      scene,
      {.model = model, .deaths = deaths, .strategy = Strategy::kExhaustive, .budget_seconds = 600});
  return outcomes;
}

void ExpectTheSame(const std::set<Outcome>& expected, const std::set<Outcome>& found,
                   const std::string& what) {
  if (expected == found) return;
  ADD_FAILURE() << what << ": " << expected.size() << " outcomes, the explorer finds "
                << found.size();
  for (const Outcome& one : expected) {
    if (!found.contains(one)) ADD_FAILURE() << "not found:" << Text(one);
  }
  for (const Outcome& one : found) {
    if (!expected.contains(one)) ADD_FAILURE() << "impossible:" << Text(one);
  }
}

namespace {

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* given = std::getenv(name);
  return given == nullptr ? otherwise : std::strtoull(given, nullptr, 10);
}

}  // namespace

uint64_t Programs() { return FromEnvironment("KILL9_PROGRAMS", 300); }
std::mt19937_64 RandomForPrograms(uint64_t of_test) {
  return std::mt19937_64(of_test + 1000 * FromEnvironment("KILL9_PROGRAMS_SEED", 0));
}

}  // namespace kill9::explore
