// A kind of object that the tree does not have joins the sweep by its driver alone: every mode runs
// on it, and finds what is wrong with it.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "harness/kinds/sweep_kinds.h"
#include "harness/sweep/judge/history_check.h"
#include "harness/sweep/sweep.h"
#include "property/sweep/sweep_register.h"

namespace kill9::sweep {
namespace {

std::vector<Cell> Sweep(const Design& design, std::vector<std::string> operations = {}) {
  SweepOptions options;
  options.variants = {&design};
  options.operations = std::move(operations);
  options.full = options.stall = options.recovery = options.two_victims = options.resume = true;
  options.kill_after_resume = options.reuse = options.three_members = true;
  options.pairs = 3;
  options.watchdog_seconds = 2;
  std::vector<Cell> cells;
  const absl::Status status = RunCells(PlanCells(options), 0, nullptr,
                                       [&](const CellRequest& request, CellArea& area, pid_t) {
                                         cells.push_back({request, area.result});
                                       });
  EXPECT_TRUE(status.ok()) << status;
  return cells;
}

TEST(SweepOfAnotherKind, EveryModePassesOnWhatIsRight) {
  const std::vector<Cell> cells = Sweep(kRegister);
  ASSERT_EQ(cells.size(), 6u);
  for (const Cell& cell : cells) {
    EXPECT_EQ(cell.result.verdict, Verdict::kPass)
        << cell.request.operation << ": " << cell.result.error << cell.result.failure[0].message;
    EXPECT_EQ(cell.result.instructions_killed, cell.result.instructions + 1u);
    if (std::string_view(cell.request.operation) != "write") continue;
    EXPECT_GT(cell.result.happened, 0u);
    EXPECT_GT(cell.result.did_not_happen, 0u);
    EXPECT_GT(cell.result.kill_after_resume_kill_points, 0u);
    EXPECT_GT(cell.result.reuse_stops, 0u);
    EXPECT_GT(cell.result.three_member_ends, 0u);
    const Json run = RunOf(cell.request, cell.result);
    EXPECT_EQ(run["stall"]["by_operation"]["read"]["same_key"], 0.0) << run;
  }
}

TEST(SweepOfAnotherKind, AWriteOfTwoHalvesIsAViolationThatShowsTheHistory) {
  const std::vector<Cell> cells = Sweep(kTornRegister, {"write"});
  ASSERT_EQ(cells.size(), 1u);
  ASSERT_EQ(cells[0].result.verdict, Verdict::kViolation) << cells[0].result.error;
  const Json run = RunOf(cells[0].request, cells[0].result);
  const std::string window = run["counterexample"]["history"];
  EXPECT_NE(window.find("model register"), std::string::npos) << window;
  EXPECT_NE(window.find("get ->"), std::string::npos) << window;
}

// A history of a register that a victim died writing, and what others saw of it.
class HistoryOfADeath : public testing::Test {
 protected:
  HistoryOfADeath() {
    OperationLog victim = history_->VictimLog(0);
    completed_ = victim.Begin(kVictims, Function::kPut, 0, kWritten);
    history_->CloseVictim(0, nullptr);
    completed_.outcome = Outcome::kOk;
  }
  void Record(Function function, uint64_t argument, uint64_t result) {
    OperationLog log = history_->SurvivorLog();
    log.End(log.Begin(kSurvivorBefore, function, 0, argument), Outcome::kOk, result);
  }
  void Read(uint64_t value) { Record(Function::kGet, kNothing, value); }
  DecidedOutcome Decided() {
    const HistoryCheck::Found found = check_.Check(*history_);
    EXPECT_EQ(found.verdict, Verdict::kPass) << found.message;
    return check_.OutcomeOf(completed_);
  }

  static constexpr uint64_t kWritten = 7;
  const std::unique_ptr<CellHistory> history_ = std::make_unique<CellHistory>();
  const RegisterScene scene_{kRegister, nullptr};
  HistoryCheck check_{scene_, {}};
  Operation completed_;
};

TEST_F(HistoryOfADeath, AWriteThatIsReadHasHappened) {
  Read(kWritten);
  Read(kWritten);
  EXPECT_EQ(Decided(), DecidedOutcome::kHappened);
}

TEST_F(HistoryOfADeath, AWriteBeforeWhichTheOldIsReadHasNot) {
  Read(kNothing);
  EXPECT_EQ(Decided(), DecidedOutcome::kDidNotHappen);
}

TEST_F(HistoryOfADeath, WhatNobodySawMayBeEither) {
  Record(Function::kPut, 8, kNothing);
  Read(8);
  EXPECT_EQ(Decided(), DecidedOutcome::kNone);
}

TEST_F(HistoryOfADeath, AWriteThatIsSeenOnlyAfterTheOldIsAViolation) {
  Read(kNothing);
  Read(kNothing);
  Read(kWritten);
  const HistoryCheck::Found found = check_.Check(*history_);
  EXPECT_EQ(found.verdict, Verdict::kViolation);
  EXPECT_NE(found.window.find("X dies in 1"), std::string::npos) << found.window;
}

// A refusal without a kill leaves no effect for a kill to have.
TEST_F(HistoryOfADeath, WhatIsRefusedWithoutAKillHasNoEffectWithOne) {
  history_->victim_count[0].store(0);
  completed_.outcome = Outcome::kRefused;
  history_->VictimLog(0).Begin(kVictims, Function::kPut, 0, kWritten);
  history_->CloseVictim(0, &completed_);
  Read(kWritten);
  EXPECT_EQ(check_.Check(*history_).verdict, Verdict::kViolation);
}

}  // namespace
}  // namespace kill9::sweep
