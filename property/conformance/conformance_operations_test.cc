// Conformance: Put, Get, Erase, CompareAndSwap, versions, keys and values of all sizes, ForEach.
#include <algorithm>

#include "property/conformance/conformance.h"

namespace kill9 {
namespace {

using absl::StatusCode;

class ConformanceOperations : public Conformance {};
INSTANTIATE_FOR_ALL_VARIANTS(ConformanceOperations);

std::vector<const Variant*> Baselines() {
  std::vector<const Variant*> baselines;
  for (const Variant* variant : AllVariants()) {
    if (variant->role() == Design::Role::kBaseline) baselines.push_back(variant);
  }
  return baselines;
}
INSTANTIATE_TEST_SUITE_P(Baselines, ConformanceOperations, ::testing::ValuesIn(Baselines()),
                         VariantTestName);

TEST(ConformanceRegistry, InstantiatesEveryRegisteredVariantAndNoOther) {
  std::set<std::string> registered;
  std::set<std::string> names;
  for (const Variant* variant : AllVariants()) {
    names.insert(std::string(variant->name()));
    if (variant->role() == Design::Role::kDesign) registered.insert(std::string(variant->name()));
  }
  EXPECT_EQ(names.size(), AllVariants().size()) << "two variants share a name";
  EXPECT_FALSE(registered.empty());
  std::set<std::string> instantiated;
  const ::testing::UnitTest& all = *::testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i) {
    const ::testing::TestSuite& suite = *all.GetTestSuite(i);
    if (suite.name() != std::string("AllVariants/ConformanceOperations")) continue;
    for (int j = 0; j < suite.total_test_count(); ++j) {
      std::string name = suite.GetTestInfo(j)->name();
      instantiated.insert(name.substr(name.find('/') + 1));
    }
  }
  EXPECT_EQ(instantiated, registered);
}

TEST(ConformanceRegistry, FindsEachVariantByItsNameAndNothingElse) {
  for (const Variant* variant : AllVariants()) {
    EXPECT_EQ(FindVariant(variant->name()), variant);
    EXPECT_FALSE(variant->summary().empty());
    EXPECT_FALSE(variant->traits().recovery_trigger.empty()) << variant->name();
    EXPECT_FALSE(variant->traits().recovery_cost.empty()) << variant->name();
  }
  EXPECT_EQ(FindVariant("no such variant"), nullptr);
  EXPECT_EQ(FindVariant(""), nullptr);
}

TEST_P(ConformanceOperations, RunsTheDesignThatItNames) {
  Make();
  std::cout << "[ variant  ] " << variant().name() << ": segment made by design '"
            << segment_->header().design << "'\n";
  std::string_view design(segment_->header().design);
  if (variant().role() == Design::Role::kDesign) {
    EXPECT_EQ(design, variant().name());
  }
  // No other design opens it.
  for (const Variant* other : AllVariants()) {
    absl::StatusOr<std::shared_ptr<Segment>> opened = other->FromFd(dup(segment_->fd()));
    if (other == &variant()) {
      EXPECT_TRUE(opened.ok()) << opened.status();
    } else {
      EXPECT_EQ(opened.status().code(), StatusCode::kFailedPrecondition) << other->name();
    }
  }
}

TEST_P(ConformanceOperations, NewStoreIsEmpty) {
  Make();
  ExpectAbsent("key");
  EXPECT_TRUE(Contents(*store_).empty());
  EXPECT_EQ(*store_->Erase("key"), false);
  AuditReport audit = ExpectSoundAccount();
  EXPECT_EQ(audit.entries, 0u);
  EXPECT_EQ(audit.held.blocks, 0u);
  if (traits().has_audit) {
    EXPECT_EQ(audit.participants, 1u);
  }
}

TEST_P(ConformanceOperations, PutGetEraseGiveWhatWasPut) {
  Make();
  Version first = Put("key", "value");
  ExpectValue("key", "value", first);
  Version second = Put("key", "another, longer value");
  EXPECT_GT(second, first);
  ExpectValue("key", "another, longer value", second);
  Put("other", "");
  ExpectValue("other", "");
  absl::StatusOr<bool> erased = store_->Erase("key");
  ASSERT_TRUE(erased.ok());
  if (lossless()) {
    EXPECT_TRUE(*erased);
  }
  ExpectAbsent("key");
  EXPECT_EQ(*store_->Erase("key"), false);
  ExpectValue("other", "");
}

TEST_P(ConformanceOperations, GetWithoutAStringTellsTheVersion) {
  Make();
  Version version = Put("key", "value");
  absl::StatusOr<Version> got = store_->Get("key", nullptr);
  if (lossless() || got.ok()) {
    EXPECT_EQ(*got, version);
  }
  EXPECT_EQ(store_->Get("none", nullptr).status().code(), StatusCode::kNotFound);
}

TEST_P(ConformanceOperations, VersionsOfAKeyGrowAndNeverRepeatAcrossEraseAndReinsert) {
  Make();
  auto other = Attach();
  std::map<std::string, Version> last;
  std::mt19937_64 random(TestSeed());
  for (int step = 0; step < 4000; ++step) {
    Store& store = random() % 2 == 0 ? *store_ : *other;
    std::string key = absl::StrCat("key-", random() % 8);
    switch (random() % 4) {
      case 0:
        ASSERT_TRUE(store.Erase(key).ok());
        break;
      case 1: {
        if (!traits().has_compare_and_swap) break;
        absl::StatusOr<CasResult> cas =
            store.CompareAndSwap(key, random() % 2 == 0 ? last[key] : kAbsent, "swapped");
        ASSERT_TRUE(cas.ok()) << cas.status();
        if (!cas->swapped) break;
        ASSERT_GT(cas->version, last[key]);
        last[key] = cas->version;
        break;
      }
      default: {
        Version version = Put(store, key, Bytes(random() % 200, random()));
        ASSERT_GT(version, last[key]);
        last[key] = version;
      }
    }
  }
}

TEST_P(ConformanceOperations, VersionsGoOnWhenAllParticipantsHaveLeft) {
  Make();
  Version last = 0;
  for (int round = 0; round < 20; ++round) {
    Version version = Put("key", "value");
    EXPECT_GT(version, last);
    last = version;
    ASSERT_TRUE(store_->Erase("key").ok());
    store_.reset();
    store_ = Attach();
  }
}

TEST_P(ConformanceOperations, CompareAndSwapSetsOnlyWhatIsStillThere) {
  Make();
  REQUIRE_TRAIT(traits().has_compare_and_swap);
  REQUIRE_TRAIT(traits().lossless);
  absl::StatusOr<CasResult> cas = store_->CompareAndSwap("key", 12345, "value");
  ASSERT_TRUE(cas.ok()) << cas.status();
  EXPECT_FALSE(cas->swapped);
  EXPECT_EQ(cas->version, kAbsent);
  ExpectAbsent("key");

  cas = store_->CompareAndSwap("key", kAbsent, "first");
  ASSERT_TRUE(cas.ok()) << cas.status();
  EXPECT_TRUE(cas->swapped);
  ExpectValue("key", "first", cas->version);
  Version first = cas->version;

  cas = store_->CompareAndSwap("key", kAbsent, "no");
  ASSERT_TRUE(cas.ok());
  EXPECT_FALSE(cas->swapped);
  EXPECT_EQ(cas->version, first);
  cas = store_->CompareAndSwap("key", first + 1, "no");
  EXPECT_FALSE(cas->swapped);
  EXPECT_EQ(cas->version, first);
  ExpectValue("key", "first", first);

  cas = store_->CompareAndSwap("key", first, std::string(5000, 's'));
  EXPECT_TRUE(cas->swapped);
  EXPECT_GT(cas->version, first);
  ExpectValue("key", std::string(5000, 's'), cas->version);
  ASSERT_TRUE(store_->Erase("key").ok());
  EXPECT_FALSE(store_->CompareAndSwap("key", cas->version, "no")->swapped);
  ExpectAbsent("key");
  // A version from before the erase never fits again (ABA).
  Version again = Put("key", "first");
  EXPECT_FALSE(store_->CompareAndSwap("key", first, "no")->swapped);
  ExpectValue("key", "first", again);
  ExpectNothingHeld();
}

TEST_P(ConformanceOperations, FailedCompareAndSwapOfALargeValueLeaksNothing) {
  Make();
  REQUIRE_TRAIT(traits().has_compare_and_swap);
  Put("key", "value");
  AuditReport before = ExpectSoundAccount();
  for (size_t size : {0ul, 100ul, 5000ul, 100'000ul, 1'000'000ul}) {
    absl::StatusOr<CasResult> cas = store_->CompareAndSwap("key", 99999, Bytes(size, size));
    ASSERT_TRUE(cas.ok()) << cas.status();
    EXPECT_FALSE(cas->swapped);
  }
  if (lossless()) ExpectSameRoom(ExpectSoundAccount(), before);
}

TEST_P(ConformanceOperations, KeysOfEverySizeAreKeptApart) {
  Make();
  ASSERT_GE(store_->max_key_bytes(), 250u);
  const size_t most = std::min<size_t>(store_->max_key_bytes(), 2000);
  // Each is a prefix of the next; zeros are bytes like others.
  const std::string name = Bytes(store_->max_key_bytes(), 77);
  std::vector<size_t> sizes;
  for (size_t size = 1; size <= most; ++size) sizes.push_back(size);
  if (most < store_->max_key_bytes()) sizes.push_back(store_->max_key_bytes());
  for (size_t size : sizes) Put(std::string_view(name).substr(0, size), absl::StrCat(size));
  for (size_t size : sizes) {
    ExpectValue(std::string_view(name).substr(0, size), absl::StrCat(size));
  }
  if (lossless()) {
    EXPECT_EQ(Contents(*store_).size(), sizes.size());
  }
  for (size_t size : sizes) {
    if (size % 2 == 0) {
      ASSERT_TRUE(store_->Erase(std::string_view(name).substr(0, size)).ok());
    }
  }
  for (size_t size : sizes) {
    std::string_view key = std::string_view(name).substr(0, size);
    size % 2 == 0 ? ExpectAbsent(key) : ExpectValue(key, absl::StrCat(size));
  }
}

TEST_P(ConformanceOperations, KeysThatCannotBeAreRefused) {
  Make();
  const std::string longer(store_->max_key_bytes() + 1, 'k');
  auto refused = [](const absl::Status& status, std::string_view words) {
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(std::string(words)));
  };
  for (const auto& [key, words] : {std::pair<std::string, std::string>{"", "empty"},
                                   {longer, absl::StrCat("at most ", store_->max_key_bytes())}}) {
    refused(store_->Put(key, "value").status(), words);
    refused(store_->Get(key, nullptr).status(), words);
    refused(store_->Erase(key).status(), words);
    refused(store_->CompareAndSwap(key, kAbsent, "value").status(), words);
    refused(store_->Pin(key).status(), words);
    refused(store_->Reserve(key, 1).status(), words);
  }
  EXPECT_EQ(ExpectSoundAccount().entries, 0u);
}

TEST_P(ConformanceOperations, ValuesOfAllSizesComeBackByteForByte) {
  Make(16 * kMiB);
  ASSERT_GE(store_->max_value_bytes(), kMiB);
  std::vector<size_t> sizes;
  for (size_t size = 0; size < 130; ++size) sizes.push_back(size);
  for (size_t power = 256; power <= kMiB; power *= 2) {
    sizes.insert(sizes.end(), {power - 1, power, power + 1});
  }
  for (size_t size : sizes) {
    Version version = Put("key", Bytes(size, size));
    ExpectValue("key", Bytes(size, size), version);
  }
  for (auto size = sizes.rbegin(); size != sizes.rend(); ++size) {
    Put("key", Bytes(*size, *size + 1));
    ExpectValue("key", Bytes(*size, *size + 1));
  }
  ExpectNothingHeld();
}

TEST_P(ConformanceOperations, LargestValueFitsIntoAnEmptyStoreAndNoLargerOneDoes) {
  Make(4 * kMiB);
  const size_t most = store_->max_value_bytes();
  const std::string value = Bytes(most, 5);
  for (int round = 0; round < 3; ++round) {
    Put("k", value);
    ExpectValue("k", value);
    ASSERT_TRUE(store_->Erase("k").ok());
    ExpectNothingHeld();
  }
  AuditReport before = ExpectSoundAccount();
  for (size_t size : {most + 1, most + 4096, most * 2}) {
    std::string larger(size, 'x');
    EXPECT_EQ(store_->Put("k", larger).status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(store_->CompareAndSwap("k", kAbsent, larger).status().code(),
              StatusCode::kInvalidArgument);
  }
  for (size_t size : {most + 1, SIZE_MAX / 2, SIZE_MAX - 40, SIZE_MAX}) {
    EXPECT_EQ(store_->Reserve("k", size).status().code(), StatusCode::kInvalidArgument);
  }
  ExpectAbsent("k");
  if (lossless()) ExpectSameRoom(ExpectSoundAccount(), before);
}

TEST_P(ConformanceOperations, ManyKeysInAnIndexMadeForFewAreAllFound) {
  SegmentOptions options;
  options.size_bytes = 8 * kMiB;
  options.expected_entries = 1;
  segment_ = Create(options);
  store_ = Attach();
  constexpr int kKeys = 3000;
  int put = 0;
  for (; put < kKeys; ++put) {
    absl::StatusOr<Version> version = store_->Put(absl::StrCat("key-", put), absl::StrCat(put));
    if (version.ok()) continue;
    // An index of fixed size may be full before the space is; then it must say so.
    ASSERT_EQ(version.status().code(), StatusCode::kResourceExhausted) << version.status();
    break;
  }
  EXPECT_GE(put, 1000) << "the premise: there are many";
  for (int i = 0; i < put; ++i) ExpectValue(absl::StrCat("key-", i), absl::StrCat(i));
  if (lossless()) {
    if (traits().has_audit) {
      EXPECT_EQ(ExpectSoundAccount().entries, static_cast<uint64_t>(put));
    }
  }
  for (int i = 0; i < put; ++i) ASSERT_TRUE(store_->Erase(absl::StrCat("key-", i)).ok());
  EXPECT_TRUE(Contents(*store_).empty());
}

TEST_P(ConformanceOperations, ValueMayBeAViewIntoTheStoreItself) {
  Make();
  REQUIRE_TRAIT(traits().has_pin);
  for (size_t size : {10ul, 3000ul, 200'000ul}) {
    const std::string value = Bytes(size, size);
    Put("key", value);
    absl::StatusOr<PinnedValue> pin = store_->Pin("key");
    if (!lossless() && !pin.ok()) continue;
    ASSERT_TRUE(pin.ok()) << pin.status();
    Put("copy", pin->value());
    Put("key", pin->value());
    ExpectValue("copy", value);
    ExpectValue("key", value);
  }
  ExpectNothingHeld();
}

// --- ForEach ---

TEST_P(ConformanceOperations, ForEachShowsExactlyWhatIsThere) {
  Make();
  std::map<std::string, std::pair<std::string, Version>> model;
  std::mt19937_64 random(TestSeed());
  for (int i = 0; i < 500; ++i) {
    std::string key = absl::StrCat("key-", random() % 200);
    std::string value = Bytes(random() % 6000, random());
    if (random() % 3 == 0) {
      ASSERT_TRUE(store_->Erase(key).ok());
      model.erase(key);
    } else {
      Version version = Put(key, value);
      model[key] = {value, version};
    }
  }
  auto contents = Contents(*store_);
  for (const auto& [key, seen] : contents) {
    ASSERT_TRUE(model.contains(key)) << key;
    EXPECT_TRUE(model[key].first == seen.value) << key;
    EXPECT_EQ(model[key].second, seen.version) << key;
  }
  if (lossless()) {
    EXPECT_EQ(contents.size(), model.size());
  }
  ExpectNothingHeld();
}

TEST_P(ConformanceOperations, ForEachStopsWhenTheVisitorSaysSo) {
  Make();
  for (int i = 0; i < 100; ++i) Put(absl::StrCat("key-", i), "value");
  for (int stop_after : {1, 2, 50}) {
    int visits = 0;
    EXPECT_TRUE(store_->ForEach([&](const EntryView&) { return ++visits < stop_after; }).ok());
    if (lossless()) {
      EXPECT_EQ(visits, stop_after);
    } else {
      EXPECT_LE(visits, stop_after);
    }
  }
  ExpectNothingHeld();
  Put("still", "works");
  ExpectValue("still", "works");
}

TEST_P(ConformanceOperations, VisitorMayCallEveryOperationOfItsStore) {
  Make();
  constexpr int kKeys = 300;
  for (int i = 0; i < kKeys; ++i) Put(absl::StrCat("stays-", i), absl::StrCat(i));
  for (int i = 0; i < kKeys; ++i) Put(absl::StrCat("goes-", i), absl::StrCat(i));
  std::map<std::string, int> seen;
  std::vector<PinnedValue> pins;
  int fresh = 0;
  absl::Status status = store_->ForEach([&](const EntryView& entry) {
    const std::string key(entry.key);
    const std::string value(entry.value);
    ++seen[key];
    ExpectValue(key, value, entry.version);
    if (key.starts_with("goes-")) {
      EXPECT_TRUE(store_->Erase(key).ok());
    } else if (key.starts_with("stays-") && seen[key] == 1) {
      Put(key, value);  // an overwrite: still present throughout
      if (fresh < kKeys) Put(absl::StrCat("fresh-", fresh++), value);
      if (traits().has_pin && pins.size() < 4) {
        absl::StatusOr<PinnedValue> pin = store_->Pin(key);
        if (pin.ok()) pins.push_back(*std::move(pin));
      }
      if (traits().has_draft) {
        absl::StatusOr<Draft> draft = store_->Reserve(key, value.size());
        EXPECT_TRUE(draft.ok()) << draft.status();
        if (draft.ok()) {
          value.copy(draft->bytes().data(), value.size());
          EXPECT_TRUE(store_->Commit(*std::move(draft)).ok());
        }
      }
      EXPECT_TRUE(store_->Recover().ok());
    }
    // The view is still what it was, whatever was done meanwhile.
    EXPECT_EQ(std::string(entry.key), key);
    EXPECT_EQ(std::string(entry.value), value);
    return true;
  });
  EXPECT_TRUE(status.ok()) << status;
  for (const auto& [key, times] : seen) EXPECT_EQ(times, 1) << key;
  if (lossless()) {
    for (int i = 0; i < kKeys; ++i) EXPECT_EQ(seen[absl::StrCat("stays-", i)], 1) << i;
  }
  pins.clear();
  ExpectNothingHeld();
  for (int i = 0; i < kKeys; ++i) ExpectAbsent(absl::StrCat("goes-", i));
}

TEST_P(ConformanceOperations, VisitorMayUseAnotherParticipantAndNestAnotherVisit) {
  Make();
  auto other = Attach();
  for (int i = 0; i < 10; ++i) Put(absl::StrCat("key-", i), absl::StrCat(i));
  int inner = 0;
  int outer = 0;
  EXPECT_TRUE(store_
                  ->ForEach([&](const EntryView& entry) {
                    ++outer;
                    ExpectValue(*other, entry.key, entry.value);
                    EXPECT_TRUE(store_
                                    ->ForEach([&](const EntryView&) {
                                      ++inner;
                                      return true;
                                    })
                                    .ok());
                    return true;
                  })
                  .ok());
  if (lossless()) {
    EXPECT_EQ(outer, 10);
    EXPECT_EQ(inner, 100);
  }
  ExpectNothingHeld();
}

TEST_P(ConformanceOperations, ForEachSeesLastingKeysOnceWhileOthersComeAndGo) {
  Make();
  constexpr int kLasting = 200;
  for (int i = 0; i < kLasting; ++i) Put(absl::StrCat("lasting-", i), "value");
  Shared<std::atomic<uint64_t>> churned;
  Child churner([&](Line& parent) {
    auto store = variant().Attach(segment_);
    CHILD_REQUIRE(store.ok());
    parent.Tell();
    std::mt19937_64 random(TestSeed());
    for (;;) {
      churned->fetch_add(1, std::memory_order_release);
      std::string key = absl::StrCat("passing-", random() % 100);
      (random() % 2 == 0 ? (*store)->Put(key, Bytes(random() % 300, 1)).status()
                         : (*store)->Erase(key).status())
          .IgnoreError();
      (*store)->Put(absl::StrCat("lasting-", random() % kLasting), "value").status().IgnoreError();
    }
    return 0;
  });
  ASSERT_TRUE(churner.Await());
  // Visits beside which others came or went.
  for (int round = 0; round < 50;) {
    const uint64_t before = churned->load(std::memory_order_acquire);
    auto contents = Contents(*store_);  // fails on a key seen twice
    round += churned->load(std::memory_order_acquire) != before ? 1 : 0;
    if (!lossless()) continue;
    for (int i = 0; i < kLasting; ++i) {
      ASSERT_TRUE(contents.contains(absl::StrCat("lasting-", i))) << "round " << round;
    }
  }
}

}  // namespace
}  // namespace kill9
