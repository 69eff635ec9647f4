// Conformance: participants in several PID namespaces (containers) that share one segment.
#include "property/conformance/conformance.h"
#include "property/scaffold/eventually.h"
#include "property/scaffold/namespaces.h"
#include "property/scaffold/stepped_child.h"

namespace kill9 {
namespace {

class ConformanceNamespace : public Conformance {};
INSTANTIATE_FOR_ALL_VARIANTS(ConformanceNamespace);

// Bug class 14. A design takes part from anywhere, or says clearly that it does not, and for how
// long.
TEST_P(ConformanceNamespace, ParticipantOfAnotherOneIsServedOrClearlyRefused) {
  Make();
  Put("key", "value");
  constexpr int kRefused = 50;
  constexpr int kServed = 51;
  auto from_another = [&](uint64_t dead) {
    return InNewPidNamespace([&] {
      auto store = variant().Attach(segment_);
      if (!store.ok()) {
        CHILD_REQUIRE(store.status().code() == absl::StatusCode::kFailedPrecondition);
        CHILD_REQUIRE(store.status().message().find("PID namespace") != absl::string_view::npos);
        return kRefused;
      }
      CHILD_REQUIRE((*store)->Put("from another", "value").ok());
      absl::StatusOr<RecoveryReport> report = (*store)->Recover();
      CHILD_REQUIRE(report.ok() && report->participants == dead);  // and nobody who lives outside
      return kServed;
    });
  };
  int status = from_another(0);
  if (status == kNoNamespace) GTEST_SKIP() << "this machine lets us make no PID namespace";
  // Who is attached has slot 0. Robust mutexes cannot tell threads of two namespaces apart.
  EXPECT_EQ(status, traits().blocks == Traits::Reach::kNowhere ? kServed : kRefused);
  std::cout << "[ namespace] " << variant().name() << ": "
            << (status == kServed ? "served" : "refused, with the reason") << "\n";
  Recover();
  ExpectNothingHeld();
  ExpectValue("key", "value");

  // A container that is started anew finds its old segment usable, whoever died in the old one.
  Child predecessor([&](Line& parent) {
    auto store = variant().Attach(segment_);
    CHILD_REQUIRE(store.ok());
    parent.Tell();
    for (;;) pause();
  });
  ASSERT_TRUE(predecessor.Await());
  store_.reset();
  predecessor.KillAndReap();
  EXPECT_EQ(from_another(1), kServed);
  store_ = Attach();
  if (lossless()) ExpectValue("from another", "value");
  Recover();
  ExpectNothingHeld();
}

// Bug class 14. In a namespace of its own each participant is process 1, so that a design which
// tells participants apart by their ids takes them all for one.
TEST_P(ConformanceNamespace, ParticipantsOfManyDoNotTakeOneAnotherForThemselves) {
  constexpr int kNamespaces = 6;
  constexpr int kDeaths = 150;
  constexpr uint64_t kOperationsBetween = 300;  // two deaths
  struct Counts {
    std::atomic<uint64_t> operations;
    std::atomic<uint64_t> faults;  // statuses that nothing explains
  };
  Shared<Counts> seen;
  Make();
  auto first_of_another = [&](Line& parent) {
    setpgid(0, 0);  // to be stopped as one
    return InNewPidNamespace([&] {
      auto store = variant().Attach(segment_);
      parent.Tell(store.ok());
      std::mt19937_64 random(TestSeed());
      for (uint64_t n = 0; store.ok(); ++n) {
        // Mostly one key: whoever dies shall wait for another, or be waited for.
        const std::string key = absl::StrCat("key-", random() % 4 / 3);
        const absl::Status put = (*store)->Put(key, Bytes(100 + n % 900, n)).status();
        const absl::Status erased = (*store)->Erase(key).status();
        seen->operations.fetch_add(2, std::memory_order_relaxed);
        for (const absl::Status& status : {put, erased}) {
          if (!status.ok() && !absl::IsResourceExhausted(status)) {
            seen->faults.fetch_add(1, std::memory_order_relaxed);
          }
        }
      }
      return 0;
    });
  };
  if (InNewPidNamespace([] { return 0; }) == kNoNamespace) {
    GTEST_SKIP() << "this machine lets us make no PID namespace";
  }
  std::vector<std::unique_ptr<Child>> living;
  for (int death = 0; death < kDeaths; ++death) {
    while (living.size() < kNamespaces) {
      living.push_back(std::make_unique<Child>(first_of_another));
      uint64_t attached = 0;
      ASSERT_TRUE(living.back()->Await(&attached));
      if (attached == 0) GTEST_SKIP() << variant().name() << " refuses them";
    }
    const uint64_t enough = seen->operations.load(std::memory_order_relaxed) + kOperationsBetween;
    ASSERT_TRUE(
        Eventually([&] { return seen->operations.load(std::memory_order_relaxed) >= enough; }));
    // Who is slow, and may hold what the victim waits for, keeps it.
    const pid_t slow = living[1 + static_cast<size_t>(death) % (kNamespaces - 1)]->pid();
    kill(-slow, SIGSTOP);
    SleepMicroseconds(500);
    // The outer process dies, and with it, by PR_SET_PDEATHSIG, the one in the namespace.
    living.front()->KillAndReap();
    living.erase(living.begin());
    SleepMicroseconds(500);
    kill(-slow, SIGCONT);
  }
  for (auto& child : living) child->KillAndReap();
  // Those inside die a moment after their parents.
  EXPECT_TRUE(Eventually([this] {
    Recover();
    return !traits().has_audit || store_->Audit()->participants == 1;
  }));
  EXPECT_EQ(seen->faults.load(std::memory_order_relaxed), 0u);
  ExpectNothingHeld();
}

// Bug class 14 once more, for those who are not participants yet: two processes, of two namespaces
// and both the first of theirs, that recover the dead in order to get a slot.
TEST_P(ConformanceNamespace, AttachersOfTwoThatMustRecoverDoNotTakeOneAnotherForThemselves) {
  Make(8 * kMiB, 1);
  store_.reset();
  Child victim([this](Line& parent) {
    auto store = variant().Attach(segment_);
    CHILD_REQUIRE(store.ok());
    parent.Tell();
    for (;;) pause();
    return 0;
  });
  ASSERT_TRUE(victim.Await());
  victim.KillAndReap();
  constexpr int kRefused = 50;
  Shared<std::atomic<int>> step;
  // In a locked design, the recovery mutex.
  auto* lock = reinterpret_cast<const volatile uint32_t*>(segment_->body().data());
  const bool locked = variant().traits().blocks != Traits::Reach::kNowhere;
  const ParticipantTable table = segment_->participants();
  Child outer([&](Line&) {
    return InNewPidNamespace([&] {
      SteppedChild first([&] { return variant().Attach(segment_).ok() ? 0 : 1; });
      const bool there = first.StepUntil(
          [&] { return locked ? *lock != 0 : table.state(0) != ParticipantState::kInUse; });
      step->store(there ? 1 : 2, std::memory_order_release);
      while (step->load(std::memory_order_acquire) == 1) SleepMicroseconds(100);
      return first.Finish();
    });
  });
  siginfo_t info{};
  while (step->load(std::memory_order_acquire) == 0 &&
         (waitid(P_PID, static_cast<id_t>(outer.pid()), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
          info.si_pid == 0)) {
    SleepMicroseconds(100);
  }
  if (step->load(std::memory_order_acquire) == 0) {
    ASSERT_EQ(outer.ExitStatus(), kNoNamespace);
    GTEST_SKIP() << "this machine lets us make no PID namespace";
  }
  ASSERT_EQ(step->load(std::memory_order_acquire), 1) << "it never came to recover";
  const int second = InNewPidNamespace([&] {
    absl::StatusOr<std::unique_ptr<Store>> store = variant().Attach(segment_);
    if (store.ok()) return 0;
    CHILD_REQUIRE(store.status().code() == absl::StatusCode::kFailedPrecondition);
    CHILD_REQUIRE(store.status().message().find("PID namespace") != absl::string_view::npos);
    return kRefused;
  });
  EXPECT_EQ(second, locked ? kRefused : 0);
  step->store(2, std::memory_order_release);
  EXPECT_EQ(outer.ExitStatus(), 0);
  store_ = Attach();
  Recover();
  ExpectNothingHeld();
}

}  // namespace
}  // namespace kill9
