// Conformance: space that runs out and comes back, participants that come and go, the exact
// account.
#include <array>
#include <thread>

#include "property/conformance/conformance.h"

namespace kill9 {
namespace {

using absl::StatusCode;

class ConformanceAccount : public Conformance {};
INSTANTIATE_FOR_ALL_VARIANTS(ConformanceAccount);

TEST_P(ConformanceAccount, FullStoreLosesNothingAndItsRoomComesBack) {
  Make(kMiB);
  REQUIRE_TRAIT(lossless());
  AuditReport empty = ExpectSoundAccount();
  std::map<size_t, uint64_t> fitted;
  for (int round = 0; round < 12; ++round) {
    const size_t size = std::array<size_t, 4>{100, 3000, 0, 50'000}[static_cast<size_t>(round) % 4];
    uint64_t count = Fill(*store_, size);
    EXPECT_GE(count, 1u);
    // The same room each time, whatever had been there before.
    auto [first, fresh] = fitted.emplace(size, count);
    EXPECT_EQ(count, first->second) << "values of " << size << " bytes, round " << round;
    EXPECT_EQ(ExpectSoundAccount().entries, count);
    const std::string value = Bytes(size, size);
    for (uint64_t i = 0; i < count; i += 1 + count / 50) {
      ExpectValue(absl::StrCat("fill-", i), value);
    }
    EraseAll(*store_);
    AuditReport again = ExpectSoundAccount();
    EXPECT_EQ(again.free.bytes, empty.free.bytes) << Show(again);
    EXPECT_EQ(again.held.blocks, 0u);
    EXPECT_EQ(again.entries, 0u);
  }
}

TEST_P(ConformanceAccount, FailedOperationsOfAFullStoreChangeAndLeakNothing) {
  Make(kMiB);
  REQUIRE_TRAIT(lossless());
  uint64_t count = Fill(*store_, 1000);
  uint64_t small = 0;
  while (store_->Put(absl::StrCat("small-", small), "").ok()) ++small;
  AuditReport full = ExpectSoundAccount();
  const std::string value = Bytes(20'000, 3);
  for (int i = 0; i < 200; ++i) {
    const std::string key = absl::StrCat("fill-", i % 10);
    EXPECT_EQ(store_->Put("new", value).status().code(), StatusCode::kResourceExhausted);
    absl::Status overwrite = store_->Put(key, value).status();
    EXPECT_EQ(overwrite.code(), StatusCode::kResourceExhausted) << overwrite;
    EXPECT_FALSE(overwrite.message().empty());
    absl::Status swap = store_->CompareAndSwap("new", kAbsent, value).status();
    if (traits().has_compare_and_swap) {
      EXPECT_EQ(swap.code(), StatusCode::kResourceExhausted) << swap;
    }
    if (traits().has_draft) {
      EXPECT_EQ(store_->Reserve(key, value.size()).status().code(), StatusCode::kResourceExhausted);
    }
    ExpectValue(key, Bytes(1000, 1000));
  }
  ExpectSameRoom(ExpectSoundAccount(), full);
  EXPECT_EQ(Contents(*store_).size(), count + small);
}

TEST_P(ConformanceAccount, OverwritingForeverNeedsNoMoreRoom) {
  Make(4 * kMiB);
  // Of one size each: what first fit does with sizes that vary is fragmentation, and no leak.
  for (int i = 0; i < 400; ++i) {
    Put("large", Bytes(store_->max_value_bytes() / 4, static_cast<uint64_t>(i)));
    for (int small = 0; small < 20; ++small) Put(absl::StrCat("small-", small), "0123456789");
  }
  ExpectNothingHeld();
}

TEST_P(ConformanceAccount, AccountIsExactAfterEachOfManyRandomSteps) {
  Make(kMiB);
  REQUIRE_TRAIT(lossless());
  REQUIRE_TRAIT(traits().has_audit);
  AuditReport empty = ExpectSoundAccount();
  std::mt19937_64 random(TestSeed());
  std::set<std::string> present;
  int refused = 0;
  for (int step = 0; step < 3000; ++step) {
    std::string key = absl::StrCat("key-", random() % 60);
    if (random() % 3 == 0) {
      absl::StatusOr<bool> erased = store_->Erase(key);
      ASSERT_TRUE(erased.ok());
      ASSERT_EQ(*erased, present.erase(key) == 1);
    } else if (store_->Put(key, Bytes(random() % 40'000, random())).ok()) {
      present.insert(key);
    } else {
      ++refused;
    }
    AuditReport audit = ExpectSoundAccount();
    ASSERT_EQ(audit.entries, present.size());
    ASSERT_EQ(audit.held.blocks, 0u) << Show(audit);
    ASSERT_EQ(audit.capacity.bytes, empty.capacity.bytes);
    ASSERT_FALSE(HasFailure()) << "step " << step;
  }
  EXPECT_GT(refused, 0) << "the store never ran full: vacuous";
  EraseAll(*store_);
  ExpectSameRoom(ExpectSoundAccount(), empty);
}

TEST_P(ConformanceAccount, RecoveryWithNobodyDeadDoesNothing) {
  Make();
  auto other = Attach();
  Put("key", "value");
  PinnedValue pin;
  if (traits().has_pin) {
    absl::StatusOr<PinnedValue> got = other->Pin("key");
    if (got.ok()) pin = *std::move(got);
  }
  AuditReport before = ExpectSoundAccount();
  for (int i = 0; i < 10; ++i) {
    RecoveryReport report = Recover(i % 2 == 0 ? *store_ : *other);
    EXPECT_EQ(report.participants, 0u);
    EXPECT_EQ(report.blocks, 0u);
    EXPECT_EQ(report.rolled_back, 0u);
    EXPECT_EQ(report.rolled_forward, 0u);
  }
  if (lossless()) ExpectSameRoom(ExpectSoundAccount(), before);
  if (pin.version() != kAbsent) {
    EXPECT_EQ(pin.value(), "value");
  }
  ExpectValue("key", "value");
}

TEST_P(ConformanceAccount, DetachingLeavesTheDataAndGivesTheSlotBack) {
  Make(8 * kMiB, 3);
  auto other = Attach();
  Put(*other, "key", "value");
  AuditReport two = ExpectSoundAccount();
  other.reset();
  AuditReport one = ExpectSoundAccount();
  if (traits().has_audit) {
    EXPECT_EQ(two.participants, 2u);
    EXPECT_EQ(one.participants, 1u);
  }
  ExpectValue("key", "value");
}

TEST_P(ConformanceAccount, TwoSegmentsAreTwoStores) {
  Make();
  SegmentOptions options;
  options.size_bytes = 4 * kMiB;
  auto other_segment = Create(options);
  auto other = AttachTo(other_segment);
  for (int i = 0; i < 100; ++i) {
    Put(absl::StrCat("key-", i), "here");
    Put(*other, absl::StrCat("key-", i), "there");
  }
  ASSERT_TRUE(store_->Erase("key-5").ok());
  ExpectAbsent("key-5");
  for (int i = 0; i < 100; ++i) ExpectValue(*other, absl::StrCat("key-", i), "there");
  if (traits().has_draft) {
    absl::StatusOr<Draft> draft = store_->Reserve("key-1", 5);
    ASSERT_TRUE(draft.ok());
    EXPECT_EQ(other->Commit(*std::move(draft)).status().code(), StatusCode::kInvalidArgument);
  }
  ExpectNothingHeld();
  ExpectNothingHeld(*other);
  ExpectValue("key-1", "here");
}

TEST_P(ConformanceAccount, EveryKindOfSegmentOutlivesItsParticipants) {
  Place place;
  for (SegmentKind kind : {SegmentKind::kNamed, SegmentKind::kFile}) {
    SegmentOptions options;
    options.location = place.Location(kind);
    options.size_bytes = 4 * kMiB;
    Child maker([&](Line&) {
      auto segment = variant().Create(options);
      CHILD_REQUIRE(segment.ok());
      auto store = variant().Attach(*segment);
      CHILD_REQUIRE(store.ok() && (*store)->Put("key", "value").ok());
      CHILD_REQUIRE(variant().Create(options).status().code() == StatusCode::kAlreadyExists);
      return 0;
    });
    ASSERT_EQ(maker.ExitStatus(), 0);
    auto segment = variant().Open(options.location);
    ASSERT_TRUE(segment.ok()) << segment.status();
    auto store = AttachTo(*segment);
    ExpectValue(*store, "key", "value");
    Recover(*store);  // of the maker, that exited without detaching
    AuditReport audit = ExpectSoundAccount(*store);
    if (traits().has_audit) {
      EXPECT_EQ(audit.participants, 1u);
    }
    for (const Variant* other : AllVariants()) {
      if (other == &variant()) continue;
      EXPECT_EQ(other->Open(options.location).status().code(), StatusCode::kFailedPrecondition)
          << other->name();
    }
    ASSERT_TRUE(Segment::Unlink(options.location).ok());
    EXPECT_EQ(variant().Open(options.location).status().code(), StatusCode::kNotFound);
    ExpectValue(*store, "key", "value");
  }
}

TEST_P(ConformanceAccount, SegmentThatIsTooSmallIsAClearError) {
  for (uint64_t size_bytes :
       {uint64_t{0}, uint64_t{4096}, uint64_t{64} << 10, uint64_t{128} << 10}) {
    SegmentOptions options;
    options.size_bytes = size_bytes;
    options.max_participants = 2;
    absl::StatusOr<std::shared_ptr<Segment>> segment = variant().Create(options);
    if (!segment.ok()) {
      EXPECT_EQ(segment.status().code(), StatusCode::kInvalidArgument) << segment.status();
      EXPECT_THAT(std::string(segment.status().message()), ::testing::HasSubstr("small"));
      continue;
    }
    auto store = AttachTo(*segment);  // what was made must work, if only a little
    ExpectSoundAccount(*store);
    absl::Status put = store->Put("k", "v").status();
    EXPECT_TRUE(put.ok() || put.code() == StatusCode::kResourceExhausted) << put;
    if (put.ok()) ExpectValue(*store, "k", "v");
  }
}

TEST_P(ConformanceAccount, ThreadsEachWithTheirOwnParticipantShareOneMapping) {
  Make(8 * kMiB);
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([this, thread, &failures] {
      auto attached = variant().Attach(segment_);
      if (!attached.ok()) {
        failures.fetch_add(1, std::memory_order_relaxed);
        return;
      }
      Store& store = **attached;
      std::mt19937_64 random(TestSeed() + static_cast<uint64_t>(thread));
      std::map<std::string, std::string> mine;
      for (int step = 0; step < 2000; ++step) {
        std::string key = absl::StrCat("thread-", thread, "-", random() % 20);
        std::string found;
        bool good = true;
        switch (random() % 4) {
          case 0: {
            std::string value = Bytes(random() % 6000, random());
            good = store.Put(key, value).ok();
            mine[key] = value;
            break;
          }
          case 1:
            good = store.Erase(key).ok();
            mine.erase(key);
            break;
          case 2: {
            absl::StatusOr<PinnedValue> pin = store.Pin(key);
            if (pin.ok()) {
              good = mine.contains(key) && pin->value() == mine[key];
            } else {
              good = absl::IsNotFound(pin.status()) && !(lossless() && mine.contains(key));
              if (!traits().has_pin) good = true;
            }
            break;
          }
          default: {
            absl::StatusOr<Version> got = store.Get(key, &found);
            good = got.ok() ? mine.contains(key) && found == mine[key]
                            : !(lossless() && mine.contains(key));
          }
        }
        if (!good) failures.fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures.load(std::memory_order_relaxed), 0);
  AuditReport audit = ExpectSoundAccount();
  EXPECT_EQ(audit.held.blocks, 0u);
  if (traits().has_audit) {
    EXPECT_EQ(audit.participants, 1u);
  }
}

}  // namespace
}  // namespace kill9
