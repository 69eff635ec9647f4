// The report shows every result, renders without errors, and needs nothing from anywhere; the
// comparison finds what got worse, and nothing in noise.
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <regex>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/kinds/result_of_designs.h"
#include "harness/page/html.h"
#include "harness/report/compare.h"
#include "harness/report/document/plot.h"
#include "harness/report/report_for_tests.h"
#include "harness/report/sections/sections.h"

namespace kill9::report {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Json Sweep(const std::string& variant, const std::string& operation, double blocked) {
  Json place = {{"same_key", blocked}, {"same_stripe", blocked}, {"elsewhere", 0.0}};
  return {{"variant", variant},
          {"scenario", "sweep:" + operation + ":one_entry"},
          {"operation", operation},
          {"verdict", "pass"},
          {"kill_coverage", 1.0},
          {"kills", {{"total", 77}}},
          {"stall",
           {{"same_key", blocked},
            {"same_stripe", blocked},
            {"elsewhere", 0.0},
            {"by_operation", {{"get", place}, {"put", place}, {"recover", 0.0}}}}}};
}

// A sweep that found something, and went on to the end, or (`of` less than all) did not.
Json FailedSweep(const std::string& variant, const std::string& operation, int lost, int of) {
  Json run = Sweep(variant, operation, 0.25);
  run["verdict"] = "violation";
  run["instructions"] = 399;
  run["not_survived"] = {
      {"instructions", lost}, {"of", of}, {"share", static_cast<double>(lost) / of}};
  run["counterexample"] = {
      {"kind", "sweep"}, {"message", "a key is torn"}, {"place", "`mov [rax], rbx` in tear"}};
  return run;
}

Json Speed(const std::string& subject, int reads, int processes, const Json& ratio) {
  const Json latency = {{"p50", 111}, {"p99", 222}, {"p999", 333}, {"samples", 9}};
  return {{"measure", "speed"},
          {"subject", subject},
          {"role", "design"},
          {"read_percent", reads},
          {"distribution", "uniform"},
          {"value_bytes", 64},
          {"processes", processes},
          {"ratio", ratio},
          {"operations_per_second", Spread(1e6, 2e6, 3e6)},
          {"latency_ns", {{"get", latency}, {"put", latency}}}};
}

void WriteEverything(const Folder& folder) {
  folder.Write(
      "torture.json", "torture",
      {Torture("global_mutex", "steady", "pass"), Torture("cas_slots", "hot_key", "violation"),
       Torture("<script>alert(1)</script>", "steady", "stuck"),
       Torture("seqlock_ring", "pid_reuse", "skipped")});
  folder.Write("sweep.json", "sweep",
               {Sweep("global_mutex", "get", 0.46), Sweep("cas_slots", "put_same", 0.0)});
  folder.Write("speed.json", "store_benchmark",
               {Speed("global_mutex", 95, 2, Spread(0.8, 0.9, 1.0)),
                Speed("cas_slots", 95, 1, Spread(1, 1, 1)),
                {{"measure", "limit"}, {"subject", "copy_64"}, {"nanoseconds", Spread(2, 2.5, 3)}},
                {{"measure", "growth"},
                 {"subject", "cas_slots"},
                 {"entries", 1000},
                 {"get_ns", Spread(9, 10, 11)},
                 {"put_ns", Spread(19, 20, 21)}},
                {{"measure", "room"},
                 {"subject", "cas_slots"},
                 {"value_bytes", 64},
                 {"overhead_bytes_per_entry", 58.6}}});
  folder.Write(
      "planted.json", "planted",
      {{{"name", "lost_update"},
        {"variant", "cas_slots"},
        {"control", false},
        {"what", "a bug"},
        {"as_expected", true},
        {"tiers",
         {{{"tier", "torture"}, {"runs", 3}, {"caught", 2}, {"median_seconds_to_catch", 1.25}},
          {{"tier", "sweep"}, {"runs", 1}, {"caught", 0}}}}}});
  folder.Write("novel.json", "novel_kind", {{{"name", "a thing unheard of"}, {"figure", 4711}}});
}

TEST(Report, ShowsEveryResultInBothForms) {
  REQUIRE_GNUPLOT();
  Folder folder;
  WriteEverything(folder);
  const Document document = MakeAll(folder);
  const std::string html = ToHtml(document);
  EXPECT_THAT(Complaints(html), IsEmpty());
  const std::string markdown = ToMarkdown(document, "plots");
  for (const std::string text : {"global_mutex", "cas_slots",
                                 "seqlock_ring", "steady",
                                 "hot_key",      "pid_reuse",
                                 "violation",    "stuck",
                                 "skipped",      "46 %",
                                 "put_same",     "0.90 (0.80 to 1.00)",
                                 "copy_64",      "59",
                                 "lost_update",  "1.25 (2 of 3)",
                                 "missed",       "a thing unheard of",
                                 "4711",         "--scenario=hot_key",
                                 "torture.json", "novel.json"}) {
    EXPECT_THAT(html, HasSubstr(text));
    std::string escaped = text;
    if (text.find("--") == std::string::npos) {
      escaped = std::regex_replace(text, std::regex("_"), "\\_");
    }
    EXPECT_TRUE(markdown.find(escaped) != std::string::npos ||
                markdown.find(text) != std::string::npos)
        << text;
  }
  EXPECT_THAT(html, HasSubstr("<svg"));
}

TEST(Report, ShowsWhatIsNotSurvivedOfSweepsThatWentToTheirEnd) {
  Folder folder;
  folder.Write(
      "sweep.json", "sweep",
      {FailedSweep("global_mutex", "put_same", 3, 400),
       FailedSweep("global_mutex", "put_same", 200, 400), FailedSweep("cas_slots", "erase", 0, 400),
       FailedSweep("seqlock_ring", "put_smaller", 2, 77)});
  const std::string html = ToHtml(MakeAll(folder));
  EXPECT_THAT(Complaints(html), IsEmpty());
  EXPECT_THAT(html, HasSubstr(">50 % (200)<"));  // the worst of both
  EXPECT_THAT(html, Not(HasSubstr("0.75 %")));
  EXPECT_THAT(html, HasSubstr("<td class=\"good\">0</td>"));
  EXPECT_THAT(html, Not(HasSubstr("2.6 %")));  // left after its first failures
  EXPECT_THAT(html, HasSubstr("a key is torn"));
  EXPECT_THAT(html, HasSubstr("`mov [rax], rbx` in tear"));
}

// Of a program with other designs, or of a kind that this one has never heard of.
Json ResultOfOthers() {
  Json json = NewResult("sweep", 1);
  json["kinds"] = {{"tape", {{"operations", {"wind", "play"}}, {"without_place", {"wind"}}}}};
  json["designs"] = {
      {"reel",
       {{"kind", "baseline"},
        {"object", "tape"},
        {"lossless", false},
        {"claims", {{{"of", "reading"}, {"progress", "lock-free"}, {"probes", {"get", "put"}}}}},
        {"blocks", "one reel"}}},
      {"cassette", {{"kind", "design"}, {"object", "tape"}, {"lossless", true}}}};
  json["runs"] = {Sweep("reel", "play", 0.5), Sweep("reel", "wind", 0),
                  Sweep("cassette", "wind", 0)};
  // A victim that goes through the whole object says nothing of elsewhere.
  json["runs"][1]["stall"]["by_operation"]["get"]["elsewhere"] = 0.875;
  return json;
}

TEST(Report, TellsOfDesignsThatOnlyTheFileDescribes) {
  Folder folder;
  folder.Write("sweep.json", ResultOfOthers().dump());
  folder.Write("torture.json", "torture", {Torture("global_mutex", "steady", "pass")});
  const std::string html = ToHtml(MakeAll(folder));
  EXPECT_THAT(Complaints(html), IsEmpty());
  const std::string choose = html.substr(0, html.find("id=\"verdicts\""));
  EXPECT_THAT(choose, HasSubstr("Kind: tape."));
  EXPECT_LT(choose.find(">cassette</th>"), choose.find(">reel</th>"));  // the design first
  EXPECT_THAT(html, HasSubstr(">lock-free</td>"));
  EXPECT_THAT(html, HasSubstr("does not hold"));
  EXPECT_THAT(html, HasSubstr("one reel"));
  EXPECT_THAT(html, Not(HasSubstr("87.5 %")));
  // In the order that the kind's sweep has, not in that of the runs.
  EXPECT_LT(html.find("<th scope=\"col\">wind</th>"), html.find("<th scope=\"col\">play</th>"));
}

TEST(Report, TellsOfRunsThatNoFileDescribes) {
  Folder folder;
  Json json = ResultOfOthers();
  json["kinds"] = "none";
  json["designs"] = Json::array({1, "reel"});
  folder.Write("sweep.json", json.dump());
  const std::string html = ToHtml(MakeAll(folder));
  EXPECT_THAT(Complaints(html), IsEmpty());
  EXPECT_THAT(html, HasSubstr(">reel</th>"));
}

TEST(Report, ShowsForeignTextAsTextOnly) {
  REQUIRE_GNUPLOT();
  Folder folder;
  WriteEverything(folder);
  const std::string html = ToHtml(MakeAll(folder));
  EXPECT_THAT(html, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;alert(1)"));
  EXPECT_THAT(html, HasSubstr("P1 [1---] &amp; &lt;tag&gt;"));
}

TEST(Report, SaysWhichFileIsNoResult) {
  Folder folder;
  folder.Write("broken.json", "{\"schema\": \"kill9/1\", ");
  folder.Write("foreign.json", "{\"schema\": \"other\", \"runs\": []}");
  for (const char* name : {"broken.json", "foreign.json", "absent.json"}) {
    absl::StatusOr<Results> results = Results::Load({folder.path() + "/" + name});
    ASSERT_FALSE(results.ok()) << name;
    EXPECT_THAT(std::string(results.status().message()), HasSubstr(name));
  }
}

TEST(Report, OddFieldsAreShownAndBreakNothing) {
  REQUIRE_GNUPLOT();
  Folder folder;
  folder.Write("odd.json", "torture",
               {{{"variant", "global_mutex"}},
                {{"verdict", 7}},
                Json::object(),
                "no object",
                {{"variant", nullptr}, {"kills", "many"}, {"recovery_us", 1}}});
  folder.Write("odd_speed.json", "store_benchmark", {{{"measure", "speed"}, {"ratio", "fast"}}});
  EXPECT_THAT(Complaints(ToHtml(MakeAll(folder))), IsEmpty());
}

TEST(ReportComplaints, AreMadeOfWhatIsWrong) {
  EXPECT_THAT(Complaints("<p>fine</p>"), IsEmpty());
  for (const char* wrong :
       {"<td>nan</td>", "<td>-inf</td>", "<a href=\"https://example.org\">x</a>",
        "<link rel=stylesheet>", "<table><tr></tr>", "<a href=\"#nowhere\">x</a>",
        "<script src=\"x.js\"></script>"}) {
    EXPECT_THAT(Complaints(wrong), Not(IsEmpty())) << wrong;
  }
}

TEST(ReportPlot, SaysWhatGnuplotSaid) {
  REQUIRE_GNUPLOT();
  const Plot empty{.name = "empty", .x_label = "x", .y_label = "y", .curves = {{"none", {}}}};
  const absl::StatusOr<std::vector<Panel>> panels = Draw(empty);
  ASSERT_FALSE(panels.ok());
  EXPECT_THAT(std::string(panels.status().message()), HasSubstr("empty"));
}

// A browser reads the page, runs its script, and complains of nothing.
TEST(Report, RendersInChromiumWithoutErrors) {
  REQUIRE_GNUPLOT();
  if (std::system("command -v chromium >/dev/null 2>&1") != 0) {
    GTEST_SKIP() << "chromium is not installed: the page was checked by its structure only";
  }
  Folder folder;
  WriteEverything(folder);
  folder.Write("report.html", ToHtml(MakeAll(folder)));
  const std::string dom = folder.path() + "/dom";
  const std::string errors = folder.path() + "/errors";
  const std::string command = absl::StrCat(
      "timeout 100 chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage ",
      "--user-data-dir=", folder.path(), "/profile --enable-logging=stderr --dump-dom ", "file://",
      folder.path(), "/report.html >", dom, " 2>", errors);
  const int status = std::system(command.c_str());
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    GTEST_SKIP() << "chromium does not run here (status " << status << ")";
  }
  const auto read = [](const std::string& path) {
    std::ifstream file(path);
    return std::string{std::istreambuf_iterator<char>(file), {}};
  };
  EXPECT_THAT(read(dom), HasSubstr("a thing unheard of"));
  EXPECT_THAT(read(errors), Not(HasSubstr("CONSOLE")));
}

// Two sets of 360 figures around 1, each of five rounds that wobble by up to `wobble`; the second
// set's first subject is `factor` times as fast.
struct Pair {
  Folder before, after;
};
std::unique_ptr<Pair> Wobbling(unsigned seed, double wobble, double factor) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> noise(1 - wobble, 1 + wobble);
  auto pair = std::make_unique<Pair>();
  for (const bool second : {false, true}) {
    Json runs = Json::array();
    for (const char* subject : {"global_mutex", "cas_slots", "lmdb"}) {
      for (int i = 0; i < 120; ++i) {
        std::vector<double> rounds(5);
        for (double& one : rounds) {
          one = noise(random) * (second && subject == std::string("global_mutex") ? factor : 1);
        }
        std::sort(rounds.begin(), rounds.end());
        runs.push_back(Speed(subject, i, 2, Spread(rounds[0], rounds[2], rounds[4])));
      }
    }
    (second ? pair->after : pair->before).Write("speed.json", "store_benchmark", runs);
  }
  return pair;
}

