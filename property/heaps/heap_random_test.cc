// Random calls of several participants against a plain model: after each step the heap says what
// the model says, the account is exact, and no byte of a block was written by anybody else.
#include <algorithm>
#include <optional>
#include <set>

#include "property/heaps/heap_fixture.h"

namespace kill9 {
namespace {

struct ModelBlock {
  BlockHandle handle;
  size_t bytes = 0;
  uint64_t seed = 0;
  std::set<size_t> owners;  // by the number of the participant
};

class HeapRandom : public HeapFixture {
 protected:
  static constexpr size_t kParticipants = 4;

  size_t DrawSize() {
    // All classes of sizes, and the small ones often.
    const uint64_t most = uint64_t{1} << random_() % 14;
    return random_() % (most + 1);
  }
  std::optional<size_t> DrawBlock() {
    if (blocks_.empty()) return std::nullopt;
    return random_() % blocks_.size();
  }
  Heap& HeapOf(size_t number) const { return number == 0 ? *heap_ : *others_[number - 1]; }

  void AddBlock(size_t owner, const absl::StatusOr<BlockHandle>& got, size_t bytes) {
    if (!got.ok()) {
      EXPECT_EQ(got.status().code(), absl::StatusCode::kDeadlineExceeded) << got.status();
      ++refused_;
      return;
    }
    blocks_.push_back({*got, bytes, random_(), {owner}});
    const absl::StatusOr<std::span<char>> data = HeapOf(owner).Data(*got);
    ASSERT_TRUE(data.ok()) << data.status();
    ASSERT_EQ(data->size(), bytes);
    Fill(*data, blocks_.back().seed);
  }
  void LetGo(size_t index, size_t owner) {
    ModelBlock& block = blocks_[index];
    Heap& heap = HeapOf(owner);
    const absl::Status freed = heap.Free(block.handle);
    if (!block.owners.contains(owner)) {
      EXPECT_EQ(freed.code(), absl::StatusCode::kPermissionDenied);
      return;
    }
    EXPECT_TRUE(freed.ok()) << freed;
    block.owners.erase(owner);
    if (!block.owners.empty()) return;
    gone_.push_back(block.handle);
    block = std::move(blocks_.back());
    blocks_.pop_back();
  }
  void Give(size_t index, size_t from, size_t to, bool transfer) {
    ModelBlock& block = blocks_[index];
    Heap& heap = HeapOf(from);
    const ParticipantId other = HeapOf(to).id();
    const absl::Status given =
        transfer ? heap.Transfer(block.handle, other) : heap.Share(block.handle, other);
    const absl::StatusCode expected = !block.owners.contains(from)
                                          ? absl::StatusCode::kPermissionDenied
                                      : block.owners.contains(to) ? absl::StatusCode::kAlreadyExists
                                                                  : absl::StatusCode::kOk;
    ASSERT_EQ(given.code(), expected) << given;
    if (!given.ok()) return;
    block.owners.insert(to);
    if (transfer) block.owners.erase(from);
  }
  void UseReserve(size_t owner) {
    std::optional<HeapReserve>& reserve = reserves_[owner];
    if (!reserve.has_value()) {
      const size_t bytes = DrawSize();
      absl::StatusOr<HeapReserve> got =
          HeapOf(owner).Reserve(1 + random_() % 5, bytes, Deadline::None());
      if (got.ok()) reserve = *std::move(got);
    } else if (reserve->blocks_left() > 0) {
      const size_t bytes = random_() % (reserve->block_bytes() + 1);
      absl::StatusOr<BlockHandle> block = HeapOf(owner).Allocate(*reserve, bytes);
      ASSERT_TRUE(block.ok()) << "a reserve failed: " << block.status();
      AddBlock(owner, block, bytes);
    } else {
      reserve.reset();
    }
  }
  void Replace(size_t number) {
    if (number == 0) return;
    reserves_[number].reset();
    others_[number - 1] = nullptr;
    others_[number - 1] = Attach();
    for (size_t i = blocks_.size(); i-- > 0;) {
      blocks_[i].owners.erase(number);
      if (!blocks_[i].owners.empty()) continue;
      gone_.push_back(blocks_[i].handle);
      blocks_[i] = std::move(blocks_.back());
      blocks_.pop_back();
    }
  }
  void Step();
  void Check() const;

