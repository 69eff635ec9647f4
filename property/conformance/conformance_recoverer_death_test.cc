// Recoverers that die: of what three victims held, each killed after so many instructions of its
// recovery (trap_steps.h).
#include <cstdint>
#include <iostream>
#include <random>
#include <vector>

#include "absl/strings/str_cat.h"
#include "property/conformance/death_fixture.h"
#include "property/scaffold/counted_steps.h"
#include "property/scaffold/trap_steps.h"

namespace kill9 {
namespace {

#if defined(__x86_64__)

class ConformanceRecovererDeath : public ConformanceDeath {
 protected:
  static constexpr int kVictims = 3, kHeld = 3;

  void Prepare() {
    Make(4 * kMiB, 32);
    for (int i = 0; i < kHeld; ++i) Put(absl::StrCat("key-", i), Bytes(2000, 1));
  }
  void KillVictims() {
    std::vector<Child> victims;
    for (int i = 0; i < kVictims; ++i) {
      victims.push_back(Victim([&](Store& store) {
        static std::vector<PinnedValue> pins;
        static std::vector<Draft> drafts;
        for (int j = 0; j < kHeld; ++j) {
          absl::StatusOr<PinnedValue> pin = store.Pin(absl::StrCat("key-", j));
          if (pin.ok()) pins.push_back(*std::move(pin));
          absl::StatusOr<Draft> draft = store.Reserve("key-0", 500);
          if (draft.ok()) drafts.push_back(*std::move(draft));
        }
        return 0;
      }));
    }
    for (Child& victim : victims) victim.KillAndReap();
  }
  // Of one recovery of such victims, undisturbed.
  uint64_t InstructionsOfRecovery() {
    KillVictims();
    Child counting([&](Line& parent) {
      auto store = variant().Attach(segment_);
      CHILD_REQUIRE(store.ok());
      bool recovered = false;
      const uint64_t steps =
          StepsOf(parent, kStopNowhere, [&] { recovered = (*store)->Recover().ok(); });
      CHILD_REQUIRE(recovered);
      store->reset();
      parent.Tell(steps);
      return 0;
    });
    uint64_t steps = 0;
    EXPECT_TRUE(counting.Await(&steps));
    EXPECT_EQ(counting.ExitStatus(), 0);
    EXPECT_EQ(Recover().participants, 0u);
    return steps;
  }
  // So many recover at once. How many of them died before they were through.
  uint64_t KillRecoverers(const std::vector<uint64_t>& after_steps) {
    std::vector<Child> recoverers;
    for (const uint64_t steps : after_steps) {
      recoverers.emplace_back([this, steps](Line& parent) {
        auto store = variant().Attach(segment_);
        CHILD_REQUIRE(store.ok());
        parent.Tell();
        parent.Await();
        CHILD_REQUIRE(RunWithSteps(steps, SIGKILL, [&] { return (*store)->Recover().ok(); }));
        parent.Tell();
        for (;;) pause();
      });
    }
    for (const Child& child : recoverers) EXPECT_TRUE(child.Await());
    for (const Child& child : recoverers) child.Tell();
    uint64_t inside = 0;
    for (const Child& child : recoverers) inside += child.Await() ? 0 : 1;
    for (Child& child : recoverers) {
      child.Signal(SIGKILL);
      EXPECT_EQ(child.ExitStatus(), 1000 + SIGKILL);
    }
    return inside;
  }
};
INSTANTIATE_FOR_ALL_VARIANTS(ConformanceRecovererDeath);

// Bug class 39: the recoverer dies, again and again; several recover at once.
TEST_P(ConformanceRecovererDeath, InTheMiddleIsRecoveredByTheNext) {
  Prepare();
  REQUIRE_TRAIT(SurvivesDeaths() && traits().has_pin && traits().has_draft);
  const uint64_t steps = InstructionsOfRecovery();
  AuditReport before = ExpectSoundAccount();
  std::mt19937_64 random(TestSeed());
  constexpr uint64_t kRounds = 16, kWaves = 2, kAtOnce = 2;
  uint64_t inside = 0;
  uint64_t half_done = 0;  // rounds of which a recoverer has left some of the dead, and not all
  for (uint64_t round = 0; round < kRounds; ++round) {
    KillVictims();
    for (uint64_t wave = 0; wave < kWaves; ++wave) {
      std::vector<uint64_t> after_steps;
      // The early ones more often: who recovers what others have begun has less to do.
      for (uint64_t i = 0; i < kAtOnce; ++i) {
        after_steps.push_back(1 + random() % (1 + random() % steps));
      }
      inside += KillRecoverers(after_steps);
    }
    constexpr uint64_t kDead = kVictims + kWaves * kAtOnce;
    const uint64_t left = Recover().participants;
    EXPECT_LE(left, kDead);
    half_done += left > 0 && left < kDead ? 1 : 0;
    ExpectRecovered(0);
    if (lossless()) ExpectSameRoom(ExpectSoundAccount(), before);
    if (HasFailure()) FAIL() << "round " << round;
  }
  std::cout << "[ deaths   ] " << variant().name() << ": of " << kRounds * kWaves * kAtOnce
            << " recoverers " << inside << " died inside, each at one of some " << steps
            << " instructions; " << half_done << " of " << kRounds << " rounds were half done\n";
  EXPECT_GE(inside, kRounds * kWaves * kAtOnce / 2) << "recoverers were through before: vacuous";
  EXPECT_GT(half_done, 0u) << "nobody left a part of the work: vacuous";
  for (int i = 0; i < kHeld; ++i) ExpectValue(absl::StrCat("key-", i), Bytes(2000, 1));
}

#endif  // __x86_64__

}  // namespace
}  // namespace kill9
