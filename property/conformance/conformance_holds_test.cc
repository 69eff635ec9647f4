// Conformance: pins and drafts, what holds a block and when it comes back.
#include <stdexcept>

#include "property/conformance/conformance.h"

namespace kill9 {
namespace {

using absl::StatusCode;

class ConformanceHolds : public Conformance {
 protected:
  // A pin that must succeed, or an empty one of a lossy store that forgot the key.
  PinnedValue Pin(Store& store, std::string_view key) {
    absl::StatusOr<PinnedValue> pin = store.Pin(key);
    if (!pin.ok()) {
      EXPECT_TRUE(!lossless() && absl::IsNotFound(pin.status())) << pin.status();
      return {};
    }
    return *std::move(pin);
  }
  PinnedValue Pin(std::string_view key) { return Pin(*store_, key); }
  void ExpectHeld() {
    AuditReport audit = ExpectSoundAccount();
    if (traits().has_audit) {
      EXPECT_GE(audit.held.blocks, 1u) << Show(audit);
    }
  }
  Draft Reserve(std::string_view key, std::string_view value) {
    absl::StatusOr<Draft> draft = store_->Reserve(key, value.size());
    EXPECT_TRUE(draft.ok()) << draft.status();
    if (!draft.ok()) return {};
    EXPECT_EQ(draft->bytes().size(), value.size());
    value.copy(draft->bytes().data(), value.size());
    return *std::move(draft);
  }
};
INSTANTIATE_FOR_ALL_VARIANTS(ConformanceHolds);

TEST_P(ConformanceHolds, PinShowsValueAndVersion) {
  Make();
  REQUIRE_TRAIT(traits().has_pin);
  for (size_t size : {0ul, 1ul, 100ul, 5000ul, 1'000'000ul}) {
    const std::string value = Bytes(size, size);
    Version version = Put("key", value);
    PinnedValue pin = Pin("key");
    if (pin.version() == kAbsent) continue;
    EXPECT_TRUE(pin.value() == value) << size;
    EXPECT_EQ(pin.version(), version);
  }
  EXPECT_EQ(store_->Pin("none").status().code(), StatusCode::kNotFound);
  ExpectNothingHeld();
}

TEST_P(ConformanceHolds, PinStaysUnchangedWhateverOthersDoToTheKey) {
  Make();
  REQUIRE_TRAIT(traits().has_pin);
  auto other = Attach();
  for (size_t size : {1ul, 64ul, 5000ul, 200'000ul}) {
    const std::string value = Bytes(size, size);
    Put("key", value);
    PinnedValue pin = Pin("key");
    if (pin.version() == kAbsent) continue;
    for (int i = 0; i < 50; ++i) {
      Put(*other, "key", Bytes(size, 1000 + static_cast<uint64_t>(i)));
      Put(*other, absl::StrCat("other-", i % 5), Bytes(size, static_cast<uint64_t>(i)));
      ASSERT_TRUE(pin.value() == value) << "after overwrite " << i << " of size " << size;
    }
    ASSERT_TRUE(other->Erase("key").ok());
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(other->Erase(absl::StrCat("other-", i)).ok());
    EXPECT_TRUE(pin.value() == value);
    ExpectAbsent("key");
    ExpectHeld();
    pin.Release();
    ExpectNothingHeld();
  }
}

TEST_P(ConformanceHolds, PinStaysUnchangedWhileTheStoreRunsFull) {
  Make(kMiB);
  REQUIRE_TRAIT(traits().has_pin);
  const std::string value = Bytes(3000, 1);
  Put("key", value);
  PinnedValue pin = Pin("key");
  if (pin.version() == kAbsent) GTEST_SKIP() << "forgotten at once";
  ASSERT_TRUE(store_->Erase("key").ok());
  constexpr uint64_t kMostFills = 12'000;  // of 100 bytes: more than the segment
  for (size_t size : {3000ul, 100ul, 20'000ul}) {
    const uint64_t count = Fill(*store_, size, kMostFills);
    EXPECT_TRUE(pin.value() == value) << size;
    // The premise: it ran full; what forgets has had more than it has room for.
    EXPECT_EQ(count < kMostFills, lossless()) << count << " of " << size;
    EraseAll(*store_);
  }
  ExpectHeld();
}

TEST_P(ConformanceHolds, BlockIsFreedExactlyAtTheLastRelease) {
  Make();
  REQUIRE_TRAIT(traits().has_pin);
  REQUIRE_TRAIT(lossless());
  auto second = Attach();
  auto third = Attach();
  AuditReport empty = ExpectSoundAccount();
  const std::string value = Bytes(2000, 1);
  Put("key", value);
  AuditReport linked = ExpectSoundAccount();
  EXPECT_EQ(linked.held.blocks, 0u);
  EXPECT_GE(linked.live.bytes, value.size());
  std::vector<PinnedValue> pins;
  for (Store* store : {store_.get(), second.get(), third.get(), store_.get()}) {
    pins.push_back(Pin(*store, "key"));
    ExpectSameRoom(ExpectSoundAccount(), linked);  // a key still reaches it: live, not held
  }
  ASSERT_TRUE(second->Erase("key").ok());
  AuditReport held = ExpectSoundAccount();
  EXPECT_EQ(held.entries, 0u);
  EXPECT_GE(held.held.bytes, value.size()) << Show(held);
  EXPECT_EQ(held.free.bytes, linked.free.bytes);
  for (int which : {1, 0, 3}) {
    pins[static_cast<size_t>(which)].Release();
    pins[static_cast<size_t>(which)].Release();
    ExpectSameRoom(ExpectSoundAccount(), held);
    EXPECT_TRUE(pins[2].value() == value);
  }
  pins[2].Release();
  ExpectSameRoom(ExpectSoundAccount(), empty);
}

TEST_P(ConformanceHolds, SeveralVersionsOfAKeyCanBePinnedAtOnce) {
  Make();
  REQUIRE_TRAIT(traits().has_pin);
  std::vector<std::pair<PinnedValue, std::string>> pins;
  for (uint64_t i = 0; i < 20; ++i) {
    std::string value = Bytes(100 + i, i);
    Put("key", value);
    PinnedValue pin = Pin("key");
    if (pin.version() == kAbsent) continue;
    pins.emplace_back(std::move(pin), value);
  }
  EXPECT_GE(pins.size(), lossless() ? 20u : 2u) << "the premise: there are several";
  for (size_t i = 0; i < pins.size(); ++i) {
    EXPECT_TRUE(pins[i].first.value() == pins[i].second) << i;
    if (i > 0) {
      EXPECT_GT(pins[i].first.version(), pins[i - 1].first.version());
    }
  }
  while (!pins.empty()) pins.erase(pins.begin());  // in another order than the last in, first out
  ExpectNothingHeld();
}

TEST_P(ConformanceHolds, MovedPinsAndDraftsAreGivenBackOnce) {
  Make();
  REQUIRE_TRAIT(traits().has_pin);
  REQUIRE_TRAIT(traits().has_draft);
  REQUIRE_TRAIT(lossless());
  AuditReport empty = ExpectSoundAccount();
  Put("key", "value");
  PinnedValue first = Pin("key");
  PinnedValue second = std::move(first);
  EXPECT_EQ(second.value(), "value");
  EXPECT_EQ(first.version(), kAbsent);
  EXPECT_TRUE(first.value().empty());
  first.Release();
  ASSERT_TRUE(store_->Erase("key").ok());
  EXPECT_EQ(second.value(), "value");
  ExpectHeld();
  second = PinnedValue();
  ExpectNothingHeld();

  Draft draft = Reserve("key", "drafted");
  Draft moved = std::move(draft);
  EXPECT_TRUE(draft.bytes().empty());
  draft.Drop();
  EXPECT_EQ(store_->Commit(std::move(draft)).status().code(), StatusCode::kInvalidArgument);
  ExpectHeld();
  EXPECT_TRUE(store_->Commit(std::move(moved)).ok());
  ExpectValue("key", "drafted");
  Draft overwritten = Reserve("key", "one");
  overwritten = Reserve("key", "two");  // drops the first
  EXPECT_TRUE(store_->Commit(std::move(overwritten)).ok());
  ExpectValue("key", "two");
  ASSERT_TRUE(store_->Erase("key").ok());
  ExpectSameRoom(ExpectSoundAccount(), empty);
}

TEST_P(ConformanceHolds, DraftBecomesVisibleAtCommitInOneStepOrNever) {
  Make();
  REQUIRE_TRAIT(traits().has_draft);
  for (size_t size : {0ul, 1ul, 100ul, 5000ul, 1'000'000ul}) {
    const std::string value = Bytes(size, size);
    Version before = Put("key", "before");
    Draft draft = Reserve("key", value);
    ExpectValue("key", "before", before);
    ExpectHeld();
    absl::StatusOr<Version> committed = store_->Commit(std::move(draft));
    ASSERT_TRUE(committed.ok()) << committed.status();
    EXPECT_GT(*committed, before);
    ExpectValue("key", value, *committed);
    ExpectNothingHeld();
  }
}

TEST_P(ConformanceHolds, DroppedDraftLeavesNoTrace) {
  Make();
  REQUIRE_TRAIT(traits().has_draft);
  Version version = Put("key", "value");
  AuditReport before = ExpectSoundAccount();
  for (size_t size : {0ul, 100ul, 300'000ul}) {
    for (int way = 0; way < 3; ++way) {
      Draft draft = Reserve("key", Bytes(size, size));
      Draft fresh = Reserve("new", Bytes(size, size));
      if (way == 0) draft.Drop();
      if (way == 1) draft = Draft();
    }
    ExpectNothingHeld();
  }
  ExpectValue("key", "value", version);
  ExpectAbsent("new");
  if (lossless()) ExpectSameRoom(ExpectSoundAccount(), before);
}

TEST_P(ConformanceHolds, DraftsOfOneKeyTakeEffectInTheOrderOfTheirCommits) {
  Make();
  REQUIRE_TRAIT(traits().has_draft);
  Draft first = Reserve("key", "first");
  Draft second = Reserve("key", "second");
  Version later = *store_->Commit(std::move(second));
  ExpectValue("key", "second", later);
  Version last = *store_->Commit(std::move(first));
  EXPECT_GT(last, later);
  ExpectValue("key", "first", last);
  Draft third = Reserve("key", "third");
  ASSERT_TRUE(store_->Erase("key").ok());
  ExpectAbsent("key");
  EXPECT_GT(*store_->Commit(std::move(third)), last);  // as Put would
  ExpectValue("key", "third");
  ExpectNothingHeld();
}

TEST_P(ConformanceHolds, DraftOfAnotherStoreOrASpentOneIsRefused) {
  Make();
  REQUIRE_TRAIT(traits().has_draft);
  auto other = Attach();
  Draft draft = Reserve("key", "value");
  EXPECT_EQ(other->Commit(std::move(draft)).status().code(), StatusCode::kInvalidArgument);
  ExpectNothingHeld();  // spent, also on an error
  ExpectAbsent("key");
  EXPECT_EQ(store_->Commit(Draft()).status().code(), StatusCode::kInvalidArgument);
  Draft committed = Reserve("key", "value");
  EXPECT_TRUE(store_->Commit(std::move(committed)).ok());
  EXPECT_EQ(store_->Commit(std::move(committed)).status().code(), StatusCode::kInvalidArgument);
  ExpectValue("key", "value");
}

TEST_P(ConformanceHolds, HoldsBeyondTheLedgerAreAnErrorAndComeBack) {
  Make(8 * kMiB);
  REQUIRE_TRAIT(traits().has_pin);
  REQUIRE_TRAIT(lossless());
  Put("key", "value");
  AuditReport before = ExpectSoundAccount();
  for (int round = 0; round < 3; ++round) {
    std::vector<PinnedValue> pins;
    absl::Status refused;
    while (pins.size() < 100'000) {
      absl::StatusOr<PinnedValue> pin = store_->Pin("key");
      if (!pin.ok()) {
        refused = pin.status();
        break;
      }
      pins.push_back(*std::move(pin));
    }
    EXPECT_GE(pins.size(), 8u) << "too few to be of use";
    if (pins.size() < 100'000) {
      EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted) << refused;
      EXPECT_FALSE(refused.message().empty());
      // Everything that needs no hold of the user's goes on.
      ExpectValue("key", "value");
      Put("large", Bytes(100'000, 1));
      ExpectValue("large", Bytes(100'000, 1));
      ASSERT_TRUE(store_->Erase("large").ok());
      if (traits().has_draft) {
        absl::StatusOr<Draft> draft = store_->Reserve("draft", 10);
        if (!draft.ok()) {
          EXPECT_EQ(draft.status().code(), StatusCode::kResourceExhausted) << draft.status();
        }
      }
      pins.pop_back();
      absl::StatusOr<PinnedValue> again = store_->Pin("key");
      EXPECT_TRUE(again.ok()) << again.status();
    }
    pins.clear();
    ExpectSameRoom(ExpectSoundAccount(), before);
  }
}

TEST_P(ConformanceHolds, DraftThatFindsNoRoomIsAnErrorAndLeaksNothing) {
  Make(2 * kMiB);
  REQUIRE_TRAIT(traits().has_draft);
  REQUIRE_TRAIT(lossless());
  AuditReport empty = ExpectSoundAccount();
  std::vector<Draft> drafts;
  const size_t size = store_->max_value_bytes() / 2;
  absl::Status refused;
  while (drafts.size() < 1000) {
    absl::StatusOr<Draft> draft = store_->Reserve("key", size);
    if (!draft.ok()) {
      refused = draft.status();
      break;
    }
    drafts.push_back(*std::move(draft));
  }
  EXPECT_GE(drafts.size(), 1u);
  EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted) << refused;
  ExpectSoundAccount();
  ExpectAbsent("key");
  drafts.clear();
  ExpectSameRoom(ExpectSoundAccount(), empty);
  EXPECT_TRUE(store_->Reserve("key", size).ok());
}

// Pins and drafts at random against their expected bytes, several participants.
TEST_P(ConformanceHolds, ManyPinsAndDraftsAtOnceKeepTheirBytes) {
  Make(4 * kMiB);
  REQUIRE_TRAIT(traits().has_pin);
  REQUIRE_TRAIT(traits().has_draft);
  std::vector<std::unique_ptr<Store>> stores;
  for (int i = 0; i < 3; ++i) stores.push_back(Attach());
  struct Held {
    PinnedValue pin;
    std::string value;
  };
  std::vector<Held> pins;
  struct Open {
    Store* store;
    Draft draft;
    std::string key;
    std::string value;
  };
  std::vector<Open> drafts;
  size_t most_pins = 0;
  size_t most_drafts = 0;
  std::map<std::string, std::string> model;
  std::mt19937_64 random(TestSeed());
  for (int step = 0; step < 6000; ++step) {
    Store& store = *stores[random() % stores.size()];
    std::string key = absl::StrCat("key-", random() % 12);
    std::string value = Bytes(random() % 3 == 0 ? random() % 20'000 : random() % 100, random());
    switch (random() % 7) {
      case 0:
      case 1:
        if (store.Put(key, value).ok()) model[key] = value;
        break;
      case 2:
        ASSERT_TRUE(store.Erase(key).ok());
        model.erase(key);
        break;
      case 3: {
        absl::StatusOr<PinnedValue> pin = store.Pin(key);
        if (!pin.ok()) break;
        ASSERT_TRUE(model.contains(key));
        ASSERT_TRUE(pin->value() == model[key]);
        pins.push_back({*std::move(pin), model[key]});
        break;
      }
      case 4:
        if (pins.empty()) break;
        std::swap(pins[random() % pins.size()], pins.back());
        ASSERT_TRUE(pins.back().pin.value() == pins.back().value);
        pins.pop_back();
        break;
      case 5: {
        absl::StatusOr<Draft> draft = store.Reserve(key, value.size());
        if (!draft.ok()) break;
        value.copy(draft->bytes().data(), value.size());
        drafts.push_back({&store, *std::move(draft), key, value});
        break;
      }
      default: {
        if (drafts.empty()) break;
        std::swap(drafts[random() % drafts.size()], drafts.back());
        Open open = std::move(drafts.back());
        drafts.pop_back();
        if (random() % 3 == 0) break;  // dropped
        ASSERT_TRUE(open.store->Commit(std::move(open.draft)).ok());
        model[open.key] = open.value;
      }
    }
    if (step % 500 == 0) ExpectSoundAccount();
    most_pins = std::max(most_pins, pins.size());
    most_drafts = std::max(most_drafts, drafts.size());
  }
  EXPECT_GT(most_pins, 10u) << "the premise: there were many at once";
  EXPECT_GT(most_drafts, 10u);
  for (const Held& held : pins) EXPECT_TRUE(held.pin.value() == held.value);
  pins.clear();
  drafts.clear();
  for (const auto& [key, value] : model) ExpectValue(key, value);
  ExpectNothingHeld();
}

TEST_P(ConformanceHolds, VisitorThatThrowsLeavesNothingHeldAndNobodyLockedOut) {
  Make();
  for (int i = 0; i < 20; ++i) Put(absl::StrCat("key-", i), "value");
  for (int round = 0; round < 200; ++round) {
    int seen = 0;
    EXPECT_THROW((void)store_->ForEach([&](const EntryView&) -> bool {
      if (++seen > round % 10) throw std::runtime_error("the visitor's own");
      return true;
    }),
                 std::runtime_error);
  }
  ExpectNothingHeld();
  if (traits().has_pin) {
    EXPECT_TRUE(store_->Pin("key-1").ok() || !lossless());
  }
  auto another = Attach();
  for (int i = 0; i < 20; ++i) Put(*another, absl::StrCat("key-", i), "new");
  EXPECT_EQ(Contents(*store_).size(), 20u);
}

}  // namespace
}  // namespace kill9
