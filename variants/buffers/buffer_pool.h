// Buffers that several processes share without a copy, in one segment (layout.h).
//
// A Buffer is a view of a run of bytes, and a *hold* of the block in which they lie. It is a vector
// that grows at both ends. Another hold of the same bytes costs no copy, whoever has it: another
// Buffer of this process, a message on its way, another process. Who writes to bytes that somebody
// else holds as well gets a copy of its own first. The block is free again exactly when its last
// hold ends: let go of, or recovered after its owner's death.
//
// A buffer is passed on through any channel of acknowledged messages (variants/channel.h), which
// carries 48 bytes that name the hold, and a header of the user's. One word decides who has the
// hold (B1 in layout.h): the sender, the message, or who has received it. It is never nobody's and
// never two's, whoever dies anywhere. How that is:
// docs/decisions/2026-11-29-a-buffer-in-a-message.md.
//
// Errors, beside those of object.h and, where a channel takes part, of channel.h. Where one is
// returned, nothing has changed:
//
//   kDeadlineExceeded    there was no room until the deadline
//   kResourceExhausted   the buffer has as many holds as the segment was made for
//   kInvalidArgument     more than max_buffer_bytes(); a buffer of another pool, or of none; a part
//                        that is not in the buffer
//
// PROGRESS: Allocate, and the end of a last hold, are blocking (one robust mutex). Share, Slice,
// Send, Receive and the end of any other hold are lock-free, as the channel allows.
#ifndef KILL9_VARIANTS_BUFFERS_BUFFER_POOL_H_
#define KILL9_VARIANTS_BUFFERS_BUFFER_POOL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/buffers/space.h"
#include "variants/channel.h"
#include "variants/channels/shared/sleepers.h"
#include "variants/deadline.h"
#include "variants/heap.h"
#include "variants/object.h"

namespace kill9 {

class BufferPool;

// Move-only; destroyed, its hold ends. Must not outlive its pool. One thread at a time, as its
// pool.
class Buffer {
 public:
  Buffer() = default;  // of no pool, and without bytes
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { Release(); }

  bool has_block() const { return pool_ != nullptr; }
  std::string_view bytes() const { return {block_.data() + begin_, end_ - begin_}; }
  size_t size() const { return end_ - begin_; }
  size_t headroom() const { return begin_; }
  size_t tailroom() const { return block_.size() - end_; }

  // Whether there is any other hold of the block. False stays true until this Buffer is shared.
  bool IsShared() const;
  // Another hold of the same bytes; of a part of them. ON CRASH: there is one more, the dead one's,
  // or none.
  absl::StatusOr<Buffer> Share() const { return Slice(0, size()); }
  absl::StatusOr<Buffer> Slice(size_t begin, size_t length) const;

  // The bytes, to be written to. If anybody else holds the block, a copy of them from now on, for
  // whose room it waits until the deadline.
  absl::StatusOr<std::span<char>> Write(Deadline deadline);
  // New bytes at either end, into the room that is there, or into a larger block, with as much room
  // at that end as there are bytes by then. What is new has any content.
  absl::StatusOr<std::span<char>> GrowFront(size_t bytes, Deadline deadline);
  absl::StatusOr<std::span<char>> GrowBack(size_t bytes, Deadline deadline);
  absl::Status Prepend(std::string_view bytes, Deadline deadline);
  absl::Status Append(std::string_view bytes, Deadline deadline);
  // Bytes become room. REQUIRES: bytes <= size().
  void DropFront(size_t bytes) { begin_ += bytes; }
  void DropBack(size_t bytes) { end_ -= bytes; }

  // Lets go of it. Idempotent.
  void Release();

 private:
  friend class BufferPool;
  Buffer(BufferPool* pool, buffers::HoldRef hold, std::span<char> block, size_t begin, size_t end)
      : pool_(pool), hold_(hold), block_(block), begin_(begin), end_(end) {}
  // Makes so much room at each end, in a block of its own, if there is not.
  absl::Status MakeRoom(size_t front, size_t back, Deadline deadline);

