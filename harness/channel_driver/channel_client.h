// A channel in use by one process of a torture run.
#ifndef KILL9_HARNESS_CHANNEL_DRIVER_CHANNEL_CLIENT_H_
#define KILL9_HARNESS_CHANNEL_DRIVER_CHANNEL_CLIENT_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "harness/channel_driver/broadcast_board.h"
#include "harness/channel_driver/channel_workload.h"
#include "harness/channel_driver/closing.h"
#include "harness/channel_driver/patterns/pattern_boards.h"
#include "harness/store_driver/value.h"
#include "harness/torture/worker/client.h"
#include "harness/torture/worker/last_to_wait.h"
#include "variants/channel.h"

namespace kill9 {

// What the processes of a run share beside the channel.
struct ChannelBoards {
  ClosingBoard* closing = nullptr;         // null: nobody closes
  BroadcastBoard* broadcast = nullptr;     // null: it is a queue
  RequestBoard* requests = nullptr;        // null: nobody asks
  BurstBoard* bursts = nullptr;            // null: nobody sends in bursts
  PassedOnBoard* passed_on = nullptr;      // null: not one message goes round
  std::atomic<uint64_t>* woken = nullptr;  // null: not all wait
};

class ChannelClient final : public Client {
 public:
  ChannelClient(const RunContext& context, const ChannelTraits& traits,
                const ChannelWorkload& workload, const ChannelBoards& boards, uint32_t slot,
                uint32_t process)
      : Client(context, slot, process),
        traits_(traits),
        workload_(workload),
        boards_(boards),
        closing_(boards.closing),
        broadcast_(boards.broadcast),
        slot_(slot),
        may_wait_forever_(closing_ != nullptr && slot >= kNeverWaitForever),
        may_audit_(slot == 0 || slot == kAuditorSlot),
        last_to_wait_(context.control(), slot) {}

  absl::StatusOr<std::unique_ptr<SharedObject>> AttachObject() override;
  bool CanAudit() const override { return Role() == MemberRole::kBoth; }
  bool Act(Random& random) override;
  void ReleaseAll() override;
  // Receives all that waits. Where nobody holds anything, no message is left then; a channel that
  // is closed has come to its end, and a new one takes its place.
  void Visit() override;
  bool Fill() override;
  void RemoveFilling() override { ReceiveAll(); }
  void Empty() override { broadcast_ == nullptr ? Visit() : OverwriteAll(); }
  bool Empties() const override { return broadcast_ == nullptr; }
  void Attached() override;
  bool HoldsStay() const override { return true; }
  void LetOthersGo() override;
  bool ObjectWasReplaced() override;

 private:
  struct Held {
    TakenMessage message;
    ValueId id;
  };
  struct Reserved {
    MessageDraft draft;
    ValueId id;
  };
  // The channel as a whole is one subject, and so one key of the history.
  static constexpr uint64_t kTheChannel = 0;
  // Messages are named as values of this key.
  static constexpr uint64_t kValueKey = 0;
  static constexpr uint32_t kFillBytes = 3000;
  // So many workers wait for a while at most: one of them is left when another is killed.
  static constexpr uint32_t kNeverWaitForever = 2;

  // What a call can know before it begins (closing.h).
  struct Known {
    bool closed = false;
    bool ended = false;
    Deadline deadline = Deadline::None();
  };

  // What this worker attaches as: in every other run in which it does nothing else, as a sender or
  // a receiver only.
  MemberRole Role() const;
  Channel& channel() { return static_cast<Channel&>(object()); }
  // A name for a message. Where the order is of each sender's it also tells the member, in the
  // upper half of its number: one that attaches anew is a new sender.
  ValueId NextId();
  // A message's number among those of all channels of the run.
  uint64_t InTheRun(Sequence sequence);
  // What is recorded of the message's place (harness/checker/models/messages/channel_checker.h).
  uint64_t VersionOf(ValueId id, Sequence sequence, bool redelivered = false);
  Deadline NextDeadline(Random& random) const;
  // The present channel's number, from 1 on.
  uint64_t Number();
  Known KnowBefore(Deadline deadline);
  void Close();
  // What a call came to, as the channel is closed or not.
  void CheckSent(const char* operation, const Known& known, const absl::Status& status);
  void CheckTaken(const char* operation, const Known& known, const absl::Status& status);
  void CheckEnd(const char* operation, const Known& known, const absl::Status& status);
  void ReplaceChannel();
  void NoteHolds() { NoteHeld(held_.size() + drafts_.size()); }

