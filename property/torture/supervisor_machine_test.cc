// The supervisor on a machine that misbehaves: paused, busy, with a debugger, with somebody else
// who sends signals, or with little to give. No design is blamed for any of it.
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/base/children_of.h"
#include "harness/base/cpu_chance.h"
#include "harness/base/shared_mapping.h"
#include "harness/torture/torture.h"
#include "property/scaffold/busy_children.h"
#include "property/scaffold/eventually.h"
#include "property/scaffold/on_one_core.h"
#include "property/scaffold/planted_store.h"
#include "property/torture/held_memory.h"

namespace kill9 {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr uint64_t kWatchdogUs = 400'000;

// A run that ends by `kills`, far within its seconds; 0: only when something is found, or it is
// asked.
TortureOptions QuickOptions(uint64_t kills = 0) {
  TortureOptions options;
  options.seed = 7;
  options.supervisor.seconds = 600;
  options.supervisor.kills = kills;
  options.supervisor.processes = 3;
  options.supervisor.watchdog_us = kWatchdogUs;
  return options;
}

// Workers that live long, so that one can be found and met.
Scenario Lasting() {
  Scenario scenario = *FindScenario("steady");
  scenario.timer.life_us = 4'000'000'000;
  return scenario;
}

void Sleep(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

std::vector<pid_t> LivingChildrenOf(pid_t parent) {
  std::vector<pid_t> children = ChildrenOf(parent);
  std::erase_if(children, [](pid_t child) {
    std::ifstream stat("/proc/" + std::to_string(child) + "/stat");
    std::string line;
    std::getline(stat, line);
    const size_t after_name = line.rfind(')');
    return after_name == std::string::npos || line.compare(after_name, 3, ") Z") == 0;
  });
  return children;
}

// Whether a process waits in pause(2).
bool IsInPause(pid_t pid) {
#ifdef SYS_pause
  const std::string number = std::to_string(SYS_pause) + " ";
#else
  const std::string number = std::to_string(SYS_ppoll) + " ";
#endif
  std::ifstream file("/proc/" + std::to_string(pid) + "/syscall");
  std::string line;
  return std::getline(file, line) && line.rfind(number, 0) == 0;
}

// A run in a process of its own, which the test meets from outside.
class RunningTorture {
 public:
  RunningTorture(
      const Scenario& scenario, TortureOptions options,
      const std::function<void()>& prepare = [] {},
      const Variant& variant = *FindVariant("global_mutex"))
      : shared_(new (MapShared(sizeof(Shared), 0)) Shared) {
    caller_ = fork();
    if (caller_ != 0) return;
    prepare();
    const TortureResult result =
        RunTorture(variant, scenario, options, [this](const TortureProgress& state) {
          shared_->operations.store(state.operations, std::memory_order_relaxed);
          return shared_->end.load(std::memory_order_relaxed) == 0;
        });
    shared_->verdict.store(result.verdict, std::memory_order_relaxed);
    result.reason.copy(shared_->reason, sizeof shared_->reason - 1);
    shared_->longest_pause_us.store(result.run.value("longest_pause_us", uint64_t{0}),
                                    std::memory_order_relaxed);
    shared_->done.store(1, std::memory_order_release);
    _exit(0);
  }
  ~RunningTorture() {
    if (caller_ != 0) kill(caller_, SIGKILL);
    Reap();
  }

  pid_t caller() const { return caller_; }
  // The process whose children are the workers; they are at work.
  pid_t Supervisor() {
    pid_t found = 0;
    EXPECT_TRUE(Eventually([&] {
      if (shared_->operations.load(std::memory_order_relaxed) == 0) return false;
      for (const pid_t child : LivingChildrenOf(caller_)) {
        if (!LivingChildrenOf(child).empty()) found = child;
      }
      return found != 0;
    })) << reason();
    return found;
  }
  void AwaitOperations(uint64_t least) {
    EXPECT_TRUE(Eventually(
        [&] { return IsDone() || shared_->operations.load(std::memory_order_relaxed) >= least; }));
  }
  void AskToEnd() { shared_->end.store(1, std::memory_order_relaxed); }
  bool IsDone() const { return shared_->done.load(std::memory_order_acquire) != 0; }
  // Waits for the end.
  std::string VerdictOf() {
    EXPECT_TRUE(Eventually([this] { return IsDone(); })) << "the run does not end";
    if (!IsDone()) return "none";
    return std::string(VerdictName(shared_->verdict.load(std::memory_order_relaxed)));
  }
  std::string reason() const { return shared_->reason; }
  uint64_t longest_pause_us() const {
    return shared_->longest_pause_us.load(std::memory_order_relaxed);
  }

 private:
  struct Shared {
    std::atomic<uint32_t> end{0};
    std::atomic<uint32_t> done{0};
    std::atomic<uint64_t> operations{0};
    std::atomic<uint64_t> longest_pause_us{0};
    std::atomic<Verdict> verdict{Verdict::kUndecided};
    char reason[1000] = "";
  };
  void Reap() { waitpid(caller_, nullptr, 0); }

  Shared* shared_;
  pid_t caller_ = 0;
};

// Before everybody else where that is allowed, as the supervisor is: whom this process has stopped
// must not wait until a busy machine lets it go on.
class FirstInLine {
 public:
  FirstInLine() { Become(SCHED_FIFO, 1); }
  ~FirstInLine() { Become(SCHED_OTHER, 0); }

 private:
  static void Become(int policy, int priority) {
    const struct sched_param parameters { priority };
    sched_setscheduler(0, policy, &parameters);
  }
};

// As a paused container is, or a machine whose snapshot is taken.
TEST(SupervisorOnAMachine, FrozenTreeIsNotStuck) {
  // The premise: the freeze came in the middle of a run. It may come as one ends.
  constexpr int kMostRuns = 20;
  int frozen = 0;
  for (int i = 0; i < kMostRuns && frozen < 3; ++i) {
    RunningTorture run(*FindScenario("kill_one_at_a_time"), QuickOptions(600));
    const pid_t supervisor = run.Supervisor();
    ASSERT_NE(supervisor, 0);
    {
      const FirstInLine first;
      kill(run.caller(), SIGSTOP);
      kill(supervisor, SIGSTOP);  // it starts nobody else
      const std::vector<pid_t> workers = LivingChildrenOf(supervisor);
      for (const pid_t worker : workers) kill(worker, SIGSTOP);
      Sleep(5 * kWatchdogUs / 1000);
      // The supervisor goes on first, and looks before any worker has moved.
      kill(supervisor, SIGCONT);
      Sleep(50);
      for (const pid_t worker : workers) kill(worker, SIGCONT);
      kill(run.caller(), SIGCONT);
    }
    EXPECT_EQ(run.VerdictOf(), "pass") << run.reason();
    if (run.longest_pause_us() > 4 * kWatchdogUs) ++frozen;
  }
  EXPECT_EQ(frozen, 3) << "hardly any run was frozen in its middle";
}

// Looks for times in which a process is ready and gets no CPU.
class WaitsForACpu {
 public:
  // A wait of `length` that is seen to go on counts once.
  uint64_t CountLongerThan(std::chrono::microseconds length, const std::vector<pid_t>& processes) {
    const auto now = std::chrono::steady_clock::now();
    for (const pid_t pid : processes) {
      const ProcessTimes times = ReadProcessTimes(pid);
      Wait& wait = waits_[pid];
      if (times.state != 'R' || times.ran_ns != wait.ran_ns || wait.since == now.min()) {
        wait = {times.ran_ns, now};
      } else if (now - wait.since > length) {
        ++count_;
        wait.since = now;
      }
    }
    return count_;
  }

 private:
  struct Wait {
    uint64_t ran_ns = 0;
    std::chrono::steady_clock::time_point since = std::chrono::steady_clock::time_point::min();
  };
  std::map<pid_t, Wait> waits_;
  uint64_t count_ = 0;
};

// Ends when the workers have waited for long, often enough: a machine that is busy with other
// things needs no more work for that.
TEST(SupervisorOnAMachine, WorkersWithoutACpuAreNotStuck) {
  // Of the least weight, on one core, beside many of the usual one: none of them gets it for long.
  constexpr int kBusy = 8;
  constexpr uint64_t kLongWaits = 10;
  TortureOptions options = QuickOptions();
  options.supervisor.watchdog_us = 100'000;
  const OnOneCore pinned;
  RunningTorture run(Lasting(), options, [] { setpriority(PRIO_PROCESS, 0, 19); });
  const pid_t supervisor = run.Supervisor();
  ASSERT_NE(supervisor, 0);
  {
    const std::vector<Child> busy = BusyChildren(kBusy);
    WaitsForACpu waits;
    const std::chrono::microseconds long_wait(2 * options.supervisor.watchdog_us);
    EXPECT_TRUE(Eventually([&] {  // the premise
      return run.IsDone() ||
             waits.CountLongerThan(long_wait, LivingChildrenOf(supervisor)) >= kLongWaits;
    }));
  }
  run.AskToEnd();
  EXPECT_EQ(run.VerdictOf(), "undecided");
  // That nobody gets a CPU at all, a machine that is busy with other things may make true.
  EXPECT_THAT(run.reason(), AnyOf(HasSubstr("interrupted"), HasSubstr("the machine is too busy")));
}

// A stopped worker is charged: nobody of the harness stopped it, and it holds what others wait for.
TEST(SupervisorOnAMachine, LockHolderThatIsStoppedForEverIsStuck) {
  const TortureResult result =
      RunTorture(PlantedVariant(Defect::kStopsItself), *FindScenario("steady"), QuickOptions(),
                 [](const TortureProgress&) { return true; });
  EXPECT_EQ(VerdictName(result.verdict), "stuck") << result.reason;
}

// A loaded machine takes its time to end a killed process, here a debugger does: the design has no
// part in it.
void ExpectNoFindingWhereADebuggerKeepsTheDead(const Scenario& scenario) {
  TortureOptions options = QuickOptions(240);  // enough that a test without a CPU still meets it
  options.supervisor.watchdog_us = kWatchdogUs / 3;  // the call that is cut off overlaps little
  RunningTorture run(scenario, options);
  const pid_t supervisor = run.Supervisor();
  ASSERT_NE(supervisor, 0);
  pid_t victim = 0;
  EXPECT_TRUE(Eventually([&] {  // one that was not killed meanwhile
    for (const pid_t worker : LivingChildrenOf(supervisor)) {
      if (ptrace(PTRACE_SEIZE, worker, nullptr, nullptr) != 0) continue;
      victim = worker;
      return true;
    }
    return false;
  }));
  if (victim == 0) GTEST_SKIP() << "no ptrace here";
  // A signal stops it first, for its debugger: that lets it go on, to its death.
  siginfo_t state{};
  for (;;) {
    ASSERT_EQ(
        waitid(P_PID, static_cast<id_t>(victim), &state, WEXITED | WSTOPPED | WNOWAIT | __WALL), 0);
    if (state.si_code == CLD_KILLED || state.si_code == CLD_EXITED) break;
    int status = 0;
    ASSERT_EQ(waitpid(victim, &status, __WALL), victim);
    ptrace(PTRACE_CONT, victim, nullptr, WSTOPSIG(status));
  }
  Sleep(6 * static_cast<int>(options.supervisor.watchdog_us) / 1000);
  EXPECT_FALSE(run.IsDone()) << run.reason();
  EXPECT_EQ(waitpid(victim, nullptr, __WALL), victim);
  // The debugger, too, may wait for a CPU: that worker is stopped by somebody else for so long. And
  // between the two signals of a kill it may have stopped the victim at the first, which then is
  // neither waiting any more nor what the victim died of.
  if (run.VerdictOf() == "undecided") {
    EXPECT_THAT(run.reason(),
                AnyOf(HasSubstr("stopped by somebody else, or the machine is too busy"),
                      HasSubstr("a SIGKILL that kill9 did not send")));
  } else {
    EXPECT_EQ(run.VerdictOf(), "pass") << run.reason();
  }
}

TEST(SupervisorOnAMachine, KilledWorkerThatIsReapedLateIsNoFinding) {
  Scenario scenario = Lasting();
  scenario.outside = OutsideKills::kOne;
  scenario.outside_interval_us = 20'000;
  ExpectNoFindingWhereADebuggerKeepsTheDead(scenario);
}

TEST(SupervisorOnAMachine, WorkerWhoseTimerWasDueAndThatIsReapedLateIsNoFinding) {
  Scenario scenario = *FindScenario("steady");
  scenario.timer = {.life_us = 20'000};  // in the middle of its work
  ExpectNoFindingWhereADebuggerKeepsTheDead(scenario);
}

// The dead are reaped, and what is mapped in their memory is still there, and with it what tells
// that they live: nobody can find them dead.
TEST(SupervisorOnAMachine, MemoryThatOutlivesItsWorkerIsNoLeak) {
  TortureOptions options = QuickOptions(40);
  options.supervisor.watchdog_us = 60'000'000;
  RunningTorture run(*FindScenario("kill_one_at_a_time"), options);
  const pid_t supervisor = run.Supervisor();
  ASSERT_NE(supervisor, 0);
  HeldMemory memory;
  if (!memory.usable()) {
    run.AskToEnd();
    GTEST_SKIP() << "no userfaultfd here";
  }
  // All that live now, of which one dies soon.
  kill(supervisor, SIGSTOP);
  std::vector<pid_t> held;
  for (const pid_t worker : LivingChildrenOf(supervisor)) {
    if (memory.Hold(worker)) held.push_back(worker);
  }
  kill(supervisor, SIGCONT);
  EXPECT_FALSE(held.empty());
  const auto one_is_gone = [&held] {
    return std::any_of(held.begin(), held.end(), [](pid_t worker) { return kill(worker, 0) != 0; });
  };
  EXPECT_TRUE(Eventually([&] { return one_is_gone() || run.IsDone(); }));
  Sleep(300);  // many times what it takes to recover and audit
  EXPECT_TRUE(one_is_gone()) << "the premise";
  EXPECT_FALSE(run.IsDone()) << run.reason();
  memory.Release();
  EXPECT_EQ(run.VerdictOf(), "pass") << run.reason();
}

// Its last operation is open for ever, and never comes out of its ring.
TEST(SupervisorOnAMachine, DeadWorkerThatADebuggerKeepsEndsNoRunLate) {
  TortureOptions options = QuickOptions();
  options.supervisor.watchdog_us = 60'000'000;
  RunningTorture run(
      Lasting(), options, [] {}, PlantedVariant(Defect::kHangs));
  const pid_t supervisor = run.Supervisor();
  const std::vector<pid_t> workers = LivingChildrenOf(supervisor);
  ASSERT_FALSE(workers.empty());
  const pid_t victim = workers.front();
  if (ptrace(PTRACE_SEIZE, victim, nullptr, nullptr) != 0) GTEST_SKIP() << "no ptrace here";
  // Inside an operation, where it hangs.
  EXPECT_TRUE(Eventually([victim] { return IsInPause(victim); }));
  run.AskToEnd();  // everybody is killed; the debugger's victim is not reaped
  EXPECT_EQ(run.VerdictOf(), "undecided");
  EXPECT_THAT(run.reason(), HasSubstr("interrupted"));
  EXPECT_EQ(waitpid(victim, nullptr, __WALL), victim);
}

// One kill is enough, also if it is noticed only when the victim's own timer would have gone off.
// That the timer goes off just before the kill, which is then none from outside, is once in some
// ten thousand runs.
TEST(SupervisorOnAMachine, KillFromOutsideIsNeverAPass) {
  constexpr int kLifeMs = 500;
  Scenario scenario = *FindScenario("steady");
  scenario.timer.life_us = kLifeMs * 1000;
  for (int i = 0; i < 2; ++i) {
    RunningTorture run(scenario, QuickOptions());
    const pid_t supervisor = run.Supervisor();
    ASSERT_NE(supervisor, 0);
    EXPECT_TRUE(Eventually([supervisor] {
      const FirstInLine first;
      kill(supervisor, SIGSTOP);
      const std::vector<pid_t> workers = LivingChildrenOf(supervisor);
      if (!workers.empty()) return kill(workers.front(), SIGKILL) == 0;
      kill(supervisor, SIGCONT);  // it did not come to start others
      return false;
    }));
    Sleep(2 * 2 * kLifeMs);  // by now every timer was due
    kill(supervisor, SIGCONT);
    EXPECT_EQ(run.VerdictOf(), "undecided");
    EXPECT_THAT(run.reason(), HasSubstr("did not send"));
  }
}

// What a write did was seen, and the write itself is not recorded yet: a history that is cut off
// there is not consistent, and the design is.
TEST(SupervisorOnAMachine, SupervisorThatIsKilledLeavesNoViolation) {
  Scenario scenario = *FindScenario("hot_key");
  scenario.timer.life_us = Lasting().timer.life_us;
  int cut_off = 0;
  for (int i = 0; i < 20 && cut_off == 0; ++i) {
    RunningTorture run(
        scenario, QuickOptions(), [] {}, PlantedVariant(Defect::kReturnsLate));
    const pid_t supervisor = run.Supervisor();
    ASSERT_NE(supervisor, 0);
    run.AwaitOperations(2'000);
    EXPECT_EQ(kill(supervisor, SIGKILL), 0);
    EXPECT_EQ(run.VerdictOf(), "undecided") << run.reason();
    EXPECT_THAT(run.reason(), HasSubstr("the supervisor did not end properly"));
    cut_off += run.reason().find("cut off") != std::string::npos;
  }
  EXPECT_GT(cut_off, 0) << "the premise: such a history is not consistent";
}

TEST(SupervisorOnAMachine, FullTableOfFilesIsNotTheDesigns) {
  RunningTorture run(*FindScenario("steady"), QuickOptions(), [] {
    const rlim_t open_now = 6;  // of which five are in use when a worker attaches
    const struct rlimit limit { open_now, open_now };
    setrlimit(RLIMIT_NOFILE, &limit);
  });
  EXPECT_EQ(run.VerdictOf(), "undecided");
  EXPECT_THAT(run.reason(), HasSubstr("oo many open files"));
}

TEST(SupervisorOnAMachine, MachineWithoutTimersIsNotTheDesigns) {
  RunningTorture run(*FindScenario("steady"), QuickOptions(), [] {
    const struct rlimit none { 0, 0 };
    setrlimit(RLIMIT_SIGPENDING, &none);
  });
  EXPECT_EQ(run.VerdictOf(), "undecided");
  EXPECT_THAT(run.reason(), HasSubstr("refuses a timer"));
}

TEST(SupervisorOnAMachine, FilesOfLimitedSizeAreNotTheDesigns) {
  RunningTorture run(*FindScenario("steady"), QuickOptions(), [] {
    const struct rlimit small { 4096, 4096 };
    setrlimit(RLIMIT_FSIZE, &small);
  });
  EXPECT_EQ(run.VerdictOf(), "undecided");
  EXPECT_THAT(run.reason(), HasSubstr("ulimit -f"));
}

TEST(SupervisorOnAMachine, SamplesOfRecoveryAreOfDeaths) {
  Scenario scenario = *FindScenario("steady");
  scenario.timer.life_us = 60'000;  // longer than between two audits, which clear the timers
  const TortureResult result = RunTorture(*FindVariant("global_mutex"), scenario, QuickOptions(40),
                                          [](const TortureProgress&) { return true; });
  const uint64_t deaths = result.run["kills"]["total"];
  EXPECT_GE(deaths, 40u);
  EXPECT_LE(result.run["recovery_us"]["samples"].get<uint64_t>(), deaths);
  EXPECT_EQ(result.run["death_noted_us"]["samples"].get<uint64_t>(), deaths);
}

}  // namespace
}  // namespace kill9
