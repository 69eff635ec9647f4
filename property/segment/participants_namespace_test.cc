// Who is dead, where PIDs lie: reused ones, and other PID namespaces.
#include <sched.h>
#include <sys/syscall.h>

#include "property/scaffold/eventually.h"
#include "property/scaffold/namespaces.h"
#include "property/segment/participants_fixture.h"

namespace kill9 {
namespace {

// A child with the PID that `pid` says (clone3's set_tid), in the caller's innermost PID namespace.
pid_t ForkWithPid(pid_t pid) {
  struct Arguments {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
        set_tid_size, cgroup;
  } arguments{};
  arguments.exit_signal = SIGCHLD;
  arguments.set_tid = reinterpret_cast<uint64_t>(&pid);
  arguments.set_tid_size = 1;
  return static_cast<pid_t>(syscall(SYS_clone3, &arguments, sizeof arguments));
}

TEST_F(Participants, ReusedPidDoesNotInheritTheDeadOnesIdentity) {
  Make(8);
  Shared<std::atomic<uint64_t>> slot_of_victim;
  int status = InNewPidNamespace([&] {
    constexpr pid_t kPid = 300;
    auto spawn = [&](bool claims) -> pid_t {
      pid_t pid = ForkWithPid(kPid);
      if (pid != 0) return pid;
      if (claims) {
        absl::StatusOr<Participant> claim = table_.Claim();
        if (!claim.ok()) _exit(1);
        slot_of_victim->store(claim->slot() + 1, std::memory_order_release);
        for (;;) pause();
      }
      for (;;) pause();
    };
    pid_t victim = spawn(true);
    if (victim < 0) return kNoNamespace;
    CHILD_REQUIRE(victim == kPid);
    while (slot_of_victim->load(std::memory_order_acquire) == 0) SleepMicroseconds(100);
    uint32_t slot = static_cast<uint32_t>(slot_of_victim->load(std::memory_order_acquire) - 1);
    uint32_t generation = 0;
    CHILD_REQUIRE(!table_.MarkIfDead(slot, &generation));
    kill(kPid, SIGKILL);
    CHILD_REQUIRE(waitpid(kPid, nullptr, 0) == kPid);
    CHILD_REQUIRE(spawn(false) == kPid);  // a stranger with the victim's PID
    CHILD_REQUIRE(kill(kPid, 0) == 0);
    CHILD_REQUIRE(table_.MarkIfDead(slot, &generation));
    CHILD_REQUIRE(table_.MarkRecovered(slot, generation));
    kill(kPid, SIGKILL);
    CHILD_REQUIRE(waitpid(kPid, nullptr, 0) == kPid);
    // And one that claims the same slot under the same PID is a new participant, alive.
    slot_of_victim->store(0, std::memory_order_release);
    CHILD_REQUIRE(spawn(true) == kPid);
    while (slot_of_victim->load(std::memory_order_acquire) == 0) SleepMicroseconds(100);
    CHILD_REQUIRE(slot_of_victim->load(std::memory_order_acquire) == slot + 1);
    CHILD_REQUIRE(!table_.MarkIfDead(slot, &generation));
    CHILD_REQUIRE(table_.state(slot) == ParticipantState::kInUse);
    return 0;
  });
  if (status == kNoNamespace)
    GTEST_SKIP() << "this machine lets us make no PID namespace with chosen PIDs";
  EXPECT_EQ(status, 0);
}

TEST_F(Participants, OtherPidNamespacesSeeTheSameLivesAndDeaths) {
  Make(8);
  uint32_t outside = 0;
  Child victim = Victim(&outside);
  absl::StatusOr<Participant> mine = table_.Claim();
  ASSERT_TRUE(mine.ok());
  Shared<std::atomic<uint64_t>> step;
  Child inside([&](Line&) {
    return InNewPidNamespace([&] {
      uint32_t generation = 0;
      // Processes that cannot even be named from here are not dead for that.
      CHILD_REQUIRE(!table_.MarkIfDead(outside, &generation));
      CHILD_REQUIRE(!table_.MarkIfDead(mine->slot(), &generation));
      absl::StatusOr<Participant> own = table_.Claim();
      CHILD_REQUIRE(own.ok());
      step->store(own->slot() + 1, std::memory_order_release);
      while (step->load(std::memory_order_acquire) != 1000) SleepMicroseconds(100);
      CHILD_REQUIRE(table_.MarkIfDead(outside, &generation));
      for (;;) pause();
      return 0;
    });
  });
  EXPECT_TRUE(Eventually([&] {
    siginfo_t info{};
    return step->load(std::memory_order_acquire) != 0 ||
           (waitid(P_PID, static_cast<id_t>(inside.pid()), &info, WEXITED | WNOHANG | WNOWAIT) ==
                0 &&
            info.si_pid != 0);
  }));
  uint64_t word = step->load(std::memory_order_acquire);
  if (word == 0) {
    ASSERT_EQ(inside.ExitStatus(), kNoNamespace);
    GTEST_SKIP() << "this machine lets us make no PID namespace";
  }
  uint32_t slot_inside = static_cast<uint32_t>(word - 1);
  EXPECT_FALSE(Dead(slot_inside));
  victim.KillAndReap();
  step->store(1000, std::memory_order_release);
  EXPECT_TRUE(Eventually([&] { return table_.state(outside) == ParticipantState::kDead; }))
      << "not found by the other namespace";
  inside.KillAndReap();  // takes the namespace with it
  EXPECT_TRUE(Eventually([&] { return Dead(slot_inside); }));
}

}  // namespace
}  // namespace kill9
