// One participant's view of a broadcast_ring segment: where things are, and its ledger.
#ifndef KILL9_VARIANTS_CHANNELS_BROADCAST_RING_CONTEXT_H_
#define KILL9_VARIANTS_CHANNELS_BROADCAST_RING_CONTEXT_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "variants/channel.h"
#include "variants/channels/broadcast_ring/layout.h"
#include "variants/channels/shared/chunks.h"
#include "variants/segment.h"
#include "variants/segment/participants.h"

namespace kill9::broadcast_ring {

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

  uint64_t slot_count() const { return slot_count_; }
  SharedWord& slot(uint64_t number) const { return slots_[number]; }
  SharedWord& slot_of(uint64_t position) const { return slots_[codec_.NumberOf(position)]; }

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
  // Whether the message that begins at `ref` is there; `position`: its. REQUIRES: nobody can be
  // about to send it.
  bool IsAlive(Ref ref, uint64_t* position) const;
  bool IsAlive(Ref ref) const {
    uint64_t ignored = 0;
    return IsAlive(ref, &ignored);
  }
  class AliveLook {
   public:
    explicit AliveLook(const Context& context) : context_(context) {}
    bool IsAlive(Ref ref) const { return context_.IsAlive(ref); }

   private:
    const Context& context_;
  };
  // Whether any ledger names the chunk (B5).
  bool IsPinned(uint32_t chunk) const;
  // Names a chunk in the own ledger.
  void Pin(SharedWord& word, uint32_t chunk) const;

 private:
  std::shared_ptr<Segment> segment_;
  ParticipantTable participants_;
  RingHeader* header_;
  SharedWord* slots_;
  uint64_t slot_count_;
  Record* records_;
  SleepersPage* sleepers_page_;
  SlotCodec codec_;
  Ledger* ledger_;
};

}  // namespace kill9::broadcast_ring

#endif  // KILL9_VARIANTS_CHANNELS_BROADCAST_RING_CONTEXT_H_
