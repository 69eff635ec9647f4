// The sweep on a store that is right and on stores that are not: it must find each planted bug, say
// the instruction, and find it there again every time.
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <fstream>
#include <string>
#include <vector>

#include "harness/sweep/sweep.h"
#include "property/sweep_array_store.h"
#include "property/sweep_main.h"

namespace kill9::sweep {
namespace {

std::vector<CellRequest> Plan(const char* variant, std::vector<OperationKind> operations,
                              std::vector<StateKind> states, SweepOptions options = {}) {
  options.variants = {FindArrayVariant(variant)};
  options.operations = std::move(operations);
  options.states = std::move(states);
  options.watchdog_seconds = 1;
  options.most_failures = 2;
  return PlanCells(options);
}

std::vector<Cell> RunAll(const std::vector<CellRequest>& requests) {
  std::vector<Cell> cells;
  absl::Status status =
      RunCells(requests, 0, nullptr, [&](const CellRequest& request, CellArea& area, pid_t) {
        cells.push_back({request, area.result});
      });
  EXPECT_TRUE(status.ok()) << status;
  return cells;
}

Cell RunOne(const char* variant, OperationKind operation, StateKind state,
            SweepOptions options = {}) {
  std::vector<Cell> cells = RunAll(Plan(variant, {operation}, {state}, options));
  EXPECT_EQ(cells.size(), 1u);
  return cells.at(0);
}

// Repeats the first failure of a cell by way of its result file, as a person would.
CellResult RepeatFirstFailure(const Cell& cell, uint32_t times) {
  absl::StatusOr<CellRequest> replay = RequestOf(RunOf(cell.request, cell.result));
  EXPECT_TRUE(replay.ok()) << replay.status();
  if (!replay.ok()) return {};
  replay->replay = 1;
  replay->times = times;
  replay->most_failures = times + 1;
  replay->watchdog_seconds = 1;
  std::vector<Cell> again = RunAll({*replay});
  EXPECT_EQ(again.size(), 1u);
  return again.at(0).result;
}

TEST(SweepSharpness, AStoreThatIsRightPassesAtEveryInstructionOfEveryOperation) {
  SweepOptions options;
  options.full = true;
  options.recovery = true;
  options.two_victims = true;
  options.stall = true;
  options.resume = true;
  options.pairs = 4;
  std::vector<Cell> cells = RunAll(Plan("array", {OperationKind::kPutSame, OperationKind::kErase},
                                        {StateKind::kOneEntry}, options));
  ASSERT_EQ(cells.size(), 2u);
  for (const Cell& cell : cells) {
    EXPECT_EQ(cell.result.verdict, Verdict::kPass)
        << Name(cell.request.operation) << ": " << cell.result.error
        << cell.result.failure[0].message;
    EXPECT_EQ(cell.result.instructions_killed, cell.result.instructions + 1u);
    EXPECT_GT(cell.result.happened, 0u);
    EXPECT_GT(cell.result.did_not_happen, 0u);
    EXPECT_GT(cell.result.recovery_kill_points, 0u);
    EXPECT_GT(cell.result.recoverers_recoverer_kill_points, 0u);
    EXPECT_GT(cell.result.two_victim_kill_points, 0u);
    EXPECT_GT(cell.result.blocked[0], 0u);  // a mutex blocks
    EXPECT_LT(cell.result.blocked[0], cell.result.stalled_instructions);
    EXPECT_GT(cell.result.resumed, 0u);
    EXPECT_GT(cell.result.resume_points, 20u);
    EXPECT_GT(cell.result.recovered_participants, 0u);
  }
}

TEST(SweepSharpness, AttachDetachRecoverAndCreatePass) {
  for (const Cell& cell : RunAll(
           Plan("array", {OperationKind::kAttach, OperationKind::kDetach, OperationKind::kCreate},
                {StateKind::kEmpty}))) {
    EXPECT_EQ(cell.result.verdict, Verdict::kPass)
        << Name(cell.request.operation) << ": " << cell.result.error
        << cell.result.failure[0].message;
  }
}

TEST(SweepSharpness, AWindowOfOneInstructionIsFoundAndReplays100TimesOf100) {
  Cell cell = RunOne("array_one_instruction_window", OperationKind::kPutSame, StateKind::kOneEntry);
  ASSERT_EQ(cell.result.verdict, Verdict::kViolation) << cell.result.error;
  const CellResult again = RepeatFirstFailure(cell, 100);
  EXPECT_EQ(again.replayed, 100u) << again.error;
  EXPECT_EQ(again.replayed_alike, 100u);
  EXPECT_EQ(again.failure[0].address, cell.result.failure[0].address);
  EXPECT_EQ(again.failure[0].segment_hash, cell.result.failure[0].segment_hash);
}

struct Planted {
  const char* variant;
  OperationKind operation;
  Verdict verdict;
};
class SweepPlanted : public testing::TestWithParam<Planted> {};

TEST_P(SweepPlanted, IsFoundWithItsVerdict) {
  Cell cell = RunOne(GetParam().variant, GetParam().operation, StateKind::kOneEntry);
  EXPECT_EQ(cell.result.verdict, GetParam().verdict)
      << VerdictName(cell.result.verdict) << " " << cell.result.error
      << cell.result.failure[0].message;
  EXPECT_GT(cell.result.failures, 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Bugs, SweepPlanted,
    testing::Values(
        Planted{"array_consistent_without_repair", OperationKind::kPutSame, Verdict::kViolation},
        Planted{"array_not_robust", OperationKind::kGet, Verdict::kStuck},
        Planted{"array_leak", OperationKind::kPutSame, Verdict::kLeak},
        Planted{"array_acknowledges_early", OperationKind::kPutSame, Verdict::kViolation}),
    [](const auto& planted) { return std::string(planted.param.variant); });

TEST(SweepSharpness, ADeclaredLockFreeReadThatIsBlockedIsStuck) {
  SweepOptions options;
  options.stall = true;
  Cell cell =
      RunOne("array_claims_lock_free", OperationKind::kPutSame, StateKind::kOneEntry, options);
  EXPECT_EQ(cell.result.verdict, Verdict::kStuck) << cell.result.error;
  EXPECT_EQ(cell.result.failure[0].place.mode, Mode::kStall);
}

// No kill finds it, and no stop: the reader must go on after others have used its slot again.
TEST(SweepSharpness, AReadThatIsOverwrittenMeanwhileIsFoundByResumingOnlyAndReplays) {
  Cell killed = RunOne("array_reads_unlocked", OperationKind::kGet, StateKind::kOneEntry);
  EXPECT_EQ(killed.result.verdict, Verdict::kPass) << killed.result.failure[0].message;
  SweepOptions options;
  options.resume = true;
  Cell cell = RunOne("array_reads_unlocked", OperationKind::kGet, StateKind::kOneEntry, options);
  ASSERT_EQ(cell.result.verdict, Verdict::kViolation) << cell.result.error;
  EXPECT_EQ(cell.result.failure[0].place.mode, Mode::kResume);
  EXPECT_GT(cell.result.resume_stops, 0u);
  const CellResult again = RepeatFirstFailure(cell, 20);
  EXPECT_EQ(again.replayed, 20u) << again.error;
  EXPECT_EQ(again.replayed_alike, 20u);
}

TEST(SweepSharpness, ATraceThatIsNotTheSameEveryTimeIsAnErrorAndNoPass) {
  Cell cell = RunOne("array_reads_clock", OperationKind::kPutSame, StateKind::kOneEntry);
  EXPECT_EQ(cell.result.verdict, Verdict::kUndecided);
  EXPECT_NE(std::string(cell.result.error).find("not the same every time"), std::string::npos)
      << cell.result.error;
}

// What a chain is, a design alone knows; but finding a key behind others takes longer.
TEST(SweepSharpness, KeysOfTheCollisionChainShareABucketInEveryLosslessDesign) {
  for (const char* name : {"global_mutex", "striped_locks", "cas_slots"}) {
    SweepOptions options;
    options.variants = {FindVariant(name)};
    options.operations = {OperationKind::kGet};
    options.states = {StateKind::kOneEntry, StateKind::kCollisionChain};
    options.sample = 0;
    uint32_t instructions[2] = {};
    for (const Cell& cell : RunAll(PlanCells(options))) {
      instructions[cell.request.state == StateKind::kCollisionChain] = cell.result.instructions;
    }
    EXPECT_GT(instructions[0], 0u) << name;
    EXPECT_GT(instructions[1], instructions[0]) << name;
  }
}

TEST(SweepSharpness, GlobalMutexPassesASeededSampleOfStatesAndOperations) {
  SweepOptions options;
  options.variants = {FindVariant("global_mutex")};
  options.cells = 12;
  options.recovery = true;
  options.pairs = 2;
  for (const Cell& cell : RunAll(PlanCells(options))) {
    EXPECT_EQ(cell.result.verdict, Verdict::kPass)
        << Name(cell.request.operation) << " " << Name(cell.request.state) << ": "
        << cell.result.error << cell.result.failure[0].message;
    EXPECT_EQ(cell.result.instructions_killed + cell.result.instructions_spoken_for,
              cell.result.instructions + 1u);
  }
}

// What a container without the capability does: ptrace answers EPERM.
void ForbidPtrace() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program{std::size(filter), filter};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

TEST(SweepSharpness, WithoutPtraceTheCommandSaysWhatAllowsItAndExits2) {
  int pipes[2];
  ASSERT_EQ(pipe(pipes), 0);
  pid_t child = fork();
  if (child == 0) {
    ForbidPtrace();
    dup2(pipes[1], STDERR_FILENO);
    execl(KILL9_COMMAND, "kill9", "sweep", "--variant=global_mutex", "--operation=get", nullptr);
    _exit(99);
  }
  close(pipes[1]);
  std::string said;
  char text[512];
  for (ssize_t got = 0; (got = read(pipes[0], text, sizeof text)) > 0;) {
    said.append(text, static_cast<size_t>(got));
  }
  close(pipes[0]);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 2);
  EXPECT_NE(said.find("SYS_PTRACE"), std::string::npos) << said;
}

}  // namespace
}  // namespace kill9::sweep

int main(int argc, char** argv) { return kill9::sweep::RunTestsOrWorker(argc, argv); }
