// The heap contract: what every design in variants/heaps/ implements. It adds to what all shared
// objects have in common (object.h).
//
// A heap hands out blocks of one segment: runs of bytes that any process of the segment can reach.
// A block has one owner or several; each is a participant. It is free again exactly when the last
// owner lets it go, leaves, or is recovered after its death: never before, and never later.
//
// Who owns a block is written once, in the block, as one hold for each participant; nothing counts
// holds elsewhere, so the number of owners is the sum of the holds and cannot drift. One step
// decides each operation: before it nothing has happened, after it all has. In particular a
// transferred block is never owned by nobody, and never by both.
//
// A handle names a block for all processes: send it as plain bytes. It is of one allocation only
// (the generation), so one that was kept too long never names the next block in the same place.
// A handle is no right: who does not own the block is refused.
//
// Errors, beside those of object.h, the same in every design. Where one is returned, nothing has
// changed:
//
//   kNotFound            the handle names no block: it was freed, or there never was one. So a
//                        second Free is told, whoever has the room by now
//   kPermissionDenied    the block lives, and the caller is none of its owners
//   kDeadlineExceeded    there was no room until the deadline (at once: Deadline::None())
//   kResourceExhausted   no reserve is left in the ledger (Reserve)
//   kUnavailable         the other participant has left or died (Share, Transfer)
//   kAlreadyExists       the other participant owns the block already (Share, Transfer); something
//                        is where the block should be (AllocateAt)
//   kInvalidArgument     more than max_block_bytes(); an offset that can be no block's; more than
//                        the blocks of a reserve have; a reserve that is spent, or another handle's
//   kUnimplemented       this heap does not have the operation; its traits say so
//
// Waiting. Who waits for room sleeps in the kernel, and nobody polls while idle. It is woken when a
// block becomes free, when a reserve is released and when a participant dies, and a call that would
// have to wait first recovers the dead. The death of whoever was chosen to be woken, or should have
// woken it, swallows nothing. Several may wait for different sizes: each is woken. A caller that
// owns all blocks itself waits until its deadline, since nobody else can help it.
//
// A death. What the victim owned is let go by whoever calls Recover(), or would have to wait; what
// others own as well stays theirs. A block that was handed to a participant which died before it
// heard of it is let go with the rest. The bytes of a block are as their writers left them.
#ifndef KILL9_VARIANTS_HEAP_H_
#define KILL9_VARIANTS_HEAP_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/deadline.h"
#include "variants/object.h"

namespace kill9 {

// A block, for all processes of the segment. Plain bytes: it may be stored and sent.
struct BlockHandle {
  uint64_t offset = 0;      // of the first byte of data, from the segment's base; 0: of no block
  uint64_t generation = 0;  // of the allocation; no two of one offset have the same
  friend constexpr bool operator==(BlockHandle, BlockHandle) = default;
};

// A participant, for all processes of the segment. Plain bytes, likewise. Never another's.
struct ParticipantId {
  uint32_t slot = 0;
  uint32_t generation = 0;
  friend constexpr bool operator==(ParticipantId, ParticipantId) = default;
};

// Where a block should lie: what lives long at one end of the room, what lives short at the other,
// so that neither splits the room of the other. A wish, which a design may ignore
// (traits().separates_lifetimes).
enum class Lifetime : uint8_t { kShort, kLong };

// A block as ForEach shows it.
struct HeapBlock {
  BlockHandle handle;
  uint64_t bytes = 0;  // as they were asked for; of a reserve: what each may have
  std::span<const ParticipantId> owners;  // at least one; of a reserve, the one whose it is
  bool reserved = false;                  // waits in a reserve, and has no data yet
};

// How full a heap is; each field of its own moment where the design is lock-free.
struct HeapOccupancy {
  uint64_t room_bytes = 0;      // all that could be blocks, with their headers
  uint64_t free_bytes = 0;      // findable by the allocator
  uint64_t reserved_bytes = 0;  // in reserves
  uint64_t blocks = 0;          // that live, without those of reserves
  // The largest block that Allocate would serve now.
  uint64_t largest_block_bytes = 0;
};

// What one participant holds.
struct Holding {
  ParticipantId owner;
  uint64_t blocks = 0;  // that it owns, alone or with others
  uint64_t bytes = 0;   // of them, as they were asked for
  uint64_t shared_blocks = 0;
  uint64_t reserved_blocks = 0;
  uint64_t reserved_bytes = 0;
};

// The exact account of a quiet heap:
//
//     room = free + asked for + reserved + headers + rounding,   to the byte,
//     holds = the sum of the holdings' blocks
//
// Of the audit's report: capacity is the room, free what the allocator finds, live the blocks that
// have owners, held the reserved ones and what is in flight, each with its header.
struct HeapAccount {
  AuditReport report;
  uint64_t room_bytes = 0;
  uint64_t free_bytes = 0;
  uint64_t live_bytes = 0;        // as they were asked for
  uint64_t reserved_bytes = 0;    // that may be asked for
  uint64_t header_bytes = 0;      // of blocks, and whatever else the design keeps in the room
  uint64_t rounding_bytes = 0;    // in live and reserved blocks, beyond what was asked for
  uint64_t holds = 0;             // owners of all live blocks, added up
  std::vector<Holding> holdings;  // of those that hold something, by slot; the dead included

