#include "harness/report/results/shape_coverage.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kill9::report {
namespace {

using ::testing::IsEmpty;

Json RunOf(const std::string& keys, Json without) {
  return {{"variant", "cas_slots"},
          {"shape",
           {{"text", "keys=1"},
            {"kind", "store"},
            {"classes", {{"keys", {keys}}, {"without", std::move(without)}}}}}};
}

Json ResultOf(Json runs) {
  return {{"kind", "torture"},
          {"shape_classes",
           {{"store", {{"keys", {"1", "to 16"}}, {"without", {"none", "put", "pin"}}}}}},
          {"runs", std::move(runs)}};
}

TEST(ShapeCoverage, CountsTheRunsOfEachClassAndNamesThoseThatNoneHasSeen) {
  const Json one = ResultOf({RunOf("1", {"none"}), RunOf("1", {"put"})});
  const Json other = ResultOf({RunOf("1", {"put"}), Json{{"variant", "lmdb"}}});
  const std::vector<ShapeCoverage> coverage = CoverageOfShapes({&one, &other});
  ASSERT_EQ(coverage.size(), 2u);
  EXPECT_EQ(coverage[0].dimension, "keys");
  EXPECT_THAT(coverage[0].classes,
              testing::ElementsAre(testing::Pair("1", 3), testing::Pair("to 16", 0)));
  EXPECT_THAT(coverage[1].classes,
              testing::ElementsAre(testing::Pair("none", 1), testing::Pair("put", 2),
                                   testing::Pair("pin", 0)));
  EXPECT_EQ(UnseenIn(coverage), "keys: to 16; without: pin");
}

TEST(ShapeCoverage, OfSeveralKindsIsToldByKindAndOfThoseThatRanOnly) {
  Json result = ResultOf({RunOf("1", {"none"})});
  result["shape_classes"]["heap"] = {{"keys", {"1", "2"}}};
  const std::vector<ShapeCoverage> coverage = CoverageOfShapes({&result});
  EXPECT_EQ(UnseenIn(coverage), "store keys: to 16; store without: put, pin; heap keys: 1, 2");
  EXPECT_EQ(UnseenIn(OfKindsThatRan(coverage)), "keys: to 16; without: put, pin");
}

TEST(ShapeCoverage, OfResultsWithoutShapesIsEmpty) {
  const Json before = {{"kind", "torture"}, {"runs", {Json{{"variant", "cas_slots"}}}}};
  EXPECT_THAT(CoverageOfShapes({&before}), IsEmpty());
  EXPECT_EQ(UnseenIn({}), "");
}

TEST(ShapeCoverage, TakesWhatAFileSaysForWhatItIs) {
  for (const char* text : {R"({"shape_classes": 3, "runs": []})",
                           R"({"shape_classes": {"store": [1]}, "runs": [{"shape": "none"}]})",
                           R"({"shape_classes": {"store": {"keys": [1, null]}}, "runs": [3]})",
                           R"({"runs": [{"shape": {"classes": {"keys": 7}}}]})"}) {
    const Json json = Json::parse(text);
    EXPECT_EQ(UnseenIn(CoverageOfShapes({&json})), "") << text;
  }
}

}  // namespace
}  // namespace kill9::report
