// Three processes own a buffer. One is killed at an instruction of sharing, passing on, receiving
// or releasing it, while the others do the same before and after, in every order; then they die,
// too. The buffer is neither leaked nor freed under anybody, and is one's or the other's at each
// instruction (trap_steps.h).
#include <algorithm>
#include <array>
#include <vector>

#include "property/buffers/pool_fixture.h"
#include "property/scaffold/trap_steps.h"

namespace kill9 {
namespace {

#if defined(__x86_64__)

enum class Act : uint32_t { kShare, kPassOn, kReceive, kRelease };
constexpr const char* kNames[] = {"share", "pass on", "receive", "release"};

constexpr size_t kOwners = 3;
constexpr size_t kBytes = 300;
constexpr uint64_t kSeed = 21;

// What the owners do, one after the other, and which of them is killed.
struct Plan {
  std::array<Act, kOwners> acts;
  size_t victim = 0;
  uint64_t Count(Act act) const {
    return static_cast<uint64_t>(std::count(acts.begin(), acts.end(), act));
  }
  std::string Name() const {
    std::string name;
    for (size_t i = 0; i < kOwners; ++i) {
      absl::StrAppend(&name, i == 0 ? "" : ", ", kNames[static_cast<uint32_t>(acts[i])],
                      i == victim ? " (killed)" : "");
    }
    return name;
  }
};

std::vector<Plan> AllPlans() {
  std::vector<Plan> plans;
  for (uint32_t code = 0; code < 64; ++code) {
    const std::array<Act, kOwners> acts = {
        static_cast<Act>(code % 4), static_cast<Act>(code / 4 % 4), static_cast<Act>(code / 16)};
    for (size_t victim = 0; victim < kOwners; ++victim) plans.push_back({acts, victim});
  }
  return plans;
}

class BufferStep : public PoolFixture, public ::testing::WithParamInterface<const char*> {
 protected:
  enum Order : uint64_t { kAct = 1, kLook = 2 };

  // One of the owners: takes its hold out of the channel, acts when told to, and looks at what it
  // holds as often as it is asked.
  int Own(Line& parent, Act act, uint64_t steps, const TrapPath::Leap& leap) {
    const std::unique_ptr<BufferPool> pool = Attach();
    const std::unique_ptr<Channel> channel = Join();
    CHILD_REQUIRE(pool != nullptr && channel != nullptr);
    std::vector<Buffer> held(2);
    absl::StatusOr<ReceivedBuffer> first = pool->Receive(*channel, kNow);
    CHILD_REQUIRE(first.ok());
    held[0] = std::move(first->buffer);
    parent.Tell(pool->id().slot);
    const auto run = [&] {
      switch (act) {
        case Act::kShare: {
          absl::StatusOr<Buffer> other = held[0].Share();
          if (!other.ok()) return false;
          held[1] = *std::move(other);
          return true;
        }
        case Act::kPassOn:
          return pool->Send(*channel, held[0], "on", kNow).ok();
        case Act::kReceive: {
          absl::StatusOr<ReceivedBuffer> got = pool->Receive(*channel, kNow);
          if (!got.ok()) return false;
          held[1] = std::move(got->buffer);
          return true;
        }
        case Act::kRelease:
          held[0].Release();
          return true;
      }
      return false;
    };
    for (uint64_t order = 0; parent.Await(&order);) {
      if (order == kAct) {
        const bool done = steps == 0 ? run() : RunWithSteps(steps, SIGKILL, run, leap);
        CHILD_REQUIRE(done);
        if (steps != 0) _exit(0);
      }
      uint64_t count = 0;
      for (const Buffer& buffer : held) {
        if (!buffer.has_block()) continue;
        CHILD_REQUIRE(buffer.bytes() == Pattern(kBytes, kSeed));
        ++count;
      }
      parent.Tell(count);
    }
    return 0;
  }

  // True: the operation was over before so many instructions.
  bool Run(const Plan& plan, uint64_t steps, TrapPath& path);
  // What is in the channel goes to the parent. Void messages are passed over.
  void ReceiveAll() {
    for (;;) {
      absl::StatusOr<ReceivedBuffer> got = pool_->Receive(*channel_, kNow);
      if (!got.ok()) {
        EXPECT_TRUE(absl::IsDeadlineExceeded(got.status())) << got.status();
        return;
      }
      EXPECT_EQ(got->buffer.bytes(), Pattern(kBytes, kSeed));
      received_.push_back(std::move(got->buffer));
    }
  }
  // Those who live, the parent and the messages; and the buffer is there as long as any does.
  void ExpectOnlyTheLivingHold() {
    const BufferPoolAccount account = Account();
    const uint64_t in_messages = account.of_messages.empty() ? 0 : account.of_messages[0].holds;
    EXPECT_EQ(account.holds, held_by_others_ + received_.size() + in_messages) << Show(account);
    EXPECT_EQ(account.report.live.blocks, account.holds == 0 ? 0u : 1u) << Show(account);
  }
  void ExpectWhatWasSent(const Plan& plan);