  BufferPool* pool_ = nullptr;
  buffers::HoldRef hold_;
  std::span<char> block_;
  size_t begin_ = 0;  // in the block
  size_t end_ = 0;
};

struct ReceivedBuffer {
  Buffer buffer;       // without a block: the message carried none
  std::string header;  // the user's
  MessageInfo info;
};

struct BufferPoolOptions {
  SegmentOptions segment;
  uint64_t buffers_most = 1024;
  // Of one buffer at once: by participants and by messages on their way.
  uint64_t holds_most = 60;
};

// What one participant holds, or what was sent to one box.
struct HoldsOf {
  uint32_t holder = 0;  // the participant's slot; the box's number
  uint64_t holds = 0;
};

// The exact account of a quiet pool:  room = free + live + headers + rounding, to the byte.
struct BufferPoolAccount {
  AuditReport report;  // live: blocks of buffers, held: none
  uint64_t room_bytes = 0;
  uint64_t free_bytes = 0;
  uint64_t live_bytes = 0;  // as they were asked for
  uint64_t header_bytes = 0;
  uint64_t rounding_bytes = 0;
  uint64_t holds = 0;  // of all buffers: those of participants and of messages, added up
  std::vector<HoldsOf> of_participants;  // by slot; the dead included
  std::vector<HoldsOf> of_messages;      // by box
};

class BufferPool final : public SharedObject {
 public:
  static constexpr uint32_t kMostBoxes = buffers::HoldWord::kMostHolders;
  static constexpr char kDesignName[] = "buffer_pool";  // in the segment's header

  static absl::StatusOr<std::shared_ptr<Segment>> Create(const BufferPoolOptions& options);
  static absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location);
  static absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd);
  static absl::StatusOr<std::unique_ptr<BufferPool>> Attach(std::shared_ptr<Segment> segment);
  // What is still held ends.
  ~BufferPool() override;

  // A buffer of so many bytes, of any content, with so much room at its ends. Waits for room until
  // the deadline. ON CRASH: there is none, or the dead's.
  struct Ends {
    size_t headroom = 0;
    size_t tailroom = 0;
  };
  absl::StatusOr<Buffer> Allocate(size_t bytes, Deadline deadline, Ends ends);
  absl::StatusOr<Buffer> Allocate(size_t bytes, Deadline deadline) {
    return Allocate(bytes, deadline, Ends{});
  }

  // Passes the buffer on: the message that is sent has its hold. `buffer` is empty then; on an
  // error it is as it was. One without a block may be sent, too. `box`: what DropSent may name.
  // ON CRASH: the buffer is the message's, or the dead's, in one step.
  absl::StatusOr<Sequence> Send(Channel& channel, Buffer& buffer, std::string_view header,
                                Deadline deadline, uint32_t box = 0);
  // The same for another hold of it: the caller keeps its own.
  absl::StatusOr<Sequence> SendShared(Channel& channel, const Buffer& buffer,
                                      std::string_view header, Deadline deadline, uint32_t box = 0);
  // Takes the oldest message and its hold. Messages whose sender died before the hold was theirs
  // are passed over. kInvalidArgument: it is no message of Send; it is acknowledged.
  // ON CRASH: the message comes again with its buffer, or both were the dead's.
  absl::StatusOr<ReceivedBuffer> Receive(Channel& channel, Deadline deadline);
  // Ends the holds of all messages that were sent to a box, or to those that are wanted; who
  // receives one passes it over. For a channel that nobody will receive from any more. How many
  // buffers that freed.
  absl::StatusOr<uint64_t> DropSent(uint32_t box) {
    return DropSent([box](uint32_t one) { return one == box; });
  }
  absl::StatusOr<uint64_t> DropSent(absl::FunctionRef<bool(uint32_t box)> wanted);

  // Whether the participant is attached and alive. A system call.
  bool IsAlive(ParticipantId id) const;
  ParticipantId id() const { return {participant_.slot(), participant_.generation()}; }
  // A seat of the segment: at most one living participant has it, as long as it lives and is
  // attached. kAlreadyExists: another one has it. ON CRASH: the next one may take it.
  absl::Status TakeSeat(uint32_t seat);
  // Who has taken it last; slot ~0: nobody.
  ParticipantId SeatedAt(uint32_t seat) const;
  // Words of each participant for the protocols of users (layout.h), by slot.
  buffers::SharedWord& mark(uint32_t slot, uint32_t number) const {
    return space_.ledger(slot).marks[number];
  }
  const ParticipantTable& participants() const { return space_.participants(); }
  uint64_t max_buffer_bytes() const { return space_.max_buffer_bytes(); }

  absl::StatusOr<BufferPoolAccount> Account();

 private:
  friend class Buffer;
  BufferPool(std::shared_ptr<Segment> segment, Participant participant);

  absl::StatusOr<RecoveryReport> DoRecover() override;
  absl::StatusOr<AuditReport> DoAudit() override;
  absl::StatusOr<RecoveryReport> RecoverAndWake();
  absl::StatusOr<BufferPoolAccount> AccountOf();
  void LetGo(const buffers::HoldRef& hold);
  bool owns() const { return guard().owns(); }

  buffers::Space space_;  // keeps the segment mapped, and so goes last
  Participant participant_;
  Sleeper sleeper_;
  uint64_t holds_ = 0;  // of this handle's Buffers
};

}  // namespace kill9

#endif  // KILL9_VARIANTS_BUFFERS_BUFFER_POOL_H_