  // Which must be the room.
  uint64_t accounted_bytes() const {
    return free_bytes + live_bytes + reserved_bytes + header_bytes + rounding_bytes;
  }
};

// What a heap gives, and what it can do beyond what every object can. The harness measures each.
struct HeapTraits : ObjectTraits {
  bool separates_lifetimes = true;
  bool has_allocate_at = true;
  bool has_reserve = true;
  // What a process stopped at any instruction does to the calls of others that need not wait for
  // room.
  Progress allocate = Progress::kBlocking;  // Allocate, AllocateAt, Reserve
  Progress free = Progress::kBlocking;      // Free, AllocateReserved, Release
  Progress share = Progress::kBlocking;     // Share, Transfer, Owners
};

class Heap;

// Blocks ahead of need: as many Allocates of at most block_bytes() as blocks_left() never fail for
// want of room, and never wait for it. Move-only; destroyed, what is left of it is released. Must
// not outlive its Heap.
class HeapReserve {
 public:
  HeapReserve() = default;
  HeapReserve(Heap* heap, uint64_t hold, uint64_t blocks, size_t block_bytes)
      : heap_(heap), hold_(hold), blocks_left_(blocks), block_bytes_(block_bytes) {}
  HeapReserve(const HeapReserve&) = delete;
  HeapReserve& operator=(const HeapReserve&) = delete;
  HeapReserve(HeapReserve&& other) noexcept { *this = std::move(other); }
  HeapReserve& operator=(HeapReserve&& other) noexcept;
  ~HeapReserve() { GiveBack(); }

  uint64_t blocks_left() const { return blocks_left_; }
  size_t block_bytes() const { return block_bytes_; }

 private:
  friend class Heap;
  void GiveBack();

  Heap* heap_ = nullptr;  // null: spent
  uint64_t hold_ = 0;
  uint64_t blocks_left_ = 0;
  size_t block_bytes_ = 0;
};

// One participant of a heap. The public operations check what is common to all designs (the handle
// is this process's own, the size fits, the reserve is this handle's) and hand over to the design's
// Do… functions.
//
// PROGRESS, where a call need not wait for room: as the traits say.
class Heap : public SharedObject {
 public:
  // Data begins at a multiple of so many bytes; a block of fewer than 16 bytes, at one of 8.
  static constexpr size_t kAlignment = 16;

  // A block of `bytes` bytes (0 is a size as any other), which the caller alone owns. Its bytes are
  // whatever was there. Waits for room until the deadline.
  // ON CRASH: there is no block, or the dead's, which recovery frees.
  absl::StatusOr<BlockHandle> Allocate(size_t bytes, Deadline deadline,
                                       Lifetime lifetime = Lifetime::kShort) {
    if (!IsSurelyMine() || bytes > max_block_bytes_) [[unlikely]] {
      if (absl::Status status = CheckSize(bytes); !status.ok()) return status;
    }
    return DoAllocate(bytes, deadline, lifetime);
  }
  // The same, with its data at this offset of the segment. Never waits.
  absl::StatusOr<BlockHandle> AllocateAt(uint64_t offset, size_t bytes);
  // Lets go of a block; the last owner's frees it. What Data showed is not to be touched any more.
  // ON CRASH: the caller owns it or not; recovery lets go of it in either case.
  absl::Status Free(BlockHandle block) {
    if (!IsSurelyMine()) [[unlikely]] {
      if (absl::Status status = CheckHandle(); !status.ok()) return status;
    }
    return DoFree(block);
  }

