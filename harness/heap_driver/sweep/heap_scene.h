// A heap in a starting state, and who works on it in the sweep.
//
// A block's content begins with its name in the history and with its generation: so whoever looks
// at the segment's bytes knows which block it is, unless its allocator died before it wrote them.
#ifndef KILL9_HARNESS_HEAP_DRIVER_SWEEP_HEAP_SCENE_H_
#define KILL9_HARNESS_HEAP_DRIVER_SWEEP_HEAP_SCENE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/heap_driver/heap_boards.h"
#include "harness/heap_driver/sweep/heap_sweep.h"
#include "harness/store_driver/value.h"

namespace kill9::sweep {

inline constexpr uint32_t kSmallestBlockBytes = 24;  // of which the content can be told
inline constexpr uint32_t kSmallBlockBytes = 64;
inline constexpr uint32_t kLargeBlockBytes = 6000;
inline constexpr uint32_t kFillBlockBytes = 1000;
inline constexpr uint32_t kHolder = 100;  // the first one, as a process of the history

// Which participant works in which slot, as a history names it. All processes of a cell share it:
// who attaches writes its line.
struct SceneSeats {
  static constexpr uint32_t kMost = 256;
  HeapSeat seats[kMost];
  HeapSeat holder;  // the one that lives, or is dead
  std::atomic<uint32_t> holders;
  std::atomic<uint64_t> blocks_of_holder;
  // Of each victim, by number, the block that it works on.
  HeapLetter blocks[kMostVictims];
};

class HeapSurvivor;

class HeapScene final : public Scene {
 public:
  HeapScene(const HeapDesign& heap_design, HeapOperation operation, HeapState state,
            const SweepShape& shape)
      : design_(heap_design), operation_(operation), state_(state), shape_(shape) {}

  // REQUIRES: once.
  absl::Status Make(uint64_t size_bytes);

  const HeapDesign& design() const override { return design_; }
  Making making() const override;
  Naming naming() const override;
  std::unique_ptr<Scene> In(std::shared_ptr<Segment> other) const override;
  std::unique_ptr<Victim> NewVictim(uint32_t operation, uint32_t number, bool tells_all,
                                    OperationLog log) const override;
  absl::StatusOr<std::unique_ptr<Survivor>> NewSurvivor(CellProcess process, Findings& findings,
                                                        OperationLog log) const override;
  std::shared_ptr<void> Hold(SharedObject& object) const override;
  std::shared_ptr<void> HoldUnseen(SharedObject& object) const override;
  bool IsTried(uint32_t probe) const override;
  bool DeclaredUnblocked(uint32_t probe, Nearness where) const override;

  HeapState state() const { return state_; }
  // What a victim asks for.
  uint32_t small_bytes() const {
    return SizeIn(static_cast<size_t>(state_), shape_.small, kSmallSizes);
  }
  uint32_t large_bytes() const {
    return SizeIn(static_cast<size_t>(state_), shape_.large, kLargeSizes);
  }
  // How far behind the place of a block that is gone another one is placed: in states in which
  // somebody's block is right before it, less than a block takes.
  uint32_t place_behind() const {
    constexpr uint32_t kBehind = 16;
    const bool is_beside = state_ == HeapState::kOneBlock || state_ == HeapState::kFragmented ||
                           state_ == HeapState::kHeldByDead;
    return is_beside && small_bytes() >= kSmallestBlockBytes + kBehind ? kBehind : 0;
  }
  // What the holders of a state have, and what a heap is filled with.
  uint32_t fill_bytes() const { return shape_.middle != 0 ? shape_.middle : kFillBlockBytes; }
  // A new participant, which is process `process` of the history.
  absl::StatusOr<std::unique_ptr<Heap>> AttachAs(uint32_t process) const;
  std::optional<Seated> holder() const { return seats_->holder.Look(); }
  // Relaxed: it was written before anybody looks.
  uint64_t blocks_of_holder() const {
    return seats_->blocks_of_holder.load(std::memory_order_relaxed);
  }
  // What victims work on, as far as it was allocated in this run or the state before it.
  void TellBlock(uint32_t victim, const KnownBlock& block) const;
  std::vector<KnownBlock> BlocksOfVictims() const;
  // The history's bits of owners; those that nobody knows have none.
  uint64_t BitsOf(std::span<const ParticipantId> owners) const;
  void Write(ValueId id, BlockHandle block, uint64_t bytes) const;
  // The name that the block's content tells; kNothing: it was not written.
  ValueId NameOf(BlockHandle block, uint64_t bytes) const;
  // Whether the content is what Write has written.
  bool IsWhole(ValueId id, BlockHandle block, uint64_t bytes) const;