Comparison CompareFolders(const Folder& before, const Folder& after) {
  return Compare(*Results::Load({before.path()}), *Results::Load({after.path()}));
}

TEST(ReportCompare, FindsNothingInNoise) {
  size_t false_alarms = 0;
  for (unsigned seed = 1; seed <= 20; ++seed) {
    const auto pair = Wobbling(seed, 0.1, 1);
    const Comparison comparison = CompareFolders(pair->before, pair->after);
    EXPECT_EQ(comparison.compared, 360u);
    false_alarms += comparison.changes.size();
  }
  EXPECT_LE(false_alarms, 2u) << "in 20 comparisons of 360 figures";
}

TEST(ReportCompare, FindsASlowerDesignAndNamesItAlone) {
  for (unsigned seed = 1; seed <= 5; ++seed) {
    const auto pair = Wobbling(seed, 0.1, 0.6);
    const Comparison comparison = CompareFolders(pair->before, pair->after);
    EXPECT_TRUE(comparison.worse());
    size_t of_it = 0;
    size_t of_others = 0;
    for (const Change& change : comparison.changes) {
      (change.what.starts_with("global_mutex") ? of_it : of_others) += 1;
    }
    EXPECT_GT(of_it, 60u);
    EXPECT_LE(of_others, 1u);
  }
}

