// A heap in use by one process of a torture run.
//
// Each block says by its content which allocation it is of (harness/store_driver/value.h): two that
// overlap are seen by whoever owns one of them. Contents are written once, before anybody else may
// own the block. Whom a block was handed to learns of it by a letter, or by going through the heap.
#ifndef KILL9_HARNESS_HEAP_DRIVER_HEAP_CLIENT_H_
#define KILL9_HARNESS_HEAP_DRIVER_HEAP_CLIENT_H_

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "harness/heap_driver/heap_boards.h"
#include "harness/heap_driver/heap_workload.h"
#include "harness/torture/worker/client.h"
#include "harness/torture/worker/last_to_wait.h"
#include "variants/heap.h"

namespace kill9 {

class HeapClient final : public Client {
 public:
  // `edges`: as HeapWorkload::NextSize takes them.
  HeapClient(const RunContext& context, const HeapTraits& traits, const HeapWorkload& workload,
             std::span<const uint32_t> edges, HeapBoards& boards, uint32_t slot, uint32_t process)
      : Client(context, slot, process),
        traits_(traits),
        workload_(workload),
        edges_(edges),
        boards_(boards),
        slot_(slot),
        last_to_wait_(context.control(), slot) {}

  bool Act(Random& random) override;
  // Of what it owns, what it does not know of as well.
  void ReleaseAll() override;
  // Every block is owned by participants that live; the account is exact; there is room for the
  // largest block that the heap says it has, and for smaller ones.
  void Visit() override;
  bool Fill() override;
  void RemoveFilling() override;
  bool RecoversBeforeRefusal() const override {
    return context().design.role() == Design::Role::kDesign;
  }
  bool HoldsStay() const override { return true; }
  void LetOthersGo() override;

 private:
  static constexpr size_t kMostStale = 16;
  static constexpr size_t kMostNamed = 1u << 16;
  // So many reserves at once are few: each design has room for more.
  static constexpr size_t kFewReserves = 8;
  // So many workers wait for a while at most: one of them is left when another is killed.
  static constexpr uint32_t kNeverWaitForever = 2;

  Heap& heap() { return static_cast<Heap&>(object()); }
  uint64_t Me() const;
  uint64_t CallOf(uint64_t size_or_owner) const;
  ValueId NextId();
  // Takes the seat of the present attachment, and forgets what was of an earlier one.
  void BeSeated();
  void NoteHolds() { NoteHeld(held_.size() + filling_.size() + BlocksReserved()); }
  uint64_t BlocksReserved() const;

  void AllocateStep(Random& random);
  // False: there was no room.
  void NoteNew(BlockHandle block);
  bool Allocate(uint64_t bytes, Deadline deadline, Lifetime lifetime);
  void AllocateAt(const KnownBlock& place);
  bool EndAllocation(const char* operation, ValueId id, uint64_t bytes,
                     const absl::StatusOr<BlockHandle>& block, std::vector<KnownBlock>* into);
  void UseReserve(Random& random);
  void MakeReserve(Random& random);
  void LetGoStep(Random& random);
  // One round of the room of which there is only one (HeapWorkload::last_room).
  void PassRoomOn(Random& random);
  // Where nobody dies: waits for room, and gives it up when all others wait.
  void AwaitRoom(Random& random);
  bool AwaitReserve(uint64_t bytes, Random& random);
  void Free(size_t index);
  void HandOver(Random& random);
  void Misuse(Random& random);
  void LookThrough(const KnownBlock& block);
  void RememberStale(const KnownBlock& block);

  // The whole content is what its allocator wrote.
  void Verify(const char* when, const KnownBlock& block);
  // Asks for the owners, and records the answer. Whether this participant is one.
  bool AskOwners(const KnownBlock& block);
  void ReadLetters();
  void TakeOver(const KnownBlock& block);
  // Goes through all blocks, and takes over those of its own that it does not know of.
  void LookAround();
  bool Owns(const KnownBlock& block) const;
  void CheckAccountOfHeap();
  void TryEarlierOwners();
  void CheckLargest();
  void TryEmptyHeap();
  void CheckNothingLarger(uint64_t largest);
  bool AllocateToFill(uint64_t bytes);
  void TryRefusedReserve();

  const HeapTraits& traits_;
  const HeapWorkload& workload_;
  const std::span<const uint32_t> edges_;
  HeapBoards& boards_;
  const uint32_t slot_;
  LastToWait last_to_wait_;
  uint32_t sequence_ = 0;  // of the last block
  uint32_t seated_attachment_ = 0;
  uint64_t news_ = 0;
  std::array<uint64_t, kSlots> letters_seen_{};
  std::vector<KnownBlock> held_;
  std::vector<KnownBlock> filling_;
  std::vector<KnownBlock> stale_;                             // some that it owns no more
  absl::flat_hash_set<std::pair<uint64_t, uint64_t>> named_;  // handles: offset and generation
  std::vector<HeapReserve> reserves_;                         // none of which is used up
  // False: owners are only counted. Then nobody can be told from one, nor find what is its own.
  bool tells_owners_ = true;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_HEAP_DRIVER_HEAP_CLIENT_H_
