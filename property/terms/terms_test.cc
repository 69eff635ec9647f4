// Segments that keep terms: deadlines, marks, clears, changes in one step, many keys, counters; of
// every design that says it can.
#include <ctime>

#include "property/terms/terms_fixture.h"

namespace kill9 {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

class TermsOperations : public TermsFixture {};
INSTANTIATE_TEST_SUITE_P(All, TermsOperations, ::testing::ValuesIn(VariantsWithTerms()),
                         VariantTestName);

TEST(TermsTraits, EveryDesignCanKeepTermsAndNothingElseDoes) {
  for (const Variant* variant : AllVariants()) {
    const bool is_design = variant->role() == Design::Role::kDesign;
    EXPECT_EQ(variant->traits().can_keep_terms, is_design) << variant->name();
    SegmentOptions options;
    options.keeps_terms = true;
    options.size_bytes = 8 << 20;
    if (!is_design && !variant->traits().needs_name) {
      EXPECT_EQ(variant->Create(options).status().code(), absl::StatusCode::kUnimplemented)
          << variant->name();
    }
  }
}

TEST_P(TermsOperations, ValueMarkAndDeadlineComeBackAsTheyWerePut) {
  const Terms terms{Expiry::After(hours(1)), 0x123456789abcdef0};
  const absl::StatusOr<Version> put = store_->Put("key", "value", terms);
  ASSERT_TRUE(put.ok()) << put.status();
  std::string value;
  Terms found;
  EXPECT_EQ(*store_->Get("key", &value, &found), *put);
  EXPECT_EQ(value, "value");
  EXPECT_EQ(found, terms);
  EXPECT_EQ(*store_->Get("key", nullptr), *put);
  {
    const absl::StatusOr<PinnedValue> pin = store_->Pin("key");
    ASSERT_TRUE(pin.ok()) << pin.status();
    EXPECT_EQ(pin->value(), "value");
    EXPECT_EQ(pin->terms(), terms);
    EXPECT_EQ(pin->version(), *put);
  }
  absl::StatusOr<Draft> draft = store_->Reserve("draft", 7);
  ASSERT_TRUE(draft.ok()) << draft.status();
  ASSERT_EQ(draft->bytes().size(), 7u);
  std::memcpy(draft->bytes().data(), "written", 7);
  ASSERT_TRUE(store_->Commit(*std::move(draft), terms).ok());
  std::map<std::string, std::string> seen;
  ASSERT_TRUE(store_
                  ->ForEach([&](const EntryView& entry) {
                    EXPECT_EQ(entry.terms, terms);
                    seen.emplace(entry.key, entry.value);
                    return true;
                  })
                  .ok());
  EXPECT_EQ(seen, (std::map<std::string, std::string>{{"key", "value"}, {"draft", "written"}}));
  ExpectNothingHeld();
}

TEST_P(TermsOperations, ValuesOfAllSizesFit) {
  for (size_t size : {size_t{0}, size_t{1}, size_t{4096}, size_t{5000}, size_t{100'000}}) {
    const std::string value = Bytes(size, size);
    ASSERT_TRUE(store_->Put("key", value).ok());
    ExpectValue("key", value);
  }
  const std::string largest = Bytes(store_->max_value_bytes(), 1);
  const absl::StatusOr<Version> put = store_->Put("key", largest);
  if (put.ok()) ExpectValue("key", largest);
  EXPECT_EQ(store_->Put("key", largest + "x").status().code(), absl::StatusCode::kInvalidArgument);
}

// The terms lie behind the value: wherever that ends, each comes out whole, into any string.
TEST_P(TermsOperations, ValueAndTermsAreTakenApartWhereverTheValueEnds) {
  for (const size_t size : {0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 40, 63, 64, 65, 100, 5000}) {
    const std::string value = Bytes(size, size + 1);
    for (const Expiry expires : {Expiry::Never(), Expiry::After(hours(1))}) {
      const Terms terms{expires, ~uint64_t{size}};
      const absl::StatusOr<Version> put = store_->Put("key", value, terms);
      ASSERT_TRUE(put.ok()) << put.status();
      for (const size_t before : {size, size_t{0}, size + 1, size + sizeof(terms::Trailer)}) {
        std::string read(before, 'x');
        Terms found;
        EXPECT_EQ(*store_->Get("key", &read, &found), *put) << size;
        EXPECT_EQ(read, value) << size << " into " << before;
        EXPECT_EQ(read.c_str()[size], '\0');
        EXPECT_EQ(found, terms) << size;
        EXPECT_EQ(*store_->Get("key", &read), *put);
        EXPECT_EQ(read, value);
      }
    }
  }
}

// A Get looks the long way where there is a clear to come, and still finds what is alive.
TEST_P(TermsOperations, WhatIsAliveIsFoundWhileAClearIsToCome) {
  Put("key", "value");
  const absl::StatusOr<StoreCounters> before = store_->Counted();
  ASSERT_TRUE(store_->ClearAt(Expiry::After(hours(1))).ok());
  ExpectValue("key", "value");
  EXPECT_EQ(store_->Counted()->hits, before->hits + 1);
  ASSERT_TRUE(store_->Clear().ok());
  EXPECT_TRUE(absl::IsNotFound(store_->Get("key", nullptr).status()));
  EXPECT_EQ(store_->Counted()->misses, before->misses + 1);
  Put("key", "next");
  ExpectValue("key", "next");
}

TEST_P(TermsOperations, ExpiredIsAbsentForEveryOperation) {
  const auto expire = [&](std::string_view key) {
    ASSERT_TRUE(store_->Put(key, "old", {Past(), 0}).ok());
  };
  expire("get");
  ExpectAbsent("get");
  expire("pin");
  EXPECT_EQ(store_->Pin("pin").status().code(), absl::StatusCode::kNotFound);
  expire("erase");
  EXPECT_EQ(*store_->Erase("erase"), false);
  expire("cas");
  const absl::StatusOr<CasResult> swapped = store_->CompareAndSwap("cas", kAbsent, "new");
  ASSERT_TRUE(swapped.ok() && swapped->swapped) << swapped.status();
  ExpectValue("cas", "new");
  expire("each");
  EXPECT_EQ(Contents(*store_).count("each"), 0u);
  expire("modify");
  EXPECT_EQ(store_->Append("modify", "x").status().code(), absl::StatusCode::kNotFound);
  expire("many");
  const std::string_view keys[] = {"many", "cas"};
  std::vector<bool> there;
  ASSERT_TRUE(
      store_
          ->GetMany(keys,
                    [&](size_t, const EntryView* entry) { there.push_back(entry != nullptr); })
          .ok());
  EXPECT_FALSE(there[0]);
  EXPECT_EQ(store_->Counted()->expired, 7u);
}

TEST_P(TermsOperations, TheVersionOfWhatExpiredDoesNotComeBack) {
  const Version old = *store_->Put("key", "old", {Past(), 0});
  const absl::StatusOr<CasResult> late = store_->CompareAndSwap("key", old, "new");
  ASSERT_TRUE(late.ok()) << late.status();
  EXPECT_FALSE(late->swapped);
  EXPECT_EQ(late->version, kAbsent);
  EXPECT_GT(*store_->Put("key", "new"), old);
}

// Found expired by one, it is absent for all, whatever their clocks say then: it is gone.
TEST_P(TermsOperations, WhatWasFoundExpiredIsRemoved) {
  ASSERT_TRUE(store_->Put("key", std::string(3000, 'v'), {Past(), 0}).ok());
  AuditReport before = ExpectSoundAccount();
  ASSERT_EQ(before.entries, 1u);
  ExpectAbsent("key");
  AuditReport after = ExpectSoundAccount();
  EXPECT_EQ(after.entries, 0u);
  EXPECT_EQ(store_->Counted()->expired, 1u);
}

// Of a deadline that had not passed when the other one looked first: each is twice as far away.
TEST_P(TermsOperations, DeadlineIsMetBySomebodyWhoWaits) {
  auto other = Attach();
  const auto is_there = [&] { return other->Get("key", nullptr).ok(); };
  bool was_there = false;
  for (milliseconds time(100); !was_there && time < hours(1); time *= 2) {
    const Expiry deadline = Expiry::After(time);
    ASSERT_TRUE(store_->Put("key", "value", {deadline, 0}).ok());
    was_there = is_there();
    const bool in_time = Expiry::Now().unix_ns() < deadline.unix_ns();
    EXPECT_TRUE(Eventually([&] { return !is_there(); }));
    if (in_time) break;
  }
  EXPECT_TRUE(was_there || !lossless());
}

TEST_P(TermsOperations, TouchChangesTheDeadlineOnly) {
  const Terms terms{Expiry::After(hours(1)), 7};
  const Version first = *store_->Put("key", "value", terms);
  const Expiry later = Expiry::After(hours(5));
  const absl::StatusOr<Version> touched = store_->Touch("key", later);
  ASSERT_TRUE(touched.ok()) << touched.status();
  EXPECT_GT(*touched, first);
  std::string value;
  Terms found;
  ASSERT_TRUE(store_->Get("key", &value, &found).ok());
  EXPECT_EQ(value, "value");
  EXPECT_EQ(found, (Terms{later, 7}));
  ASSERT_TRUE(store_->Touch("key", Past()).ok());
  ExpectAbsent("key");
  EXPECT_EQ(store_->Touch("key", later).status().code(), absl::StatusCode::kNotFound);
}

TEST_P(TermsOperations, RoomOfWhatExpiredIsFound) {
  REQUIRE_TRAIT(traits().lossless);
  const std::string value = Bytes(50'000, 1);
  uint64_t count = 0;
  while (
      store_->Put(absl::StrCat("old-", count), value, {Expiry::After(milliseconds(1)), 0}).ok() &&
      count < 10'000) {
    if (++count % 50 == 0) SleepMicroseconds(2000);
  }
  EXPECT_EQ(count, 10'000u) << "an expired entry's room was not found";
}

TEST_P(TermsOperations, ClearForgetsEverythingAtOnce) {
  for (int i = 0; i < 100; ++i) Put(absl::StrCat("key-", i), "value");
  auto other = Attach();
  ASSERT_TRUE(other->Clear().ok());
  for (int i = 0; i < 50; ++i) ExpectAbsent(absl::StrCat("key-", i));
  EXPECT_TRUE(Contents(*store_).empty());
  EXPECT_EQ(ExpectSoundAccount().entries, 0u);
  Put("key-1", "new");
  ExpectValue("key-1", "new");
  EXPECT_EQ(store_->Counted()->expired, 0u);
  const uint64_t cleared = store_->Counted()->cleared;
  EXPECT_TRUE(cleared == 100 || (!lossless() && cleared > 0)) << cleared;
}

TEST_P(TermsOperations, ClearAtTakesWhatWasSetBefore) {
  Put("before", "value");
  Expiry clear = Expiry::Now();
  for (milliseconds time(200); Expiry::Now().unix_ns() >= clear.unix_ns(); time *= 2) {
    clear = Expiry::After(time);
    ASSERT_TRUE(store_->ClearAt(clear).ok());
    Put("meanwhile", "value");
  }
  EXPECT_TRUE(Eventually([&] { return !store_->Get("before", nullptr).ok(); }));
  ExpectAbsent("meanwhile");
  Put("after", "value");
  ExpectValue("after", "value");
}

TEST_P(TermsOperations, LaterClearTakesThePlaceOfOneThatIsToCome) {
  ASSERT_TRUE(store_->ClearAt(Expiry::After(milliseconds(50))).ok());
  ASSERT_TRUE(store_->ClearAt(Expiry::After(hours(1))).ok());
  Put("key", "value");
  SleepMicroseconds(60'000);
  ExpectValue("key", "value");
  ASSERT_TRUE(store_->ClearAt(Expiry::After(milliseconds(50))).ok());
  ASSERT_TRUE(store_->Clear().ok());
  Put("key", "value");
  SleepMicroseconds(60'000);
  ExpectValue("key", "value");
}

TEST_P(TermsOperations, ChangesInOneStep) {
  EXPECT_FALSE(store_->Replace("key", "a")->swapped);
  EXPECT_TRUE(store_->Add("key", "10", {Expiry::After(hours(1)), 3})->swapped);
  EXPECT_FALSE(store_->Add("key", "b")->swapped);
  const absl::StatusOr<Incremented> more = store_->Increment("key", 5);
  ASSERT_TRUE(more.ok()) << more.status();
  EXPECT_EQ(more->number, 15u);
  EXPECT_EQ(store_->Increment("key", -20)->number, 0u);
  EXPECT_TRUE(store_->Append("key", "|end").ok());
  EXPECT_TRUE(store_->Prepend("key", "begin|").ok());
  std::string value;
  Terms terms;
  ASSERT_TRUE(store_->Get("key", &value, &terms).ok());
  EXPECT_EQ(value, "begin|0|end");
  EXPECT_EQ(terms.mark, 3u);
  EXPECT_EQ(store_->Increment("key", 1).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_TRUE(store_->Replace("key", "18446744073709551615")->swapped);
  EXPECT_EQ(store_->Increment("key", 1)->number, 0u);
  const absl::StatusOr<Modified> erased =
      store_->Modify("key", [](const EntryView*) { return Change::Erase(); });
  ASSERT_TRUE(erased.ok() && erased->changed);
  ExpectAbsent("key");
}

TEST_P(TermsOperations, ConcurrentIncrementsAreAllThere) {
  constexpr int kChildren = 3;
  constexpr int kTimes = 2000;
  ASSERT_TRUE(store_->Put("sum", "0").ok());
  std::vector<Child> children;
  for (int i = 0; i < kChildren; ++i) {
    children.emplace_back([&](Line&) {
      auto store = variant().Attach(segment_);
      CHILD_REQUIRE(store.ok());
      for (int n = 0; n < kTimes; ++n) CHILD_REQUIRE((*store)->Increment("sum", 1).ok());
      return 0;
    });
  }
  for (Child& child : children) EXPECT_EQ(child.ExitStatus(), 0);
  ExpectValue("sum", absl::StrCat(kChildren * kTimes));
}

TEST_P(TermsOperations, ManyKeysAreToldInTheirOrder) {
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) {
    names.push_back(absl::StrCat("key-", i));
    if (i % 3 != 0) Put(names.back(), absl::StrCat("value-", i));
  }
  const std::vector<std::string_view> keys(names.begin(), names.end());
  size_t next = 0;
  size_t there = 0;
  ASSERT_TRUE(store_
                  ->GetMany(keys,
                            [&](size_t index, const EntryView* entry) {
                              EXPECT_EQ(index, next++);
                              EXPECT_TRUE(index % 3 != 0 || entry == nullptr);
                              if (entry == nullptr) return;
                              ++there;
                              EXPECT_EQ(entry->key, keys[index]);
                              EXPECT_EQ(entry->value, absl::StrCat("value-", index));
                            })
                  .ok());
  EXPECT_EQ(next, keys.size());
  EXPECT_TRUE(there == 66 || !lossless()) << there;
}

TEST_P(TermsOperations, CountersAreOfAllParticipants) {
  Put("key", "value");
  EXPECT_TRUE(store_->Get("key", nullptr).ok());
  {
    auto other = Attach();
    EXPECT_TRUE(other->Get("key", nullptr).ok());
    EXPECT_FALSE(other->Get("none", nullptr).ok());
  }
  auto next = Attach();  // in the slot that the other has left
  const StoreCounters counted = *store_->Counted();
  EXPECT_EQ(counted.hits, 2u);
  EXPECT_EQ(counted.misses, 1u);
}

TEST_P(TermsOperations, SegmentWithoutTermsRefusesThem) {
  Make();
  EXPECT_FALSE(store_->keeps_terms());
  EXPECT_EQ(store_->Clear().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(store_->Put("key", "value", Terms{}).status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(store_->GetOrLease("key", nullptr).status().code(), absl::StatusCode::kUnimplemented);
  // But what needs none works.
  EXPECT_TRUE(store_->Add("key", "1")->swapped);
  EXPECT_EQ(store_->Increment("key", 4)->number, 5u);
  ExpectValue("key", "5");
}

}  // namespace
}  // namespace kill9
