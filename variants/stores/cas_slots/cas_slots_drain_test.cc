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

TEST(CasSlotsDrain, ValuesInAPageThatWasMadeAnewAreNotTakenForCountsOfBlocks) {
  SegmentOptions options;
  options.size_bytes = 128 << 10;
  options.max_participants = 2;
  options.expected_entries = 1024;
  options.hash_seed = 7;
  const std::shared_ptr<Segment> segment = CreateSegment(options).value();
  const Participant observer = segment->participants().ClaimToRecover().value();
  const Context context(segment, observer);
  const std::unique_ptr<Store> store = AttachStore(segment).value();
  const auto fill_and_empty = [&](const std::string& value) {
    int entries = 0;
    while (store->Put(absl::StrCat(entries), value).ok()) ++entries;
    for (int i = 0; i < entries; ++i) EXPECT_TRUE(store->Erase(absl::StrCat(i)).value());
    return entries;
  };
  const auto word_of = [&](uint32_t page) {
    return PageWord{context.page(page).word.load(kDrainOrder)};
  };

  // All pages are of small blocks, and all of these are free.
  EXPECT_GT(fill_and_empty(std::string(20, 's')), 500);
  SteppedChild drainer([&] {
    auto own = AttachStore(segment).value();
    own->Put("span", std::string(5000, 'd')).IgnoreError();  // the room may be others' by then
    return 0;
  });
  const Ledger& ledger = context.ledger_of(1);
  uint32_t last = 0;  // of the pages that it looks at together
  ASSERT_TRUE(drainer.StepUntil([&] {
    const uint32_t start = Context::Named(ledger.page_start.load(kDrainOrder));
    last = start + Context::Named(ledger.page_count.load(kDrainOrder)) - 2;
    return start != 0 && last < context.page_count() && word_of(last).DrainingBy(1);
  })) << "it never came to drain the pages: the test would be vacuous";
  ASSERT_LE(kClassBytes[word_of(last).size_class()], 64);

  // Each word of these values looks like the state of a free block with a great count. Their own
  // blocks are free in the end, too.
  const std::string value(980, '\x01');
  ASSERT_EQ((BlockState{0x0101010101010101}.kind()), BlockKind::kFree);
  EXPECT_GT(fill_and_empty(value), 10);
  const PageWord anew = word_of(last);
  ASSERT_EQ(anew.kind(), PageKind::kSmall);
  ASSERT_EQ(kClassBytes[anew.size_class()], 1024);

  EXPECT_EQ(drainer.Finish(), 0);
  for (uint32_t page = 0; page < context.page_count(); ++page) {
    EXPECT_LT(context.floor(page).load(kDrainOrder), uint64_t{1} << 32) << "page " << page;
  }
  EXPECT_THAT(store->Audit().value().violations, ::testing::IsEmpty());
}

// A block may become free after the scan for holds, and be read still: by who came to it after the
// scan and before it was removed.
TEST(CasSlotsDrain, APageOfWhichABlockBecameFreeAfterTheScanStaysWhatItIs) {
  SegmentOptions options;
  options.size_bytes = 128 << 10;
  options.max_participants = 2;
  options.expected_entries = 1024;
  options.hash_seed = 7;
  const std::shared_ptr<Segment> segment = CreateSegment(options).value();
  const Participant observer = segment->participants().ClaimToRecover().value();
  const Context context(segment, observer);
  const std::unique_ptr<Store> store = AttachStore(segment).value();
  const auto word_of = [&](uint32_t page) {
    return PageWord{context.page(page).word.load(kDrainOrder)};
  };

  // All pages are of small blocks, and all of these are free, but one, which has a hint that is
  // wrong, as they may be.
  int entries = 0;
  while (store->Put(absl::StrCat(entries), std::string(900, 's')).ok()) ++entries;
  ASSERT_GT(entries, 20);
  const auto ref_of = [&](const std::string& key) {
    const PinnedValue pinned = store->Pin(key).value();
    const char* const header = pinned.value().data() - key.size() - sizeof(BlockHeader);
    const auto offset = header - reinterpret_cast<const char*>(context.block(1));
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
    EXPECT_TRUE(store->Erase(absl::StrCat(i)).value());
  }
  context.Hint(ref);

  SteppedChild drainer([&] {
    auto own = AttachStore(segment).value();
    for (int i = 0; own->Put(absl::StrCat("span", i), std::string(5000, 'd')).ok(); ++i) {
    }
    return 0;
  });
  uint32_t first = 0;
  ASSERT_TRUE(drainer.StepUntil([&] { return word_of(last).DrainingBy(1); }))
      << "it never came to drain the page: the test would be vacuous";
  ASSERT_TRUE(drainer.StepUntil([&] {
    for (first = 0; first < last; ++first) {
      if (word_of(first).kind() == PageKind::kFree) return true;
    }
    return false;
  })) << "it frees no page of those: the test would be vacuous";
  // It has scanned. Somebody reads the block, and it is removed.
  const auto pinned = store->Pin(key);
  ASSERT_TRUE(pinned.ok());
  ASSERT_TRUE(store->Erase(key).value());
  ASSERT_EQ((BlockState{context.block(ref)->state.load(kDrainOrder)}.kind()), BlockKind::kFree);

  EXPECT_EQ(drainer.Finish(), 0);
  EXPECT_EQ(pinned->value(), std::string(900, 's'));
}

}  // namespace
}  // namespace kill9::cas_slots
