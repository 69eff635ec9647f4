// Passing a buffer on through a channel, in one step.
//
// The message is a note that names a hold and the value that its word has while it is the
// sender's. The order is all:
//
//   P1  Send sends the note, and then changes the word from Held by the sender to Sent.
//   P2  Receive takes the note, changes the word from either of the two to Held by the receiver,
//       and then acknowledges the note.
//   P3  Recovery of a sender changes the words that it holds to Free, as if there were no note.
//
// The word is one, its values never come again (B1), and each of the three is one CAS of it: so
// exactly one of them is the first to decide. If the sender dies between the note and Sent, then
// the receiver's CAS decides that it was passed on, or recovery's that it was not; in that case the
// note names a value that the word will never have again, and whoever takes it passes it over. A
// word that is Sent has a note, since the note came first, and since nobody acknowledges it before
// the word has changed again: no hold is left without a note, which would be a leak. (Sent before
// the note: who dies in between leaves a hold that nobody will ever receive. Acknowledged before
// the CAS: likewise. Free before Held: nobody's in between.)
//
// Who is stopped between the two steps holds up nobody: the receiver takes the hold from Held.
#include <cstring>
#include <type_traits>

#include "variants/buffers/buffer_pool.h"

namespace kill9 {
namespace {

using buffers::HoldKind;
using buffers::HoldWord;

// What a message begins with. Behind it is the user's header.
struct Note {
  static constexpr uint64_t kMagic = 0x65746f6e396c6c6b;

  uint64_t magic;
  uint32_t buffer;  // kNone: without a block
  uint32_t index;   // of the hold
  uint64_t word;    // of the hold, while it is the sender's
  uint32_t box;
  uint32_t reserved;
  uint64_t begin;  // of the bytes, in the block
  uint64_t end;

  static constexpr uint32_t kNone = ~uint32_t{0};
  buffers::HoldRef hold() const { return {buffer, index, {word}}; }
  HoldWord sent() const { return HoldWord{word}.Next(HoldKind::kSent, box); }
};
static_assert(sizeof(Note) == 48 && std::is_trivially_copyable_v<Note> &&
              std::has_unique_object_representations_v<Note>);

}  // namespace

absl::StatusOr<Sequence> BufferPool::Send(Channel& channel, Buffer& buffer, std::string_view header,
                                          Deadline deadline, uint32_t box) {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  if ((buffer.has_block() && buffer.pool_ != this) || box >= kMostBoxes) {
    return absl::InvalidArgumentError("a buffer of another pool, or no such box");
  }
  Note note{.magic = Note::kMagic,
            .buffer = buffer.has_block() ? buffer.hold_.buffer : Note::kNone,
            .index = buffer.hold_.index,
            .word = buffer.hold_.word.bits,
            .box = box,
            .reserved = 0,
            .begin = buffer.begin_,
            .end = buffer.end_};
  std::string message(reinterpret_cast<const char*>(&note), sizeof note);
  message.append(header);
  // dies before -> the buffer is the dead one's;  dies after -> whoever changes the word decides
  absl::StatusOr<Sequence> sent = channel.Send(message, deadline);
  if (!sent.ok() || !buffer.has_block()) return sent;
  // A failure: it has been received already.
  space_.ChangeHold(note.hold(), note.sent());
  --holds_;
  buffer.pool_ = nullptr;
  buffer.Release();
  return sent;
}

absl::StatusOr<Sequence> BufferPool::SendShared(Channel& channel, const Buffer& buffer,
                                                std::string_view header, Deadline deadline,
                                                uint32_t box) {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  if (!buffer.has_block()) {
    Buffer none;
    return Send(channel, none, header, deadline, box);
  }
  absl::StatusOr<Buffer> other = buffer.Share();
  if (!other.ok()) return other.status();
  return Send(channel, *other, header, deadline, box);
}

absl::StatusOr<ReceivedBuffer> BufferPool::Receive(Channel& channel, Deadline deadline) {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  for (;;) {
    absl::StatusOr<TakenMessage> taken = channel.Take(deadline);
    if (!taken.ok()) return taken.status();
    const std::string_view bytes = taken->bytes();
    Note note;
    if (bytes.size() >= sizeof note) std::memcpy(&note, bytes.data(), sizeof note);
    if (bytes.size() < sizeof note || note.magic != Note::kMagic ||
        (note.buffer != Note::kNone && !space_.IsPlace(note.buffer, note.index))) {
      channel.Acknowledge(*std::move(taken)).IgnoreError();
      return absl::InvalidArgumentError("a message that no pool has sent");
    }
    ReceivedBuffer received;
    received.header = bytes.substr(sizeof note);
    received.info = taken->info();
    bool is_void = false;
    if (note.buffer != Note::kNone) {
      buffers::HoldRef hold = note.hold();
      HoldWord mine = hold.word.Next(HoldKind::kHeld, participant_.slot());
      // dies before -> the message comes again;  dies after -> it was the dead one's
      bool is_mine = space_.ChangeHold(hold, mine);
      if (!is_mine) {
        hold.word = note.sent();
        mine = hold.word.Next(HoldKind::kHeld, participant_.slot());
        is_mine = space_.ChangeHold(hold, mine);
      }
      is_void = !is_mine;
      if (is_mine) {
        hold.word = mine;
        ++holds_;
        const absl::StatusOr<std::span<char>> block = space_.BlockOf(hold.buffer);
        if (!block.ok()) return block.status();
        if (note.begin > note.end || note.end > block->size()) return Damaged();
        received.buffer = Buffer(this, hold, *block, note.begin, note.end);
      }
    }
    if (absl::Status status = channel.Acknowledge(*std::move(taken)); !status.ok()) return status;
    if (!is_void) return received;
  }
}

}  // namespace kill9
