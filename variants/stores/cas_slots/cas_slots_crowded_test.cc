// Slots with more keys than most have: nodes of every length, up to the most that one can list.
#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/scaffold/children.h"
#include "property/scaffold/values.h"
#include "variants/registry.h"
#include "variants/stores/cas_slots/layout.h"

namespace kill9::cas_slots {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// How many keys belong to each of a few slots: none other is used. The first has more than a node
// can list.
constexpr std::array<size_t, 4> kKeysOfSlot = {kMaxNodeItems + 15, 60, 17, 2};

class CrowdedSlots : public ::testing::Test {
 protected:
  CrowdedSlots() {
    SegmentOptions options;
    options.size_bytes = 512 << 10;
    options.expected_entries = 1;
    options.max_participants = 16;
    options.hash_seed = TestSeed();
    segment_ = *FindVariant("cas_slots")->Create(options);
    store_ = *FindVariant("cas_slots")->Attach(segment_);
    std::array<size_t, kKeysOfSlot.size()> found{};
    for (uint64_t number = 0; keys_.size() < kKeys; ++number) {
      const std::string text = absl::StrCat("key-", number);
      const uint64_t slot = SlotOf(text);
      if (slot >= kKeysOfSlot.size() || found[slot] == kKeysOfSlot[slot]) continue;
      ++found[slot];
      keys_.push_back(text);
    }
  }

  // As Context::SlotOf.
  uint64_t SlotOf(const std::string& key) const {
    const uint64_t slots = segment_->header().parameters[kSlotCount];
    return static_cast<uint64_t>(static_cast<unsigned __int128>(segment_->Hash(key)) * slots >> 64);
  }

  struct Present {
    std::string value;
    Version version;
  };
  void NoteLengths() {
    std::map<uint64_t, size_t> lengths;
    for (const auto& [key, present] : model_) ++lengths[SlotOf(key)];
    for (const auto& [slot, length] : lengths) ++seen_lengths_[length];
  }
  void ExpectExactlyTheModel() {
    std::map<std::string, std::string> seen;
    ASSERT_TRUE(store_
                    ->ForEach([&](const EntryView& entry) {
                      EXPECT_TRUE(seen.emplace(entry.key, entry.value).second);
                      return true;
                    })
                    .ok());
    EXPECT_EQ(seen.size(), model_.size());
    for (const auto& [key, present] : model_) EXPECT_EQ(seen[key], present.value) << key;
  }
  void ExpectSound() {
    const AuditReport audit = store_->Audit().value();
    EXPECT_THAT(audit.violations, IsEmpty());
    EXPECT_EQ(audit.entries, model_.size());
    EXPECT_EQ(audit.leaked.blocks, 0u);
  }
  // A write was refused: because the slot had as many keys as a node can list.
  void ExpectSlotWasFull(const std::string& key, const absl::Status& status) {
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("as many as a node can list"));
    EXPECT_EQ(SlotOf(key), 0u);
    EXPECT_FALSE(model_.contains(key));
    size_t length = 0;
    for (const auto& [other, present] : model_) length += SlotOf(other) == 0 ? 1 : 0;
    EXPECT_EQ(length, kMaxNodeItems);
    ++refused_;
  }
  void Step(std::mt19937_64& random, uint64_t id, bool erases) {
    const size_t number = random() % keys_.size();
    const std::string& key = keys_[number];
    const auto found = model_.find(key);
    if (erases && random() % 2 == 0) {
      EXPECT_EQ(store_->Erase(key).value(), found != model_.end());
      model_.erase(key);
    } else if (random() % 3 != 0) {
      const std::string value = ValueOf(number, id, random() % 60);
      const absl::StatusOr<Version> version = store_->Put(key, value);
      if (!version.ok()) return ExpectSlotWasFull(key, version.status());
      EXPECT_GT(*version, newest_[key]);
      newest_[key] = *version;
      model_[key] = {value, *version};
    } else {
      std::string value;
      const absl::StatusOr<Version> version = store_->Get(key, &value);
      ASSERT_EQ(version.ok(), found != model_.end());
      if (!version.ok()) return;
      EXPECT_EQ(value, found->second.value);
      EXPECT_EQ(*version, found->second.version);
    }
  }

  static constexpr size_t kKeys = kKeysOfSlot[0] + kKeysOfSlot[1] + kKeysOfSlot[2] + kKeysOfSlot[3];
  std::shared_ptr<Segment> segment_;
  std::unique_ptr<Store> store_;
  std::vector<std::string> keys_;
  std::map<std::string, Present> model_;
  std::map<std::string, Version> newest_;
  std::map<size_t, uint64_t> seen_lengths_;
  uint64_t refused_ = 0;
};

