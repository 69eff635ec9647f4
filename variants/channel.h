// The channel contract: what every design in variants/channels/ implements. It adds to what all
// shared objects have in common (object.h).
//
// A channel passes messages (bytes, 0 to at least 1 MiB) between processes in one segment. A member
// is a participant that sends, receives, or does both (MemberRole). What a member holds when its
// process dies is given back by whichever survivor calls Recover(), or by a call that would
// otherwise wait: a draft leaves nothing, a message taken and not acknowledged comes again.
//
// Errors, beside those of object.h, the same in every design:
//
//   kDeadlineExceeded    there was no room, or no message, until the deadline. Nothing was sent,
//                        nothing was taken: a time-out that races a delivery tells what happened
//   kOutOfRange          end of stream: the channel is closed; of a receiver: and drained
//   kUnavailable         the call would have to wait, and the last living member of the other side
//                        has left or died. Told once for each time; the next call waits for
//                        newcomers
//   kResourceExhausted   no hold is left in the ledger (Take, Drain, Reserve); the channel is full,
//                        where its traits say that it refuses, or it cannot grow. Nothing changed
//   kInvalidArgument     message longer than max_message_bytes(); a draft, message or batch that
//                        cannot be one of this handle's
//   kPermissionDenied    a receiver sends, or a sender receives
//   kUnimplemented       this channel does not have the operation; its traits say so
//
// A send is visible in one step or never: one cut off by its process's death takes effect before
// the death or never (strict linearizability). Messages that a process sent before it died arrive.
//
// Hand-over (traits().acknowledges): a taken message is the receiver's until acknowledged, decided
// by one word. If its receiver returns it, leaves or dies before that, the message comes again, in
// its old place and marked redelivered; after it, never. It is back at the latest when a Recover()
// that began after the death has ended, or a receiver's call that would have had to wait. What
// Receive copies is acknowledged by the same call: a death within it may bring the message again,
// marked, never lose it.
//
// Broadcast (traits().delivery). Each subscriber, a member that receives, reads at its own pace, by
// a cursor that is its process's own: nothing that a dead subscriber did not read comes to another.
// Numbers are consecutive, and MessageInfo::missed tells exactly how many a subscriber did not get.
// A taken message is *pinned*: it stays as it is though it be overwritten. Acknowledge lets it go.
// Return lets it go, too: it comes again, to this subscriber alone, in its place and marked
// redelivered, unless it has been overwritten by then; then it counts as missed. A sender waits for
// nobody: it overwrites the oldest messages, and goes round what is pinned. What one subscriber may
// pin is bounded (the design says by what); beyond it Take and Drain are refused
// (kResourceExhausted), Receive never is. A send is refused (kResourceExhausted, whatever the
// deadline) only where nothing is left to overwrite, and pins and drafts of the living leave no
// room for it.
//
// Waiting. Who waits sleeps in the kernel, and nobody polls while idle. It is woken by what it
// waits for, by Close, and by the last death or leave of the other side; the death of whoever was
// chosen to be woken swallows no wake-up. A wait ends only by these and by its deadline.
#ifndef KILL9_VARIANTS_CHANNEL_H_
#define KILL9_VARIANTS_CHANNEL_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/deadline.h"
#include "variants/object.h"

