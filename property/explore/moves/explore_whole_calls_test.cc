// Random schedules overtake each participant at each of its places, by so many whole calls of
// others as there are, and by fewer.
#include <set>
#include <utility>

#include "gtest/gtest.h"
#include "harness/explore/search/explore.h"
#include "property/explore/programs/programs.h"

namespace kill9::explore {
namespace {

constexpr size_t kOthers = 3;
constexpr uint64_t kOfACall = 2;  // additions

// One reads a word again and again, others add to it, in two steps each.
Program Reader() {
  Program program;
  program.participants = 1 + static_cast<int>(kOthers);
  program.run = [](char* memory, int participant, uint64_t* results) {
    if (participant > 0) {
      return Interpret(memory, Thread(kOfACall, {Code::kFetchAdd, 0, 1}), results);
    }
    Interpret(memory, Thread(kProgramResults, {Code::kLoad, 0, 0}), results);
  };
  return program;
}

TEST(ExploreWholeCalls, OvertakeWhoIsAtAnyPlace) {
  ProgramScene scene(Reader());
  Explore(scene, {.strategy = Strategy::kRandom, .schedules = 5000, .budget_seconds = 600});
  // Behind which of its reads, and by how many calls, if nothing else came before its end.
  std::set<std::pair<size_t, uint64_t>> overtaken;
  for (const ProgramOutcome& outcome : scene.outcomes()) {
    const auto& read = outcome.results[0];
    const uint64_t last = read[kProgramResults - 1];
    size_t place = 0;
    while (place < kProgramResults && read[place] == 0) ++place;
    if (place == 0 || place == kProgramResults || read[place] != last) continue;
    if (last % kOfACall == 0) overtaken.emplace(place, last / kOfACall);
  }
  EXPECT_EQ(overtaken.size(), (kProgramResults - 1) * kOthers);
}

}  // namespace
}  // namespace kill9::explore
