// The sweep on a store that is right and on stores that are not: it must find each planted bug, say
// the instruction, and find it there again every time.
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "harness/store_driver/sweep/store_operations.h"
#include "harness/store_driver/sweep/store_scene.h"
#include "harness/sweep/sweep.h"
#include "property/sweep/sweep_array_store.h"

namespace kill9::sweep {
namespace {

using stepper::BreakpointChoice;

std::vector<CellRequest> Plan(const char* variant, std::vector<std::string> operations,
                              std::vector<std::string> states, SweepOptions options = {}) {
  options.variants = {FindArrayVariant(variant)};
  options.operations = std::move(operations);
  options.states = std::move(states);
  options.watchdog_seconds = 1;
  options.most_failures = 1;
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

Cell RunOne(const char* variant, const char* operation, const char* state,
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
  std::vector<Cell> cells = RunAll(Plan("array", {"put_same", "erase"}, {"one_entry"}, options));
  ASSERT_EQ(cells.size(), 2u);
  for (const Cell& cell : cells) {
    EXPECT_EQ(cell.result.verdict, Verdict::kPass)
        << cell.request.operation << ": " << cell.result.error << cell.result.failure[0].message;
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
  for (const Cell& cell : RunAll(Plan("array", {"attach", "detach", "create"}, {"empty"}))) {
    EXPECT_EQ(cell.result.verdict, Verdict::kPass)
        << cell.request.operation << ": " << cell.result.error << cell.result.failure[0].message;
  }
}

TEST(SweepSharpness, AWindowOfOneInstructionIsFoundAndReplays100TimesOf100) {
  Cell cell = RunOne("array_one_instruction_window", "put_same", "one_entry");
  ASSERT_EQ(cell.result.verdict, Verdict::kViolation) << cell.result.error;
  const CellResult again = RepeatFirstFailure(cell, 100);
  EXPECT_EQ(again.replayed, 100u) << again.error;
  EXPECT_EQ(again.replayed_alike, 100u);
  EXPECT_EQ(again.failure[0].address, cell.result.failure[0].address);
  EXPECT_EQ(again.failure[0].segment_hash, cell.result.failure[0].segment_hash);
}

struct Planted {
  const char* variant;
  const char* operation;
  Verdict verdict;
};
class SweepPlanted : public testing::TestWithParam<Planted> {};

TEST_P(SweepPlanted, IsFoundWithItsVerdict) {
  CellRequest request = Plan(GetParam().variant, {GetParam().operation}, {"one_entry"}).at(0);
  request.watchdog_seconds = 0.3;  // of its own time: an operation needs microseconds
  const Cell cell = RunAll({request}).at(0);
  EXPECT_EQ(cell.result.verdict, GetParam().verdict)
      << VerdictName(cell.result.verdict) << " " << cell.result.error
      << cell.result.failure[0].message;
  EXPECT_GT(cell.result.failures, 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Bugs, SweepPlanted,
    testing::Values(Planted{"array_consistent_without_repair", "put_same", Verdict::kViolation},
                    Planted{"array_not_robust", "get", Verdict::kStuck},
                    Planted{"array_leak", "put_same", Verdict::kLeak},
                    Planted{"array_acknowledges_early", "put_same", Verdict::kViolation}),
    [](const auto& planted) { return std::string(planted.param.variant); });

TEST(SweepSharpness, ADeclaredLockFreeReadThatIsBlockedIsStuck) {
  SweepOptions options;
  options.stall = true;
  Cell cell = RunOne("array_claims_lock_free", "put_same", "one_entry", options);
  EXPECT_EQ(cell.result.verdict, Verdict::kStuck) << cell.result.error;
  EXPECT_EQ(cell.result.failure[0].place.mode, Mode::kStall);
}

// No kill finds it, and no stop: the reader must go on after others have used its slot again.
TEST(SweepSharpness, AReadThatIsOverwrittenMeanwhileIsFoundByResumingOnlyAndReplays) {
  Cell killed = RunOne("array_reads_unlocked", "get", "one_entry");
  EXPECT_EQ(killed.result.verdict, Verdict::kPass) << killed.result.failure[0].message;
  SweepOptions options;
  options.resume = true;
  Cell cell = RunOne("array_reads_unlocked", "get", "one_entry", options);
  ASSERT_EQ(cell.result.verdict, Verdict::kViolation) << cell.result.error;
  EXPECT_EQ(cell.result.failure[0].place.mode, Mode::kResume);
  EXPECT_GT(cell.result.resume_stops, 0u);
  const CellResult again = RepeatFirstFailure(cell, 20);
  EXPECT_EQ(again.replayed, 20u) << again.error;
  EXPECT_EQ(again.replayed_alike, 20u);
}

SweepOptions AllBut(bool SweepOptions::*mode) {
  SweepOptions options;
  options.stall = options.recovery = options.two_victims = options.resume = true;
  options.kill_after_resume = options.reuse = options.three_members = true;
  options.pairs = 4;
  options.*mode = false;
  return options;
}
SweepOptions Only(bool SweepOptions::*mode, uint32_t pairs = 0) {
  SweepOptions options;
  options.*mode = true;
  options.pairs = pairs;
  return options;
}

struct FoundByOneMode {
  const char* variant;
  bool SweepOptions::*option;
  Mode mode;
  uint32_t pairs = 0, pairs_of_right = 6;
};
class SweepOfOneMode : public testing::TestWithParam<FoundByOneMode> {};

TEST_P(SweepOfOneMode, FindsWhatNoOtherModeDoesAndReplaysIt) {
  const FoundByOneMode& of = GetParam();
  const Cell others = RunOne(of.variant, "put_same", "one_entry", AllBut(of.option));
  EXPECT_EQ(others.result.verdict, Verdict::kPass)
      << others.result.error << others.result.failure[0].message;
  const Cell right = RunOne("array", "put_same", "one_entry", Only(of.option, of.pairs_of_right));
  EXPECT_EQ(right.result.verdict, Verdict::kPass)
      << right.result.error << right.result.failure[0].message;
  Cell cell = RunOne(of.variant, "put_same", "one_entry", Only(of.option, of.pairs));
  ASSERT_EQ(cell.result.verdict, Verdict::kViolation) << cell.result.error;
  EXPECT_EQ(cell.result.failure[0].place.mode, of.mode);
  const CellResult again = RepeatFirstFailure(cell, 20);
  EXPECT_EQ(again.replayed, 20u) << again.error;
  EXPECT_EQ(again.replayed_alike, 20u);
}

INSTANTIATE_TEST_SUITE_P(
    Modes, SweepOfOneMode,
    testing::Values(FoundByOneMode{"array_takes_back_late", &SweepOptions::kill_after_resume,
                                   Mode::kKillAfterResume},
                    FoundByOneMode{"array_yields_to_two", &SweepOptions::three_members,
                                   Mode::kThreeMembers, 0, 3},
                    FoundByOneMode{"array_recovers_by_number", &SweepOptions::reuse, Mode::kReuse}),
    [](const auto& one) { return std::string(Name(one.param.mode)); });

TEST(SweepSharpness, AKillAfterAResumeIsTriedBesideThoseWhoWaitAndThoseWhoDoNot) {
  constexpr uint32_t kStops = 12, kInterferers = 4;
  const CellResult resumed =
      RunOne("array", "put_same", "one_entry", Only(&SweepOptions::resume, kStops)).result;
  // Of the stops, each beside all interferers, some hold the lock and some do not.
  EXPECT_GT(resumed.resume_stops, 0u);
  EXPECT_LT(resumed.resume_stops, kStops * kInterferers);
  SweepOptions options = Only(&SweepOptions::kill_after_resume, kStops);
  const CellResult killed = RunOne("array", "put_same", "one_entry", options).result;
  EXPECT_EQ(killed.verdict, Verdict::kPass) << killed.error << killed.failure[0].message;
  EXPECT_EQ(killed.kill_after_resume_stops, kStops * kInterferers);
  EXPECT_GT(killed.kill_after_resume_kill_points, 2 * kStops * kInterferers);
}

TEST(SweepSharpness, OnlyADeathWithAParticipantsSlotIsFollowedByANextOwner) {
  constexpr uint32_t kPairs = 4, kInterferers = 4;
  const CellResult put =
      RunOne("array", "put_same", "one_entry", Only(&SweepOptions::reuse, kPairs)).result;
  EXPECT_EQ(put.verdict, Verdict::kPass) << put.error << put.failure[0].message;
  EXPECT_EQ(put.reuse_deaths, kPairs);
  EXPECT_EQ(put.reuse_stops, kPairs * kPairs * kInterferers);
  const CellResult attach =
      RunOne("array", "attach", "one_entry", Only(&SweepOptions::reuse, /*pairs=*/64)).result;
  EXPECT_EQ(attach.verdict, Verdict::kPass) << attach.error << attach.failure[0].message;
  EXPECT_LT(attach.distinct_states, 64u);
  EXPECT_GT(attach.reuse_deaths, 0u);
  EXPECT_LT(attach.reuse_deaths, attach.distinct_states);
}

// Whether a cell's error is that this machine has no debug registers that stop.
bool IsRefused(const Cell& cell) {
  return std::string(cell.result.error).find("no breakpoints by") != std::string::npos;
}

class SweepStoppedBy : public testing::TestWithParam<BreakpointChoice> {};

TEST_P(SweepStoppedBy, KillsAtTheSameInstructionsAndFindsTheSame) {
  SweepOptions options;
  options.breakpoints = GetParam();
  options.full = GetParam() != BreakpointChoice::kSingleSteps;  // which takes long
  const Cell cell = RunOne("array", "put_same", "one_entry", options);
  if (IsRefused(cell)) GTEST_SKIP() << cell.result.error;
  EXPECT_EQ(cell.result.verdict, Verdict::kPass)
      << cell.result.error << cell.result.failure[0].message;
  EXPECT_EQ(Name(cell.result.stopped_by), Name(GetParam()));
  EXPECT_EQ(cell.result.instructions_killed + cell.result.instructions_spoken_for,
            cell.result.instructions + 1u);
  if (GetParam() == BreakpointChoice::kSingleSteps) {
    EXPECT_EQ(cell.result.longest_way, cell.result.instructions);
  } else {
    EXPECT_LT(cell.result.longest_way, cell.result.instructions / 10);
  }
  options.full = false;
  const Cell window = RunOne("array_one_instruction_window", "put_same", "one_entry", options);
  options.breakpoints = BreakpointChoice::kSingleSteps;
  const Cell stepped = RunOne("array_one_instruction_window", "put_same", "one_entry", options);
  ASSERT_EQ(window.result.verdict, Verdict::kViolation) << window.result.error;
  EXPECT_EQ(window.result.instructions, stepped.result.instructions);
  EXPECT_EQ(window.result.distinct_states, stepped.result.distinct_states);
  EXPECT_EQ(window.result.failure[0].place.at[0], stepped.result.failure[0].place.at[0]);
  EXPECT_EQ(window.result.failure[0].segment_hash, stepped.result.failure[0].segment_hash);
}

INSTANTIATE_TEST_SUITE_P(Ways, SweepStoppedBy,
                         testing::Values(BreakpointChoice::kDebugRegisters, BreakpointChoice::kInt3,
                                         BreakpointChoice::kSingleSteps),
                         [](const auto& one) { return std::string(Name(one.param)); });

// Int3: it never miscounts, so any victim that strays does so by the operation.
class SweepOfTheUnsteady : public testing::TestWithParam<const char*> {};

TEST_P(SweepOfTheUnsteady, PassesEveryTimeWithoutAMissedBreakpoint) {
  SweepOptions options;
  options.breakpoints = BreakpointChoice::kInt3;
  options.sample = 40;
  options.recovery = true;
  options.pairs = 1;
  constexpr int kRounds = 3;
  for (int round = 0; round < kRounds; ++round) {
    options.seed = static_cast<uint64_t>(round) + 1;
    const Cell cell = RunOne(GetParam(), "put_same", "one_entry", options);
    EXPECT_EQ(cell.result.verdict, Verdict::kPass)
        << cell.result.error << cell.result.failure[0].message;
    EXPECT_EQ(cell.result.missed_breakpoints, 0u);
    EXPECT_EQ(cell.result.instructions_killed + cell.result.instructions_spoken_for,
              cell.result.instructions + 1u);
    EXPECT_LT(cell.result.longest_way, 100u);
    const std::string name = GetParam();
    if (name == "array_reads_clocks") {
      EXPECT_GE(cell.result.vdso_instructions, 24u);
    }
    if (name == "array_reads_counters") {
      EXPECT_GT(cell.result.unrepeatable, 24u);
    }
    if (name == "array_copies_by_string") {
      EXPECT_GE(cell.result.string_iterations, 2 * (kValueBytes - 1));
    }
    if (name == "array_adds_restartably") {
      EXPECT_EQ(cell.result.restartable_sequences, 5u);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Stores, SweepOfTheUnsteady,
                         testing::Values("array_reads_clocks", "array_reads_counters",
                                         "array_uses_dispatched_strings", "array_copies_by_string",
                                         "array_adds_restartably"),
                         [](const auto& one) { return std::string(one.param); });

// Each state of the cell is reached only through a recovery by somebody who has no place yet.
TEST(SweepSharpness, ARecoveryByWhoHasNoPlaceIsKilledThroughoutWhereAllParticipantsAreDead) {
  SweepOptions options;
  options.recovery = true;
  options.two_victims = true;
  options.second = "attach";
  options.resume = true;
  options.pairs = 4;
  const auto attach = [&options](const char* variant, const char* state) {
    return RunOne(variant, "attach", state, options).result;
  };
  const CellResult right = attach("array", "all_participants_dead");
  EXPECT_EQ(right.verdict, Verdict::kPass) << right.error << right.failure[0].message;
  EXPECT_GE(right.recovered_participants, 8u);
  EXPECT_GT(right.recovery_kill_points, 0u);
  EXPECT_GT(right.two_victim_kill_points, 0u);
  EXPECT_GT(right.resume_points, 0u);
  const CellResult wrong = attach("array_guest_returns_early", "all_participants_dead");
  EXPECT_EQ(wrong.verdict, Verdict::kLeak) << wrong.error;
  const CellResult elsewhere = attach("array_guest_returns_early", "one_entry");
  EXPECT_EQ(elsewhere.verdict, Verdict::kPass) << elsewhere.error << elsewhere.failure[0].message;
  // A store that cannot be attached to before its dead are recovered is no starting state.
  EXPECT_FALSE(Applies(Traits{}, StoreOperation::kPutSame, StoreState::kAllParticipantsDead));
}

// No other cell attaches to a full table of which nobody is dead, or stores so long a key.
TEST(SweepSharpness, AnAttachThatIsRefusedAndTheLongestKeyAreSwept) {
  const auto verdict = [](const char* variant, const char* operation, const char* state) {
    return RunOne(variant, operation, state).result.verdict;
  };
  EXPECT_EQ(verdict("array", "attach", "all_participants_alive"), Verdict::kPass);
  EXPECT_EQ(verdict("array_refused_attach_leaks", "attach", "all_participants_alive"),
            Verdict::kLeak);
  EXPECT_EQ(verdict("array_refused_attach_leaks", "attach", "one_entry"), Verdict::kPass);
  EXPECT_EQ(verdict("array", "get_longest_key", "one_entry"), Verdict::kPass);
  EXPECT_EQ(verdict("array_longest_key_cut_off", "get_longest_key", "one_entry"),
            Verdict::kViolation);
  EXPECT_EQ(verdict("array_longest_key_cut_off", "get", "one_entry"), Verdict::kPass);
  EXPECT_FALSE(Applies(Traits{}, StoreOperation::kGet, StoreState::kAllParticipantsAlive));
  EXPECT_FALSE(Applies(Traits{}, StoreOperation::kGetLongestKey, StoreState::kEmpty));
}

TEST(SweepSharpness, ATraceThatIsNotTheSameEveryTimeIsAnErrorAndNoPass) {
  Cell cell = RunOne("array_takes_as_long_as_the_clock_says", "put_same", "one_entry");
  EXPECT_EQ(cell.result.verdict, Verdict::kUndecided);
  EXPECT_NE(std::string(cell.result.error).find("not the same every time"), std::string::npos)
      << cell.result.error;
}

// What a chain is, a design alone knows; but finding a key behind others takes longer.
TEST(SweepSharpness, KeysOfTheCollisionChainShareABucketInEveryLosslessDesign) {
  for (const char* name : {"global_mutex", "striped_locks", "cas_slots"}) {
    SweepOptions options;
    options.variants = {FindVariant(name)};
    options.operations = {"get"};
    options.states = {"one_entry", "collision_chain"};
    options.sample = 0;
    uint32_t instructions[2] = {};
    for (const Cell& cell : RunAll(PlanCells(options))) {
      instructions[std::string_view(cell.request.state) == "collision_chain"] =
          cell.result.instructions;
    }
    EXPECT_GT(instructions[0], 0u) << name;
    EXPECT_GT(instructions[1], instructions[0]) << name;
  }
}

TEST(SweepSharpness, GlobalMutexPassesASeededSampleOfStatesAndOperations) {
  SweepOptions options;
  options.variants = {FindVariant("global_mutex")};
  options.cells = std::getenv("KILL9_EVERY_INSTRUCTION") != nullptr ? 12 : 5;
  options.recovery = true;
  options.pairs = 2;
  for (const Cell& cell : RunAll(PlanCells(options))) {
    EXPECT_EQ(cell.result.verdict, Verdict::kPass)
        << cell.request.operation << " " << cell.request.state << ": " << cell.result.error
        << cell.result.failure[0].message;
    EXPECT_EQ(cell.result.instructions_killed + cell.result.instructions_spoken_for,
              cell.result.instructions + 1u);
  }
}

TEST(SweepCoverageOfADesign, ItsOwnFilesCountThatNoOperationReached) {
  SweepOptions options;
  options.variants = {FindVariant("global_mutex")};
  options.operations = {"detach"};
  options.states = {"one_entry"};
  const absl::StatusOr<Json> result = RunSweep(options, nullptr, [](const auto&) {});
  ASSERT_TRUE(result.ok()) << result.status();
  const Json& never = result->at("coverage")[0]["lines_never_reached"];
  EXPECT_TRUE(never.contains("variants/stores/global_mutex/global_mutex.cc")) << never;
  EXPECT_FALSE(never.contains("variants/stores/seqlock_ring/index.cc")) << never;
}

// Answers `request` of ptrace with `error` (0: as if it had been done) where its address is `from`
// or above.
void AnswerPtrace(uint32_t request, uint32_t from, uint32_t error) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, request, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, from, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program{std::size(filter), filter};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

// The command's exit code and what it says on a machine that `limits` has made of this one.
std::pair<int, std::string> SweepWith(void (*limits)()) {
  int pipes[2];
  EXPECT_EQ(pipe(pipes), 0);
  const pid_t child = fork();
  if (child == 0) {
    limits();
    dup2(pipes[1], STDERR_FILENO);
    execl(KILL9_COMMAND, "kill9", "sweep", "--variant=global_mutex", "--operation=get",
          "--state=one_entry", nullptr);
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
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return {WEXITSTATUS(status), said};
}

TEST(SweepOnOtherMachines, WithoutPtraceTheCommandSaysWhatAllowsItAndExits2) {
  // What a container without the capability does.
  const auto [code, said] = SweepWith([] { AnswerPtrace(PTRACE_TRACEME, 0, EPERM); });
  EXPECT_EQ(code, 2);
  EXPECT_NE(said.find("SYS_PTRACE"), std::string::npos) << said;
}

TEST(SweepOnOtherMachines, WithoutProcTheCommandSaysSoAndExits2) {
  if (geteuid() != 0) GTEST_SKIP() << "needs a mount namespace";
  const auto [code, said] = SweepWith([] {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        umount2("/proc", MNT_DETACH) != 0) {
      _exit(98);
    }
  });
  if (code == 98) GTEST_SKIP() << "mount namespaces are refused";
  EXPECT_EQ(code, 2);
  EXPECT_NE(said.find("needs /proc"), std::string::npos) << said;
}

TEST(SweepOnOtherMachines, DebugRegistersThatAreAcceptedAndNeverStopAreNotBelieved) {
  const auto [code, said] =
      SweepWith([] { AnswerPtrace(PTRACE_POKEUSER, offsetof(struct user, u_debugreg), 0); });
  EXPECT_EQ(code, 0) << said;
  EXPECT_NE(said.find("stopped by int3"), std::string::npos) << said;
}

TEST(SweepOnOtherMachines, WithoutAnyBreakpointItStepsAndSaysTheSame) {
  const auto [code, said] = SweepWith([] {
    AnswerPtrace(PTRACE_POKEUSER, offsetof(struct user, u_debugreg), EPERM);
    AnswerPtrace(PTRACE_POKETEXT, 0, EPERM);
  });
  EXPECT_EQ(code, 0) << said;
  EXPECT_NE(said.find("stopped by single_steps"), std::string::npos) << said;
}

}  // namespace
}  // namespace kill9::sweep
