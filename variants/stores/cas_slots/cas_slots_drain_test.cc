// Who turns small pages back into free ones stands between announcing that and looking at the
// blocks, and the others go on: the page is something else by then.
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/scaffold/stepped_child.h"
#include "variants/stores/cas_slots/cas_slots_store.h"

namespace kill9::cas_slots {
namespace {

constexpr auto kDrainOrder = std::memory_order_acquire;

class CasSlotsDrain : public ::testing::Test {
 protected:
  static std::shared_ptr<Segment> SmallSegment() {
    SegmentOptions options;
    options.size_bytes = 128 << 10;
    options.max_participants = 2;
    options.expected_entries = 1024;
    options.hash_seed = 7;
    return CreateSegment(options).value();
  }
  PageWord WordOf(uint32_t page) const {
    return PageWord{context_.page(page).word.load(kDrainOrder)};
  }

  const std::shared_ptr<Segment> segment_ = SmallSegment();
  const Participant observer_ = segment_->participants().ClaimToRecover().value();
  const Context context_{segment_, observer_};
  const std::unique_ptr<Store> store_ = AttachStore(segment_).value();
};

TEST_F(CasSlotsDrain, ValuesInAPageThatWasMadeAnewAreNotTakenForCountsOfBlocks) {
  const auto fill_and_empty = [&](const std::string& value) {
    int entries = 0;
    while (store_->Put(absl::StrCat(entries), value).ok()) ++entries;
    for (int i = 0; i < entries; ++i) EXPECT_TRUE(store_->Erase(absl::StrCat(i)).value());
    return entries;
  };

  // All pages are of small blocks, and all of these are free.
  EXPECT_GT(fill_and_empty(std::string(20, 's')), 500);
  SteppedChild drainer([&] {
    auto own = AttachStore(segment_).value();
    own->Put("span", std::string(5000, 'd')).IgnoreError();  // the room may be others' by then
    return 0;
  });
  const Ledger& ledger = context_.ledger_of(1);
  uint32_t last = 0;  // of the pages that it looks at together
  ASSERT_TRUE(drainer.StepUntil([&] {
    const uint32_t start = Context::Named(ledger.page_start.load(kDrainOrder));
    last = start + Context::Named(ledger.page_count.load(kDrainOrder)) - 2;
    return start != 0 && last < context_.page_count() && WordOf(last).DrainingBy(1);
  })) << "it never came to drain the pages: the test would be vacuous";
  ASSERT_LE(kClassBytes[WordOf(last).size_class()], 64);

  // Each word of these values looks like the state of a free block with a great count. Their own
  // blocks are free in the end, too.
  const std::string value(980, '\x01');
  ASSERT_EQ((BlockState{0x0101010101010101}.kind()), BlockKind::kFree);
  EXPECT_GT(fill_and_empty(value), 10);
  const PageWord anew = WordOf(last);
  ASSERT_EQ(anew.kind(), PageKind::kSmall);
  ASSERT_EQ(kClassBytes[anew.size_class()], 1024);

  EXPECT_EQ(drainer.Finish(), 0);
  for (uint32_t page = 0; page < context_.page_count(); ++page) {
    EXPECT_LT(context_.floor(page).load(kDrainOrder), uint64_t{1} << 32) << "page " << page;
  }
  EXPECT_THAT(store_->Audit().value().violations, ::testing::IsEmpty());
}

// A block may become free after the scan for holds, and be read still: by who came to it after the
// scan and before it was removed.
TEST_F(CasSlotsDrain, APageOfWhichABlockBecameFreeAfterTheScanStaysWhatItIs) {
  // All pages are of small blocks, and all of these are free, but one, which has a hint that is
  // wrong, as they may be.
  int entries = 0;
  while (store_->Put(absl::StrCat(entries), std::string(900, 's')).ok()) ++entries;
  ASSERT_GT(entries, 20);
  const auto ref_of = [&](const std::string& key) {
    const PinnedValue pinned = store_->Pin(key).value();
    const char* const header = pinned.value().data() - key.size() - sizeof(BlockHeader);
    const auto offset = header - reinterpret_cast<const char*>(context_.block(1));
    return static_cast<Ref>(1 + static_cast<size_t>(offset) / kGranuleBytes);
  };
  // The last of the pages that are drained together.
  uint32_t last = 0;
  std::string key;
  for (int i = 0; i < entries; ++i) {
    const uint32_t page = Context::PageOf(ref_of(absl::StrCat(i)));
    if (page >= 32 || page < last) continue;
    last = page;
    key = absl::StrCat(i);
  }
  ASSERT_GT(last, 16u);
  const Ref ref = ref_of(key);
  for (int i = 0; i < entries; ++i) {
    if (absl::StrCat(i) == key) continue;
    EXPECT_TRUE(store_->Erase(absl::StrCat(i)).value());
  }
  context_.Hint(ref);

  SteppedChild drainer([&] {
    auto own = AttachStore(segment_).value();
    for (int i = 0; own->Put(absl::StrCat("span", i), std::string(5000, 'd')).ok(); ++i) {
    }
    return 0;
  });
  uint32_t first = 0;
  ASSERT_TRUE(drainer.StepUntil([&] { return WordOf(last).DrainingBy(1); }))
      << "it never came to drain the page: the test would be vacuous";
  ASSERT_TRUE(drainer.StepUntil([&] {
    for (first = 0; first < last; ++first) {
      if (WordOf(first).kind() == PageKind::kFree) return true;
    }
    return false;
  })) << "it frees no page of those: the test would be vacuous";
  // It has scanned. Somebody reads the block, and it is removed.
  const auto pinned = store_->Pin(key);
  ASSERT_TRUE(pinned.ok());
  ASSERT_TRUE(store_->Erase(key).value());
  ASSERT_EQ((BlockState{context_.block(ref)->state.load(kDrainOrder)}.kind()), BlockKind::kFree);

  EXPECT_EQ(drainer.Finish(), 0);
  EXPECT_EQ(pinned->value(), std::string(900, 's'));
}

}  // namespace
}  // namespace kill9::cas_slots