  // Of this process: who can be handed a block.
  std::vector<HeapSurvivor*>& survivors() const { return survivors_; }

 private:
  void Seat(const Heap& heap, uint32_t process) const;
  // Of the states in which somebody lives beside the victim, where the design has room for them.
  uint32_t idle_ = 0;

  bool LivesBeside() const {
    return state_ >= HeapState::kOneBlock && state_ <= HeapState::kSharedWithLive;
  }

  const HeapDesign& design_;
  const HeapOperation operation_;
  const HeapState state_;
  const SweepShape shape_;
  std::shared_ptr<SceneSeats> seats_;
  mutable std::vector<HeapSurvivor*> survivors_;
};

// What a victim runs between the markers.
class HeapVictim final : public Victim {
 public:
  HeapVictim(const HeapScene& scene, HeapOperation operation, uint32_t number, OperationLog log);

  absl::Status Prepare() override;
  void Run() override;
  void Record() override;

 private:
  // A block of its own, shared with the state's other owner.
  absl::Status GetBlock();
  absl::Status GetReady();
  void Announce(Function function, ValueId id, uint64_t size_or_owner);
  ValueId NextId() { return MakeValueId(process_, ++sequence_); }

  const HeapScene& scene_;
  const HeapOperation operation_;
  const uint32_t process_;
  OperationLog log_;
  std::unique_ptr<Heap> heap_;
  std::unique_ptr<Heap> companion_;  // whom it shares with, where nobody else is there
  Seated other_;
  HeapReserve reserve_;
  BlockHandle block_;
  ValueId id_ = kNothing;
  uint32_t sequence_ = 0;
  Operation* announced_ = nullptr;
  absl::Status status_;
  BlockHandle allocated_;
  std::vector<ParticipantId> owners_;
};

class HeapSurvivor final : public Survivor {
 public:
  HeapSurvivor(const HeapScene& scene, CellProcess process, std::unique_ptr<Heap> heap,
               Findings& findings, OperationLog log);
  ~HeapSurvivor() override;

  SharedObject& object() override { return *heap_; }
  // Asks of every block who owns it, and takes over those of its own.
  void Look() override;
  void Work(Nearness where) override;
  void Write(Nearness where) override;
  // What it fills with, it hands over: to whoever is to empty the heap.
  uint32_t Fill() override;
  void Empty(uint32_t filled) override;
  void CheckContents(const AuditReport& audit) override;
  void Interfere(uint32_t way) override;
  void Churn() override;
  void Probe(uint32_t probe, Nearness where) override;

 private:
  static constexpr uint32_t kMostFills = 2000;

  bool Allocate(uint32_t bytes);  // false: there was no room
  void AllocateReserved();
  void Free(size_t index);
  void FreeAll();
  void HandOver(bool shares, size_t index, const Seated& other);
  uint64_t AskOwners(const KnownBlock& block);
  // Records that the holder lives: what was taken from it is then missed.
  void TellThatTheHolderLives();
  // Another survivor in this process that can be handed a block, if there is one.
  std::optional<Seated> Peer() const;
  Seated Me() const;
  bool Knows(BlockHandle block) const;
  void Allow(const char* what, const absl::Status& status);
  uint32_t FillWith();

  const HeapScene& scene_;
  const CellProcess process_;
  Findings& findings_;
  OperationLog log_;
  std::unique_ptr<Heap> heap_;
  std::vector<KnownBlock> held_;
  uint32_t sequence_ = 0;
  uint64_t seen_ = 0;  // blocks, by the last look
  // False: owners are only counted. What is handed over is then found by nobody.
  bool tells_owners_ = true;
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_HEAP_DRIVER_SWEEP_HEAP_SCENE_H_
