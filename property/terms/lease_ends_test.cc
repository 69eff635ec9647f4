// A lease that ends though nobody ends it: its value expires, a clear comes that was ordered, the
// ring forgets it. Who waits for it is woken, or looks again by itself.
#include <functional>

#include "property/scaffold/asleep.h"
#include "property/terms/terms_fixture.h"
#include "variants/stores/seqlock_ring/seqlock_ring.h"

namespace kill9 {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using Kind = LeaseAnswer::Kind;

class LeaseEnds : public TermsFixture {
 protected:
  void SetUp() override {
    Expiry::MoveClock(&*later_ms_);
    MakeWithTerms(kMiB);
  }
  void TearDown() override { Expiry::MoveClock(nullptr); }

  LeaseAnswer Ask(const LeaseOptions& options = {}) {
    const absl::StatusOr<LeaseAnswer> answer = store_->GetOrLease("key", nullptr, options);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.value_or(LeaseAnswer{});
  }
  static LeaseOptions ForLong() {
    LeaseOptions options;
    options.lease_for = hours(100);
    return options;
  }
  // The lease of a value that lives for so long.
  LeaseAnswer AskToRenew(std::chrono::nanoseconds life) {
    EXPECT_TRUE(store_->Put("key", "old", {Expiry::After(life), 0}).ok());
    LeaseOptions options = ForLong();
    options.renew_before = hours(50);
    return Ask(options);
  }
  // A process that waits for the lease, and is asleep by now, or has ended. It ends when it has the
  // lease.
  Child Waiter() {
    const uint64_t waits = store_->Counted()->waits;
    Child waiter([this](Line&) {
      auto store = variant().Attach(segment_);
      CHILD_REQUIRE(store.ok());
      LeaseOptions options = ForLong();
      options.wait = Deadline::After(std::chrono::minutes(1));
      const absl::StatusOr<LeaseAnswer> answer = (*store)->GetOrLease("key", nullptr, options);
      CHILD_REQUIRE(answer.ok());
      CHILD_REQUIRE(answer->kind == Kind::kLease && !answer->has_value);
      // Who is not woken sleeps until then, and finds the lease at its last look.
      CHILD_REQUIRE(Deadline::After(milliseconds(1)).monotonic_ns() < options.wait.monotonic_ns());
      return 0;
    });
    EXPECT_TRUE(Eventually(
        [&] { return store_->Counted()->waits > waits || StateOf(waiter.pid()) == 'Z'; }));
    EXPECT_TRUE(IsAtRest(waiter.pid()));
    return waiter;
  }

  Shared<std::atomic<int64_t>> later_ms_;
};
INSTANTIATE_TEST_SUITE_P(All, LeaseEnds, ::testing::ValuesIn(VariantsWithTerms()), VariantTestName);

// On a slow machine the moment may have come before the waiter is asleep: then it is tried with a
// later one.
TEST_P(LeaseEnds, WhoWaitsLooksAgainAtTheDeadlineOfTheValue) {
  for (milliseconds life(100);; life *= 2) {
    AskToRenew(life);
    const LeaseAnswer busy = Ask();
    Child waiter = Waiter();
    const bool was_asleep = busy.has_value && Expiry::Now() < busy.until;
    if (!busy.has_value) store_->Erase("key").IgnoreError();
    EXPECT_EQ(waiter.ExitStatus(), 0);
    if (was_asleep || HasFailure()) return;
  }
}

TEST_P(LeaseEnds, WhoWaitsLooksAgainAtTheMomentOfAClear) {
  for (milliseconds until(100);; until *= 2) {
    ASSERT_TRUE(store_->Clear().ok());
    ASSERT_EQ(Ask(ForLong()).kind, Kind::kLease);
    const Expiry moment = Expiry::After(until);
    ASSERT_TRUE(store_->ClearAt(moment).ok());
    Child waiter = Waiter();
    const bool was_asleep = Expiry::Now() < moment;
    EXPECT_EQ(waiter.ExitStatus(), 0);
    if (was_asleep || HasFailure()) return;
  }
}

TEST_P(LeaseEnds, WhoWaitsIsToldOfAClearThatIsToCome) {
  ASSERT_EQ(Ask(ForLong()).kind, Kind::kLease);
  Child waiter = Waiter();
  ASSERT_TRUE(store_->ClearAt(Expiry::After(milliseconds(1))).ok());
  EXPECT_EQ(waiter.ExitStatus(), 0);
}

// By a clock that was set, of which no sleeper knows.
TEST_P(LeaseEnds, WhoRemovesWhatHasExpiredWakesThoseWhoWait) {
  ASSERT_TRUE(AskToRenew(hours(1)).has_value);
  Child waiter = Waiter();
  later_ms_->store(milliseconds(hours(2)).count());
  ExpectAbsent("key");
  EXPECT_EQ(waiter.ExitStatus(), 0);
}

TEST_P(LeaseEnds, AHolderThatDetachesWakesThoseWhoWait) {
  auto holder = Attach();
  const absl::StatusOr<LeaseAnswer> lease = holder->GetOrLease("key", nullptr, ForLong());
  ASSERT_TRUE(lease.ok() && lease->kind == Kind::kLease);
  Child waiter = Waiter();
  holder.reset();
  EXPECT_EQ(waiter.ExitStatus(), 0);
}

// ---- What a ring forgets ------------------------------------------------------------------------

class ForgottenLease : public LeaseEnds {
 protected:
  // The first record of the ring is the lease of "key".
  void SetUp() override {
    LeaseEnds::SetUp();
    mine_ = Ask(ForLong());
    ASSERT_EQ(mine_.kind, Kind::kLease);
  }
  static ring::RingStore& RingOf(Store& store) { return dynamic_cast<ring::RingStore&>(store); }
  const ring::Geometry& geometry() { return RingOf(*store_).geometry(); }
  ring::Bucket& BucketOf(std::string_view key) { return geometry().BucketOf(segment_->Hash(key)); }
  // Which slot of its bucket has the key's entry.
  size_t SlotOf(std::string_view key) {
    return static_cast<size_t>(
        std::countr_zero(ring::SlotsOf(BucketOf(key), ring::TagOfHash(segment_->Hash(key)))));
  }
  // The next of another key that is in the bucket of "key".
  std::string Neighbour() {
    std::string key;
    do {
      key = absl::StrCat("neighbour", ++neighbours_);
    } while (&BucketOf(key) != &BucketOf("key"));
    return key;
  }
  // Two thirds of the ring: the second of two values of that size lies where the lease was.
  size_t MostOfIt() const { return store_->max_value_bytes() / 3 * 2; }
  void TurnToTheBeginning() { Put("first", std::string(MostOfIt(), 'x')); }

