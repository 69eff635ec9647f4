// A process's view of a buffer pool's segment, and what is done with its buffers and holds on
// behalf of any participant, living or dead.
#ifndef KILL9_VARIANTS_BUFFERS_SPACE_H_
#define KILL9_VARIANTS_BUFFERS_SPACE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/buffers/layout.h"
#include "variants/heaps/shared/journal_session.h"
#include "variants/object.h"
#include "variants/segment.h"

namespace kill9::buffers {

// A hold, by its place and what its word was.
struct HoldRef {
  uint32_t buffer = 0;  // of the descriptor
  uint32_t index = 0;
  HoldWord word;
};

class Session;

class Space {
 public:
  struct Plan {
    uint64_t descriptors = 0;
    uint64_t holds = 0;
  };
  static absl::Status Format(Segment& segment, SegmentHeader& header, Plan plan);
  // kDataLoss if the header's parameters contradict the segment's size.
  static absl::Status Check(const Segment& segment);
  explicit Space(std::shared_ptr<Segment> segment);

  PoolHeader& header() const { return *header_; }
  const Segment& segment() const { return *segment_; }
  const ParticipantTable& participants() const { return participants_; }
  Ledger& ledger(uint32_t slot) const { return participants_.ledger_as<Ledger>(slot); }
  SleepersPage& sleepers_page() const { return *sleepers_page_; }
  locked::Heap& arena() { return arena_; }
  const locked::Heap& arena() const { return arena_; }
  uint64_t buffers_most() const { return descriptors_; }
  uint64_t holds_most() const { return holds_; }
  uint64_t max_buffer_bytes() const { return arena_.max_payload_bytes(); }
  // REQUIRES: number < buffers_most().
  Descriptor& descriptor(uint64_t number) const {
    return *reinterpret_cast<Descriptor*>(first_ + number * stride_);
  }
  // Whether the place of a hold that somebody names can be one.
  bool IsPlace(uint64_t buffer, uint64_t index) const {
    return buffer < descriptors_ && index < holds_;
  }
  // The block of a buffer that the caller has a hold of. kDataLoss: it lies outside the arena.
  absl::StatusOr<std::span<char>> BlockOf(uint32_t buffer) const;

  // Makes a buffer, whose first hold is the slot's. Nullopt: there is no room, or no descriptor.
  // REQUIRES: the session is open, with nothing in its transaction.
  absl::StatusOr<std::optional<HoldRef>> Make(Session& session, uint64_t bytes, uint32_t slot);
  // Another hold of a buffer of which the caller has one. kResourceExhausted: it has as many as
  // there are words.
  absl::StatusOr<HoldRef> AddHold(uint32_t buffer, uint32_t slot);
  // Moves a hold on to another holder. False: its word is another by now.
  bool ChangeHold(const HoldRef& hold, HoldWord to);
  // Lets go of a hold. True: this freed the buffer, so who waits for room is to be woken.
  absl::StatusOr<bool> DropHold(const HoldRef& hold);
  // Whether there is no hold but this one, if any, at one moment during the call (and so, by B3,
  // until its owner makes another).
  bool HasNoOtherHold(uint32_t buffer, std::optional<uint32_t> index) const;
  // Frees the buffer if it has no hold. Whether it did.
  absl::StatusOr<bool> FreeIfUnheld(uint32_t buffer);
  // Lets go of all holds of whose word `wanted` says so, and frees buffers without a hold. How many
  // that freed.
  absl::StatusOr<uint64_t> DropAll(absl::FunctionRef<bool(HoldWord)> wanted);
  absl::StatusOr<RecoveryReport> RecoverDead();

  // Whether a transaction can have changed these bytes.
  bool MayChange(uint64_t offset, uint64_t bytes) const;
  HoldWord WordOf(uint64_t buffer, uint64_t index) const;

 private:
  uint64_t OffsetOf(const void* place) const {
    return static_cast<uint64_t>(static_cast<const char*>(place) - base_);
  }
  // The sum of the counts of all words, if they are all Free but that at `index`.
  std::optional<uint64_t> SumIfUnheld(Descriptor& buffer, uint64_t used,
                                      std::optional<uint32_t> index) const;

  std::shared_ptr<Segment> segment_;
  char* base_;
  PoolHeader* header_;
  SleepersPage* sleepers_page_;
  ParticipantTable participants_;
  char* first_;  // descriptor
  uint64_t descriptors_;
  uint64_t holds_;
  uint64_t stride_;
  uint64_t arena_end_;
  locked::Heap arena_;
};

// The mutex, held for a while; what its last owner left half done is undone first.
class Session : public JournalSession {
 public:
  explicit Session(const Space& space)
      : JournalSession(space.segment().base(), space.header().mutex, space.header().journal,
                       space.header().writer, [&space](uint64_t offset, uint64_t bytes) {
                         return space.MayChange(offset, bytes);
                       }) {}
};

}  // namespace kill9::buffers

#endif  // KILL9_VARIANTS_BUFFERS_SPACE_H_
