// Signals that reach a traced process from outside.
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstring>

#include "gtest/gtest.h"
#include "harness/stepper/process/breakpoints.h"
#include "harness/stepper/process/process_wait.h"
#include "harness/stepper/process/tracee.h"

namespace kill9::stepper {
namespace {

constexpr uint64_t kVisits = 6;

[[gnu::noinline]] void Visit(uint64_t visit) { asm volatile("" : : "D"(visit) : "memory"); }

// It gets the signal before its begin, too.
pid_t StartVisitor(int signal) {
  const pid_t pid = ForkAs(0);
  if (pid != 0) return pid;
  std::signal(SIGHUP, SIG_IGN);
  TraceMe();
  raise(signal);
  MarkBegin();
  for (uint64_t visit = 1; visit <= kVisits; ++visit) Visit(visit);
  MarkEnd();
  _exit(0);
}

class TraceeSignals : public testing::TestWithParam<int> {};

TEST_P(TraceeSignals, DoNothingToWhomTheyDoNotKill) {
  const int signal = GetParam();
  for (const BreakpointChoice choice :
       {BreakpointChoice::kDebugRegisters, BreakpointChoice::kInt3}) {
    const std::optional<Breakpoints> breakpoints = FindBreakpoints(choice);
    if (!breakpoints.has_value()) continue;  // this machine has none
    SCOPED_TRACE(Name(*breakpoints));
    Tracee::UseBreakpoints(*breakpoints);
    Tracee tracee(StartVisitor(signal));
    ASSERT_EQ(tracee.WaitForBegin(), Tracee::Stop::kTrap) << tracee.signal();
    const uint64_t there = reinterpret_cast<uint64_t>(&Visit);
    kill(tracee.pid(), signal);
    ASSERT_EQ(tracee.RunTo(there, 3), Tracee::Stop::kTrap) << tracee.signal();
    EXPECT_EQ(tracee.Registers().rip, there);
    EXPECT_EQ(tracee.Registers().rdi, 3u);
    // From one visit to the next it takes the same steps, disturbed or not.
    uint64_t taken[2] = {0, 0};
    for (uint64_t n = 0; n < 2; ++n) {
      do {
        if (n == 1) kill(tracee.pid(), signal);
        ASSERT_EQ(tracee.Step(), Tracee::Stop::kTrap) << tracee.signal();
        ++taken[n];
      } while (tracee.InstructionPointer() != there);
    }
    EXPECT_EQ(taken[0], taken[1]);
    EXPECT_GT(taken[0], 1u);
    EXPECT_EQ(tracee.Registers().rdi, 5u);
    kill(tracee.pid(), signal);
    ASSERT_EQ(tracee.Continue(), Tracee::Stop::kTrap) << tracee.signal();
    EXPECT_EQ(tracee.InstructionPointer(), EndAddress() + 1);
    tracee.Kill();
  }
}

INSTANTIATE_TEST_SUITE_P(Signals, TraceeSignals,
                         testing::Values(SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGSTOP, SIGTSTP,
                                         SIGTTIN, SIGTTOU, SIGHUP),
                         [](const auto& one) { return std::string(sigabbrev_np(one.param)); });

TEST(Tracee, DiesOfASignalThatItDoesNotIgnore) {
  Tracee tracee(StartVisitor(SIGUSR1));
  EXPECT_EQ(tracee.WaitForBegin(), Tracee::Stop::kDied);
  EXPECT_EQ(tracee.signal(), SIGUSR1);
  tracee.Kill();
}

}  // namespace
}  // namespace kill9::stepper
