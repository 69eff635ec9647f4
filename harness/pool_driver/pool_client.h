// A pool of buffers in use by one process of a torture run.
//
// Each buffer's bytes say which value they are of, or which part of one
// (harness/store_driver/value.h), so whoever looks through any hold sees at once what others must
// not have changed. The messages that carry buffers are the history; of the holds each worker keeps
// an account, which an audit compares with the pool's.
#ifndef KILL9_HARNESS_POOL_DRIVER_POOL_CLIENT_H_
#define KILL9_HARNESS_POOL_DRIVER_POOL_CLIENT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "harness/pool_driver/pool_boards.h"
#include "harness/pool_driver/pool_member.h"
#include "harness/pool_driver/pool_workload.h"
#include "harness/store_driver/value.h"
#include "harness/torture/worker/client.h"
#include "harness/torture/worker/last_to_wait.h"

namespace kill9 {

// Through which the buffers of a run are passed on: made before anything forks.
struct PoolChannel {
  const ChannelDesign* design = nullptr;
  std::shared_ptr<Segment> segment;
};

class PoolClient final : public Client {
 public:
  PoolClient(const RunContext& context, const PoolWorkload& workload, const PoolChannel& channel,
             PoolBoards& boards, uint32_t slot, uint32_t process)
      : Client(context, slot, process),
        workload_(workload),
        through_(channel),
        boards_(boards),
        slot_(slot),
        last_to_wait_(context.control(), slot) {}

  absl::StatusOr<std::unique_ptr<SharedObject>> AttachObject() override;
  void Attached() override;
  bool Act(Random& random) override;
  void ReleaseAll() override;
  // Every hold is a living participant's that knows of it, or a message's; nothing is on its way
  // that nobody can receive.
  void Visit() override;
  bool Fill() override;
  void RemoveFilling() override;
  bool RecoversBeforeRefusal() const override { return true; }
  void Empty() override { ReceiveAll(); }
  bool HoldsStay() const override { return true; }
  void LetOthersGo() override;

 private:
  static constexpr uint32_t kOwnMark = 0;
  static constexpr uint64_t kTheMessages = 0;  // one part of the history
  static constexpr uint32_t kBoxes = 3;
  // So many workers wait for a while at most: one of them is left when another is killed.
  static constexpr uint32_t kNeverWaitForever = 2;

  // What a hold shows: `size()` bytes of a value, from `offset` on.
  struct View {
    Buffer buffer;
    ValueId value = kNothing;
    uint32_t value_bytes = 0;
    uint32_t offset = 0;
    uint64_t block = 0;   // this worker's number of the block
    bool shared = false;  // others may hold the block, beside the views of this worker
  };
  // The user's part of a message.
  struct Header {
    ValueId message = kNothing;  // of none in the history
    ValueId value = kNothing;
    uint32_t value_bytes = 0;
    uint32_t offset = 0;
  };

  BufferPool& pool() { return static_cast<PoolMember&>(object()).pool(); }
  Channel& channel() { return static_cast<PoolMember&>(object()).channel(); }
  ValueId NextId() { return MakeValueId(process(), ++sequence_); }
  void NoteHolds() { NoteHeld(views_.size() + filling_.size()); }
  Deadline NextDeadline(Random& random) const;
  View TakeOut(size_t index);
  // Whether another view of this worker is of the same block.
  bool HasSibling(const View& view) const;

  void AllocateStep(Random& random);
  // False: there was no room.
  bool Allocate(uint64_t bytes, Deadline deadline, BufferPool::Ends ends, std::vector<View>* into);
  void Release(size_t index);
  void Share(Random& random);
  void Write(Random& random);
  void Grow(Random& random);
  void NewContent(View& view, std::span<char> bytes);
  void Send(Random& random);
  bool Receive(Deadline deadline);
  void TakeASeat(Random& random);
  void CheckSeats();
  void PassRoomOn();
  // Where nobody dies (pool_client_nobody_dies.cc): waits for room, and gives it up when all others
  // wait.
  void AwaitRoom(Random& random);
  bool SendAndDrop();

  void Verify(const char* when, const View& view);
  std::string Expected(ValueId value, uint32_t value_bytes, uint32_t offset, size_t bytes) const;
  // How many there were.
  uint64_t ReceiveAll();

  // While nobody else works (pool_client_quiet.cc).
  void CheckAccount();
  void CheckWhoLives();
  void CheckFullPool();
  void TryAll();
  void TryHolds();
  void TryBoxes();
  void TryMessages();
  Buffer MakeQuiet(uint64_t bytes);
  [[noreturn]] void FailQuiet(const std::string& what);

  const PoolWorkload& workload_;
  const PoolChannel& through_;
  PoolBoards& boards_;
  const uint32_t slot_;
  LastToWait last_to_wait_;
  uint32_t sequence_ = 0;  // of the last value or message
  uint64_t blocks_ = 0;    // that it has known so far
  uint64_t visits_ = 0;    // of a pool in which nothing is
  uint32_t seats_ = 0;     // that it has taken, a bit each
  std::vector<View> views_;
  std::vector<View> filling_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_POOL_DRIVER_POOL_CLIENT_H_
