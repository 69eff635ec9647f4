// A segment of participants only, and victims that claim its slots.
#ifndef KILL9_PROPERTY_SEGMENT_PARTICIPANTS_FIXTURE_H_
#define KILL9_PROPERTY_SEGMENT_PARTICIPANTS_FIXTURE_H_

#include <memory>

#include "gtest/gtest.h"
#include "property/scaffold/children.h"
#include "variants/segment.h"
#include "variants/segment/participants.h"

namespace kill9 {

inline std::shared_ptr<Segment> MakeSegment(uint32_t slots) {
  SegmentOptions options;
  options.size_bytes = 8 << 20;
  options.max_participants = slots;
  SegmentLayout layout;
  layout.design = "participants-test";
  layout.ledger_bytes = 128;
  absl::StatusOr<std::shared_ptr<Segment>> segment =
      Segment::Create(options, layout, [](Segment&, SegmentHeader&) { return absl::OkStatus(); });
  EXPECT_TRUE(segment.ok()) << segment.status();
  return *segment;
}

class Participants : public ::testing::Test {
 protected:
  void Make(uint32_t slots) {
    segment_ = MakeSegment(slots);
    table_ = segment_->participants();
  }
  // A process that has claimed a slot and waits to be killed.
  Child Victim(uint32_t* slot) {
    Child child([this](Line& parent) {
      absl::StatusOr<Participant> participant = table_.Claim();
      CHILD_REQUIRE(participant.ok());
      parent.Tell(participant->slot());
      for (;;) pause();
    });
    uint64_t word = 0;
    EXPECT_TRUE(child.Await(&word));
    *slot = static_cast<uint32_t>(word);
    return child;
  }
  bool Dead(uint32_t slot) {
    uint32_t generation = 0;
    return table_.MarkIfDead(slot, &generation);
  }
  bool RecoverSlot(uint32_t slot) {
    uint32_t generation = 0;
    return table_.MarkIfDead(slot, &generation) && table_.MarkRecovered(slot, generation);
  }

  std::shared_ptr<Segment> segment_;
  ParticipantTable table_;
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_SEGMENT_PARTICIPANTS_FIXTURE_H_
