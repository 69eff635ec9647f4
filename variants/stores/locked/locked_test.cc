// What is peculiar to the locked designs: the journal undoes any cut transaction, the heap keeps
// its invariants, and a borrowed block finds its way home whoever dies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "property/scaffold/children.h"
#include "property/scaffold/stepped_child.h"
#include "variants/registry.h"
#include "variants/stores/locked/locked_store.h"
#include "variants/stores/locked/space.h"

// While set, an allocation of more bytes than this fails.
static size_t largest_allocation_bytes = SIZE_MAX;

[[gnu::noinline]] void* operator new(size_t bytes) {
  void* memory = bytes > largest_allocation_bytes ? nullptr : std::malloc(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace kill9::locked {
namespace {

using ::testing::IsEmpty;

struct Arena {
  explicit Arena(size_t bytes) : memory(bytes / sizeof(uint64_t)) {
    Heap::Format(base(), header(), kBegin, bytes);
  }
  char* base() { return reinterpret_cast<char*>(memory.data()); }
  Journal::Area& journal_area() { return *reinterpret_cast<Journal::Area*>(base()); }
  Heap::Header& header() { return *reinterpret_cast<Heap::Header*>(base() + 2048); }
  Heap heap() { return Heap(base(), header(), arena()); }
  ByteRange arena() const { return {kBegin, memory.size() * sizeof(uint64_t)}; }
  static constexpr uint64_t kBegin = 4096;
  std::vector<uint64_t> memory;
  uint64_t writer = 0;
};

// Whether there was anything to undo.
bool UndoAll(Arena& arena) {
  const Journal::Undone undone =
      Journal::Undo(arena.base(), arena.journal_area(), [](uint64_t, uint64_t) { return true; });
  EXPECT_NE(undone, Journal::Undone::kDamaged);
  return undone == Journal::Undone::kAll;
}

struct Blocks {
  std::map<uint64_t, std::pair<uint64_t, bool>> by_payload;  // bytes, used
  std::vector<std::string> violations;
  bool operator==(const Blocks&) const = default;
};

Blocks Look(const Heap& heap) {
  Blocks blocks;
  heap.Walk(
      [&](const Heap::BlockView& block) {
        blocks.by_payload[block.payload] = {block.bytes, block.used};
        EXPECT_TRUE(block.used || block.findable);
      },
      blocks.violations);
  return blocks;
}

TEST(HeapTest, KeepsItsInvariantsAndMergesBackToOneBlock) {
  Arena arena(256 << 10);
  Heap heap = arena.heap();
  Journal journal(arena.base(), arena.journal_area(), 1, 0, arena.writer);
  std::mt19937_64 random(TestSeed());
  std::vector<uint64_t> live;
  for (int i = 0; i < 20'000; ++i) {
    if (random() % 2 == 0 || live.empty()) {
      const uint64_t bytes = random() % 10 == 0 ? random() % 20'000 : random() % 300;
      if (uint64_t payload = heap.Allocate(journal, bytes); payload != 0) {
        EXPECT_GE(heap.BlockBytes(payload), bytes + Heap::kBlockHeaderBytes);
        std::memset(arena.base() + payload, 0xff, bytes);
        live.push_back(payload);
      }
    } else {
      std::swap(live[random() % live.size()], live.back());
      heap.Free(journal, live.back());
      live.pop_back();
    }
    EXPECT_TRUE(journal.Commit());
    if (i % 500 == 0) {
      ASSERT_THAT(Look(heap).violations, IsEmpty());
    }
  }
  for (uint64_t payload : live) {
    heap.Free(journal, payload);
    EXPECT_TRUE(journal.Commit());
  }
  // Small blocks wait in lists until a request finds no other room; then all is one block again.
  EXPECT_GT(Look(heap).by_payload.size(), 1u);
  EXPECT_NE(heap.Allocate(journal, (256 << 10) - Arena::kBegin - 64), 0u);
}

TEST(HeapTest, ServesARequestThatOnlyOneBlockOfItsOwnBinCanSatisfy) {
  Arena arena(64 << 10);
  Heap heap = arena.heap();
  Journal journal(arena.base(), arena.journal_area(), 1, 0, arena.writer);
  // Twenty free blocks of 1,040 bytes shield one of 1,200 of the same bin; nothing else is free.
  std::vector<uint64_t> shields;
  const uint64_t wanted = heap.Allocate(journal, 1'200);
  for (int i = 0; i < 20; ++i) {
    EXPECT_NE(heap.Allocate(journal, 32), 0u);
    shields.push_back(heap.Allocate(journal, 1'040));
    EXPECT_NE(heap.Allocate(journal, 32), 0u);
    EXPECT_TRUE(journal.Commit());
  }
  while (heap.Allocate(journal, 16) != 0) EXPECT_TRUE(journal.Commit());
  heap.Free(journal, wanted);
  EXPECT_TRUE(journal.Commit());
  for (uint64_t shield : shields) {
    heap.Free(journal, shield);
    EXPECT_TRUE(journal.Commit());
  }
  EXPECT_EQ(heap.Allocate(journal, 1'200), wanted);
}

TEST(JournalTest, UndoRestoresTheHeapAfterAnyCutTransaction) {
  Arena arena(64 << 10);
  Heap heap = arena.heap();
  std::mt19937_64 random(TestSeed());
  std::vector<uint64_t> live;
  size_t undone = 0;
  for (int i = 0; i < 20'000; ++i) {
    const Blocks before = Look(heap);
    const bool cut = random() % 2 == 0;
    Journal journal(arena.base(), arena.journal_area(), 1, 0, arena.writer);
    uint64_t taken = 0;
    size_t freed = live.size();
    if (random() % 3 != 0) {
      taken = heap.Allocate(journal, random() % 400);
      if (taken != 0) std::memset(arena.base() + taken, 0xff, 16);
    }
    if (!live.empty() && random() % 3 != 0) {
      freed = random() % live.size();
      heap.Free(journal, live[freed]);
    }
    if (cut) {
      undone += UndoAll(arena) ? 1 : 0;
      ASSERT_EQ(Look(heap), before) << "transaction " << i;
      continue;
    }
    EXPECT_TRUE(journal.Commit());
    if (freed < live.size()) live.erase(live.begin() + static_cast<ptrdiff_t>(freed));
    if (taken != 0) live.push_back(taken);
    ASSERT_THAT(Look(heap).violations, IsEmpty());
  }
  EXPECT_GT(undone, 1'000u);
}

TEST(JournalTest, UndoThatIsCutAndRepeatedGivesTheSame) {
  Arena arena(64 << 10);
  Heap heap = arena.heap();
  const Blocks before = Look(heap);
  Journal journal(arena.base(), arena.journal_area(), 1, 0, arena.writer);
  EXPECT_NE(heap.Allocate(journal, 100), 0u);
  // The first undo dies before it clears the count: as if it had never been recorded.
  const uint64_t count = arena.journal_area().count;
  EXPECT_TRUE(UndoAll(arena));
  arena.journal_area().count = count;
  EXPECT_TRUE(UndoAll(arena));
  EXPECT_EQ(Look(heap), before);
}

TEST(JournalTest, UndoRestoresBytesThatWereOverwrittenInPlace) {
  Arena arena(64 << 10);
  char* bytes = arena.base() + 8192;
  std::string old(Journal::kImageBytes, '?');
  std::generate(old.begin(), old.end(), [i = 0]() mutable { return static_cast<char>(i++ % 251); });
  for (const size_t size : {size_t{1}, size_t{8}, size_t{63}, size_t{96}, old.size()}) {
    std::memcpy(bytes, old.data(), old.size());
    Journal journal(arena.base(), arena.journal_area(), 1, 6, arena.writer);
    journal.SaveImage(bytes, size);
    std::memset(bytes, 'n', size);
    EXPECT_EQ(arena.journal_area().shard, 7u);  // where recovery is to look (J6)
    EXPECT_EQ(arena.writer, 1u);
    // The first undo dies in the middle: as if half of it had not been done.
    EXPECT_TRUE(UndoAll(arena));
    std::memset(bytes, 'n', size / 2);
    arena.journal_area().count = Journal::kImage;
    EXPECT_TRUE(UndoAll(arena));
    EXPECT_EQ(std::string_view(bytes, old.size()), old) << size;
    EXPECT_FALSE(UndoAll(arena));
  }
}

TEST(JournalTest, ASessionThatOnlyReadsWritesNothing) {
  Arena arena(64 << 10);
  arena.journal_area().shard = 3;  // what an earlier victim left
  {
    Journal journal(arena.base(), arena.journal_area(), 1, 6, arena.writer);
    journal.Close();
  }
  EXPECT_EQ(arena.journal_area().shard, 3u);
  EXPECT_EQ(arena.writer, 0u);
  Journal journal(arena.base(), arena.journal_area(), 1, 6, arena.writer);
  journal.Set(&arena.memory.back(), 1);
  EXPECT_TRUE(journal.Commit());
  journal.Close();
  EXPECT_EQ(arena.journal_area().shard, 0u);
  EXPECT_EQ(arena.writer, 0u);
}

TEST(JournalTest, TheAuditSeesASkippedJournal) {
  Arena arena(64 << 10);
  Heap heap = arena.heap();
  Journal journal(arena.base(), arena.journal_area(), 1, 0, arena.writer);
  EXPECT_NE(heap.Allocate(journal, 100), 0u);
  EXPECT_TRUE(journal.Commit());
  EXPECT_NE(heap.Allocate(journal, 100), 0u);
  arena.header().bitmap[0] ^= 1;  // a store without its partner
  EXPECT_FALSE(Look(heap).violations.empty());
}

TEST(StripedLocks, TakeAPowerOfTwoOfStripesThatTheirTableHasRoomFor) {
  const Variant& variant = *FindVariant("striped_locks");
  SegmentOptions options;
  options.size_bytes = 256 << 20;  // each stripe needs some
  for (const uint32_t stripes : {1u, 2u, 64u, locked::Space::kMaxShards}) {
    options.stripes = stripes;
    EXPECT_TRUE(variant.Create(options).ok()) << stripes;
  }
  for (const uint32_t stripes : {3u, 12u, 255u, 2 * locked::Space::kMaxShards, 1u << 31}) {
    options.stripes = stripes;
    EXPECT_EQ(variant.Create(options).status().code(), absl::StatusCode::kInvalidArgument)
        << stripes;
  }
}

// What the designs say of whom a stopped process can block, measured: it stands in the middle of a
// put, with a mutex.
TEST(LockedDesigns, BlockWhomTheySay) {
  for (const std::string name : {"striped_locks", "global_mutex"}) {
    const Variant& variant = *FindVariant(name);
    SegmentOptions options;
    options.size_bytes = 1 << 20;
    const std::shared_ptr<Segment> segment = *variant.Create(options);
    const std::unique_ptr<Store> store = *variant.Attach(segment);
    Space space(segment);
    const auto held = [&space] {
      uint32_t count = 0;
      for (uint32_t i = 0; i < space.shard_count(); ++i) {
        count += space.shard(i).header->mutex.LooksFree() ? 0 : 1;
      }
      return count;
    };
    Shared<std::atomic<bool>> attached;
    SteppedChild stopped([&] {
      const absl::StatusOr<std::unique_ptr<Store>> its = variant.Attach(segment);
      CHILD_REQUIRE(its.ok());
      attached->store(true, std::memory_order_release);
      return (*its)->Put("key", "value").ok() ? 0 : 1;
    });
    ASSERT_TRUE(stopped.StepUntil([&] {
      return attached->load(std::memory_order_acquire) && held() != 0;
    })) << "the premise: it holds a mutex";
    const bool all_are_held = held() == space.shard_count();
    EXPECT_EQ(variant.traits().blocks,
              all_are_held ? Traits::Reach::kStore : Traits::Reach::kStripe)
        << name;
    // Who needs another's mutex has it.
    for (int i = 0; i < 100; ++i) {
      const std::string key = absl::StrCat("other ", i);
      if (!space.shard(space.ShardOf(space.Hash(key))).header->mutex.LooksFree()) continue;
      EXPECT_TRUE(store->Put(key, "value").ok()) << name;
    }
    EXPECT_EQ(stopped.Finish(), 0);
    EXPECT_TRUE(store->Get("key", nullptr).ok());
  }
}

class BorrowingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SegmentOptions options;
    options.size_bytes = 1 << 20;
    options.stripes = 4;
    options.max_participants = 4;
    options.hash_seed = 1;
    segment_ = *FindVariant("striped_locks")->Create(options);
    store_ = Attach();
  }
  std::unique_ptr<Store> Attach() { return *FindVariant("striped_locks")->Attach(segment_); }
  // The i-th key of stripe 0.
  std::string Key(int i) {
    for (; keys_.size() <= static_cast<size_t>(i); ++next_) {
      std::string key = "key-" + std::to_string(next_);
      if ((segment_->Hash(key) & 3) == 0) keys_.push_back(key);
    }
    return keys_[static_cast<size_t>(i)];
  }
  AuditReport Audit() {
    AuditReport report = *store_->Audit();
    EXPECT_THAT(report.violations, IsEmpty());
    EXPECT_TRUE(report.clean());
    return report;
  }
  // Fills stripe 0's own arena and about half of what it can borrow.
  int FillBeyondTheOwnArena() {
    int count = 0;
    while (Audit().live.bytes < Audit().capacity.bytes / 2) {
      EXPECT_TRUE(store_->Put(Key(count++), std::string(10'000, 'v')).ok());
    }
    return count;
  }

  std::shared_ptr<Segment> segment_;
  std::unique_ptr<Store> store_;
  std::vector<std::string> keys_;
  int next_ = 0;
};

TEST_F(BorrowingTest, OneStripeCanFillTheWholeSegmentAndGivesItAllBack) {
  int count = 0;
  while (store_->Put(Key(count), std::string(1'000, 'v')).ok()) ++count;
  EXPECT_GT(Audit().live.bytes, Audit().capacity.bytes * 98 / 100);
  for (int i = 0; i < count; ++i) {
    EXPECT_EQ(store_->Get(Key(i), nullptr).ok(), true);
    EXPECT_TRUE(*store_->Erase(Key(i)));
  }
  const AuditReport report = Audit();
  EXPECT_EQ(report.free.bytes, report.capacity.bytes);
  EXPECT_EQ(report.free.blocks, 4u);  // each arena is one block again
}

TEST_F(BorrowingTest, APinnedBorrowedBlockIsFreedByItsLastPin) {
  const int last = FillBeyondTheOwnArena() - 1;
  std::unique_ptr<Store> other = Attach();
  absl::StatusOr<PinnedValue> pin = other->Pin(Key(last));
  ASSERT_TRUE(pin.ok());
  EXPECT_TRUE(*store_->Erase(Key(last)));
  EXPECT_EQ(Audit().held.blocks, 1u);
  EXPECT_EQ(pin->value(), std::string(10'000, 'v'));
  pin->Release();
  EXPECT_EQ(Audit().held.blocks, 0u);
}

TEST_F(BorrowingTest, AFullSegmentStillTakesSmallOverwritesButNotOfWhatIsPinned) {
  int count = 0;
  while (store_->Put(Key(count), std::string(64, 'v')).ok()) ++count;
  const AuditReport full = Audit();
  Version last = *store_->Get(Key(0), nullptr);
  for (const size_t size : {64, 63, 57}) {  // of one block size
    const Version version = *store_->Put(Key(0), std::string(size, 'w'));
    EXPECT_GT(version, last);
    last = version;
    std::string value;
    EXPECT_EQ(*store_->Get(Key(0), &value), version);
    EXPECT_EQ(value, std::string(size, 'w'));
  }
  EXPECT_EQ(Audit().live.blocks, full.live.blocks);
  EXPECT_TRUE(absl::IsResourceExhausted(store_->Put(Key(0), std::string(200, 'x')).status()));
  std::unique_ptr<Store> other = Attach();
  absl::StatusOr<PinnedValue> pin = other->Pin(Key(0));
  EXPECT_TRUE(absl::IsResourceExhausted(store_->Put(Key(0), std::string(57, 'x')).status()));
  EXPECT_EQ(pin->value(), std::string(57, 'w'));
  pin->Release();
  EXPECT_TRUE(store_->CompareAndSwap(Key(0), last, std::string(57, 'x'))->swapped);
}

TEST_F(BorrowingTest, AGetThatFindsNoMemoryForItsCopyHoldsNothingAfterwards) {
  for (size_t bytes : {size_t{2'000}, kCopyUnderMutexBytes + 1}) {
    ASSERT_TRUE(store_->Put("key", std::string(bytes, 'v')).ok());
    std::string value;
    largest_allocation_bytes = 1'000;
    EXPECT_THROW(store_->Get("key", &value).IgnoreError(), std::bad_alloc) << bytes;
    largest_allocation_bytes = SIZE_MAX;
    EXPECT_TRUE(*store_->Erase("key"));
    EXPECT_EQ(Audit().held.blocks, 0u) << bytes;
    EXPECT_TRUE(store_->Put("key", "not locked either").ok());
  }
}

TEST_F(BorrowingTest, NothingBorrowedIsLostWhoeverDies) {
  const int count = FillBeyondTheOwnArena();
  for (int i = 0; i < count; ++i) Key(i);
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 200; ++round) {
    const uint64_t seed = random();
    Child victim([&](Line&) {
      std::mt19937_64 choices(seed);
      std::unique_ptr<Store> store = Attach();
      std::vector<PinnedValue> pins;
      for (uint64_t i = choices();; ++i) {
        const std::string& key = keys_[i * 7919 % keys_.size()];
        if (i % 16 == 0) pins.clear();
        if (absl::StatusOr<PinnedValue> pin = store->Pin(key); pin.ok()) {
          pins.push_back(*std::move(pin));
        }
        store->Erase(key).IgnoreError();
        store->Put(key, std::string(i % 11'000, 'w')).IgnoreError();
      }
      return 0;
    });
    SleepMicroseconds(500 + random() % 2'000);
    ASSERT_EQ(victim.KillAndReap(), SIGKILL);
    ASSERT_TRUE(store_->Recover().ok());
    const AuditReport report = Audit();
    ASSERT_EQ(report.held.blocks, 0u);
    ASSERT_EQ(report.participants, 1u);
  }
}

}  // namespace
}  // namespace kill9::locked