  uint64_t held_by_others_ = 0;  // holds of the owners that live
  std::vector<Buffer> received_;
  // By what the victim did, and which of the three it was.
  std::array<std::array<uint64_t, kOwners>, std::size(kNames)> kills_in_{};
  uint64_t kills_ = 0, seen_passed_on_ = 0, seen_kept_ = 0, seen_died_with_it_ = 0,
           seen_came_again_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Channels, BufferStep,
                         ::testing::Values("slot_ring", "sender_lanes", "mutex_vector"),
                         [](const auto& design) { return std::string(design.param); });

bool BufferStep::Run(const Plan& plan, uint64_t steps, TrapPath& path) {
  Make(128 << 10, 4, 16, GetParam());
  {
    // A hold for each owner, and a message for each that receives.
    Buffer buffer = Filled(*pool_, Pattern(kBytes, kSeed));
    for (size_t i = 0; i < kOwners + plan.Count(Act::kReceive); ++i) {
      EXPECT_TRUE(pool_->SendShared(*channel_, buffer, "", kNow).ok());
    }
  }
  const TrapPath::Leap leap = path.LeapTo(steps);
  std::vector<Child> owners;
  std::vector<uint64_t> slots(kOwners);
  for (size_t i = 0; i < kOwners; ++i) {
    owners.emplace_back([&](Line& parent) {
      return Own(parent, plan.acts[i], i == plan.victim ? steps : 0, leap);
    });
    if (!owners[i].Await(&slots[i])) ADD_FAILURE() << "an owner is missing";
  }
  held_by_others_ = 0;
  received_.clear();
  for (size_t i = 0; i < kOwners; ++i) {
    owners[i].Tell(kAct);
    if (i != plan.victim) {
      uint64_t count = 0;
      EXPECT_TRUE(owners[i].Await(&count)) << "a survivor could not do its part";
      held_by_others_ += count;
      continue;
    }
    const int status = owners[i].ExitStatus();
    if (path.Strayed(status)) return Run(plan, steps, path);
    if (status == 0) return true;
    EXPECT_EQ(status, 1000 + SIGKILL);
    EXPECT_TRUE(pool_->Recover().ok());
    EXPECT_TRUE(channel_->Recover().ok());
    EXPECT_EQ(HoldsOfSlot(Account(), static_cast<uint32_t>(slots[i])), 0u)
        << "the dead hold nothing";
  }
  ++kills_;
  ++kills_in_[static_cast<uint32_t>(plan.acts[plan.victim])][plan.victim];
  // The others die, first the one, then the other, or the other way round; what is in the channel
  // is received before that, or after it.
  const bool receives_last = steps / 2 % 2 != 0;
  if (!receives_last) ReceiveAll();
  std::vector<size_t> living;
  for (size_t i = 0; i < kOwners; ++i) {
    if (i != plan.victim) living.push_back(i);
  }
  if (steps % 2 != 0) std::swap(living[0], living[1]);
  ExpectOnlyTheLivingHold();
  for (const size_t i : living) {
    uint64_t count = 0;
    owners[i].Tell(kLook);
    EXPECT_TRUE(owners[i].Await(&count)) << "it was freed under a living owner";
    EXPECT_EQ(owners[i].KillAndReap(), SIGKILL);
    EXPECT_TRUE(pool_->Recover().ok());
    EXPECT_TRUE(channel_->Recover().ok());
    held_by_others_ -= count;
    ExpectOnlyTheLivingHold();
  }
  EXPECT_EQ(held_by_others_, 0u);
  if (receives_last) ReceiveAll();
  ExpectWhatWasSent(plan);
  for (const Buffer& buffer : received_) EXPECT_EQ(buffer.bytes(), Pattern(kBytes, kSeed));
  received_.clear();
  ExpectEmpty();
  EXPECT_TRUE(channel_->Audit()->clean());
  return false;
}

// Each owner that passes on sends one message more. What the victim did of it, it did or not.
void BufferStep::ExpectWhatWasSent(const Plan& plan) {
  const Act cut_off = plan.acts[plan.victim];
  const uint64_t sent = plan.Count(Act::kPassOn) - (cut_off == Act::kPassOn ? 1 : 0);
  if (cut_off == Act::kPassOn) {
    EXPECT_TRUE(received_.size() == sent || received_.size() == sent + 1) << received_.size();
    (received_.size() == sent ? seen_kept_ : seen_passed_on_) += 1;
  } else if (cut_off == Act::kReceive) {
    EXPECT_TRUE(received_.size() == sent || received_.size() == sent + 1) << received_.size();
    (received_.size() == sent ? seen_died_with_it_ : seen_came_again_) += 1;
  } else {
    EXPECT_EQ(received_.size(), sent);
  }
}

TEST_P(BufferStep, OneOfThreeOwnersIsKilledAtEveryInstructionInEveryOrder) {
  const TrapSteps steps(GetParam() == std::string_view("slot_ring") ? 250 : 900);
  uint64_t place = 0;
  for (const Plan& plan : AllPlans()) {
    SCOPED_TRACE(plan.Name());
    TrapPath path;
    // Each plan begins at another instruction, so that together they meet more of them; one that is
    // over by then at an earlier one, so that its victim is killed at all.
    uint64_t step = 1 + (steps.first + 37 * place++) % steps.stride;
    for (bool any = false;; step = any ? step + steps.stride : step / 2) {
      SCOPED_TRACE(absl::StrCat("killed at instruction ", step));
      const bool over = Run(plan, step, path);
      if (HasFailure()) return;
      if (over && (any || step == 1)) break;
      any |= !over;
    }
  }
  for (size_t act = 0; act < std::size(kNames); ++act) {
    for (size_t owner = 0; owner < kOwners; ++owner) {
      EXPECT_GT(kills_in_[act][owner], 0u)
          << "the premise: owner " << owner << " was killed in " << kNames[act];
    }
  }
  EXPECT_GT(seen_passed_on_, 0u) << "the premise: both before it took effect and after";
  EXPECT_GT(seen_kept_, 0u);
  EXPECT_GT(seen_died_with_it_, 0u);
  EXPECT_GT(seen_came_again_, 0u);
  std::printf("[ kills    ] %llu\n", static_cast<unsigned long long>(kills_));
}

// Who recovers the dead is killed, and the next one does the rest.
TEST_P(BufferStep, ARecovererIsKilledAtEveryInstruction) {
  const TrapSteps steps(GetParam() == std::string_view("slot_ring") ? 40 : 400);
  TrapPath path;
  for (uint64_t step = steps.first;; step += steps.stride) {
    SCOPED_TRACE(absl::StrCat("killed at instruction ", step));
    int status = 0;
    do {
      Make(128 << 10, 4, 16, GetParam());
      Buffer kept = Filled(*pool_, Pattern(kBytes, kSeed));
      ASSERT_TRUE(pool_->SendShared(*channel_, kept, "", kNow).ok());
      Child owner([&](Line&) {
        const std::unique_ptr<BufferPool> pool = Attach();
        const std::unique_ptr<Channel> channel = Join();
        const absl::StatusOr<ReceivedBuffer> shared = pool->Receive(*channel, kNow);
        const absl::StatusOr<Buffer> own = pool->Allocate(100, kNow);
        CHILD_REQUIRE(shared.ok() && own.ok());
        _exit(0);
      });
      ASSERT_EQ(owner.ExitStatus(), 0);
      EXPECT_EQ(Account().report.live.blocks, 2u);
      const TrapPath::Leap leap = path.LeapTo(step);
      Child recoverer([&](Line&) {
        const std::unique_ptr<BufferPool> pool = Attach();
        CHILD_REQUIRE(pool != nullptr);
        const auto run = [&] { return pool->Recover().ok(); };
        _exit(RunWithSteps(step, SIGKILL, run, leap) ? 0 : 2);
      });
      status = recoverer.ExitStatus();
      if (status == TrapPath::kStrayed) continue;
      ASSERT_TRUE(pool_->Recover().ok());
      const BufferPoolAccount account = Account();
      EXPECT_EQ(account.holds, 1u) << Show(account);
      EXPECT_EQ(kept.bytes(), Pattern(kBytes, kSeed));
      kept.Release();
      ExpectEmpty();
    } while (path.Strayed(status));
    if (HasFailure()) return;
    if (status == 0) break;
    ASSERT_EQ(status, 1000 + SIGKILL);
    ++kills_;
  }
  EXPECT_GT(kills_, 3u) << "the premise: it was killed inside";
}

#endif

}  // namespace
}  // namespace kill9
