// The answer is made from the figures: other figures give other words, and what failed is compared
// with nothing.
#include <algorithm>
#include <regex>
#include <set>
#include <string>

#include "harness/report/document/plot.h"
#include "harness/report/report_for_tests.h"
#include "harness/report/sections/answer.h"
#include "harness/report/sections/roles.h"

namespace kill9::report {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::Not;
using ::testing::StartsWith;

Json Design(const char* kind, bool lossless) {
  return {{"kind", kind},
          {"object", "store"},
          {"lossless", lossless},
          {"claims", {{{"of", "read"}, {"progress", "lock-free"}, {"probes", {"get"}}}}}};
}

Json Stalled(const std::string& variant, double blocked, const std::string& verdict) {
  const Json places = {{"same_key", blocked}, {"same_stripe", 0.0}, {"elsewhere", 0.0}};
  return {{"variant", variant},
          {"operation", "put"},
          {"verdict", verdict},
          {"kills", {{"total", 1000}}},
          {"stall", {{"by_operation", {{"get", places}}}}}};
}

// The ratio of one case, all rounds within a hundredth.
Json Rate(const std::string& subject, int reads, double ratio, int processes = 2) {
  return {{"measure", "speed"},
          {"subject", subject},
          {"role", "design"},
          {"read_percent", reads},
          {"distribution", "uniform"},
          {"value_bytes", 64},
          {"processes", processes},
          {"ratio", Spread(ratio * 0.99, ratio, ratio * 1.01)},
          {"operations_per_second", Spread(1e6, 2e6, 3e6)}};
}

struct Figures {
  double free_reads = 0.9, free_writes = 0.6;
  double locked_reads = 0.8, locked_writes = 0.8;
  double locked_blocked = 0.4;
  std::string locked_verdict = "pass";
};

// Stores "free" (nobody waits), "locked", "lossy", and a baseline that fails.
void Write(const Folder& folder, const Figures& figures) {
  Json sweep = NewResult("sweep", 1);
  sweep["kinds"] = {{"store", {{"operations", {"put"}}, {"without_place", Json::array()}}}};
  sweep["designs"] = {{"free", Design("design", true)},
                      {"locked", Design("design", true)},
                      {"lossy", Design("design", false)},
                      {"naive", Design("baseline", true)}};
  sweep["runs"] = {Stalled("free", 0, "pass"),
                   Stalled("locked", figures.locked_blocked, figures.locked_verdict),
                   Stalled("lossy", 0, "pass"), Stalled("naive", 0, "violation")};
  folder.Write("sweep.json", sweep.dump());
  folder.Write("speed.json", "store_benchmark",
               {Rate("free", 95, figures.free_reads), Rate("free", 50, figures.free_writes),
                Rate("locked", 95, figures.locked_reads), Rate("locked", 50, figures.locked_writes),
                Rate("lossy", 95, 0.7), Rate("naive", 95, 3)});
}

std::string TextOf(const std::vector<Span>& item) {
  std::string text;
  for (const Span& span : item) text += span.text;
  return text;
}

List Answer(const Folder& folder) {
  const absl::StatusOr<Results> results = Results::Load({folder.path()});
  EXPECT_TRUE(results.ok()) << results.status();
  return AnswerOf(*results, "store", {"free", "locked", "lossy", "naive"});
}

std::string Sentence(const Figures& figures) {
  Folder folder;
  Write(folder, figures);
  return TextOf(Answer(folder).items[0]);
}

TEST(ReportAnswer, SaysWhatToTakeWhen) {
  EXPECT_EQ(Sentence({}),
            "Stores: free; locked if half of the operations are writes; lossy if entries may be "
            "forgotten.");
}

TEST(ReportAnswer, SaysWhatAnAlternativeCosts) {
  Folder folder;
  Write(folder, {});
  EXPECT_THAT(TextOf(Answer(folder).items[2]),
              AllOf(StartsWith("locked: passed"),
                    HasSubstr("Better: half writes at 0.80 of a bare table's speed (free: 0.60)."),
                    HasSubstr("Worse: 95 % reads at 0.80 of a bare table's speed (free: 0.90).")));
}

TEST(ReportAnswer, ChangesWithTheFigures) {
  EXPECT_EQ(Sentence({.locked_writes = 0.5}), "Stores: free; lossy if entries may be forgotten.");
  EXPECT_EQ(Sentence({.locked_reads = 1.2}),
            "Stores: free; locked if nearly all operations are reads or half of the operations are "
            "writes; lossy if entries may be forgotten.");
  // Who keeps nobody waiting, either, is told apart by speed alone.
  EXPECT_EQ(Sentence({.locked_reads = 1.2, .locked_blocked = 0}),
            "Stores: locked; lossy if entries may be forgotten.");
  EXPECT_EQ(Sentence({.locked_reads = 0.9, .locked_writes = 0.6, .locked_blocked = 0}),
            "Stores: free or locked (no figure here tells them apart); lossy if entries may be "
            "forgotten.");
}

TEST(ReportAnswer, RecommendsNothingThatFailed) {
  EXPECT_EQ(Sentence({.locked_verdict = "stuck"}),
            "Stores: free; lossy if entries may be forgotten.");
  // What is undecided has not passed.
  EXPECT_EQ(Sentence({.locked_verdict = "vacuous"}),
            "Stores: free; lossy if entries may be forgotten.");
  Folder folder;
  Json json = NewResult("sweep", 1);
  json["designs"] = {{"naive", Design("baseline", true)}};
  json["runs"] = {Stalled("naive", 0, "leak")};
  folder.Write("sweep.json", json.dump());
  EXPECT_THAT(TextOf(Answer(folder).items[0]), HasSubstr("nothing can be recommended"));
}

TEST(ReportAnswer, CallsFailedOnlyWhatFailed) {
  Folder folder;
  Write(folder, {.locked_verdict = "vacuous"});
  const List list = Answer(folder);
  ASSERT_GE(list.items.size(), 2u);
  EXPECT_EQ(TextOf(list.items[list.items.size() - 2]),
            "Failed, and no choice however fast: naive (violation).");
  EXPECT_EQ(TextOf(list.items.back()), "Not decided, so no choice: locked (vacuous).");
}

// Five figures, none apart from its counterpart by the rounds, but all higher.
TEST(ReportAnswer, SeesWhatOnlyManyFiguresTogetherShow) {
  const auto answer = [](double factor) {
    Folder folder;
    Write(folder, {.locked_writes = 0.6});
    Json runs = Json::array();
    for (int processes = 1; processes <= 5; ++processes) {
      for (const auto& [name, ratio] :
           {std::pair("free", 0.6), std::pair("locked", 0.6 * factor)}) {
        Json run = Rate(name, 50, ratio, processes);
        run["ratio"] = Spread(0.1, ratio, 2);
        runs.push_back(std::move(run));
      }
    }
    runs.push_back(Rate("free", 95, 0.9));
    runs.push_back(Rate("locked", 95, 0.8));
    folder.Write("speed.json", "store_benchmark", std::move(runs));
    return TextOf(Answer(folder).items[0]);
  };
  EXPECT_THAT(answer(1.3), HasSubstr("locked if half of the operations are writes"));
  EXPECT_THAT(answer(1.05), Not(HasSubstr("locked if")));
}

TEST(ReportAnswer, LeadsFromAFailureToWhatWasFound) {
  Folder folder;
  Write(folder, {});
  const List list = Answer(folder);
  const std::vector<Span>& failures = list.items.back();
  EXPECT_THAT(TextOf(failures), AllOf(StartsWith("Failed"), HasSubstr("naive (violation)")));
  const auto linked = std::find_if(failures.begin(), failures.end(),
                                   [](const Span& span) { return span.text == "violation"; });
  ASSERT_NE(linked, failures.end());
  const std::string html = ToHtml(MakeAll(folder));
  EXPECT_THAT(html, HasSubstr("<details id=\"" + linked->link + "\">"));
}

// "naive" is the fastest of all. Its figures stand apart, and no plot has it.
TEST(ReportAnswer, ComparesNoFigureOfWhatFailed) {
  REQUIRE_GNUPLOT();
  Folder folder;
  Write(folder, {});
  const std::string html = ToHtml(MakeAll(folder));
  EXPECT_THAT(Complaints(html), IsEmpty());
  const std::string choose = html.substr(0, html.find("id=\"verdicts\""));
  const size_t failed = choose.find("What failed: not compared with the others.");
  ASSERT_NE(failed, std::string::npos);
  EXPECT_LT(failed, choose.find("<th scope=\"row\" class=\"text\">naive</th>"));
  EXPECT_THAT(choose, Not(HasSubstr(">3.00<")));
  EXPECT_THAT(html, HasSubstr("Not drawn, since they failed: naive."));
  EXPECT_THAT(html, HasSubstr("data-title=\"free\""));
  EXPECT_THAT(html, Not(HasSubstr("data-title=\"naive\"")));
  EXPECT_THAT(html, HasSubstr("Failed: not to be compared with those above"));
}

TEST(ReportAnswer, TellsWhenAndByWhichBuildItWasMeasured) {
  Folder folder;
  Json json = NewResult("sweep", 1);
  json["runs"] = {Stalled("free", 0, "pass")};
  json["started_at"] = "2026-02-03T04:05:06Z";
  json["build"]["commit"] = "1a2b3c4d";
  folder.Write("a.json", json.dump());
  json["started_at"] = "2026-02-01T04:05:06Z";
  folder.Write("b.json", json.dump());
  const std::string lead = MakeAll(folder).lead;
  EXPECT_THAT(lead, HasSubstr("2026-02-01 to 2026-02-03"));
  EXPECT_THAT(lead, HasSubstr("commit 1a2b3c4d"));
}

// Fourteen curves are told apart: each has a panel of its own, with a name and words.
TEST(ReportPlot, DrawsAPanelForEachCurve) {
  REQUIRE_GNUPLOT();
  Plot plot{.name = "many", .x_label = "processes", .y_label = "speed", .x_names = {"1", "8"}};
  for (int i = 0; i < 14; ++i) {
    plot.curves.push_back({"curve_" + std::to_string(i), {{0, 1.0 + i}, {1, 2.0 + i}}});
  }
  const absl::StatusOr<std::vector<Panel>> panels = Draw(plot);
  ASSERT_TRUE(panels.ok()) << panels.status();
  ASSERT_EQ(panels->size(), 14u);
  EXPECT_THAT((*panels)[3].svg,
              AllOf(HasSubstr("curve 3"),
                    HasSubstr("aria-label=\"curve_3. speed by processes: 1: 4, 8: 5\"")));
  std::set<std::string> ids;
  const std::regex id("\\bid=['\"]([^'\"]+)");
  for (const Panel& panel : *panels) {
    for (std::sregex_iterator at(panel.svg.begin(), panel.svg.end(), id), end; at != end; ++at) {
      EXPECT_TRUE(ids.insert((*at)[1]).second) << (*at)[1];
    }
  }
  EXPECT_THAT((*panels)[0].svg, Not(HasSubstr("<title>")));
  // Names of 13 points have room beside each other.
  const std::regex line("class=\"gridline\"");
  const std::string& svg = (*panels)[0].svg;
  const auto lines = std::distance(std::sregex_iterator(svg.begin(), svg.end(), line), {});
  EXPECT_THAT(lines, AllOf(Ge(3), Le(6)));
  EXPECT_THAT(AsFile(*panels), AllOf(StartsWith("<?xml"), HasSubstr("viewBox=\"0 0 1000 720\"")));
}

}  // namespace
}  // namespace kill9::report