namespace kill9 {

// What a member does; the other side of a sender are the receivers among the other members.
enum class MemberRole : uint8_t { kSender = 1, kReceiver = 2, kBoth = 3 };
constexpr bool Sends(MemberRole role) { return (static_cast<uint8_t>(role) & 1) != 0; }
constexpr bool Receives(MemberRole role) { return (static_cast<uint8_t>(role) & 2) != 0; }

// How to take part.
struct Membership {
  MemberRole role = MemberRole::kBoth;
  // Of a broadcast: where a late subscriber begins (Channel::began_after tells the place): with the
  // next message that is sent, or with the oldest that is there. In a queue everybody gets what
  // waits.
  enum class Start : uint8_t { kNext, kOldest } start = Start::kNext;
};

// A message's place. Of two messages that are ordered (traits().order) the one that was sent later
// has the greater number, and no number is used twice by one sender. Those of a broadcast are
// consecutive. 0: the channel has none.
using Sequence = uint64_t;

struct MessageInfo {
  Sequence sequence = 0;
  // Somebody had taken it before, and returned it, left or died without an acknowledgement.
  bool redelivered = false;
  // Of a broadcast: how many messages, since the last one that it got, or since it began, this
  // subscriber did not get: they were overwritten before. What was returned and overwritten counts.
  uint64_t missed = 0;
};

// A message as a batch shows it.
struct Message {
  std::string_view bytes;
  MessageInfo info;
};

// What a channel gives, and what it can do beyond what every object can. The harness measures each.
struct ChannelTraits : ObjectTraits {
  enum class Delivery : uint8_t {
    kQueue,      // each message goes to exactly one receiver
    kBroadcast,  // each subscriber gets every message, or is told how many it missed
  } delivery = Delivery::kQueue;
  enum class Order : uint8_t {
    kTotal,      // first in, first out
    kPerSender,  // first in, first out among the messages of one sender
  } order = Order::kTotal;
  enum class WhenFull : uint8_t {
    kWait,       // until the deadline
    kRefuse,     // kResourceExhausted, whatever the deadline
    kOverwrite,  // the oldest message, which is counted as missed
  } when_full = WhenFull::kWait;
  bool acknowledges = true;  // false: what a receiver took and did not use dies with it
  bool has_take = true;      // Take, Drain, Acknowledge, Return
  bool has_draft = true;     // Reserve, Commit
  bool has_readiness = true;
  bool has_sequences = true;
  bool grows = false;  // its segment is made longer when it is full, up to size_bytes
  // What a process stopped at any instruction does to the calls of others that need not wait for a
  // message or for room.
  Progress send = Progress::kBlocking;     // Send, SendMany, Reserve, Commit
  Progress receive = Progress::kBlocking;  // Receive, Take, Drain, Acknowledge, Return
};

class Channel;

// A hold on something of a channel, by its number in the design. Move-only; given back when it is
// destroyed.
class ChannelHold {
 public:
  ChannelHold(const ChannelHold&) = delete;
  ChannelHold& operator=(const ChannelHold&) = delete;

 protected:
  ChannelHold() = default;
  ChannelHold(Channel* channel, uint64_t hold) : channel_(channel), hold_(hold) {}
  ChannelHold(ChannelHold&& other) noexcept
      : channel_(std::exchange(other.channel_, nullptr)), hold_(other.hold_) {}
  ~ChannelHold() = default;

  friend class Channel;
  Channel* channel_ = nullptr;  // null: spent
  uint64_t hold_ = 0;
};

// Room for a message that nobody else sees yet: fill bytes() in place, then Channel::Commit sends
// it in one step. Dropped, it leaves no trace, and takes no capacity. Must not outlive its Channel.
class MessageDraft : public ChannelHold {
 public:
  MessageDraft() = default;
  MessageDraft(Channel* channel, uint64_t hold, std::span<char> bytes)
      : ChannelHold(channel, hold), bytes_(bytes) {}
  MessageDraft(MessageDraft&& other) noexcept = default;
  MessageDraft& operator=(MessageDraft&& other) noexcept;
  ~MessageDraft() { Drop(); }

  void Drop();                                      // idempotent
  std::span<char> bytes() const { return bytes_; }  // REQUIRES: neither spent nor moved from

 private:
  std::span<char> bytes_;
};

// A zero-copy, read-only view of a message that this receiver has taken. It stays valid and
// unchanged until acknowledged or returned, even if its sender dies. Destroyed, it is returned.
// Must not outlive its Channel.
class TakenMessage : public ChannelHold {
 public:
  TakenMessage() = default;
  TakenMessage(Channel* channel, uint64_t hold, const Message& message)
      : ChannelHold(channel, hold), message_(message) {}
  TakenMessage(TakenMessage&& other) noexcept = default;
  TakenMessage& operator=(TakenMessage&& other) noexcept;
  ~TakenMessage() { GiveBack(); }

  // REQUIRES, of both: neither spent nor moved from.
  std::string_view bytes() const { return message_.bytes; }
  const MessageInfo& info() const { return message_.info; }

