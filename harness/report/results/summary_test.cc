// A summary tells what its result tells, in less room, in an order of its own, and is read back.
#include "harness/report/results/summary.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/report/results/shape_coverage.h"

namespace kill9::report {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

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
         {"variant", "operation", "state", "verdict", "not_survived", "leaked_blocks"}) {
      EXPECT_EQ(nlohmann::json(after[field]), nlohmann::json(before[field])) << field;
    }
    // That they were in operations is left out.
    EXPECT_EQ(after["kills"], Json({{"total", before["kills"]["total"]}}));
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
  EXPECT_EQ(Summarise(one)["forms"], Summarise(other)["forms"]);
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
                    {{"ratio", {{"median", 2.0 / 3}}}, {"operations", 987654321}, {"odd", 1}}};
  const Json summary = Summarise(result);
  EXPECT_EQ(summary["fields"], Json({"odd", "operations", "ratio.median"}));
  EXPECT_EQ(summary["forms"][0]["columns"], Json({0, 1, 2}));
  EXPECT_EQ(summary["runs"][0], Json({0, nullptr, 123456789, 0.33333}));
}

// What few runs have costs the others nothing.
TEST(Summary, TellsWhatAFormOfRunsSharesOnce) {
  Json result = NewResult("torture", 1);
  for (int i = 0; i < 40; ++i) {
    const std::string scenario = absl::StrCat("of_another_kind_", i);
    result["runs"].push_back({{"variant", "a"},
                              {"scenario", scenario},
                              {"verdict", "skipped"},
                              {"reason", "a store has no such scenario"}});
    result["runs"].push_back({{"variant", "a"},
                              {"scenario", absl::StrCat("own_", i)},
                              {"verdict", "pass"},
                              {"kills", {{"total", i}}},
                              {"condition", "strict"}});
  }
  const Json summary = Summarise(result);
  ASSERT_EQ(summary["forms"].size(), 2u);
  EXPECT_EQ(summary["runs"][0], Json({0, "of_another_kind_0"}));
  EXPECT_EQ(summary["runs"][1], Json({1, "own_0", 0}));
  const absl::StatusOr<Json> back = ExpandSummary(summary);
  ASSERT_TRUE(back.ok()) << back.status();
  for (size_t i = 0; i < 80; ++i) {
    EXPECT_EQ(nlohmann::json((*back)["runs"][i]), nlohmann::json(result["runs"][i])) << i;
  }
}

// The line that repeats a run has its shape; classes are counted, and counted once.
class SummaryOfShapes : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Kinds, SummaryOfShapes, ::testing::Values("torture", "sweep", "try"));

TEST_P(SummaryOfShapes, TellsAShapeOnceAndHowManyRunsWereOfEachClass) {
  Json result = NewResult(GetParam(), 1);
  result["shape_classes"] = {{"store", {{"keys", {"1", "more"}}}}};
  for (const std::string verdict : {"pass", "pass", "violation"}) {
    const std::string keys = absl::StrCat("keys=", result["runs"].size());
    result["runs"].push_back({{"variant", "a"},
                              {"verdict", verdict},
                              {"shape",
                               {{"text", keys},
                                {"kind", "store"},
                                {"classes", {{"keys", {keys == "keys=0" ? "1" : "more"}}}}}},
                              {"repeat", absl::StrCat("kill9 torture --shape=", keys)},
                              {"repeat_with", {{"shape", keys}}},
                              {"last_kills", {1, 2, 3}}});
  }
  const absl::StatusOr<Json> back = ExpandSummary(Summarise(result));
  ASSERT_TRUE(back.ok()) << back.status();
  const absl::StatusOr<Json> again = ExpandSummary(Summarise(*back));
  ASSERT_TRUE(again.ok()) << again.status();
  for (const Json* one : {&*back, &*again}) {
    const Json& runs = (*one)["runs"];
    EXPECT_EQ(runs[0]["shape"]["text"], "keys=0");
    EXPECT_FALSE(runs[0].contains("repeat"));
    EXPECT_EQ(runs[2]["repeat"], "kill9 torture --shape=keys=2");
    EXPECT_FALSE(runs[2]["shape"].contains("text"));
    for (const Json& run : runs) {
      EXPECT_EQ(run.contains("repeat_with"), result["kind"] != "torture");
      EXPECT_EQ(run.contains("last_kills"), result["kind"] != "torture");
    }
    EXPECT_EQ(ShapesSeenIn(*one), ShapesSeenIn(result));
    const std::vector<ShapeCoverage> before = CoverageOfShapes({&result});
    const std::vector<ShapeCoverage> after = CoverageOfShapes({one});
    ASSERT_EQ(after.size(), 1u);
    EXPECT_EQ(after[0].classes, before[0].classes);
    EXPECT_THAT(after[0].classes, ElementsAre(Pair("1", 1), Pair("more", 2)));
  }
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
  for (const char* field : {"same", "fields", "forms", "runs"}) {
    Json bad = good;
    bad[field] = 7;
    EXPECT_FALSE(ExpandSummary(bad).ok()) << field;
    bad.erase(field);
    EXPECT_FALSE(ExpandSummary(bad).ok()) << field;
  }
  for (const char* field : {"same", "columns"}) {
    Json bad = good;
    bad["forms"][0].erase(field);
    EXPECT_FALSE(ExpandSummary(bad).ok()) << field;
  }
  for (const Json& columns : {Json({99}), Json({"operation"}), Json({-1})}) {
    Json bad = good;
    bad["forms"][0]["columns"] = columns;
    EXPECT_FALSE(ExpandSummary(bad).ok()) << columns;
    bad["forms"][0]["columns"] = good["forms"][0]["columns"];
    bad["forms"][0]["same"].push_back({columns[0], 7});
    EXPECT_FALSE(ExpandSummary(bad).ok()) << columns;
  }
  for (const Json& row : {Json::array(), Json({0}), Json({1, "a"}), Json({-1, "a"}), Json("a")}) {
    Json bad = good;
    bad["runs"][0] = row;
    EXPECT_FALSE(ExpandSummary(bad).ok()) << row;
  }
  Json through_text = good;
  through_text["fields"][0] = "variant.name";
  EXPECT_FALSE(ExpandSummary(through_text).ok());
}

}  // namespace
}  // namespace kill9::report
