// One participant of a coalescing_heap.
#ifndef KILL9_VARIANTS_HEAPS_COALESCING_HEAP_COALESCING_HEAP_H_
#define KILL9_VARIANTS_HEAPS_COALESCING_HEAP_COALESCING_HEAP_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/channels/shared/sleepers.h"
#include "variants/heap.h"
#include "variants/heaps/coalescing_heap/space.h"

namespace kill9::coalescing_heap {

class CoalescingHeap final : public Heap {
 public:
  CoalescingHeap(std::shared_ptr<Segment> segment, Participant participant);
  ~CoalescingHeap() override;

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

  // Tries once, in a session. True: it is done.
  using Attempt = absl::FunctionRef<absl::StatusOr<bool>(Session&)>;
  // Tries until it is done, an error, or the deadline. `has_tried`: once in vain already.
  absl::Status Until(Deadline deadline, Attempt attempt, bool has_tried = false);
  absl::StatusOr<BlockHandle> AllocateLater(const Request& request, Deadline deadline);
  // Recovers the dead, and wakes who waits for what they held.
  absl::StatusOr<RecoveryReport> RecoverAndWake();
  void WakeWhoWaits() { sleeper_.Wake(space_.header().for_room); }

  // In sessions: a block that this one owns.
  absl::StatusOr<BlockHeader*> Owned(BlockHandle handle) const;
  // That the other may be given the block.
  absl::Status CheckOther(BlockHeader& block, ParticipantId other) const;
  BlockHandle HandleOf(uint64_t payload) const {
    return {payload + space_.header_bytes(), space_.At(payload).generation};
  }
  std::span<char> BytesOf(BlockHandle handle, const BlockHeader& block) const {
    return {space_.segment().base() + handle.offset, block.bytes()};
  }
  uint64_t MyBit() const { return uint64_t{1} << participant_.slot() % 64; }
  uint64_t& WordOf(BlockHeader& block, uint32_t slot) const { return block.owners()[slot / 64]; }

  Space space_;
  Participant participant_;
  Ledger& ledger_;
  Sleeper sleeper_;
};

}  // namespace kill9::coalescing_heap

#endif  // KILL9_VARIANTS_HEAPS_COALESCING_HEAP_COALESCING_HEAP_H_
