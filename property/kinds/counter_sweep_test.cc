// The counter joins the sweep by its driver and the same line (property/kinds/counter/
// counter_kind.h): every mode runs on it, and what is wrong with a design of it is found.
#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/kinds/sweep_kinds.h"
#include "harness/sweep/sweep.h"
#include "property/kinds/counter/counter_kind.h"
#include "property/kinds/report_of.h"

namespace kill9::sweep {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

SweepOptions Of(std::string_view design, std::vector<std::string> operations = {},
                std::vector<std::string> states = {}) {
  SweepOptions options;
  options.variants = {FindDesign(design)};
  options.operations = std::move(operations);
  options.states = std::move(states);
  options.watchdog_seconds = 2;
  return options;
}

std::vector<Cell> Swept(const std::vector<CellRequest>& requests) {
  std::vector<Cell> cells;
  const absl::Status status =
      RunCells(requests, 0, nullptr, [&](const CellRequest& request, CellArea& area, pid_t) {
        cells.push_back({request, area.result});
      });
  EXPECT_TRUE(status.ok()) << status;
  return cells;
}

TEST(CounterSweep, EveryModePassesOnWhatIsRight) {
  SweepOptions options = Of("atomic_counter");
  options.stall = options.recovery = options.two_victims = options.resume = true;
  options.kill_after_resume = options.reuse = true;
  options.pairs = 3;
  const std::vector<Cell> cells = Swept(PlanCells(options));
  ASSERT_EQ(cells.size(),
            16u);  // add, read, attach, detach, recover in three states; create in one
  for (const Cell& cell : cells) {
    const Json run = RunOf(cell.request, cell.result);
    EXPECT_EQ(run["verdict"], "pass") << run;
    EXPECT_EQ(run["kill_coverage"], 1.0) << run;
    const std::string_view operation = cell.request.operation;
    if (operation != "add" && operation != "read") continue;
    EXPECT_GT(cell.result.instructions, 10u) << run;
    EXPECT_EQ(run["stall"]["by_operation"]["add"]["same_key"], 0.0) << run;
    EXPECT_GT(cell.result.recovery_kill_points, 0u) << run;
    EXPECT_GT(cell.result.two_victim_kill_points, 0u) << run;
    EXPECT_GT(cell.result.resume_points, 0u) << run;
    EXPECT_GT(cell.result.kill_after_resume_kill_points, 0u) << run;
    EXPECT_GT(cell.result.reuse_stops, 0u) << run;
    if (operation != "add") continue;
    EXPECT_GT(cell.result.happened, 0u) << run;
    // Of two deaths and one addition nobody can say whose it was.
    if (std::string_view(cell.request.state) == "half_added") {
      EXPECT_GT(cell.result.indistinguishable, 0u) << run;
    } else {
      EXPECT_GT(cell.result.did_not_happen, 0u) << run;
    }
  }
}

TEST(CounterSweep, ASecondVictimCannotDoWhatACounterDoesNotHave) {
  SweepOptions options = Of("atomic_counter", {"add"}, {"zero"});
  options.two_victims = true;
  options.second = "erase";
  const std::vector<Cell> cells = Swept(PlanCells(options));
  ASSERT_EQ(cells.size(), 1u);
  EXPECT_EQ(cells[0].result.verdict, Verdict::kUndecided);
  EXPECT_THAT(std::string(cells[0].result.error), HasSubstr("have no operation 'erase'"));
}

TEST(CounterSweep, EachInstructionOfAnAdditionAndOfAReadIsKilledAt) {
  SweepOptions options = Of("atomic_counter", {"add", "read"}, {"zero"});
  options.full = true;
  const std::vector<Cell> cells = Swept(PlanCells(options));
  ASSERT_EQ(cells.size(), 2u);
  for (const Cell& cell : cells) {
    const Json run = RunOf(cell.request, cell.result);
    EXPECT_EQ(run["verdict"], "pass") << run;
    EXPECT_EQ(run["kill_coverage_direct"], 1.0) << run;
  }
}

// Who ends without detaching is dead: it needs no kill in the middle.
TEST(CounterSweep, OneThatForgetsTheDeadIsAViolationAfterAnyDeath) {
  const std::vector<Cell> cells = Swept(PlanCells(Of("forgetful_counter", {"add"}, {"zero"})));
  ASSERT_EQ(cells.size(), 1u);
  ASSERT_EQ(cells[0].result.verdict, Verdict::kViolation) << cells[0].result.error;
  EXPECT_EQ(cells[0].result.failure[0].place.at[0], kNowhere);
  EXPECT_THAT(cells[0].result.failure[0].window, HasSubstr("model tally"));
}

TEST(CounterSweep, OneThatRepeatsWhatTheDeadHadDoneIsAViolationInTheMiddleOfAnAddition) {
  const std::vector<Cell> cells =
      Swept(PlanCells(Of("redoing_counter", {"add", "read"}, {"zero"})));
  ASSERT_EQ(cells.size(), 2u);
  for (const Cell& cell : cells) {
    const Json run = RunOf(cell.request, cell.result);
    if (std::string_view(cell.request.operation) == "read") {
      EXPECT_EQ(run["verdict"], "pass") << run;
      continue;
    }
    ASSERT_EQ(run["verdict"], "violation") << run;
    const std::string window = run["counterexample"]["history"];
    EXPECT_THAT(window, HasSubstr("model tally"));
    EXPECT_THAT(window, AllOf(HasSubstr("1 add 1\n"), HasSubstr("X dies in 1\n")));
    // It is right before the first of its three steps and after the last: only those between fail.
    const KillPoint& place = cell.result.failure[0].place;
    EXPECT_GT(place.at[0], 0u);
    EXPECT_LT(place.at[0], cell.result.instructions);
    // And there each time.
    absl::StatusOr<CellRequest> again = RequestOf(run);
    ASSERT_TRUE(again.ok()) << again.status();
    again->replay = 1;
    again->times = 3;
    again->most_failures = 4;
    again->watchdog_seconds = 2;
    const std::vector<Cell> replayed = Swept({*again});
    ASSERT_EQ(replayed.size(), 1u);
    EXPECT_EQ(replayed[0].result.replayed_alike, 3u) << replayed[0].result.error;
  }
}

TEST(CounterSweep, IsInTheReport) {
  SweepOptions options = Of("atomic_counter", {"add", "read"}, {"zero"});
  options.stall = true;
  options.workers = 1;  // the report's columns are in the order of the runs
  options.variants.push_back(FindDesign("redoing_counter"));
  const absl::StatusOr<Json> file = RunSweep(options, nullptr, [](const auto&) {});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)["coverage"][0]["variant"], "atomic_counter");
  EXPECT_EQ((*file)["coverage"][0]["kill_coverage"], 1.0);
  const std::string text = ReportOf(*file);
  EXPECT_THAT(text, HasSubstr("| variant | add | read |"));
  EXPECT_THAT(text, HasSubstr("| atomic\\_counter | pass "));
  EXPECT_THAT(text, HasSubstr("| redoing\\_counter | [**violation "));
  EXPECT_THAT(text, HasSubstr("| stopped in | add | read |"));
  EXPECT_THAT(text, HasSubstr("| atomic\\_counter | add | 0 % | 0 % |"));
}

}  // namespace
}  // namespace kill9::sweep
