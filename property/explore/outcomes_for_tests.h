// The outcomes of small programs, as the explorer finds them and as brute force does.
#ifndef KILL9_PROPERTY_EXPLORE_OUTCOMES_FOR_TESTS_H_
#define KILL9_PROPERTY_EXPLORE_OUTCOMES_FOR_TESTS_H_

#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "harness/explore/search/explore.h"
#include "property/explore/programs/programs.h"

namespace kill9::explore {

// Of the programs here.
inline constexpr size_t kWords = 3;

// What a participant has told, or nothing if it died; and the memory in the end.
struct Outcome {
  std::vector<std::vector<uint64_t>> told;
  std::vector<uint64_t> words;
  auto operator<=>(const Outcome&) const = default;
};
std::string Text(const Outcome& outcome);
std::string Text(const std::vector<Thread>& threads);

// What exploring all schedules gives; `result` says whether it was all, and what was wrong.
std::set<Outcome> ByExploring(const std::vector<Thread>& threads, MemoryModel model, int deaths,
                              ExploreResult* result);
// Adds a failure for each outcome that only one of the two has.
void ExpectTheSame(const std::set<Outcome>& expected, const std::set<Outcome>& found,
                   const std::string& what);
// How many random programs each test runs: KILL9_PROGRAMS, or 300.
uint64_t Programs();
// From which they are drawn: each test has a number, KILL9_PROGRAMS_SEED (else 0) gives others.
std::mt19937_64 RandomForPrograms(uint64_t of_test);

}  // namespace kill9::explore

#endif  // KILL9_PROPERTY_EXPLORE_OUTCOMES_FOR_TESTS_H_