  void ExpectToWake(absl::FunctionRef<void()> forget) {
    ASSERT_EQ(Ask().kind, Kind::kBusy) << "the lease is gone already";
    Child waiter = Waiter();
    forget();
    EXPECT_EQ(waiter.ExitStatus(), 0);
    EXPECT_FALSE(store_->PutLeased(mine_.lease, "late")->swapped);
  }

  LeaseAnswer mine_;
  int neighbours_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Lossy, ForgottenLease, ::testing::ValuesIn([] {
                           std::vector<const Variant*> lossy = VariantsWithTerms();
                           std::erase_if(lossy, [](const Variant* variant) {
                             return variant->name() != "seqlock_ring";
                           });
                           return lossy;
                         }()),
                         VariantTestName);

TEST_P(ForgottenLease, AValueOverItWakes) {
  TurnToTheBeginning();
  ExpectToWake([&] { Put("other", std::string(MostOfIt(), 'x')); });
}

TEST_P(ForgottenLease, ADraftOverItWakes) {
  TurnToTheBeginning();
  absl::StatusOr<Draft> draft;
  ExpectToWake([&] {
    draft = store_->Reserve("other", MostOfIt());
    ASSERT_TRUE(draft.ok()) << draft.status();
  });
}

TEST_P(ForgottenLease, ItsOwnPutThatIsRefusedWakes) {
  TurnToTheBeginning();
  ExpectToWake([&] {
    const absl::StatusOr<CasResult> put =
        store_->PutLeased(mine_.lease, std::string(MostOfIt(), 'x'));
    ASSERT_TRUE(put.ok()) << put.status();
    EXPECT_FALSE(put->swapped);
  });
}

TEST_P(ForgottenLease, AHotRecordThatIsMovedOverItWakes) {
  const std::string chunk(geometry().chunk_units() * ring::kUnitBytes - 200, 'x');
  Put("filler0", chunk);
  Put("hot", "value");
  const std::atomic<uint64_t>& cursor = geometry().header->cursor;
  for (int n = 0; geometry().ChunkOf(cursor.load()) != 0; ++n) {
    Put(absl::StrCat("filler", n % 4), chunk);
  }
  auto mover = Attach();
  RingOf(*mover).SetPromotionChance(1);
  ExpectToWake([&] {
    ExpectValue(*mover, "hot", "value");
    EXPECT_EQ(RingOf(*mover).Moved(), 1u);
  });
}

// As it is while a writer is stopped that has raised the claim on a chunk, and written nothing.
TEST_P(ForgottenLease, APinThatCannotHoldItWakes) {
  ExpectToWake([&] {
    geometry().chunks[0].claim.fetch_add(uint64_t{1} << geometry().chunk_index_bits);
    EXPECT_TRUE(absl::IsNotFound(store_->Pin("key").status()));
  });
}

// As it is while a writer is stopped that has staged an entry, and has not put it in its slot.
TEST_P(ForgottenLease, WhoSettlesAnothersEntryInItsPlaceWakes) {
  const std::string staged = Neighbour(), expired = Neighbour();
  Put(staged, "value");
  ASSERT_TRUE(store_->Put(expired, "value", {Past(), 0}).ok());
  ring::Bucket& bucket = BucketOf("key");
  const size_t slot = SlotOf("key"), of_staged = SlotOf(staged);
  ASSERT_LT(std::max({slot, of_staged, SlotOf(expired)}), size_t{ring::kSlotsPerBucket});
  const uint64_t word = bucket.slots[of_staged].load();
  bucket.control.store(ring::WithKind(word, ring::kStaged + slot));
  bucket.slots[of_staged].store(ring::WithKind(word, ring::kVacant));
  ExpectToWake([&] { ExpectAbsent(expired); });
  ExpectValue(staged, "value");
}

TEST_P(ForgottenLease, WhoForgetsAllWakes) {
  ExpectToWake([&] { RingOf(*store_).Clear(); });
}

}  // namespace
}  // namespace kill9