  // So many blocks of at most `block_bytes` each, all or none. Waits for room until the deadline.
  // ON CRASH: recovery releases what there is of them.
  absl::StatusOr<HeapReserve> Reserve(uint64_t blocks, size_t block_bytes, Deadline deadline);
  // One of them becomes a block, as Allocate makes it, never for want of room refused.
  // kDeadlineExceeded: none is left. ON CRASH: as Allocate.
  absl::StatusOr<BlockHandle> Allocate(HeapReserve& reserve, size_t bytes);
  // Gives back what is left, and spends it, also on an error. ON CRASH: as Reserve.
  absl::Status Release(HeapReserve reserve);

  // The other owns the block too. Only an owner may. ON CRASH: it does, or does not.
  absl::Status Share(BlockHandle block, ParticipantId other);
  // The other owns the block in the caller's stead. Further owners stay. The caller is not to touch
  // it any more. ON CRASH: the caller owns it, or the other does; never neither, never both.
  absl::Status Transfer(BlockHandle block, ParticipantId other);

  // The bytes of a block that the caller owns. They stay where they are as long as it does.
  absl::StatusOr<std::span<char>> Data(BlockHandle block);
  // Who owns it, by slot; of one moment. Anybody may ask.
  absl::StatusOr<std::vector<ParticipantId>> Owners(BlockHandle block);
  // Calls `visit` for blocks, those of reserves included, until it says false. A block that lives
  // all the while is shown once; one that comes or goes meanwhile, once or not at all; its fields
  // are of one moment. `visit` must not use the heap.
  absl::Status ForEach(absl::FunctionRef<bool(const HeapBlock&)> visit);

  absl::StatusOr<HeapOccupancy> Look();
  // The exact account. REQUIRES, as Audit: no operation is under way.
  absl::StatusOr<HeapAccount> Account();

  // What the segment could hold if it were empty.
  size_t max_block_bytes() const { return max_block_bytes_; }
  // What others name in Share and Transfer.
  virtual ParticipantId id() const = 0;

 protected:
  explicit Heap(const ForkGuard& guard) : SharedObject(guard) {}
  // By the design's constructor, once it knows.
  void SetMaxBlockBytes(size_t bytes) { max_block_bytes_ = bytes; }

 private:
  friend class HeapReserve;

  virtual absl::StatusOr<BlockHandle> DoAllocate(size_t bytes, Deadline deadline,
                                                 Lifetime lifetime) = 0;
  virtual absl::StatusOr<BlockHandle> DoAllocateAt(uint64_t offset, size_t bytes) = 0;
  virtual absl::Status DoFree(BlockHandle block) = 0;
  virtual absl::StatusOr<HeapReserve> DoReserve(uint64_t blocks, size_t block_bytes,
                                                Deadline deadline) = 0;
  // `hold` is what the design put into the HeapReserve. REQUIRES: blocks are left, and bytes are at
  // most what each has.
  virtual absl::StatusOr<BlockHandle> DoAllocateReserved(uint64_t hold, size_t bytes) = 0;
  virtual absl::Status DoRelease(uint64_t hold) = 0;
  virtual absl::Status DoShare(BlockHandle block, ParticipantId other) = 0;
  virtual absl::Status DoTransfer(BlockHandle block, ParticipantId other) = 0;
  virtual absl::StatusOr<std::span<char>> DoData(BlockHandle block) = 0;
  virtual absl::StatusOr<std::vector<ParticipantId>> DoOwners(BlockHandle block) = 0;
  virtual absl::Status DoForEach(absl::FunctionRef<bool(const HeapBlock&)> visit) = 0;
  virtual absl::StatusOr<HeapOccupancy> DoLook() = 0;
  virtual absl::StatusOr<HeapAccount> DoAccount() = 0;
  absl::StatusOr<AuditReport> DoAudit() final;

  // What CheckHandle finds out, where two loads tell.
  bool IsSurelyMine() const { return guard().mine() && !guard().can_be_lost(); }
  absl::Status CheckSize(size_t bytes) const;
  absl::Status CheckReserve(const HeapReserve& reserve) const;

  size_t max_block_bytes_ = 0;
};

// A design of a heap.
class HeapDesign : public Design {
 public:
  static constexpr std::string_view kKind = "heap";

  std::string_view kind() const final { return kKind; }
  std::string_view model() const override { return "heap"; }
  const ObjectTraits& object_traits() const final { return traits(); }
  virtual const HeapTraits& traits() const = 0;
  // As AttachObject.
  virtual absl::StatusOr<std::unique_ptr<Heap>> Attach(std::shared_ptr<Segment> segment) const = 0;
  absl::StatusOr<std::unique_ptr<SharedObject>> AttachObject(
      std::shared_ptr<Segment> segment) const final {
    return Attach(std::move(segment));
  }
};

}  // namespace kill9

#endif  // KILL9_VARIANTS_HEAP_H_
