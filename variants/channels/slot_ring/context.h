// One participant's view of a slot_ring segment: where things are, and its ledger.
#ifndef KILL9_VARIANTS_CHANNELS_SLOT_RING_CONTEXT_H_
#define KILL9_VARIANTS_CHANNELS_SLOT_RING_CONTEXT_H_

#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "variants/channel.h"
#include "variants/channels/shared/chunks.h"
#include "variants/channels/slot_ring/layout.h"
#include "variants/segment.h"
#include "variants/segment/participants.h"

namespace kill9::slot_ring {

SegmentLayout LayoutOfSegments();
// kDataLoss if the header's parameters contradict each other or the segment's size.
absl::Status CheckParameters(const Segment& segment);
absl::StatusOr<std::shared_ptr<Segment>> CreateSegment(const SegmentOptions& options);

class Context : public chunks::ChunkView<kGranuleBytes>, public chunks::Namer {
 public:
  // Of a participant, or of a process that recovers in order to become one.
  // REQUIRES: the parameters have been checked.
  Context(std::shared_ptr<Segment> segment, const Participant& participant);

  const std::shared_ptr<Segment>& shared_segment() const { return segment_; }
  const ParticipantTable& participants() const { return participants_; }
  Ledger& ledger() const { return *ledger_; }
  Ledger& ledger_of(uint32_t participant) const {
    return participants_.ledger_as<Ledger>(participant);
  }
  RingHeader& header() const { return *header_; }
  SleepersPage& sleepers_page() const { return *sleepers_page_; }
  const SlotCodec& codec() const { return codec_; }

  uint64_t slot_count() const { return granule_count() * kSlotsPerGranule; }
  SharedWord& slot(uint64_t number) const { return slots_[number]; }
  uint64_t region_count() const { return RegionOf(slot_count() - 1) + 1; }
  static constexpr uint64_t RegionOf(uint64_t slot) { return slot / kRegionSlots; }
  SharedWord& region(uint64_t number) const { return regions_[number]; }

  // REQUIRES, here and below: ref < granule_count().
  Record& record(Ref ref) const { return records_[ref]; }

  // What a Space, and its audit, ask (shared/space.h). Relaxed, all: the chunk is the participant's
  // that asks; the CAS that sends the message publishes it, and so does the one that retires the
  // chunk.
  void NoteMessage(Ref ref, uint64_t bytes) const {
    record(ref).position.store(0, std::memory_order_relaxed);
    record(ref).size.store(bytes, std::memory_order_relaxed);
  }
  void NoteDropped(Ref ref) const {
    record(ref).position.store(Record::kDropped, std::memory_order_relaxed);
  }
  uint64_t bytes_of(Ref ref) const { return record(ref).size.load(std::memory_order_relaxed); }
  bool IsDraft(Ref ref) const { return record(ref).position.load(std::memory_order_relaxed) == 0; }
  // Whether a slot has the message that begins at `ref`; if none has, it is free. REQUIRES: nobody
  // can be about to send it.
  bool IsAlive(Ref ref) const { return AliveLook(*this).IsAlive(ref); }
  // Of messages in a row, most of which have positions in a row: it saves the division.
  class AliveLook {
   public:
    explicit AliveLook(const Context& context) : context_(context) {}
    bool IsAlive(Ref ref) {
      // Relaxed: written by the chunk's owner, whose word was acquired, or by this participant.
      const uint64_t noted = context_.record(ref).position.load(std::memory_order_relaxed);
      if (noted == 0 || noted == Record::kDropped) return false;
      const uint64_t position = noted - 1;
      if (position >= position_ && position - position_ < context_.slot_count() - number_) {
        number_ += position - position_;
      } else {
        number_ = position % context_.slot_count();
      }
      position_ = position;
      // Acquire: pairs with the release of the acknowledgement: what its receiver read is past.
      const Slot slot =
          context_.codec().Unpack(context_.slot(number_).load(std::memory_order_acquire));
      return slot.kind != SlotKind::kEmpty && slot.ref == ref;
    }

   private:
    const Context& context_;
    uint64_t position_ = 0;  // the last one that was asked for
    uint64_t number_ = 0;    // of its slot
  };

 private:
  std::shared_ptr<Segment> segment_;
  ParticipantTable participants_;
  RingHeader* header_;
  SharedWord* regions_;
  SharedWord* slots_;
  Record* records_;
  SleepersPage* sleepers_page_;
  SlotCodec codec_;
  Ledger* ledger_;
};

}  // namespace kill9::slot_ring

#endif  // KILL9_VARIANTS_CHANNELS_SLOT_RING_CONTEXT_H_
