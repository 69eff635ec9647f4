// A pool of buffers in a starting state, and who works on it in the sweep. Its buffers are passed
// on through a box for one message, in the pool's own segment (message_box.h).
//
// The messages are the history. Of holds each participant keeps an account, and what the pool says
// of the living, and of the dead, is compared with that.
#ifndef KILL9_HARNESS_POOL_DRIVER_SWEEP_POOL_SCENE_H_
#define KILL9_HARNESS_POOL_DRIVER_SWEEP_POOL_SCENE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "harness/pool_driver/box/message_box.h"
#include "harness/pool_driver/sweep/pool_sweep.h"
#include "harness/store_driver/value.h"
#include "variants/buffers/buffer_pool.h"

namespace kill9::sweep {

inline constexpr uint32_t kSmallBufferBytes = 64;
inline constexpr uint32_t kLargeBufferBytes = 6000;
inline constexpr uint32_t kFillBufferBytes = 1000;
inline constexpr uint32_t kMoreBytes = 40;  // that a buffer grows by
inline constexpr uint32_t kHolderMember = 14;
inline constexpr uint32_t kSeatOfVictims = 0;

// A buffer, and what it shows.
struct HeldBuffer {
  Buffer buffer;
  ValueId id = kNothing;
};

// A message, as a history has it.
struct InTheBox {
  ValueId id = kNothing;
  uint64_t version = 0;
};

// What processes of a cell share beside the pool.
struct PoolBoard {
  BoxTexts texts;
  std::atomic<uint32_t> holder_slot;  // + 1; of the one that lives, or is dead
  std::atomic<uint64_t> holds_of_holder;
};

// One attached participant, with its box.
struct BoxedPool {
  std::unique_ptr<BufferPool> pool;
  std::unique_ptr<Channel> box;

  // kOk and no message: nothing waits. What has come is not what was sent: kDataLoss.
  absl::StatusOr<ReceivedBuffer> Receive() { return pool->Receive(*box, Deadline::None()); }
  absl::StatusOr<Sequence> Send(HeldBuffer& held);
  absl::StatusOr<Sequence> SendShared(const HeldBuffer& held);
};

// Of refusals that a pool may answer with; all others are none.
inline bool IsRefusal(const absl::Status& status) {
  return absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status) ||
         absl::IsUnavailable(status);
}

class PoolScene final : public Scene {
 public:
  PoolScene(const Design& pool_design, PoolOperation operation, PoolState state,
            const SweepShape& shape)
      : design_(pool_design), operation_(operation), state_(state), shape_(shape) {}

  // REQUIRES: once.
  absl::Status Make(uint64_t size_bytes);

  const Design& design() const override { return design_; }
  Making making() const override;
  std::span<const Operation> beginning() const override { return beginning_; }
  Naming naming() const override;
  std::unique_ptr<Scene> In(std::shared_ptr<Segment> other) const override;
  std::unique_ptr<Victim> NewVictim(uint32_t operation, uint32_t number, bool tells_all,
                                    OperationLog log) const override;
  absl::StatusOr<std::unique_ptr<Survivor>> NewSurvivor(CellProcess process, Findings& findings,
                                                        OperationLog log) const override;
  std::shared_ptr<void> Hold(SharedObject& object) const override;
  std::shared_ptr<void> HoldUnseen(SharedObject& object) const override;
  bool IsTried(uint32_t) const override { return true; }
  // Room, and attaching to what somebody recovers, are behind the mutex.
  bool DeclaredUnblocked(uint32_t probe, Nearness) const override {
    return probe == kAskForSend || probe == kAskForSeat;
  }

