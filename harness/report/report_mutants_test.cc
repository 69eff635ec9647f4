// The score of mutants stands in the report where a result of them is given.
#include <string>

#include "harness/report/report_for_tests.h"

namespace kill9::report {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Json Score(int killed, int survived) {
  return {{"killed", killed},
          {"timed_out", 2},
          {"survived", survived},
          {"not_built", 1},
          {"score", 0.5}};
}

// As property/mutants/mutants.py writes it: `designs` and `kinds` are scores there.
void WriteMutants(const Folder& folder) {
  Json json = NewResult("mutants", 3);
  json.update(Score(37, 19));
  json["shard"] = "1/20";
  json["designs"] = {{"global_mutex", Score(9, 6)}, {"cas_slots", Score(10, 2)}};
  json["kinds"] = {{"constant", Score(4, 4)}};
  json["killed_by"] = {{"conformance", 26}, {"sweep", 2}};
  json["survivors"] = {{{"id", "a.cc:76:3:statement"}, {"was", "x < y"}, {"is", ""}}};
  json["runs"] = {Score(9, 6), Score(10, 2)};
  json["runs"][0]["variant"] = "global_mutex";
  json["runs"][1]["variant"] = "cas_slots";
  folder.Write("a_mutants.json", json.dump());  // read before the others
}

TEST(ReportOfMutants, TellsTheScoreAndTheSurvivors) {
  Folder folder;
  WriteMutants(folder);
  const std::string html = ToHtml(MakeAll(folder));
  EXPECT_THAT(Complaints(html), IsEmpty());
  EXPECT_THAT(html, HasSubstr("37 of the 56 mutants that could be built were noticed (66.1 %), 2"));
  EXPECT_THAT(html, HasSubstr(">global_mutex</th><td>60 %</td><td>9</td><td>2</td><td>6</td>"));
  EXPECT_THAT(html, HasSubstr(">constant</th><td>50 %</td>"));
  EXPECT_THAT(html, HasSubstr(">conformance</th><td>26</td>"));
  EXPECT_THAT(html, HasSubstr("a.cc:76:3:statement"));
  EXPECT_THAT(html, HasSubstr("x &lt; y"));
  EXPECT_THAT(html, Not(HasSubstr("id=\"others\"")));
}

TEST(ReportOfMutants, LeavesTheDescriptionsOfDesignsToOtherFiles) {
  Folder folder;
  WriteMutants(folder);
  folder.Write("torture.json", "torture", {Torture("global_mutex", "steady", "pass")});
  EXPECT_THAT(ToHtml(MakeAll(folder)), HasSubstr("Stores: <strong>global_mutex</strong>"));
}

TEST(ReportOfMutants, HasNoSectionWithoutAResult) {
  Folder folder;
  folder.Write("torture.json", "torture", {Torture("global_mutex", "steady", "pass")});
  EXPECT_THAT(ToHtml(MakeAll(folder)), Not(HasSubstr("id=\"mutants\"")));
}

}  // namespace
}  // namespace kill9::report
