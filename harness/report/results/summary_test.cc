// A summary tells what its result tells, in less room, in an order of its own, and is read back.
#include "harness/report/results/summary.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kill9::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Json Cell(const std::string& operation, const std::string& state, int kills, double seconds) {
  return {{"variant", "cas_slots"},
          {"scenario", "sweep:" + operation + ":" + state},
          {"operation", operation},
          {"state", state},
          {"verdict", "pass"},
          {"seconds", seconds},
          {"kills", {{"total", kills}, {"in_operation", kills}}},
          {"stall", nullptr},
          {"not_survived", {{"instructions", 0}, {"of", 100 + kills}, {"share", 0.0}}},
          {"leaked_blocks", 0}};
}

Json SweepOf(Json runs) {
  Json result = NewResult("sweep", 7);
  result["runs"] = std::move(runs);
  result["coverage"] = {{{"variant", "cas_slots"}, {"lines_never_reached", {{"a.cc", {1, 2}}}}}};
  return result;
}

TEST(Summary, ReadBackSaysTheSameOfEachRun) {
  Json found = Cell("put_same", "one_entry", 9, 0.5);
  found["verdict"] = "violation";
  found["counterexample"] = {{"message", "torn"}, {"at", {4, 2}}};
  const Json result = SweepOf({Cell("get", "one_entry", 5, 0.25), found});
  const absl::StatusOr<Json> back = ExpandSummary(Json::parse(SummaryText(Summarise(result))));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ((*back)["schema"], "kill9/1");
  EXPECT_EQ((*back)["seed"], 7);
  ASSERT_EQ((*back)["runs"].size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    const Json& before = result["runs"][i];
    const Json& after = (*back)["runs"][i];
    for (const char* field :
         {"variant", "operation", "state", "verdict", "kills", "not_survived", "leaked_blocks"}) {
      EXPECT_EQ(nlohmann::json(after[field]), nlohmann::json(before[field])) << field;
    }
  }
  EXPECT_EQ((*back)["runs"][1]["counterexample"]["at"], Json({4, 2}));
  EXPECT_FALSE((*back)["runs"][0].contains("counterexample"));
}

TEST(Summary, DescribesWhatItsRunsAreOf) {
  Json result = SweepOf({Cell("get", "one_entry", 5, 0.25)});
  result["kinds"] = {{"store", {{"operations", {"get"}}}}, {"tape", {{"operations", {"wind"}}}}};
  result["designs"] = {{"cas_slots", {{"object", "store"}}}, {"reel", {{"object", "tape"}}}};
  ASSERT_EQ(result["runs"][0]["variant"], "cas_slots");
  const Json summary = Summarise(result);
  EXPECT_EQ(summary["designs"], Json({{"cas_slots", {{"object", "store"}}}}));
  EXPECT_EQ(summary["kinds"], Json({{"store", {{"operations", {"get"}}}}}));
}

TEST(Summary, OfAnExpandedSummaryIsTheSame) {
  Json found = Cell("put_same", "one_entry", 9, 0.5);
  found["reason"] = std::string(3000, 'x');
  const std::string once = SummaryText(Summarise(SweepOf({Cell("get", "a", 5, 0.25), found})));
  const absl::StatusOr<Json> expanded = ExpandSummary(Json::parse(once));
  ASSERT_TRUE(expanded.ok()) << expanded.status();
  EXPECT_EQ(SummaryText(Summarise(*expanded)), once);
}

TEST(Summary, DoesNotDependOnWhichCellEndedFirstNorOnItsTime) {
  const Json one = SweepOf({Cell("get", "a", 1, 0.25), Cell("put_same", "a", 2, 9.0)});
  const Json other = SweepOf({Cell("put_same", "a", 2, 0.125), Cell("get", "a", 1, 7.0)});
  EXPECT_EQ(Summarise(one)["runs"], Summarise(other)["runs"]);
  EXPECT_NE(Summarise(one)["runs"], Summarise(SweepOf({Cell("get", "a", 1, 1)}))["runs"]);
}

TEST(Summary, WritesARunALineAndWhatAllShareOnce) {
  Json runs = Json::array();
  for (int i = 0; i < 50; ++i) runs.push_back(Cell("get", "state" + std::to_string(i), i, 1.0 / 3));
  const Json result = SweepOf(runs);
  const std::string text = SummaryText(Summarise(result));
  EXPECT_LT(text.size() * 4, result.dump(2).size());
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  for (int i = 0; i < 50; ++i) {
    const std::string name = "\"state" + std::to_string(i) + "\"";
    EXPECT_EQ(std::count_if(
                  lines.begin(), lines.end(),
                  [&](const std::string& line) { return line.find(name) != std::string::npos; }),
              1)
        << name;
  }
  EXPECT_EQ(Summarise(result)["same"]["leaked_blocks"], 0);
  EXPECT_THAT(text, Not(HasSubstr("lines_never_reached")));
}

TEST(Summary, KeepsFiveDigitsAndWholeNumbers) {
  Json result = NewResult("store_benchmark", 1);
  result["runs"] = {{{"ratio", {{"median", 1.0 / 3}}}, {"operations", 123456789}, {"odd", NAN}},
                    {{"ratio", {{"median", 2.0 / 3}}}, {"operations", 987654321}}};
  const Json summary = Summarise(result);
  EXPECT_EQ(summary["columns"], Json({"odd", "operations", "ratio.median"}));
  EXPECT_EQ(summary["runs"][0], Json({nullptr, 123456789, 0.33333}));
}

TEST(Summary, CutsLongTextBetweenCharacters) {
  std::string text(999, 'x');
  for (int i = 0; i < 100; ++i) text += "\u20ac";
  Json result = NewResult("torture", 1);
  result["runs"] = {{{"reason", text}}};
  const std::string cut = Summarise(result)["same"]["reason"];
  EXPECT_LT(cut.size(), 1100u);
  EXPECT_NO_THROW(Json(cut).dump());
}

TEST(Summary, SaysWhatIsNoSummary) {
  const Json good = Summarise(SweepOf({Cell("get", "a", 1, 1), Cell("get", "b", 2, 1)}));
  ASSERT_TRUE(ExpandSummary(good).ok());
  for (const char* field : {"same", "columns", "runs"}) {
    Json bad = good;
    bad[field] = 7;
    EXPECT_FALSE(ExpandSummary(bad).ok()) << field;
    bad.erase(field);
    EXPECT_FALSE(ExpandSummary(bad).ok()) << field;
  }
  Json short_row = good;
  short_row["runs"][0] = Json::array();
  EXPECT_FALSE(ExpandSummary(short_row).ok());
  Json through_text = good;
  through_text["columns"][0] = "variant.name";
  EXPECT_FALSE(ExpandSummary(through_text).ok());
}

}  // namespace
}  // namespace kill9::report
