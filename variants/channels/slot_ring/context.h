// One participant's view of a slot_ring segment: where things are, and its ledger.
#ifndef KILL9_VARIANTS_CHANNELS_SLOT_RING_CONTEXT_H_
#define KILL9_VARIANTS_CHANNELS_SLOT_RING_CONTEXT_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "variants/channel.h"
#include "variants/channels/slot_ring/layout.h"
#include "variants/segment.h"
#include "variants/segment/participants.h"

namespace kill9::slot_ring {

SegmentLayout LayoutOfSegments();
// kDataLoss if the header's parameters contradict each other or the segment's size.
absl::Status CheckParameters(const Segment& segment);
absl::StatusOr<std::shared_ptr<Segment>> CreateSegment(const SegmentOptions& options);

class Context {
 public:
  // Of a participant, or of a process that recovers in order to become one.
  // REQUIRES: the parameters have been checked.
  Context(std::shared_ptr<Segment> segment, const Participant& participant);

  const Segment& segment() const { return *segment_; }
  const ParticipantTable& participants() const { return participants_; }
  uint32_t index() const { return index_; }
  Ledger& ledger() const { return *ledger_; }
  Ledger& ledger_of(uint32_t participant) const {
    return participants_.ledger_as<Ledger>(participant);
  }
  RingHeader& header() const { return *header_; }
  SleepersPage& sleepers_page() const { return *sleepers_page_; }
  const SlotCodec& codec() const { return codec_; }

  uint64_t slot_count() const { return granules_; }
  SharedWord& slot(uint64_t number) const { return slots_[number]; }
  uint64_t region_count() const { return RegionOf(granules_ - 1) + 1; }
  static constexpr uint64_t RegionOf(uint64_t slot) { return slot / kRegionSlots; }
  SharedWord& region(uint64_t number) const { return regions_[number]; }

  uint32_t chunk_count() const { return chunk_count_; }
  uint32_t chunk_granules() const { return chunk_granules_; }
  Chunk& chunk(uint32_t number) const { return chunks_[number]; }
  Ref FirstOf(uint32_t chunk) const { return chunk * chunk_granules_; }
  uint32_t ChunkOf(Ref ref) const { return ref / chunk_granules_; }
  // REQUIRES, here and below: ref < slot_count().
  Record& record(Ref ref) const { return records_[ref]; }
  char* bytes(Ref ref) const { return space_ + ref * kGranuleBytes; }
  // Whether so many bytes from there on are in the space.
  bool Fits(Ref ref, uint64_t bytes) const {
    return ref < granules_ && bytes <= (granules_ - ref) * kGranuleBytes;
  }
  static constexpr uint64_t GranulesFor(uint64_t bytes) {
    return std::max<uint64_t>(1, (bytes + kGranuleBytes - 1) / kGranuleBytes);
  }

  // What a ledger word says when it names something.
  uint64_t Name(uint64_t what) const { return tag_ | what; }
  static constexpr uint32_t Named(uint64_t word) { return static_cast<uint32_t>(word); }
  static constexpr uint32_t GenerationIn(uint64_t word) {
    return static_cast<uint32_t>(word >> 32);
  }
  // Notes what must be in the ledger if this participant dies at the next instruction. Release: who
  // reads it beside a living participant (audit, counts) sees what was stored before it.
  void Note(SharedWord& word, uint64_t what) const {
    word.store(Name(what), std::memory_order_release);
  }
  // Release: what was done for it comes before.
  static void Clear(SharedWord& word) { word.store(0, std::memory_order_release); }

  // The word of a slot that a message which begins at `ref` is in; nullopt's stand-in, false, if
  // none is: the message is free. REQUIRES: nobody can be about to send it.
  bool IsInSlot(Ref ref) const;

 private:
  std::shared_ptr<Segment> segment_;
  ParticipantTable participants_;
  RingHeader* header_;
  SharedWord* regions_;
  SharedWord* slots_;
  Record* records_;
  Chunk* chunks_;
  SleepersPage* sleepers_page_;
  char* space_;
  uint64_t granules_;
  uint32_t chunk_count_;
  uint32_t chunk_granules_;
  SlotCodec codec_;
  uint32_t index_;
  uint64_t tag_;
  Ledger* ledger_;
};

}  // namespace kill9::slot_ring

#endif  // KILL9_VARIANTS_CHANNELS_SLOT_RING_CONTEXT_H_