  PoolState state() const { return state_; }
  bool is_shared() const {
    return state_ == PoolState::kSharedWithLive || state_ == PoolState::kSharedWithDead;
  }
  // What a victim asks for.
  uint32_t small_bytes() const {
    return SizeIn(static_cast<size_t>(state_), shape_.small, kSmallSizes);
  }
  uint32_t large_bytes() const { return shape_.large != 0 ? shape_.large : kLargeBufferBytes; }
  uint32_t fill_bytes() const { return shape_.middle != 0 ? shape_.middle : kFillBufferBytes; }
  // A new participant, which is process `process` of the history, and as many in the box.
  absl::StatusOr<BoxedPool> AttachAs(uint32_t process) const;
  // REQUIRES: a message with a buffer is there.
  InTheBox IdInTheBox(const BufferPool& pool) const;
  // How many holds the holder of the state has, as long as it lives, and its slot.
  uint64_t holds_of_holder() const {
    return board_->holds_of_holder.load(std::memory_order_acquire);
  }
  uint32_t slot_of_holder() const {
    return board_->holder_slot.load(std::memory_order_acquire) - 1;
  }

 private:
  const Design& design_;
  const PoolOperation operation_;
  const PoolState state_;
  const SweepShape shape_;
  std::shared_ptr<PoolBoard> board_;
  std::vector<Operation> beginning_;
};

// Makes a buffer that shows `id`, and has room at its end.
absl::StatusOr<HeldBuffer> MakeBuffer(BufferPool& pool, ValueId id, uint32_t bytes);
// What is received, and what its header says that it shows. kDataLoss: it is not that.
absl::StatusOr<HeldBuffer> TakeOut(ReceivedBuffer received);
// Whether the bytes are those of the id.
bool IsWhole(const HeldBuffer& held);
void EndReceive(OperationLog& log, Operation& operation, const absl::StatusOr<HeldBuffer>& taken,
                const MessageInfo& info);

// What a victim runs between the markers.
class PoolVictim final : public Victim {
 public:
  PoolVictim(const PoolScene& scene, PoolOperation operation, uint32_t number, OperationLog log);

  absl::Status Prepare() override;
  void Run() override;
  void Record() override;

 private:
  // A buffer: what has come, in states in which it is shared, else one of its own.
  absl::Status GetBuffer();
  ValueId NextId() { return MakeValueId(process_, ++sequence_); }

  const PoolScene& scene_;
  const PoolOperation operation_;
  const uint32_t process_;
  OperationLog log_;
  BoxedPool seat_;
  std::vector<HeldBuffer> held_;
  ReceivedBuffer received_;
  uint32_t sequence_ = 0;
  Operation* announced_ = nullptr;
  absl::Status status_;
  uint64_t answer_ = 0;  // the sequence; how many were dropped
  InTheBox dropped_;
};

class PoolSurvivor final : public Survivor {
 public:
  PoolSurvivor(const PoolScene& scene, CellProcess process, BoxedPool seat, Findings& findings,
               OperationLog log);
  ~PoolSurvivor() override;

  SharedObject& object() override { return *seat_.pool; }
  // Compares its own holds, and those of a holder that lives, with what the pool says.
  void Look() override;
  void Work(Nearness where) override;
  void Write(Nearness where) override;
  uint32_t Fill() override;
  void Empty(uint32_t filled) override;
  void CheckContents(const AuditReport& audit) override;
  void Interfere(uint32_t way) override;
  void Churn() override;
  void Probe(uint32_t probe, Nearness where) override;

 private:
  static constexpr uint32_t kMostFills = 200;

  void Allow(const char* what, const absl::Status& status);
  BufferPoolAccount Account();
  void CheckSeat();
  bool Allocate(uint32_t bytes);  // false: there was no room
  void Share();
  void WriteTo(HeldBuffer& held);
  void Grow(HeldBuffer& held);
  void Send(bool shares);
  bool Receive();
  void Release();
  void ReleaseAll();
  uint32_t FillWith();

  const PoolScene& scene_;
  const CellProcess process_;
  Findings& findings_;
  OperationLog log_;
  BoxedPool seat_;
  std::vector<HeldBuffer> held_;
  uint32_t sequence_ = 0;
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_POOL_DRIVER_SWEEP_POOL_SCENE_H_
