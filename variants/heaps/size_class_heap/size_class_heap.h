// One participant of a size_class_heap.
#ifndef KILL9_VARIANTS_HEAPS_SIZE_CLASS_HEAP_SIZE_CLASS_HEAP_H_
#define KILL9_VARIANTS_HEAPS_SIZE_CLASS_HEAP_SIZE_CLASS_HEAP_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/channels/shared/sleepers.h"
#include "variants/heap.h"
#include "variants/heaps/size_class_heap/space.h"

namespace kill9::size_class_heap {

class SizeClassHeap final : public Heap {
 public:
  SizeClassHeap(std::shared_ptr<Segment> segment, Participant participant);
  ~SizeClassHeap() override;

  ParticipantId id() const override { return {participant_.slot(), participant_.generation()}; }

 private:
  absl::StatusOr<BlockHandle> DoAllocate(size_t bytes, Deadline deadline,
                                         Lifetime lifetime) override;
  absl::StatusOr<BlockHandle> DoAllocateAt(uint64_t offset, size_t bytes) override;
  absl::Status DoFree(BlockHandle handle) override;
  absl::StatusOr<HeapReserve> DoReserve(uint64_t blocks, size_t block_bytes,
                                        Deadline deadline) override;
  absl::StatusOr<BlockHandle> DoAllocateReserved(uint64_t hold, size_t bytes) override;
  absl::Status DoRelease(uint64_t hold) override;
  absl::Status DoShare(BlockHandle handle, ParticipantId other) override;
  absl::Status DoTransfer(BlockHandle handle, ParticipantId other) override;
  absl::StatusOr<std::span<char>> DoData(BlockHandle handle) override;
  absl::StatusOr<std::vector<ParticipantId>> DoOwners(BlockHandle handle) override;
  absl::Status DoForEach(absl::FunctionRef<bool(const HeapBlock&)> visit) override;
  absl::StatusOr<HeapOccupancy> DoLook() override;
  absl::StatusOr<HeapAccount> DoAccount() override { return space_.Account(); }
  absl::StatusOr<RecoveryReport> DoRecover() override;

  // Tries until it is done, or the deadline.
  absl::Status Until(Deadline deadline, absl::FunctionRef<bool()> attempt);
  // Recovers the dead, and wakes who waits for what they held.
  RecoveryReport RecoverAndWake();
  void WakeWhoWaits() { sleeper_.Wake(space_.header().for_room); }

  // Where blocks of a class were found last, or became free.
  struct Cursor {
    UnitWord word;     // of the span's head, when it was looked at
    Space::Span span;  // what it was then; no blocks: only the head is known
    uint64_t index = 0;
  };
  // Each finds a block that the caller owns then, without a handle yet. The first one looks at a
  // few words only; its place has no words if it finds none.
  Place TakeAtCursor(uint32_t size_class);
  std::optional<Place> Take(uint64_t bytes);
  std::optional<Place> Search(uint64_t bytes);
  std::optional<Place> TakeInSpan(uint32_t head, uint32_t size_class, uint64_t first);
  std::optional<Place> TakeInSpans(uint32_t size_class);
  std::optional<Place> TakeInLargerClass(uint32_t size_class);
  // Makes a span for it: of small blocks, or of this one.
  std::optional<Place> TakeInNewSpan(uint32_t size_class, uint64_t bytes);
  std::optional<Place> MakeAndTake(uint32_t units, uint32_t size_class);
  absl::StatusOr<BlockHandle> AllocateElsewhere(size_t bytes, Deadline deadline);
  // The handle of a block that was taken.
  BlockHandle Complete(BlockWords& words, uint64_t data, uint64_t bytes);
  // `generation`: as of Space::Hint.
  void GiveBack(const Place& place, uint64_t generation);
  // After a block became free. `generation`: likewise.
  void TellThatFree(uint32_t head, uint32_t size_class, uint64_t index, uint64_t generation) {
    space_.Hint(head, generation);
    if (size_class == Classes::kLarge) [[unlikely]] {
      space_.TryUnmake(head);
      return;
    }
    Cursor& cursor = cursors_[size_class];
    if (cursor.span.head != head) [[unlikely]] {
      cursor.span = {};
      cursor.span.head = head;
    }
    cursor.index = index;
  }
  uint64_t NextGeneration() {
    if (next_generation_ == end_of_generations_) [[unlikely]]
      TakeGenerations();
    return next_generation_++;
  }
  void TakeGenerations();

  // Whether the block there is the handle's, and this one its only owner. In this order: whose only
  // owner one is, of that it remains so, and nobody else ends the handle (U3, U4).
  bool OwnsAlone(const BlockWords& words, uint64_t generation) const {
    // Acquire, both: as in OwnersOf.
    return words.owners.load(std::memory_order_acquire) == space_.Bit() &&
           words.generation.load(std::memory_order_acquire) == generation && generation != 0;
  }
  absl::Status FreeOneOfSeveral(Place place, BlockHandle handle);
  // That the block there is the handle's, and this one owns it.
  absl::Status CheckOwned(const Place& place, BlockHandle handle) const;
  absl::StatusOr<Place> Owned(BlockHandle handle) const;
  // The block of that number in the span that begins there. False: nobody owns one there.
  bool ReadBlock(uint32_t head, uint64_t index, HeapBlock* block,
                 std::vector<ParticipantId>& owners);
  // Who owns the block: bits. 0: there is none.
  uint64_t OwnersOf(const Place& place, uint64_t generation) const;
  // Share and Transfer: owners & keep | the other's bit.
  absl::Status Give(BlockHandle handle, ParticipantId other, uint64_t keep);
  // Who they are, of one moment. `bits`: reads them.
  void ReadOwners(absl::FunctionRef<uint64_t()> bits, std::vector<ParticipantId>& owners) const;

  Space space_;  // keeps the segment mapped, and so goes last
  Participant participant_;
  Sleeper sleeper_;
  std::vector<Cursor> cursors_;  // by class
  // The last search that found nothing, and for how much (U8).
  struct {
    uint64_t begun = 0;  // even: there was none
    uint64_t bytes = 0;
    uint64_t told = 0;        // Space::told, when it began
    bool in_the_way = false;  // others may have looked, and had what it did not find (U9)
  } in_vain_;
  bool announced_ = false;  // of the attempt under way: it is to sleep if it is in vain
  // Generations that this one has taken and not given yet.
  uint64_t next_generation_ = 0;
  uint64_t end_of_generations_ = 0;
  struct ReservedBlocks {
    bool used = false;
    std::vector<Place> blocks;
  };
  static constexpr size_t kReserves = 16;
  ReservedBlocks reserves_[kReserves];
};

}  // namespace kill9::size_class_heap

#endif  // KILL9_VARIANTS_HEAPS_SIZE_CLASS_HEAP_SIZE_CLASS_HEAP_H_