  std::mt19937_64 random_{TestSeed()};
  std::vector<std::unique_ptr<Heap>> others_;
  std::vector<ModelBlock> blocks_;
  std::vector<BlockHandle> gone_;
  std::optional<HeapReserve> reserves_[kParticipants];
  uint64_t refused_ = 0;
};
INSTANTIATE_FOR_ALL_HEAPS(HeapRandom);

void HeapRandom::Step() {
  const size_t who = random_() % kParticipants, other = random_() % kParticipants;
  const std::optional<size_t> index = DrawBlock();
  switch (random_() % 12) {
    case 0 ... 3: {
      const size_t bytes = DrawSize();
      const Lifetime lifetime = random_() % 8 == 0 ? Lifetime::kLong : Lifetime::kShort;
      return AddBlock(who, HeapOf(who).Allocate(bytes, Deadline::None(), lifetime), bytes);
    }
    case 4 ... 6:
      if (index.has_value()) LetGo(*index, who);
      return;
    case 7:
      if (index.has_value()) Give(*index, who, other, false);
      return;
    case 8:
      if (index.has_value()) Give(*index, who, other, true);
      return;
    case 9:
      if (traits().has_reserve) UseReserve(who);
      return;
    case 10:
      if (!gone_.empty()) {
        const BlockHandle gone = gone_[random_() % gone_.size()];
        EXPECT_EQ(HeapOf(who).Free(gone).code(), absl::StatusCode::kNotFound);
        if (!traits().has_allocate_at || gone.offset + 100 > segment_->size()) return;
        const absl::StatusOr<BlockHandle> at = HeapOf(who).AllocateAt(gone.offset, 100);
        if (at.ok()) AddBlock(who, at, 100);
      }
      return;
    default:
      if (random_() % 40 == 0) Replace(who);
  }
}

void HeapRandom::Check() const {
  uint64_t bytes = 0, holds = 0, reserved = 0;
  for (const ModelBlock& block : blocks_) {
    bytes += block.bytes;
    holds += block.owners.size();
    for (size_t number = 0; number < kParticipants; ++number) {
      const absl::StatusOr<std::span<char>> data = HeapOf(number).Data(block.handle);
      ASSERT_EQ(data.ok(), block.owners.contains(number)) << data.status();
      ASSERT_TRUE(!data.ok() || IsFilled(*data, block.seed)) << "of " << block.bytes << " bytes";
    }
  }
  for (const std::optional<HeapReserve>& reserve : reserves_) {
    reserved += reserve.has_value() ? reserve->blocks_left() : 0;
  }
  const HeapAccount account = Account();
  ASSERT_EQ(account.report.live.blocks, blocks_.size()) << Show(account);
  ASSERT_EQ(account.live_bytes, bytes) << Show(account);
  ASSERT_EQ(account.holds, holds) << Show(account);
  ASSERT_EQ(account.report.held.blocks, reserved) << Show(account);
}

TEST_P(HeapRandom, TheHeapIsWhatItsModelIsAfterEachStep) {
  constexpr int kSteps = 6000;
  Make(96 << 10);
  for (size_t i = 1; i < kParticipants; ++i) others_.push_back(Attach());
  for (int step = 0; step < kSteps; ++step) {
    ASSERT_NO_FATAL_FAILURE(Step()) << "step " << step;
    ASSERT_NO_FATAL_FAILURE(Check()) << "step " << step;
    if (HasFailure()) return;
  }
  EXPECT_GT(refused_, 20u) << "the premise: it was full at times";
  EXPECT_GT(gone_.size(), 300u);
  for (size_t i = 1; i < kParticipants; ++i) Replace(i);
  reserves_[0].reset();
  while (!blocks_.empty()) LetGo(0, 0);
  ExpectEmpty();
}

// What two participants do to each other's blocks with nothing between the calls, in one process
// and in two: contents, and the account at the end.
TEST_P(HeapRandom, TwoProcessesThatAllocateAndFreeAtOnceNeverGetTheSameRoom) {
  constexpr uint64_t kSteps = 30'000, kStepsMost = 100 * kSteps;
  constexpr uint64_t kTurns = 100;  // in which the other one has done something meanwhile
  constexpr uint64_t kEnded = ~uint64_t{0};
  Make(256 << 10);
  Shared<std::atomic<uint64_t>> done[2];
  Shared<std::atomic<uint64_t>> turns;
  const auto work = [&](size_t me) {
    const std::unique_ptr<Heap> heap = Attach();
    CHILD_REQUIRE(heap != nullptr);
    std::mt19937_64 random(TestSeed() + heap->id().slot);
    std::vector<std::pair<BlockHandle, uint64_t>> blocks;
    uint64_t seen = 0;
    for (uint64_t step = 0; step < kSteps || (*turns < kTurns && step < kStepsMost); ++step) {
      done[me]->store(step + 1, std::memory_order_relaxed);
      const uint64_t others = done[1 - me]->load(std::memory_order_relaxed);
      if (others != std::exchange(seen, others) && others != kEnded) ++*turns;
      const size_t bytes = random() % (uint64_t{1} << random() % 13);
      const absl::StatusOr<BlockHandle> block = heap->Allocate(bytes, Deadline::None());
      CHILD_REQUIRE(block.ok() || absl::IsDeadlineExceeded(block.status()));
      if (block.ok()) {
        blocks.emplace_back(*block, random());
        Fill(*heap->Data(*block), blocks.back().second);
      }
      while (blocks.size() > (block.ok() ? 60 : 20)) {
        std::swap(blocks[random() % blocks.size()], blocks.back());
        CHILD_REQUIRE(IsFilled(*heap->Data(blocks.back().first), blocks.back().second));
        CHILD_REQUIRE(heap->Free(blocks.back().first).ok());
        blocks.pop_back();
      }
    }
    done[me]->store(kEnded, std::memory_order_relaxed);
    for (const auto& [block, seed] : blocks) CHILD_REQUIRE(IsFilled(*heap->Data(block), seed));
    return 0;
  };
  Child first([&](Line&) { return work(0); }), second([&](Line&) { return work(1); });
  EXPECT_EQ(first.ExitStatus(), 0);
  EXPECT_EQ(second.ExitStatus(), 0);
  EXPECT_GE(turns->load(), kTurns) << "the premise: they worked at once";
  ExpectEmpty();
}

// What one participant visits, another makes and unmakes meanwhile.
TEST_P(HeapRandom, AVisitBesideOthersShowsOnesOwnBlocksOnceAndAsTheyAre) {
  constexpr int kVisits = 3000;
  Make(96 << 10);
  std::set<uint64_t> mine;
  for (const size_t bytes : {size_t{20}, size_t{500}, size_t{3000}}) {
    mine.insert(Allocate(*heap_, bytes).offset);
  }
  Shared<std::atomic<uint64_t>> changes;
  Child other([&](Line& parent) {
    const std::unique_ptr<Heap> heap = Attach();
    CHILD_REQUIRE(heap != nullptr);
    parent.Tell();
    std::mt19937_64 random(TestSeed());
    for (;;) {
      const size_t bytes = random() % (uint64_t{1} << random() % 14);
      std::vector<BlockHandle> blocks;
      for (;;) {
        const absl::StatusOr<BlockHandle> block = heap->Allocate(bytes, Deadline::None());
        if (!block.ok()) break;
        blocks.push_back(*block);
        CHILD_REQUIRE(blocks.size() % 2 == 0 || heap->Share(*block, heap_->id()).ok());
      }
      for (const BlockHandle block : blocks) CHILD_REQUIRE(heap->Free(block).ok());
      changes->fetch_add(1, std::memory_order_relaxed);
    }
  });
  ASSERT_TRUE(other.Await());
  // On a busy machine the other one may have no turn for as long as a hundred visits take.
  for (int visit = 0; visit < kVisits || changes->load(std::memory_order_relaxed) <= 10; ++visit) {
    ASSERT_LT(visit, 100'000'000) << "the other one does nothing";
    std::vector<std::pair<BlockHandle, uint64_t>> own;
    const absl::Status visited = heap_->ForEach([&](const HeapBlock& block) {
      const auto& owners = block.owners;
      const bool is_own = std::find(owners.begin(), owners.end(), heap_->id()) != owners.end();
      if (is_own && !block.reserved) own.emplace_back(block.handle, block.bytes);
      return true;
    });
    // Nobody but this one lets go of them, so they are as they were shown.
    std::multiset<uint64_t> shown;
    std::vector<BlockHandle> given;
    for (const auto& [block, bytes] : own) {
      const absl::StatusOr<std::span<char>> data = heap_->Data(block);
      ASSERT_TRUE(data.ok()) << "visit " << visit << ": " << data.status();
      ASSERT_EQ(data->size(), bytes);
      if (mine.contains(block.offset)) {
        shown.insert(block.offset);
      } else {
        given.push_back(block);
      }
    }
    ASSERT_TRUE(visited.ok()) << visited;
    ASSERT_THAT(shown, ::testing::ElementsAreArray(mine));
    if (HasFailure()) return;
    FreeAll(given);
  }
  EXPECT_GT(changes->load(std::memory_order_relaxed), 10u) << "the premise";
}

}  // namespace
}  // namespace kill9