 private:
  void GiveBack();
  Message message_;
};

// Messages taken at once, the oldest first: `for (const Message& message : batch)`. Each is held as
// by Take. Destroyed, all are returned. One batch of a handle at a time. Must not outlive its
// Channel.
class MessageBatch : public ChannelHold {
 public:
  using iterator = const Message*;

  MessageBatch() = default;
  // `messages` are the design's, valid as long as the hold.
  MessageBatch(Channel* channel, uint64_t hold, std::span<const Message> messages)
      : ChannelHold(channel, hold), messages_(messages) {}
  MessageBatch(MessageBatch&& other) noexcept = default;
  MessageBatch& operator=(MessageBatch&& other) noexcept;
  ~MessageBatch() { GiveBack(); }

  // REQUIRES, of all: neither spent nor moved from.
  iterator begin() const { return messages_.data(); }
  iterator end() const { return messages_.data() + messages_.size(); }
  size_t size() const { return messages_.size(); }
  const Message& operator[](size_t i) const { return messages_[i]; }

 private:
  void GiveBack();
  std::span<const Message> messages_;
};

// How full a channel is; of one moment where the design can tell it, else each field of its own.
// `waiting` and `taken` of a broadcast are this subscriber's (of a member that only sends: all that
// is there), `bytes` of all that is there.
struct Occupancy {
  uint64_t waiting = 0;  // messages that a receiver could take now
  uint64_t taken = 0;    // taken and not acknowledged
  uint64_t bytes = 0;    // of all these
  uint64_t capacity_bytes = 0;
  uint32_t senders = 0;  // members, the dead that nobody has recovered included
  uint32_t receivers = 0;
  bool closed = false;
};

// One member of a channel. The public operations check what is common to all designs (the handle is
// this process's own, the role fits, the size fits) and hand over to the design's Do… functions.
//
// PROGRESS, where a call need not wait: as the traits say.
class Channel : public SharedObject {
 public:
  static constexpr size_t kAll = std::numeric_limits<size_t>::max();

  // Sends a copy. Waits for room until the deadline.
  // ON CRASH: sent before the death, or never.
  absl::StatusOr<Sequence> Send(std::string_view message, Deadline deadline);
  // Sends copies in this order, each as Send does; others' messages may come in between. Returns
  // how many were sent: fewer than all where an error came after the first. ON CRASH: the first
  // ones are sent, up to any.
  absl::StatusOr<size_t> SendMany(std::span<const std::string_view> messages, Deadline deadline);
  // Room for `size` bytes, which Commit sends. Waits for room until the deadline. Once reserved, a
  // Commit never waits for room. ON CRASH, before the commit: nothing is left.
  absl::StatusOr<MessageDraft> Reserve(size_t size, Deadline deadline);
  // Sends the draft, as Send does; its place is given now, not by Reserve. Also on an error
  // (kOutOfRange: closed meanwhile) the draft is spent. ON CRASH: as Send.
  absl::StatusOr<Sequence> Commit(MessageDraft draft);

  // Takes the oldest message, copies it into *message (whose capacity is reused) and acknowledges
  // it. Waits for one until the deadline. ON CRASH: the message has been acknowledged, or comes
  // again, marked redelivered where it had been taken.
  absl::StatusOr<MessageInfo> Receive(std::string* message, Deadline deadline);
  // Takes the oldest message. ON CRASH: it comes again, marked redelivered, or unmarked if it had
  // not been taken yet.
  absl::StatusOr<TakenMessage> Take(Deadline deadline);
  // Takes all that is there, at most `most` messages, the oldest first; at least one: until then it
  // waits. One batch of a handle at a time (kResourceExhausted). ON CRASH: as Take, each.
  absl::StatusOr<MessageBatch> Drain(size_t most, Deadline deadline);
  // The message never comes again once this has returned OK. Spends it, also on an error. Never
  // waits for a message or for room. ON CRASH: acknowledged before the death, or it comes again. Of
  // a batch: its first messages are acknowledged, up to any; the others come again.
  absl::Status Acknowledge(TakenMessage message);
  absl::Status Acknowledge(MessageBatch batch);
  // The message comes again, to anybody, in its old place, marked redelivered. ON CRASH: the same.
  absl::Status Return(TakenMessage message);
  absl::Status Return(MessageBatch batch);