  // False, of what sends: there was no room; of what receives: there was nothing.
  bool SendStep(Random& random);
  bool ReceiveStep(Random& random);
  bool Send(uint32_t size, Deadline deadline);
  bool SendValue(ValueId id, uint64_t key, uint32_t size, Deadline deadline);
  bool SendBatch(Random& random, Deadline deadline);
  bool EndSend(ValueId id, const Known& known, const absl::Status& status, Sequence sequence);
  bool Reserve(uint32_t size, Deadline deadline);
  void RequireManyDrafts(const absl::Status& refused);
  void CommitOrDrop(size_t index, bool commit);
  bool Receive(Deadline deadline);
  bool Take(Deadline deadline);
  bool TakeBatch(size_t most, Deadline deadline, absl::FunctionRef<bool()> acknowledges);
  void GiveUp(size_t index, bool acknowledge);
  // How many there were.
  uint64_t ReceiveAll();
  // One round of the message, or of the room, of which there is only one (ChannelWorkload).
  void PassOn(Random& random);
  bool SendTheNext(ValueId last, Random& random);
  void PassRoomOn();
  uint64_t CountAll();
  // Where nobody dies (channel_client_nobody_dies.cc).
  void WaitOrGive(Random& random);
  void AwaitMessage(Random& random);
  void AwaitRoom(Random& random);
  bool GiveMessage(Random& random);
  void CloseWithTheLast(Random& random);
  void Gave(const LastToWait::Others& others, LastToWait::Woken woken);
  bool AllWaitForRoom() const;
  // By one message: of a broadcast all, of a queue one.
  LastToWait::Woken WhoIsWoken() const {
    return broadcast_ == nullptr ? LastToWait::Woken::kOne : LastToWait::Woken::kAll;
  }
  // Steps of work that has a pattern (channel_client_patterns.cc); false: to rest is the next.
  bool Ask(Random& random);
  bool ServeOne(uint64_t own_request, Deadline deadline, Random& random);
  bool BurstStep(Random& random);
  // Of an answer the request's name, else kValueKey.
  uint64_t KeyOf(std::string_view bytes) const;
  bool SendOfKey(uint64_t key, ValueId id, Random& random);
  // In a channel in which nothing is, and nobody works (channel_client_quiet.cc).
  void TryAll();
  void SendDraftOfNothing(std::vector<std::string>* sent);
  size_t TakeAndReturn(const std::vector<std::string>& sent);
  void CheckQuiet(const std::vector<std::string>& sent, size_t index, std::string_view bytes,
                  const MessageInfo& info, bool returned);
  void TryDescriptor();
  void RequireReadable(int descriptor, const char* when);
  void CheckMembers(const Occupancy& occupancy);
  void CheckCounts(const std::vector<std::string>& sent, uint64_t taken, const char* when);
  [[noreturn]] void FailQuiet(const std::string& what);
  // Of a broadcast (channel_client_broadcast.cc).
  void NoteGap(const MessageInfo& info);
  bool IsHoldRefused(const absl::Status& status);
  void NoteNoRoom(const absl::Status& status);
  void SendAndReceiveOne();
  void OverwriteAll();
  // Checks what a Take or Receive was told that got nothing; ends its record.
  void NoteNothing(const char* operation, const Known& known, const absl::Status& status);
  void EndNothing(const char* operation, const Known& known, const absl::Status& status);
  void EndTaken(const char* operation, const Known& known, ValueId id, const MessageInfo& info) {
    NoteGap(info);
    End(Outcome::kOk, id, VersionOf(id, info.sequence, info.redelivered));
    CheckTaken(operation, known, absl::OkStatus());
  }
  // The message's name, at its head; before its bytes are checked.
  static ValueId PeekId(std::string_view bytes);
  void CheckBytes(const char* operation, ValueId id, std::string_view bytes);

  const ChannelTraits& traits_;
  const ChannelWorkload& workload_;
  const ChannelBoards boards_;
  ClosingBoard* const closing_;
  BroadcastBoard* const broadcast_;
  const uint32_t slot_;
  const bool may_wait_forever_;
  const bool may_audit_;
  LastToWait last_to_wait_;
  uint32_t sequence_ = 0;  // of the last message
  uint32_t named_attachment_ = 0;
  uint64_t number_ = 0;
  uint32_t numbered_attachment_ = 0;
  uint64_t ended_ = 0;  // the last channel of which this client was told the end
  std::vector<Held> held_;
  std::vector<Reserved> drafts_;
  std::string buffer_;
  std::vector<std::string> batch_;
  std::vector<uint64_t> batch_ids_;
  uint64_t visits_ = 0;
  uint32_t burst_left_ = 0;  // sends
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHANNEL_DRIVER_CHANNEL_CLIENT_H_
