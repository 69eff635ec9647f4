// One participant's view of a sender_lanes segment: where things are, and its ledger.
#ifndef KILL9_VARIANTS_CHANNELS_SENDER_LANES_CONTEXT_H_
#define KILL9_VARIANTS_CHANNELS_SENDER_LANES_CONTEXT_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/channels/sender_lanes/layout.h"
#include "variants/channels/shared/chunks.h"
#include "variants/segment.h"
#include "variants/segment/participants.h"

namespace kill9::sender_lanes {

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
  LanesHeader& header() const { return *header_; }
  SleepersPage& sleepers_page() const { return *sleepers_page_; }
  const RangeCodec& codec() const { return codec_; }

  // ---- Lanes. A slot's number counts over all lanes.
  uint32_t lane_count() const { return lane_count_; }
  Lane& lane(uint32_t number) const { return lanes_[number]; }
  // Lanes from the first that ever had a sender.
  uint32_t lanes_used() const {
    // Acquire: pairs with the release of the sender that raises it, so that its lane is looked at.
    const uint64_t used = header_->lanes_used.load(std::memory_order_acquire);
    return static_cast<uint32_t>(std::min<uint64_t>(used, lane_count_));
  }
  uint64_t lane_slots() const { return slot_mask_ + 1; }
  uint64_t slot_count() const { return lane_count_ * lane_slots(); }
  uint64_t FirstSlotOf(uint32_t lane) const { return lane * lane_slots(); }
  uint64_t SlotOf(uint32_t lane, uint64_t position) const {
    return FirstSlotOf(lane) + (position & slot_mask_);
  }
  uint32_t LaneOf(uint64_t slot) const { return static_cast<uint32_t>(slot >> slot_shift_); }
  // Slots from this one to the end of its lane's ring: no range goes around it.
  uint64_t SlotsToEnd(uint64_t slot) const { return lane_slots() - (slot & slot_mask_); }
  uint64_t LapOf(uint64_t position) const { return codec_.MaskLap((position >> slot_shift_) + 1); }
  SharedWord& word(uint64_t slot) const { return words_[slot]; }
  Range Load(uint64_t slot, std::memory_order order) const {
    return codec_.Unpack(words_[slot].load(order));
  }
  const SharedWord& shared_entry(uint64_t slot) const { return entries_[slot]; }
  // Relaxed, both: published by the tail (L1).
  Entry entry(uint64_t slot) const { return {entries_[slot].load(std::memory_order_relaxed)}; }
  void SetEntry(uint64_t slot, Entry entry) const {
    entries_[slot].store(entry.bits, std::memory_order_relaxed);
  }
  uint64_t TailOf(uint32_t lane) const {
    // Acquire: pairs with Publish, for entries, records and bytes.
    return lanes_[lane].tail.load(std::memory_order_acquire) >> 1;
  }
  // Calls `see(position, is_fresh)` for each message that nobody has taken, and for each
  // range and void between, from the hint to the tail; of one moment if the lane is quiet.
  template <typename See>
  void Walk(uint32_t lane, See see) const {
    const uint64_t tail = TailOf(lane);
    // Relaxed: a position that stays valid.
    uint64_t at = lanes_[lane].head_hint.load(std::memory_order_relaxed);
    if (at < tail && tail - at > 4 * lane_slots()) at = tail - lane_slots();  // damaged
    while (at < tail) {
      // Acquire: pairs with Claim.
      const Range range = Load(SlotOf(lane, at), std::memory_order_acquire);
      const bool is_fresh = codec_.LapsAhead(range.lap, LapOf(at)) < 0;
      see(at, is_fresh);
      at += is_fresh ? 1 : range.extent;
    }
  }

  // REQUIRES, here and below: ref < granule_count().
  Record& record(Ref ref) const { return records_[ref]; }

  // What a Space, and its audit, ask (shared/space.h). Relaxed, all: the chunk is the participant's
  // that asks; the tail that sends the message publishes it, and so does the CAS that retires the
  // chunk.
  void NoteMessage(Ref ref, uint64_t bytes) const {
    record(ref).place.store(0, std::memory_order_relaxed);
    record(ref).size.store(bytes, std::memory_order_relaxed);
  }
  void NoteDropped(Ref ref) const {
    record(ref).place.store(Record::kDropped, std::memory_order_relaxed);
  }
  void NotePlace(Ref ref, const Place& place) const {
    record(ref).place.store(place.Pack(), std::memory_order_relaxed);
  }
  uint64_t bytes_of(Ref ref) const { return record(ref).size.load(std::memory_order_relaxed); }
  bool IsDraft(Ref ref) const { return record(ref).place.load(std::memory_order_relaxed) == 0; }
  bool IsAlive(Ref ref) const { return AliveLook(*this).IsAlive(ref); }
  // Whether messages are in their lanes, and not acknowledged. It remembers the last positions that
  // it found gone: messages that lie in a row were mostly sent in a row.
  class AliveLook {
   public:
    explicit AliveLook(const Context& context) : context_(context) {}
    bool IsAlive(Ref ref) {
      // Relaxed: written by the chunk's owner, whose word was acquired, or by this participant.
      const uint64_t bits = context_.record(ref).place.load(std::memory_order_relaxed);
      if (bits >= gone_.begin && bits < gone_.end && Place::LaneIn(bits) == gone_.lane) {
        return false;
      }
      return IsAliveAt(bits, ref);
    }

   private:
    bool IsAliveAt(uint64_t bits, Ref ref);
    void RememberGone(const Place& place, uint64_t slot, uint64_t back, uint64_t extent);

    const Context& context_;
    struct {
      uint64_t begin = 0, end = 0;  // of packed places
      uint32_t lane = 0;
    } gone_;
  };

 private:
  std::shared_ptr<Segment> segment_;
  ParticipantTable participants_;
  LanesHeader* header_;
  Lane* lanes_;
  SharedWord* entries_;
  SharedWord* words_;
  Record* records_;
  SleepersPage* sleepers_page_;
  uint32_t lane_count_;
  int slot_shift_;
  uint64_t slot_mask_;
  RangeCodec codec_;
  Ledger* ledger_;
};

}  // namespace kill9::sender_lanes

#endif  // KILL9_VARIANTS_CHANNELS_SENDER_LANES_CONTEXT_H_
