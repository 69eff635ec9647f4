// The clock as a move; requests and answers. That each schedule of these scenes is legal is asked
// with the other scenes in which somebody waits; here: that there is something to ask.
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "property/explore/exploration_for_tests.h"
#include "variants/registry.h"

namespace kill9::explore {
namespace {

struct ToldOperation {
  int participant = 0, function = 0, outcome = 0;
  uint64_t argument = 0, result = 0;
};

// Of a schedule without deaths; its operations.
std::vector<ToldOperation> ToldBy(const Design& design, const std::string& scenario,
                                  std::string_view schedule, std::vector<Step>* steps = nullptr) {
  const MachineLimits limits = {.trace = true};
  const std::unique_ptr<Scene> scene = *NewScene(design, scenario);
  Machine::Get().Load(*scene, limits);
  const Replayed replayed = Replay(*ParseSchedule(std::string(schedule)), limits);
  EXPECT_EQ(replayed.finding.verdict, Verdict::kPass) << scenario << replayed.finding.message;
  if (steps != nullptr) *steps = replayed.steps;
  std::vector<ToldOperation> told;
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(scene->Told(), '\n', absl::SkipEmpty()))) {
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" :"), absl::SkipEmpty());
    ToldOperation& one = told.emplace_back();
    EXPECT_TRUE(
        absl::SimpleAtoi(words[0], &one.participant) && absl::SimpleAtoi(words[1], &one.function) &&
        absl::SimpleAtoi(words[2], &one.outcome) && absl::SimpleAtoi(words[3], &one.argument) &&
        absl::SimpleAtoi(words[5], &one.result))
        << line;
  }
  return told;
}

std::vector<const Design*> OursThatHave(std::string_view scene) {
  std::vector<const Design*> designs;
  for (const Design* design : AllDesigns()) {
    if (design->role() != Design::Role::kDesign || !WhyNotExplored(*design).empty()) continue;
    const std::vector<std::string> others = OtherScenes(*design);
    if (std::find(others.begin(), others.end(), scene) != others.end()) designs.push_back(design);
  }
  return designs;
}

// The get comes before the clock has gone on, or after.
TEST(ExploreClock, TickEndsABriefEntryWhereverItComes) {
  const std::vector<const Design*> designs = OursThatHave("brief+tick+get");
  EXPECT_EQ(designs.size(), 4u);
  for (const Design* design : designs) {
    for (const auto& [schedule, is_shown] : {std::pair{"a100000.c100000.b100000", true},
                                             std::pair{"a100000.b100000.c100000", false}}) {
      const auto told = ToldBy(*design, "brief+tick+get", schedule);
      ASSERT_EQ(told.size(), 3u);
      EXPECT_EQ(told[0].function, static_cast<int>(Function::kPutUntil));
      EXPECT_EQ(told[2].result, is_shown ? told[0].argument : kNothing)
          << design->name() << schedule;
    }
  }
}

// Who waits for a second sleeps, and goes on when the clock does, though nobody has sent anything.
TEST(ExploreClock, TickEndsAWaitOfASecond) {
  const std::vector<const Design*> designs = OursThatHave("soon_receive+tick,send@empty");
  EXPECT_EQ(designs.size(), 4u);
  for (const Design* design : designs) {
    std::vector<Step> steps;
    const auto told =
        ToldBy(*design, "soon_receive+tick,wait_receive@empty", "a100000.b100000.a100000", &steps);
    ASSERT_EQ(told.size(), 3u);
    EXPECT_EQ(told[0].outcome, static_cast<int>(kill9::Outcome::kOk));
    EXPECT_EQ(told[0].result, kNothing);
    // It does not end by its being the only one left: the other still waits then.
    const auto of = [&steps](int fiber, std::string_view what) {
      return std::find_if(steps.begin(), steps.end(), [&](const Step& step) {
        return step.fiber == fiber && step.what != nullptr && std::string_view(step.what) == what;
      });
    };
    EXPECT_LT(of(0, "sleeps") - steps.begin(), of(1, "tick") - steps.begin()) << design->name();
    EXPECT_LT(of(1, "sleeps"), steps.end()) << design->name();
  }
}

// Of a heap, likewise.
TEST(ExploreClock, TickEndsAWaitForRoom) {
  const std::vector<const Design*> designs = OursThatHave("soon_alloc+tick,free@full");
  EXPECT_EQ(designs.size(), 2u);
  for (const Design* design : designs) {
    const auto told = ToldBy(*design, "soon_alloc+tick@full", "a100000.b100000.a100000");
    ASSERT_EQ(told.size(), 2u);
    EXPECT_EQ(told[0].outcome, static_cast<int>(kill9::Outcome::kRefused)) << design->name();
  }
}

// Whether the second one answers what the first has asked, and the first takes that answer, if the
// first is stopped after so many steps.
bool AnswersIfStoppedAfter(const Design& design, int steps) {
  const auto told =
      ToldBy(design, "ask+serve@empty", absl::StrCat("b100000.a", steps, ".b100000.a100000"));
  const auto answer = std::find_if(told.begin(), told.end(), [](const ToldOperation& one) {
    return one.participant == 1 && one.function == static_cast<int>(Function::kSend);
  });
  if (answer == told.end()) return false;
  EXPECT_NE(answer->argument, told[0].argument);
  return std::any_of(told.begin(), told.end(), [&](const ToldOperation& one) {
    return one.participant == 0 && one.function == static_cast<int>(Function::kTake) &&
           one.result == answer->argument;
  });
}

TEST(ExploreRequests, WhoAsksTakesAnothersAnswer) {
  constexpr int kMostSteps = 400;
  const std::vector<const Design*> designs = OursThatHave("ask+serve@empty");
  EXPECT_EQ(designs.size(), 3u);
  for (const Design* design : designs) {
    bool answers = false;
    for (int steps = 1; !answers && steps < kMostSteps; ++steps) {
      answers = AnswersIfStoppedAfter(*design, steps);
    }
    EXPECT_TRUE(answers) << design->name();
  }
}

}  // namespace
}  // namespace kill9::explore
