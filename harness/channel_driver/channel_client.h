// A channel in use by one process of a torture run.
#ifndef KILL9_HARNESS_CHANNEL_DRIVER_CHANNEL_CLIENT_H_
#define KILL9_HARNESS_CHANNEL_DRIVER_CHANNEL_CLIENT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "harness/channel_driver/channel_workload.h"
#include "harness/store_driver/value.h"
#include "harness/torture/worker/client.h"
#include "variants/channel.h"

namespace kill9 {

class ChannelClient final : public Client {
 public:
  ChannelClient(const RunContext& context, const ChannelTraits& traits,
                const ChannelWorkload& workload, uint32_t slot, uint32_t process)
      : Client(context, slot, process), traits_(traits), workload_(workload) {}

  bool Act(Random& random) override;
  void ReleaseAll() override;
  // Receives all that waits. Where nobody holds anything, no message is left then.
  void Visit() override;
  bool Fill() override;
  void RemoveFilling() override { ReceiveAll(); }
  void Empty() override { Visit(); }
  bool HoldsStay() const override { return true; }

 private:
  struct Held {
    TakenMessage message;
    ValueId id;
  };
  struct Reserved {
    MessageDraft draft;
    ValueId id;
  };
  static constexpr size_t kMostHeld = 4;
  static constexpr size_t kMostDrafts = 2;

  Channel& channel() { return static_cast<Channel&>(object()); }
  // A name for a message. Where the order is of each sender's it also tells the member, in the
  // upper half of its number: one that attaches anew is a new sender.
  ValueId NextId();
  // What is recorded of the message's place (harness/checker/models/channel_checker.h).
  uint64_t VersionOf(ValueId id, Sequence sequence, bool redelivered = false) const;
  Deadline NextDeadline(Random& random) const;
  void NoteHolds() { NoteHeld(held_.size() + drafts_.size()); }

  void SendStep(Random& random);
  void ReceiveStep(Random& random);
  // False: there was no room.
  bool Send(uint32_t size, Deadline deadline, bool as_batch);
  bool EndSend(ValueId id, const absl::Status& status, Sequence sequence);
  void Reserve(uint32_t size, Deadline deadline);
  void CommitOrDrop(size_t index, bool commit);
  // False: there was nothing.
  bool Receive(Deadline deadline);
  void Take(Deadline deadline);
  void TakeAsBatch(Deadline deadline, bool acknowledge);
  void GiveUp(size_t index, bool acknowledge);
  void ReceiveAll();
  // Ends a Take or Receive that got nothing.
  void EndNothing(const char* operation, const absl::Status& status);
  void EndTaken(ValueId id, const MessageInfo& info) {
    End(Outcome::kOk, id, VersionOf(id, info.sequence, info.redelivered));
  }
  // The message's name, at its head; before its bytes are checked.
  static ValueId PeekId(std::string_view bytes);
  void CheckBytes(const char* operation, ValueId id, std::string_view bytes);
  [[noreturn]] void FailStatus(const char* operation, const absl::Status& status);

  const ChannelTraits& traits_;
  const ChannelWorkload& workload_;
  uint32_t sequence_ = 0;  // of the last message
  uint32_t named_attachment_ = 0;
  std::vector<Held> held_;
  std::vector<Reserved> drafts_;
  std::string buffer_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHANNEL_DRIVER_CHANNEL_CLIENT_H_
