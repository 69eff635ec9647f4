// Leases: one computes, the others wait asleep or take the old value; and what deaths do to them.
#include "property/terms/terms_fixture.h"

namespace kill9 {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using Kind = LeaseAnswer::Kind;

class Leases : public TermsFixture {
 protected:
  LeaseAnswer Ask(Store& store, std::string_view key, const LeaseOptions& options = {},
                  std::string* value = nullptr) {
    const absl::StatusOr<LeaseAnswer> answer = store.GetOrLease(key, value, options);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.value_or(LeaseAnswer{});
  }
  static LeaseOptions Waiting() {
    LeaseOptions options;
    options.wait = Deadline::Never();
    options.lease_for = hours(1);
    return options;
  }
  // A process that has the lease of "key" and holds it until it is killed.
  Child Holder() {
    Child child([&](Line& parent) {
      auto store = variant().Attach(segment_);
      CHILD_REQUIRE(store.ok());
      const absl::StatusOr<LeaseAnswer> mine = (*store)->GetOrLease("key", nullptr, Waiting());
      CHILD_REQUIRE(mine.ok() && mine->kind == Kind::kLease);
      parent.Tell();
      for (;;) pause();
    });
    EXPECT_TRUE(child.Await());
    return child;
  }
};
INSTANTIATE_TEST_SUITE_P(All, Leases, ::testing::ValuesIn(VariantsWithTerms()), VariantTestName);

TEST_P(Leases, OneComputesTheOthersAreBusy) {
  auto other = Attach();
  const LeaseAnswer mine = Ask(*store_, "key");
  ASSERT_EQ(mine.kind, Kind::kLease);
  EXPECT_FALSE(mine.has_value);
  EXPECT_EQ(Ask(*other, "key").kind, Kind::kBusy);
  EXPECT_EQ(Ask(*store_, "key").kind, Kind::kBusy) << "the holder itself asked again";
  ExpectAbsent("key");
  EXPECT_EQ(*other->Erase("another"), false);
  EXPECT_TRUE(Contents(*store_).empty());
  const absl::StatusOr<CasResult> put = store_->PutLeased(mine.lease, "value");
  ASSERT_TRUE(put.ok() && put->swapped) << put.status();
  std::string value;
  const LeaseAnswer hit = Ask(*other, "key", {}, &value);
  EXPECT_EQ(hit.kind, Kind::kHit);
  EXPECT_EQ(value, "value");
  EXPECT_EQ(hit.version, put->version);
  EXPECT_FALSE(store_->PutLeased(mine.lease, "again")->swapped);
  EXPECT_EQ(store_->Counted()->leases, 1u);
}

TEST_P(Leases, WhateverChangesTheKeyEndsTheLease) {
  auto other = Attach();
  const auto refused = [&](const char* how, absl::FunctionRef<void()> change) {
    const LeaseAnswer mine = Ask(*store_, "key");
    ASSERT_EQ(mine.kind, Kind::kLease) << how;
    change();
    const absl::StatusOr<CasResult> late = store_->PutLeased(mine.lease, "late");
    ASSERT_TRUE(late.ok()) << late.status();
    EXPECT_FALSE(late->swapped) << how;
    EXPECT_FALSE(*store_->DropLease(mine.lease)) << how;
    std::string value;
    EXPECT_TRUE(!other->Get("key", &value).ok() || value == "put") << how;
    other->Erase("key").IgnoreError();
  };
  refused("put", [&] { Put(*other, "key", "put"); });
  // The key was absent before and after: still the lease is over.
  refused("erase", [&] { EXPECT_EQ(*other->Erase("key"), false); });
  refused("clear", [&] { EXPECT_TRUE(other->Clear().ok()); });
  refused("swap", [&] { EXPECT_TRUE(other->CompareAndSwap("key", kAbsent, "put")->swapped); });
  refused("put and erase", [&] {
    Put(*other, "key", "put");
    EXPECT_TRUE(other->Erase("key").ok());
  });
}

TEST_P(Leases, DroppedLeaseGoesToTheNext) {
  auto other = Attach();
  const LeaseAnswer mine = Ask(*store_, "key");
  ASSERT_EQ(mine.kind, Kind::kLease);
  EXPECT_TRUE(*store_->DropLease(mine.lease));
  const LeaseAnswer next = Ask(*other, "key");
  EXPECT_EQ(next.kind, Kind::kLease);
  EXPECT_FALSE(store_->PutLeased(mine.lease, "late")->swapped);
  EXPECT_TRUE(other->PutLeased(next.lease, "value")->swapped);
}

TEST_P(Leases, LeaseThatIsOverPassesOn) {
  auto other = Attach();
  LeaseOptions brief;
  brief.lease_for = std::chrono::nanoseconds(1);
  const LeaseAnswer mine = Ask(*store_, "key", brief);
  ASSERT_EQ(mine.kind, Kind::kLease);
  const LeaseAnswer next = Ask(*other, "key");
  ASSERT_EQ(next.kind, Kind::kLease);
  EXPECT_FALSE(store_->PutLeased(mine.lease, "late")->swapped);
}

TEST_P(Leases, NearlyExpiredIsComputedAnewByOneAndTheOthersTakeTheOld) {
  auto other = Attach();
  const Terms terms{Expiry::After(seconds(100)), 5};
  ASSERT_TRUE(store_->Put("key", "old", terms).ok());
  LeaseOptions renew;
  renew.renew_before = seconds(200);
  renew.takes_old = true;
  std::string value;
  const LeaseAnswer mine = Ask(*store_, "key", renew, &value);
  ASSERT_EQ(mine.kind, Kind::kLease);
  EXPECT_TRUE(mine.has_value);
  EXPECT_EQ(value, "old");
  EXPECT_EQ(mine.terms, terms);
  const LeaseAnswer old = Ask(*other, "key", renew, &value);
  EXPECT_EQ(old.kind, Kind::kOld);
  EXPECT_EQ(value, "old");
  ExpectValue("key", "old");
  ASSERT_TRUE(store_->PutLeased(mine.lease, "new", {Expiry::After(seconds(1000)), 0})->swapped);
  EXPECT_EQ(Ask(*other, "key", renew, &value).kind, Kind::kHit);
  EXPECT_EQ(value, "new");
  // Dropped: the old value stays.
  renew.renew_before = seconds(2000);
  const LeaseAnswer again = Ask(*store_, "key", renew, &value);
  ASSERT_EQ(again.kind, Kind::kLease);
  EXPECT_TRUE(*store_->DropLease(again.lease));
  ExpectValue("key", "new");
}

TEST_P(Leases, SleepersGetWhatTheHolderPuts) {
  constexpr int kWaiters = 4;
  const LeaseAnswer mine = Ask(*store_, "key");
  ASSERT_EQ(mine.kind, Kind::kLease);
  std::vector<Child> waiters = ReadyChildren(kWaiters, [&](Line& parent) {
    auto store = variant().Attach(segment_);
    CHILD_REQUIRE(store.ok());
    parent.Tell();
    std::string value;
    const absl::StatusOr<LeaseAnswer> answer = (*store)->GetOrLease("key", &value, Waiting());
    CHILD_REQUIRE(answer.ok() && answer->kind == Kind::kHit && value == "value");
    return 0;
  });
  ASSERT_TRUE(Eventually([&] { return store_->Counted()->waits == kWaiters; }));
  ASSERT_TRUE(store_->PutLeased(mine.lease, "value")->swapped);
  for (Child& waiter : waiters) EXPECT_EQ(waiter.ExitStatus(), 0);
  EXPECT_EQ(store_->Counted()->leases, 1u);
}

TEST_P(Leases, DeadHoldersLeaseGoesToOneOfThoseWhoWait) {
  constexpr int kWaiters = 4;
  Child holder = Holder();
  Shared<std::atomic<int>> leases;
  std::vector<Child> waiters = ReadyChildren(kWaiters, [&](Line& parent) {
    auto store = variant().Attach(segment_);
    CHILD_REQUIRE(store.ok());
    parent.Tell();
    std::string value;
    const absl::StatusOr<LeaseAnswer> answer = (*store)->GetOrLease("key", &value, Waiting());
    CHILD_REQUIRE(answer.ok());
    if (answer->kind == Kind::kLease) {
      leases->fetch_add(1);
      SleepMicroseconds(20'000);
      CHILD_REQUIRE((*store)->PutLeased(answer->lease, "value")->swapped);
    } else {
      CHILD_REQUIRE(answer->kind == Kind::kHit && value == "value");
    }
    return 0;
  });
  ASSERT_TRUE(Eventually([&] { return store_->Counted()->waits == kWaiters; }));
  EXPECT_EQ(leases->load(), 0);
  holder.KillAndReap();
  for (Child& waiter : waiters) EXPECT_EQ(waiter.ExitStatus(), 0);
  EXPECT_EQ(leases->load(), 1);
}

TEST_P(Leases, HolderThatDiesBeforeAnybodyWaitsHoldsNobodyUp) {
  Child holder = Holder();
  EXPECT_EQ(Ask(*store_, "key").kind, Kind::kBusy);
  holder.KillAndReap();
  EXPECT_EQ(Ask(*store_, "key").kind, Kind::kLease);
  EXPECT_TRUE(store_->Recover().ok());
}

TEST_P(Leases, ANameTellsWhetherItsParticipantHasEnded) {
  EXPECT_FALSE(store_->HasEnded(store_->Name()));
  auto other = Attach();
  const terms::Holder left = other->Name();
  EXPECT_NE(left, store_->Name());
  EXPECT_FALSE(store_->HasEnded(left));
  other.reset();
  EXPECT_TRUE(store_->HasEnded(left));
  other = Attach();  // in the slot that it has left
  EXPECT_TRUE(store_->HasEnded(left));
  EXPECT_FALSE(store_->HasEnded(other->Name()));
  uint64_t name = 0;
  Child child([&](Line& parent) {
    auto store = variant().Attach(segment_);
    CHILD_REQUIRE(store.ok());
    parent.Tell((*store)->Name());
    return parent.Await() ? 0 : 1;
  });
  ASSERT_TRUE(child.Await(&name));
  EXPECT_FALSE(store_->HasEnded(name));
  child.KillAndReap();
  EXPECT_TRUE(Eventually([&] { return store_->HasEnded(name); }));
  Recover();
  EXPECT_TRUE(store_->HasEnded(name));
}

TEST_P(Leases, DescriptorTellsOfAPutAndOfADeath) {
  const absl::StatusOr<int> descriptor = store_->LeaseDescriptor();
  if (!descriptor.ok()) GTEST_SKIP() << descriptor.status();
  Child holder = Holder();
  const auto is_readable = [&](int wait_ms) {
    pollfd ready{*descriptor, POLLIN, 0};
    return poll(&ready, 1, wait_ms) == 1;
  };
  store_->ForgetTold();
  EXPECT_EQ(Ask(*store_, "key").kind, Kind::kBusy);
  EXPECT_FALSE(is_readable(0));
  holder.KillAndReap();
  EXPECT_TRUE(is_readable(kWatchdogSeconds * 1000));
  EXPECT_TRUE(store_->ForgetTold());
  LeaseAnswer mine;
  EXPECT_TRUE(Eventually([&] { return (mine = Ask(*store_, "key")).kind == Kind::kLease; }));
  auto other = Attach();
  other->LeaseDescriptor().IgnoreError();
  EXPECT_EQ(Ask(*other, "key").kind, Kind::kBusy);
  other->ForgetTold();
  ASSERT_TRUE(store_->PutLeased(mine.lease, "value")->swapped);
  pollfd ready{*other->LeaseDescriptor(), POLLIN, 0};
  EXPECT_EQ(poll(&ready, 1, kWatchdogSeconds * 1000), 1);
  EXPECT_EQ(Ask(*other, "key").kind, Kind::kHit);
}

}  // namespace
}  // namespace kill9
