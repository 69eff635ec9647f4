// A campaign counts each run once, spends time on what was tried least, and tells what fails, what
// is flaky and what got worse, with the commit.
#include "harness/campaign/campaign.h"

#include <sqlite3.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/campaign/campaign_plan.h"
#include "harness/campaign/campaign_summary.h"
#include "harness/result/result.h"
#include "property/scaffold/children.h"
#include "variants/registry.h"

namespace kill9::campaign {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class CampaignFile : public testing::Test {
 protected:
  CampaignFile() : path_(absl::StrCat(testing::TempDir(), "/campaign-", getpid(), ".db")) {
    std::filesystem::remove(path_);
  }
  ~CampaignFile() override { std::filesystem::remove(path_); }

  std::unique_ptr<Campaign> Open() {
    absl::StatusOr<std::unique_ptr<Campaign>> campaign =
        Campaign::Open(path_, Campaign::Mode::kCreate);
    EXPECT_TRUE(campaign.ok()) << campaign.status();
    return campaign.ok() ? *std::move(campaign) : nullptr;
  }

  std::string path_;
};

Json Torture(const std::string& scenario, double seconds) {
  return {{"variant", "cas_slots"}, {"scenario", scenario},    {"verdict", "pass"},
          {"seconds", seconds},     {"kills", {{"total", 7}}}, {"operations_per_second", 1000.5}};
}

Json ResultOf(const std::vector<Json>& runs) {
  return {{"schema", "kill9/1"},
          {"kind", "torture"},
          {"seed", 3},
          {"started_at", "2026-11-29T04:00:00Z"},
          {"host", {{"processor", "one"}, {"cores", 2}}},
          {"build", {{"commit", "abc"}}},
          {"runs", runs}};
}

TEST_F(CampaignFile, KeepsWhatARunSays) {
  Json json = Torture("steady", 1.5);
  json["reason"] = "why\nit is";
  json["repeat"] = "kill9 torture";
  EXPECT_EQ(Open()->Add(ResultOf({json})).value_or(0), 1u);
  const absl::StatusOr<std::vector<StoredRun>> runs = Open()->Runs();
  ASSERT_TRUE(runs.ok()) << runs.status();
  ASSERT_THAT(*runs, SizeIs(1));
  const StoredRun& run = runs->front();
  EXPECT_EQ(run.cell, (Cell{"torture", "cas_slots", "steady"}));
  EXPECT_EQ(run.seed, 3u);
  EXPECT_EQ(run.verdict, "pass");
  EXPECT_EQ(run.answer, Answer::kGood);
  EXPECT_EQ(run.seconds, 1.5);
  EXPECT_EQ(run.kills, 7u);
  EXPECT_EQ(run.reason, "why\nit is");
  EXPECT_EQ(run.repeat, "kill9 torture");
  EXPECT_EQ(run.build, "abc");
  EXPECT_EQ(run.machine, "one, 2 cores");
  EXPECT_EQ(run.started_at, "2026-11-29T04:00:00Z");
  EXPECT_EQ(run.figures.at("operations_per_second"), 1000.5);
}

TEST_F(CampaignFile, CountsARunOnceInWhateverFileItComes) {
  const auto campaign = Open();
  Json shard = Torture("steady", 1);
  shard["unit"] = "cas_slots steady";
  EXPECT_EQ(*campaign->Add(ResultOf({shard})), 1u);
  EXPECT_EQ(*campaign->Add(ResultOf({shard})), 0u);
  // What was merged has it without its unit, beside others.
  EXPECT_EQ(*campaign->Add(ResultOf({Torture("steady", 1), Torture("churn", 2)})), 1u);
  Json of_another_build = ResultOf({Torture("steady", 1)});
  of_another_build["build"]["commit"] = "def";
  EXPECT_EQ(*campaign->Add(of_another_build), 1u);
  EXPECT_THAT(*campaign->Runs(), SizeIs(3));
}

TEST_F(CampaignFile, TakesAResultWholeOrNotAtAll) {
  const auto campaign = Open();
  Json without_verdict = Torture("churn", 1);
  without_verdict.erase("verdict");
  for (const Json& wrong : {Json(), Json::array(), Json{{"schema", "kill9/1"}},
                            ResultOf({Torture("steady", 1), without_verdict}),
                            Json{{"schema", "kill9-summary/1"}, {"runs", Json::array()}}}) {
    EXPECT_TRUE(absl::IsInvalidArgument(campaign->Add(wrong).status())) << wrong;
  }
  EXPECT_THAT(*campaign->Runs(), IsEmpty());
}

TEST_F(CampaignFile, OfSomebodyElseIsRefused) {
  EXPECT_TRUE(absl::IsNotFound(Campaign::Open(path_, Campaign::Mode::kExisting).status()));
  std::ofstream(path_).close();
  EXPECT_TRUE(absl::IsInvalidArgument(Campaign::Open(path_, Campaign::Mode::kExisting).status()));
  EXPECT_EQ(std::filesystem::file_size(path_), 0u) << "who only looks writes nothing";
  std::ofstream(path_) << std::string(5000, 'x');
  EXPECT_TRUE(absl::IsInvalidArgument(Campaign::Open(path_, Campaign::Mode::kCreate).status()));
  for (const char* script : {"CREATE TABLE other (x)",
                             "PRAGMA application_id = 0x6b696c39;"
                             "PRAGMA user_version = 2;"
                             "CREATE TABLE run (x)"}) {
    std::filesystem::remove(path_);
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &database), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(database, script, nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(database);
    EXPECT_TRUE(absl::IsInvalidArgument(Campaign::Open(path_, Campaign::Mode::kCreate).status()))
        << script;
  }
}

TEST_F(CampaignFile, IsAddedToBySeveralProcessesAtOnce) {
  constexpr int kProcesses = 4, kResults = 5, kResultsMost = 1000;
  Shared<std::atomic<int>> adding, added;
  Shared<std::atomic<bool>> met;  // somebody added while another one did
  std::vector<Child> children;
  for (int process = 0; process < kProcesses; ++process) {
    children.emplace_back([&](Line& parent) {
      parent.Await();
      for (int n = 0; n < kResults || (n < kResultsMost && !met->load()); ++n) {
        if (adding->fetch_add(1) > 0) met->store(true);
        CHILD_REQUIRE(Open()
                          ->Add(ResultOf({Torture("steady", 1 + process * kResultsMost + n),
                                          Torture("of all", 9)}))
                          .ok());
        adding->fetch_sub(1);
        added->fetch_add(1);
      }
      return 0;
    });
  }
  for (const Child& child : children) child.Tell();
  for (Child& child : children) EXPECT_EQ(child.ExitStatus(), 0);
  EXPECT_TRUE(met->load()) << "the premise";
  EXPECT_THAT(*Open()->Runs(), SizeIs(added->load() + 1));
}

TEST(CampaignRuns, AreGoodWhereTheVerdictIsTheExpectedOne) {
  const auto answer = [](const Json& fields) {
    Json run = Torture("steady", 1);
    run.update(fields);
    return RunsOf(ResultOf({run}))->front().answer;
  };
  EXPECT_EQ(answer({{"verdict", "violation"}}), Answer::kBad);
  EXPECT_EQ(answer({{"verdict", "stuck"}, {"expected_verdict", "stuck"}}), Answer::kGood);
  EXPECT_EQ(answer({{"verdict", "leak"}, {"as_expected", true}}), Answer::kGood);
  EXPECT_EQ(answer({{"verdict", "pass"}, {"as_expected", false}}), Answer::kBad);
  EXPECT_EQ(answer({{"verdict", "undecided"}}), Answer::kUndecided);
  EXPECT_EQ(answer({{"verdict", "vacuous"}}), Answer::kUndecided);
  EXPECT_EQ(answer({{"verdict", "skipped"}}), Answer::kSkipped);
}

TEST(CampaignRuns, OfTheSweepAndOfTheGateHaveTheSameCells) {
  const Json run = {{"variant", "v"},
                    {"scenario", "sweep:get:empty"},
                    {"operation", "get"},
                    {"state", "empty"},
                    {"verdict", "pass"}};
  Json sweep = ResultOf({run});
  sweep["kind"] = "sweep";
  Json gate = ResultOf({run});
  gate["kind"] = "gate";
  gate["runs"][0]["tier"] = "sweep";
  EXPECT_EQ(RunsOf(sweep)->front().cell, (Cell{"sweep", "v", "get:empty"}));
  EXPECT_EQ(RunsOf(gate)->front().cell, RunsOf(sweep)->front().cell);
}

StoredRun RunOf(const std::string& cell, const std::string& build, int order, bool good = true,
                double rate = 0) {
  StoredRun run{.cell = {"torture", "v", cell}, .verdict = good ? "pass" : "leak"};
  run.answer = good ? Answer::kGood : Answer::kBad;
  run.seconds = 2;
  run.build = build;
  run.machine = "m";
  run.started_at = absl::StrCat("2026-11-", 10 + order);
  run.repeat = good ? "" : absl::StrCat("kill9 ", cell);
  if (rate > 0) run.figures["operations_per_second"] = rate;
  return run;
}

std::vector<std::string> NamesOf(const Plan& plan) {
  std::vector<std::string> names;
  for (const PlannedCell& cell : plan.cells) names.push_back(cell.cell.name);
  return names;
}

TEST(CampaignPlan, TakesFirstWhatWasNeverTriedThenWhatThisBuildHasNotTriedThenTheOldest) {
  std::vector<Cell> known;
  for (const char* name : {"newest", "oldest", "other_build", "oldest_build", "never"}) {
    known.push_back({"torture", "v", name});
  }
  // That of the other build is the latest of all.
  const std::vector<StoredRun> runs = {RunOf("oldest_build", "a", 0), RunOf("oldest", "c", 2),
                                       RunOf("newest", "c", 3), RunOf("other_build", "b", 4)};
  PlanOptions options{.seconds = 1000, .build = "c", .seed = 1, .folder = "out"};
  const Plan all = MakePlan(known, runs, options);
  EXPECT_THAT(NamesOf(all),
              ElementsAre("never", "oldest_build", "other_build", "oldest", "newest"));
  EXPECT_EQ(all.left_out, 0u);
  options.seconds = 7;  // 3 s each
  const Plan some = MakePlan(known, runs, options);
  EXPECT_THAT(NamesOf(some), ElementsAre("never", "oldest_build"));
  EXPECT_EQ(some.left_out, 3u);
  EXPECT_LE(some.seconds, 7);
  ASSERT_THAT(some.commands, SizeIs(1));
  EXPECT_THAT(some.commands[0].words,
              ElementsAre("torture", "--variant=v", "--seconds=2.0",
                          "--scenario=never,oldest_build", "--seed=1", "--json=out/001.json"));
}

TEST(CampaignPlan, TimeThatIsLeftOverMakesTortureLonger) {
  const std::vector<Cell> known = {{"torture", "v", "a"}, {"torture", "v", "b"}};
  const Plan plan = MakePlan(known, {}, {.seconds = 26, .build = "c", .folder = "out"});
  EXPECT_DOUBLE_EQ(plan.seconds, 26);
  EXPECT_THAT(plan.commands[0].words, Contains("--seconds=12.0"));
}

TEST(CampaignPlan, ExpectsWhatACellTookBefore) {
  StoredRun slow{.cell = {"sweep", "v", "get:empty"}, .verdict = "pass", .answer = Answer::kGood};
  slow.seconds = 50;
  const std::vector<Cell> known = {slow.cell, {"sweep", "v", "put:empty"}};
  const Plan plan = MakePlan(known, {{slow}}, {.seconds = 60, .build = "c", .folder = "out"});
  EXPECT_THAT(NamesOf(plan), ElementsAre("put:empty"));
  EXPECT_THAT(plan.commands[0].words,
              ElementsAre("sweep", "--variant=v", "--operation=put", "--state=empty", "--seed=1",
                          "--json=out/001.json"));
}

TEST(CampaignPlan, KnowsTheCellsOfADesign) {
  const std::vector<const Design*> designs = {FindDesign("global_mutex")};
  const std::vector<Cell> cells = KnownCells(designs);
  EXPECT_THAT(cells, Contains(Cell{"torture", "global_mutex", "steady"}));
  EXPECT_THAT(cells, Contains(Cell{"sweep", "global_mutex", "put_same:one_entry"}));
  EXPECT_THAT(cells, Not(Contains(Cell{"sweep", "global_mutex", "put_same:empty"})));
}

TEST(CampaignSummary, TellsSinceWhichBuildACellFails) {
  // With c it sometimes passes.
  const std::vector<StoredRun> runs = {RunOf("x", "a", 0),
                                       RunOf("x", "b", 1),
                                       RunOf("x", "c", 2, false),
                                       RunOf("x", "c", 2),
                                       RunOf("mended", "c", 2, false),
                                       RunOf("x", "d", 3, false),
                                       RunOf("mended", "d", 3)};
  const Summary summary = Summarise(runs, {});
  ASSERT_THAT(summary.failing, SizeIs(1));
  EXPECT_EQ(summary.failing[0].run.cell.name, "x");
  EXPECT_EQ(summary.failing[0].since, "c");
  EXPECT_EQ(summary.failing[0].before, "b");
  EXPECT_TRUE(summary.bad());
  EXPECT_THAT(AsText(summary), HasSubstr("leak since c (passed with b)\n    repeat: kill9 x"));
}

TEST(CampaignSummary, CallsFlakyWhatIsGoodAndBadWithOneBuild) {
  const std::vector<StoredRun> runs = {RunOf("x", "a", 0), RunOf("x", "a", 1, false),
                                       RunOf("x", "a", 2), RunOf("changed", "a", 0),
                                       RunOf("changed", "b", 1, false)};
  const Summary summary = Summarise(runs, {});
  ASSERT_THAT(summary.flaky, SizeIs(1));
  EXPECT_EQ(summary.flaky[0].cell.name, "x");
  EXPECT_EQ(summary.flaky[0].good, 2u);
  EXPECT_EQ(summary.flaky[0].bad, 1u);
}

std::vector<StoredRun> RatesOf(const std::map<std::string, std::vector<double>>& rates_of_builds) {
  std::vector<StoredRun> runs;
  int order = 0;
  for (const auto& [build, rates] : rates_of_builds) {
    for (const double rate : rates) runs.push_back(RunOf("x", build, order, true, rate));
    ++order;
  }
  return runs;
}

TEST(CampaignSummary, NamesTheCommitSinceWhichAFigureIsWorseBeyondNoise) {
  const Summary summary = Summarise(
      RatesOf(
          {{"a", {100, 102, 98}}, {"b", {101, 99, 103}}, {"c", {70, 72, 71}}, {"d", {69, 73, 71}}}),
      {});
  ASSERT_THAT(summary.regressions, SizeIs(1));
  EXPECT_EQ(summary.regressions[0].since, "c");
  EXPECT_EQ(summary.regressions[0].before, "b");
  EXPECT_NEAR(summary.regressions[0].ratio, 0.7, 0.01);
  ASSERT_THAT(summary.trends, SizeIs(1));
  EXPECT_THAT(summary.trends[0].builds, ElementsAre("a", "b", "c", "d"));
  EXPECT_NEAR(summary.trends[0].values[3], 0.71, 0.01);
}

TEST(CampaignSummary, TakesNoNoiseForAChange) {
  for (const auto& rates : {std::map<std::string, std::vector<double>>{
                                {"a", {100, 60, 140}}, {"b", {70, 65, 110}}},  // spreads meet
                            {{"a", {100, 101, 99}}, {"b", {95, 94, 96}}},      // too little
                            {{"a", {100, 101}}, {"b", {50, 51}}},              // too few
                            {{"a", {100, 101, 99}}, {"b", {50, 51, 52}}, {"c", {99, 100, 101}}}}) {
    EXPECT_THAT(Summarise(RatesOf(rates), {}).regressions, IsEmpty());
  }
}

TEST(CampaignSummary, ChangesOfManyCellsTogetherShowWhereSingleOnesDoNot) {
  std::vector<StoredRun> runs;
  for (const char* cell : {"p", "q", "r", "s"}) {
    runs.push_back(RunOf(cell, "a", 0, true, 100));
    runs.push_back(RunOf(cell, "b", 1, true, 80));
  }
  const Summary summary = Summarise(runs, {});
  ASSERT_THAT(summary.regressions, SizeIs(1));
  EXPECT_EQ(summary.regressions[0].cell.name, "");
  EXPECT_EQ(summary.regressions[0].since, "b");
}

TEST(CampaignSummary, ListsWhatWasNeverTried) {
  const std::vector<Cell> known = {
      {"torture", "v", "x"}, {"torture", "v", "y"}, {"sweep", "w", "get:empty"}};
  const Summary summary = Summarise({{RunOf("x", "a", 0)}}, known);
  ASSERT_THAT(summary.objects, SizeIs(2));
  EXPECT_THAT(summary.objects[0].never, ElementsAre(known[2]));
  EXPECT_EQ(summary.objects[0].tried, 0u);
  EXPECT_THAT(summary.objects[1].never, ElementsAre(known[1]));
  EXPECT_EQ(summary.objects[1].tried, 1u);
  EXPECT_FALSE(summary.bad());
}

TEST(CampaignPage, HasEverythingAndEscapesIt) {
  std::vector<StoredRun> runs = RatesOf({{"a", {100, 102, 98}}, {"b<", {70, 72, 71}}});
  runs.push_back(RunOf("bad & worse", "b<", 1, false));
  const std::string page = AsHtml(Summarise(runs, {{Cell{"sweep", "w", "get:empty"}}}));
  for (const char* part :
       {"<polyline points=\"0.0,30.0 240.0,", "bad &amp; worse: leak since b&lt;",
        "kill9 bad &amp; worse", "is 0.71 of what it was, since b&lt;", "get:empty", "</html>"}) {
    EXPECT_THAT(page, HasSubstr(part));
  }
  EXPECT_THAT(page, Not(HasSubstr("b<:")));
  EXPECT_THAT(AsHtml(Summarise({}, {})), HasSubstr("Nothing."));
  runs.resize(1);
  EXPECT_THAT(AsHtml(Summarise(runs, {})), AllOf(HasSubstr("1 run, "), HasSubstr(", 1 build")));
  EXPECT_THAT(AsHtml(Summarise(runs, {})), Not(HasSubstr(", 1 builds")));
}

}  // namespace
}  // namespace kill9::campaign