TEST_F(CrowdedSlots, ManyKeysInOneSlotBehaveAsAMap) {
  std::mt19937_64 random(TestSeed());
  for (uint64_t i = 0; i < 40'000; ++i) {
    Step(random, i, /*erases=*/i / 4000 % 2 == 1);  // grows, then shrinks, again and again
    if (i % 100 == 0) NoteLengths();
    if (i % 4000 == 3999) {
      ExpectExactlyTheModel();
      ExpectSound();
    }
  }
  // The premise: slots had one key, two, few and many; nodes were full, and refused one more.
  for (const size_t length : {size_t{1}, size_t{2}, size_t{16}, size_t{17}, kMaxNodeItems}) {
    EXPECT_GT(seen_lengths_[length], 0u) << length;
  }
  EXPECT_GT(refused_, 100u);
}

// Each item is struck out, in nodes of every kind of length, in either order.
// However many keys share a slot: who has no room left can make some.
TEST_F(CrowdedSlots, AFullSegmentCanBeEmptied) {
  // The first slot has as many keys as a node can list; then keys of a slot of three take the rest.
  for (const std::string& key : keys_) {
    if (SlotOf(key) != 0 || model_.size() == kMaxNodeItems) continue;
    const absl::StatusOr<Version> version = store_->Put(key, "value");
    ASSERT_TRUE(version.ok()) << version.status();
    model_[key] = {"value", *version};
  }
  ASSERT_EQ(model_.size(), kMaxNodeItems);
  const std::string& other = *std::find_if(
      keys_.begin(), keys_.end(), [&](const std::string& key) { return SlotOf(key) == 3; });
  // Drafts of all sizes, of several members: what is left is too small for anything.
  std::vector<std::unique_ptr<Store>> members;
  std::vector<Draft> drafts;
  for (size_t i = 0; i < 8; ++i) {
    members.push_back(*FindVariant("cas_slots")->Attach(segment_));
    size_t of_this = 0;
    for (size_t bytes = 128 << 10; bytes != 0 && of_this < kDrafts;) {
      absl::StatusOr<Draft> draft = members.back()->Reserve(other, bytes);
      if (draft.ok()) {
        drafts.push_back(*std::move(draft));
        ++of_this;
      } else {
        bytes /= 2;
      }
    }
  }
  // The premise: a node of as many keys less one has no room, nor has any key in a slot of its own.
  ASSERT_TRUE(absl::IsResourceExhausted(store_->Put(other, "").status()));
  const std::string& first = model_.begin()->first;
  ASSERT_TRUE(absl::IsResourceExhausted(store_->Put(first, "a").status()));
  std::vector<std::string> listed;
  for (const auto& [key, present] : model_) listed.push_back(key);
  for (const std::string& key : listed) {
    const absl::StatusOr<bool> erased = store_->Erase(key);
    ASSERT_TRUE(erased.ok()) << model_.size() << " keys are left: " << erased.status();
    EXPECT_TRUE(*erased);
    model_.erase(key);
    ExpectExactlyTheModel();
    // Somebody else takes at once what became free: nothing but the entry was.
    absl::StatusOr<Draft> draft = members.back()->Reserve(other, 1);
    if (draft.ok()) drafts.push_back(*std::move(draft));
  }
  drafts.clear();
  members.clear();
  ExpectSound();
}

TEST_F(CrowdedSlots, ErasingOneKeyOfANodeLeavesTheOthers) {
  for (const size_t length :
       {size_t{3}, size_t{15}, size_t{16}, size_t{17}, size_t{18}, kMaxNodeItems}) {
    std::vector<std::string> keys;
    for (const std::string& key : keys_) {
      if (SlotOf(key) == 0 && keys.size() < length) keys.push_back(key);
    }
    ASSERT_EQ(keys.size(), length);
    for (size_t first = 0; first<length; first += length> 20 ? 13 : 1) {
      for (const std::string& key : keys) {
        const absl::StatusOr<Version> version = store_->Put(key, "value");
        ASSERT_TRUE(version.ok()) << version.status();
        model_[key] = {"value", *version};
      }
      for (size_t i = 0; i < length; ++i) {
        const std::string& key = keys[(first + i) % length];
        ASSERT_TRUE(store_->Erase(key).value_or(false)) << length << " keys, number " << i;
        model_.erase(key);
        ExpectExactlyTheModel();
      }
      ExpectSound();
    }
  }
}

}  // namespace
}  // namespace kill9::cas_slots
