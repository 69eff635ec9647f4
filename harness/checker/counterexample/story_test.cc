#include "harness/checker/counterexample/story.h"

#include <algorithm>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kill9 {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t ValueOf(uint64_t process, uint64_t sequence) { return process << 32 | sequence; }

Operation Make(uint32_t process, uint64_t invoke, uint64_t finish, Function function,
               uint64_t argument, uint64_t result, Outcome outcome = Outcome::kOk) {
  Operation operation{};
  operation.invoke = invoke;
  operation.finish = finish;
  operation.process = process;
  operation.function = function;
  operation.outcome = outcome;
  operation.key = 7;
  operation.argument = argument;
  operation.result = result;
  return operation;
}

// One puts and dies in the next put; another reads what nobody has written.
Counterexample Torn() {
  Counterexample example;
  example.model = "map";
  example.key = 7;
  example.operations = {Make(2, 1000, 2000, Function::kPut, ValueOf(2, 419), 0),
                        Make(2, 3000, 9000, Function::kPut, ValueOf(2, 420), 0, Outcome::kCrashed),
                        Make(205, 8000, 12'500, Function::kGet, 0, ValueOf(209, 9))};
  example.placed = {0};
  example.unplaceable = {2};
  example.failed = 2;
  return example;
}

TEST(Story, HasAColumnForEachProcessAndAStepInEachLine) {
  EXPECT_EQ(RenderStory(Torn(), WithShownValues({}), 80),
            "        us  P2 (dies)     P205\n"
            "     0.000  1 put P2#419\n"
            "     1.000  1 ok\n"
            "     2.000  2 put P2#420\n"
            "     7.000  |             3 get\n"
            "     8.000  X dies in 2   |\n"
            "    11.500                3! P209#9\n");
}

TEST(Story, ADeathBetweenTwoCallsIsMarked) {
  Counterexample example;
  example.operations = {Make(2, 1000, 2000, Function::kRelease, 3, 0),
                        Make(2, 3000, 4000, Function::kDie, 3, 0)};
  EXPECT_EQ(RenderStory(example, WithShownValues({}), 80),
            "        us  P2 (dies)\n"
            "     0.000  1 release\n"
            "     1.000  1 ok\n"
            "     2.000  X is killed\n"
            "     3.000  X is dead\n");
}

size_t WidestLine(const std::string& text) {
  size_t widest = 0, begin = 0;
  for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    widest = std::max(widest, end - begin);
  }
  return widest;
}

// Of so many processes, each with a wide step.
Counterexample Wide(uint32_t processes) {
  Counterexample example = Torn();
  for (uint32_t n = 0; n < processes; ++n) {
    example.operations.push_back(Make(100 + n, 20'000 + n, 30'000 + n, Function::kPut,
                                      ValueOf(4'000'000, 1'000'000'000 + n), 0));
  }
  return example;
}

TEST(Story, StepsThatAreTooWideGoOnInTheNextLine) {
  const std::string all = RenderStory(Wide(2), WithShownValues({}), 200);
  ASSERT_GT(WidestLine(all), 80u);
  EXPECT_THAT(all, HasSubstr("put P4000000#1000000001"));
  const std::string narrow = RenderStory(Wide(2), WithShownValues({}), 80);
  EXPECT_LE(WidestLine(narrow), 80u);
  EXPECT_GT(std::count(narrow.begin(), narrow.end(), '\n'),
            std::count(all.begin(), all.end(), '\n'));
}

TEST(Story, WhatIsSaidAroundItIsNoWider) {
  const std::string text = RenderText(Torn(), {}, 60);
  const std::string before = text.substr(0, text.find("\n\n"));
  const std::string after = text.substr(text.rfind("\n\n") + 2);
  EXPECT_THAT(before, ContainsRegex("suffice[s]? to *\n? *show it"));
  EXPECT_THAT(after, HasSubstr("no place is left for"));
  EXPECT_LE(WidestLine(before), 60u);
  EXPECT_LE(WidestLine(after), 60u);
}

TEST(Story, OfTooManyProcessesThePlainFormIsShown) {
  EXPECT_EQ(RenderStory(Wide(9), {}, 80), "");
  EXPECT_THAT(RenderText(Wide(9), {}), HasSubstr("us to"));
  EXPECT_THAT(RenderText(Wide(9), {}, 300), Not(HasSubstr("us to")));
  const std::string text = RenderText(Torn(), {});
  EXPECT_THAT(text, HasSubstr("X dies in 2"));
  EXPECT_THAT(text, HasSubstr("no place is left for: 3 (get -> P209#9)"));
}

TEST(Story, ValuesAreShownAsWhoseTheyAre) {
  EXPECT_EQ(ShownValue(ValueOf(2, 420)), "P2#420");
  EXPECT_EQ(ShownValue(420), "420");
  EXPECT_EQ(ShownValue(uint64_t{1} << 63 | 1), "an empty one");
  EXPECT_EQ(ShownValue(uint64_t{1} << 63 | 8), "one of 7 B");
}

}  // namespace
}  // namespace kill9