TEST(ReportCompare, FindsASmallSlowdownInAllFiguresTogether) {
  const auto pair = Wobbling(7, 0.25, 0.8);
  const Comparison comparison = CompareFolders(pair->before, pair->after);
  EXPECT_THAT(Describe(comparison), HasSubstr("global_mutex, all its 120 figures together"));
}

TEST(ReportCompare, FindsWeakerVerdictsCoverageAndStallsAndWhatIsGone) {
  Folder before;
  Folder after;
  before.Write("t.json", "torture",
               {Torture("global_mutex", "steady", "pass"), Torture("cas_slots", "steady", "stuck"),
                Torture("cas_slots", "hot_key", "pass"), Torture("lmdb", "steady", "pass")});
  after.Write("t.json", "torture",
              {Torture("global_mutex", "steady", "vacuous"), Torture("cas_slots", "steady", "pass"),
               Torture("lmdb", "steady", "pass")});
  Json uncovered = Sweep("cas_slots", "get", 0.25);
  uncovered["kill_coverage"] = 0.9;
  before.Write("s.json", "sweep", {Sweep("cas_slots", "get", 0.0)});
  after.Write("s.json", "sweep", {uncovered});
  const Comparison comparison = CompareFolders(before, after);
  EXPECT_TRUE(comparison.worse());
  const std::string text = Describe(comparison);
  EXPECT_THAT(text, HasSubstr("weaker    global_mutex, steady: pass -> vacuous"));
  EXPECT_THAT(text, HasSubstr("stronger  cas_slots, steady: stuck -> pass"));
  EXPECT_THAT(text, HasSubstr("gone      cas_slots, hot_key"));
  EXPECT_THAT(text, HasSubstr("kill coverage: 100 % -> 90 %"));
  EXPECT_THAT(text, HasSubstr("blocked same_key: 0 % -> 25 %"));
  EXPECT_THAT(text, Not(HasSubstr("lmdb")));
  EXPECT_FALSE(CompareFolders(before, before).worse());
}

}  // namespace
}  // namespace kill9::report
