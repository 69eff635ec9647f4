// Who is attached and who is dead: the participants' table with real processes that really die.
#include "variants/segment/participants.h"

#include <sched.h>
#include <spawn.h>
#include <sys/syscall.h>

#include <algorithm>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "property/scaffold/eventually.h"
#include "property/segment/participants_fixture.h"

extern char** environ;

namespace kill9 {
namespace {

using ::testing::HasSubstr;

TEST_F(Participants, SlotGoesFreeInUseFreeAndGenerationsNeverRepeat) {
  Make(1);
  uint32_t last = table_.generation(0);
  for (int round = 0; round < 100; ++round) {
    EXPECT_EQ(table_.state(0), ParticipantState::kFree);
    absl::StatusOr<Participant> participant = table_.Claim();
    ASSERT_TRUE(participant.ok()) << participant.status();
    EXPECT_EQ(table_.state(0), ParticipantState::kInUse);
    EXPECT_GT(participant->generation(), last);
    EXPECT_EQ(participant->generation(), table_.generation(0));
    EXPECT_FALSE(Dead(0));
    last = participant->generation();
  }
}

TEST_F(Participants, MovedClaimIsReleasedOnceByItsLastOwner) {
  Make(2);
  absl::StatusOr<Participant> claimed = table_.Claim();
  ASSERT_TRUE(claimed.ok());
  Participant second = *std::move(claimed);
  claimed->Release();  // moved from: nothing
  EXPECT_EQ(table_.state(second.slot()), ParticipantState::kInUse);
  Participant third;
  third = std::move(second);
  uint32_t slot = third.slot();
  third.Release();
  third.Release();
  EXPECT_EQ(table_.state(slot), ParticipantState::kFree);
}

TEST_F(Participants, FullTableIsAClearErrorAndTheDeadDoNotFreeSlotsByThemselves) {
  Make(3);
  std::vector<Participant> claims;
  for (int i = 0; i < 2; ++i) {
    absl::StatusOr<Participant> claim = table_.Claim();
    ASSERT_TRUE(claim.ok()) << claim.status();
    claims.push_back(*std::move(claim));
  }
  uint32_t slot = 0;
  Child victim = Victim(&slot);
  absl::Status full = table_.Claim().status();
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(full.message()), HasSubstr("all 3 participant slots"));
  victim.KillAndReap();
  // P2: what its ledger says must be returned first.
  EXPECT_EQ(table_.Claim().status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(RecoverSlot(slot));
  EXPECT_TRUE(table_.Claim().ok());
}

TEST_F(Participants, KilledProcessIsDeadAndIsRecoveredOnce) {
  Make(4);
  uint32_t slot = 0;
  Child victim = Victim(&slot);
  EXPECT_FALSE(Dead(slot));
  victim.KillAndReap();
  uint32_t generation = 0;
  ASSERT_TRUE(table_.MarkIfDead(slot, &generation));
  EXPECT_EQ(table_.state(slot), ParticipantState::kDead);
  EXPECT_EQ(generation, table_.generation(slot));
  EXPECT_TRUE(table_.MarkIfDead(slot, &generation));  // still
  EXPECT_FALSE(table_.MarkRecovered(slot, generation + 1));
  EXPECT_TRUE(table_.MarkRecovered(slot, generation));
  EXPECT_FALSE(table_.MarkRecovered(slot, generation));
  EXPECT_FALSE(table_.MarkIfDead(slot, &generation));
  EXPECT_EQ(table_.state(slot), ParticipantState::kFree);
}

TEST_F(Participants, ProcessThatExitsWithoutDetachingIsDeadToo) {
  Make(4);
  Child child([this](Line&) {
    auto* leaked = new absl::StatusOr<Participant>(table_.Claim());
    return leaked->ok() ? 0 : 1;
  });
  EXPECT_EQ(child.ExitStatus(), 0);
  EXPECT_TRUE(Dead(0));
}

TEST_F(Participants, ZombieCountsAsDead) {
  Make(4);
  uint32_t slot = 0;
  Child victim = Victim(&slot);
  victim.Signal(SIGKILL);
  victim.AwaitZombie();
  EXPECT_EQ(kill(victim.pid(), 0), 0);  // what fools kill(pid, 0)
  EXPECT_TRUE(Dead(slot));
}

TEST_F(Participants, StoppedProcessIsNotDead) {
  Make(4);
  uint32_t slot = 0;
  Child victim = Victim(&slot);
  victim.Signal(SIGSTOP);
  victim.AwaitStopped();
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(Dead(slot));
  EXPECT_EQ(table_.state(slot), ParticipantState::kInUse);
  victim.Signal(SIGCONT);
  EXPECT_FALSE(Dead(slot));
  victim.KillAndReap();
  EXPECT_TRUE(Dead(slot));
}

TEST_F(Participants, NewGenerationOfASlotIsNotMistakenForTheDeadOne) {
  Make(1);
  uint32_t slot = 0;
  Child victim = Victim(&slot);
  victim.KillAndReap();
  uint32_t old_generation = 0;
  ASSERT_TRUE(table_.MarkIfDead(slot, &old_generation));
  ASSERT_TRUE(table_.MarkRecovered(slot, old_generation));
  absl::StatusOr<Participant> successor = table_.Claim();
  ASSERT_TRUE(successor.ok());
  // A recoverer that slept through all this must not free the successor's slot.
  EXPECT_FALSE(table_.MarkRecovered(slot, old_generation));
  EXPECT_FALSE(Dead(slot));
  EXPECT_EQ(table_.state(slot), ParticipantState::kInUse);
}

TEST_F(Participants, ForkedChildHasNoPartInItsParentsClaim) {
  Make(4);
  absl::StatusOr<Participant> mine = table_.Claim();
  ASSERT_TRUE(mine.ok());
  EXPECT_TRUE(mine->guard().mine());
  Child child([&](Line&) {
    CHILD_REQUIRE(!mine->guard().mine());
    mine->Release();
    CHILD_REQUIRE(table_.state(mine->slot()) == ParticipantState::kInUse);
    absl::StatusOr<Participant> own = table_.Claim();
    CHILD_REQUIRE(own.ok() && own->slot() != mine->slot() && own->guard().mine());
    uint32_t generation = 0;
    CHILD_REQUIRE(!table_.MarkIfDead(mine->slot(), &generation));
    return 0;
  });
  EXPECT_EQ(child.ExitStatus(), 0);
  EXPECT_TRUE(mine->guard().mine());
  EXPECT_EQ(table_.state(mine->slot()), ParticipantState::kInUse);
  EXPECT_FALSE(Dead(mine->slot()));
}

// Three ways in which a child of the victim outlives it; the death must be known at once.
enum class Offspring { kFork, kSpawn, kRawClone };

class ParticipantsOffspring : public Participants,
                              public ::testing::WithParamInterface<Offspring> {};

TEST_P(ParticipantsOffspring, OutlivesTheVictimWithoutHidingItsDeath) {
  Make(4);
  uint32_t slot = 0;
  Child victim([this](Line& parent) {
    absl::StatusOr<Participant> participant = table_.Claim();
    CHILD_REQUIRE(participant.ok());
    pid_t pid = -1;
    if (GetParam() == Offspring::kSpawn) {
      char command[] = "sleep";
      char time[] = "120";
      char* arguments[] = {command, time, nullptr};
      CHILD_REQUIRE(posix_spawnp(&pid, "sleep", nullptr, nullptr, arguments, environ) == 0);
    } else {
      pid =
          GetParam() == Offspring::kFork
              ? fork()
              : static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
      CHILD_REQUIRE(pid >= 0);
      if (pid == 0) {
        alarm(kWatchdogSeconds);
        if (participant->guard().mine()) _exit(1);  // the page is wiped in every kind of child
        participant->Release();
        parent.Tell(1);
        for (;;) pause();
      }
    }
    parent.Tell(static_cast<uint64_t>(pid) << 32 | participant->slot());
    for (;;) pause();
  });
  uint64_t word = 0;
  pid_t offspring = -1;
  for (int told = 0; told < (GetParam() == Offspring::kSpawn ? 1 : 2); ++told) {
    ASSERT_TRUE(victim.Await(&word));
    if (word == 1) continue;
    offspring = static_cast<pid_t>(word >> 32);
    slot = static_cast<uint32_t>(word);
  }
  ASSERT_GT(offspring, 0);
  EXPECT_EQ(table_.state(slot), ParticipantState::kInUse)
      << "the offspring's Release() must do nothing";
  EXPECT_FALSE(Dead(slot));
  victim.KillAndReap();
  ASSERT_EQ(kill(offspring, 0), 0);
  // A spawned one leaves the victim's memory late in its exec, after the victim has gone on.
  EXPECT_TRUE(GetParam() == Offspring::kSpawn ? Eventually([&] { return Dead(slot); })
                                              : Dead(slot));
  kill(offspring, SIGKILL);
}
INSTANTIATE_TEST_SUITE_P(Ways, ParticipantsOffspring,
                         ::testing::Values(Offspring::kFork, Offspring::kSpawn,
                                           Offspring::kRawClone),
                         [](const auto& test) {
                           return test.param == Offspring::kFork    ? "Fork"
                                  : test.param == Offspring::kSpawn ? "Spawn"
                                                                    : "RawClone";
                         });

TEST_F(Participants, ForkInAnotherThreadDuringClaimsKeepsNoLifeLine) {
  constexpr uint32_t kSlots = 4;
  Make(kSlots);
  std::vector<pid_t> offspring;
  Child victim([this](Line& parent) {
    std::atomic<bool> stop{false};
    std::thread claimer([&] {
      // Relaxed: only the end of the loop hangs on it.
      while (!stop.load(std::memory_order_relaxed)) table_.Claim().status().IgnoreError();
    });
    for (int i = 0; i < 100; ++i) {
      SleepMicroseconds(50);
      pid_t pid = fork();
      CHILD_REQUIRE(pid >= 0);
      if (pid == 0) {
        alarm(kWatchdogSeconds);
        parent.Tell(static_cast<uint64_t>(getpid()));
        for (;;) pause();
      }
    }
    stop.store(true, std::memory_order_relaxed);
    claimer.join();
    return 0;
  });
  for (int i = 0; i < 100; ++i) {
    uint64_t word = 0;
    if (!victim.Await(&word)) break;
    offspring.push_back(static_cast<pid_t>(word));
  }
  EXPECT_EQ(victim.ExitStatus(), 0);
  EXPECT_EQ(offspring.size(), 100u);
  std::vector<Participant> claims;
  for (uint32_t slot = 0; slot < kSlots; ++slot) {
    absl::StatusOr<Participant> claim = table_.Claim();
    EXPECT_TRUE(claim.ok()) << "a child still holds a life line of its dead parent: "
                            << claim.status();
    if (claim.ok()) claims.push_back(*std::move(claim));
  }
  for (pid_t pid : offspring) kill(pid, SIGKILL);
}

TEST_F(Participants, ThreadsClaimDifferentSlots) {
  Make(64);
  std::vector<std::vector<Participant>> claims(4);
  std::vector<std::thread> threads;
  for (auto& mine : claims) {
    threads.emplace_back([this, &mine] {
      for (int i = 0; i < 16; ++i) {
        absl::StatusOr<Participant> claim = table_.Claim();
        if (claim.ok()) mine.push_back(*std::move(claim));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<uint32_t> slots;
  size_t count = 0;
  for (const auto& mine : claims) {
    for (const Participant& claim : mine) slots.insert(claim.slot()), ++count;
  }
  EXPECT_EQ(slots.size(), count);
  // A claim passes over slots that another one is just trying, so a few may be left; never taken
  // twice.
  EXPECT_GE(count, 60u);
}

// P1 for a process killed anywhere in Claim and Release.
TEST_F(Participants, DeathAnywhereInClaimAndReleaseLosesNoSlot) {
  constexpr uint32_t kSlots = 3;
  Make(kSlots);
  std::mt19937_64 random(TestSeed());
  int found_dead = 0;
  for (int round = 0; round < 300; ++round) {
    Child victim([this](Line& parent) {
      parent.Tell();
      for (;;) {
        absl::StatusOr<Participant> claim = table_.Claim();
        sched_yield();  // as long in use as in Claim and Release
      }
      return 0;
    });
    ASSERT_TRUE(victim.Await());
    SleepMicroseconds(random() % 500);
    victim.KillAndReap();
    for (uint32_t slot = 0; slot < kSlots; ++slot) {
      if (table_.state(slot) != ParticipantState::kInUse) continue;  // Free, or as good as that
      ++found_dead;
      ASSERT_TRUE(RecoverSlot(slot)) << "round " << round;
    }
    std::vector<Participant> claims;
    for (uint32_t slot = 0; slot < kSlots; ++slot) {
      absl::StatusOr<Participant> claim = table_.Claim();
      ASSERT_TRUE(claim.ok()) << "round " << round << ": " << claim.status();
      claims.push_back(*std::move(claim));
    }
  }
  EXPECT_GT(found_dead, 0) << "no kill ever hit a claimed slot: the test was vacuous";
}

// Bug classes 22 and 23: several recoverers, new claims coming in between.
TEST_F(Participants, RecoverersInARaceRecoverEachVictimExactlyOnceAndNeverALivingOne) {
  constexpr uint32_t kSlots = 24;
  constexpr int kVictims = 12;
  Make(kSlots);
  struct State {
    std::atomic<uint64_t> recovered;
    std::atomic<uint64_t> recoverers;  // a bit for each that has recovered somebody
    std::atomic<uint64_t> claimed;
    std::atomic<bool> stop;
  };
  Shared<State> state;
  uint64_t own_bit = 1;
  auto recoverer = [&](Line&) {
    while (!state->stop.load(std::memory_order_acquire)) {
      for (uint32_t slot = 0; slot < kSlots; ++slot) {
        uint32_t generation = 0;
        if (table_.MarkIfDead(slot, &generation) && table_.MarkRecovered(slot, generation)) {
          state->recovered.fetch_add(1, std::memory_order_relaxed);
          state->recoverers.fetch_or(own_bit, std::memory_order_relaxed);
        }
      }
    }
    return 0;
  };
  auto living = [&](Line&) {
    while (!state->stop.load(std::memory_order_acquire)) {
      absl::StatusOr<Participant> claim = table_.Claim();
      if (!claim.ok()) continue;
      state->claimed.fetch_add(1, std::memory_order_relaxed);
      for (int i = 0; i < 20; ++i) {
        CHILD_REQUIRE(table_.state(claim->slot()) == ParticipantState::kInUse);
        CHILD_REQUIRE(table_.generation(claim->slot()) == claim->generation());
      }
    }
    return 0;
  };
  std::vector<Child> workers;
  workers.emplace_back(recoverer);
  own_bit = 2;
  workers.emplace_back(recoverer);
  workers.emplace_back(living);
  uint64_t killed = 0;
  for (int round = 0; round < 30; ++round) {
    std::vector<Child> victims;
    for (int i = 0; i < kVictims; ++i) {
      uint32_t slot = 0;
      victims.push_back(Victim(&slot));
    }
    for (Child& victim : victims) victim.Signal(SIGKILL);
    for (Child& victim : victims) victim.Reap();
    killed += kVictims;
    // Each death is found by one of the two, and only then is the next generation let loose.
    ASSERT_TRUE(Eventually([&] {
      return state->recovered.load(std::memory_order_relaxed) >= killed;
    })) << "round "
        << round;
    ASSERT_EQ(state->recovered.load(std::memory_order_relaxed), killed) << "round " << round;
  }
  state->stop.store(true, std::memory_order_release);
  for (Child& worker : workers) EXPECT_EQ(worker.ExitStatus(), 0);
  EXPECT_EQ(state->recovered.load(std::memory_order_relaxed), killed);
  EXPECT_GT(state->claimed.load(std::memory_order_relaxed), 0u);
  EXPECT_EQ(state->recoverers.load(std::memory_order_relaxed), 3u) << "it was no race";
}

TEST_F(Participants, ManyGenerationsLeakNoDescriptor) {
  Make(2);
  int before = dup(0);
  close(before);
  for (int i = 0; i < 2000; ++i) ASSERT_TRUE(table_.Claim().ok());
  std::vector<Participant> both;
  for (int i = 0; i < 2; ++i) both.push_back(*table_.Claim());
  for (int i = 0; i < 2000; ++i) ASSERT_FALSE(table_.Claim().ok());
  both.clear();
  int after = dup(0);
  close(after);
  EXPECT_EQ(after, before);
}

}  // namespace
}  // namespace kill9