  // End of stream, for all and for ever: no further message is sent, what is there can still be
  // received. Any member may close, and closing twice is no error. Who waits is told. A receiver is
  // told the end when nothing is there and no *other* member holds a message: what it holds itself
  // may come again after that, if it returns it. So two members that both hold something and wait
  // without a deadline wait for each other. In a broadcast each subscriber has an end of its own,
  // whatever others hold. ON CRASH: closed before the death, or never.
  absl::Status Close();
  absl::StatusOr<Occupancy> Look();
  // A descriptor for poll and epoll, of this receiver, which keeps it: readable whenever a message
  // may be there, the channel is closed or the last sender has gone. Who finds it readable receives
  // until kDeadlineExceeded; only that makes it wait again.
  absl::StatusOr<int> ReadinessDescriptor();

  // Of a subscriber of a broadcast: the number of the last message before it began. The first one
  // that it can get is the next. Of all others 0.
  Sequence began_after() const { return began_after_; }
  virtual size_t max_message_bytes() const = 0;  // what the segment could hold if it were empty
  MemberRole role() const { return role_; }

 protected:
  Channel(const ForkGuard& guard, MemberRole role) : SharedObject(guard), role_(role) {}
  void BeginAfter(Sequence sequence) { began_after_ = sequence; }

 private:
  friend class MessageDraft;
  friend class TakenMessage;
  friend class MessageBatch;

  virtual absl::StatusOr<Sequence> DoSend(std::string_view message, Deadline deadline) = 0;
  virtual absl::StatusOr<size_t> DoSendMany(std::span<const std::string_view> messages,
                                            Deadline deadline) = 0;
  virtual absl::StatusOr<MessageDraft> DoReserve(size_t size, Deadline deadline) = 0;
  virtual absl::StatusOr<Sequence> DoCommit(uint64_t hold) = 0;  // always spends the hold
  virtual absl::StatusOr<MessageInfo> DoReceive(std::string* message, Deadline deadline) = 0;
  virtual absl::StatusOr<TakenMessage> DoTake(Deadline deadline) = 0;
  virtual absl::StatusOr<MessageBatch> DoDrain(size_t most, Deadline deadline) = 0;
  // `hold` is what the design put into the TakenMessage, the MessageBatch or the MessageDraft.
  virtual absl::Status DoAcknowledge(uint64_t hold) = 0;
  virtual absl::Status DoAcknowledgeBatch(uint64_t hold) = 0;
  virtual absl::Status DoReturn(uint64_t hold) = 0;
  virtual absl::Status DoReturnBatch(uint64_t hold) = 0;
  virtual void DoDropDraft(uint64_t hold) = 0;
  virtual absl::Status DoClose() = 0;
  virtual absl::StatusOr<Occupancy> DoLook() = 0;
  virtual absl::StatusOr<int> DoReadinessDescriptor() = 0;

  absl::Status CheckSend(size_t size) const;
  absl::Status CheckReceive() const;
  // Of what is given to this handle to be spent.
  absl::Status CheckHold(const ChannelHold& hold) const;

  const MemberRole role_;
  Sequence began_after_ = 0;
};

// A design of a channel. AttachObject makes a member that sends and receives.
class ChannelDesign : public Design {
 public:
  static constexpr std::string_view kKind = "channel";

  std::string_view kind() const final { return kKind; }
  std::string_view model() const override { return "channel"; }
  const ObjectTraits& object_traits() const final { return traits(); }
  virtual const ChannelTraits& traits() const = 0;
  // As AttachObject. A member that attaches is seen by those that wait for one.
  virtual absl::StatusOr<std::unique_ptr<Channel>> Attach(std::shared_ptr<Segment> segment,
                                                          const Membership& membership) const = 0;
  absl::StatusOr<std::unique_ptr<SharedObject>> AttachObject(
      std::shared_ptr<Segment> segment) const final {
    return Attach(std::move(segment), Membership{});
  }
};

}  // namespace kill9

#endif  // KILL9_VARIANTS_CHANNEL_H_
