// A participant's part in a segment that keeps terms: where the shared words are, its counters and
// its bed for waiting.
#ifndef KILL9_VARIANTS_TERMS_HANDLE_H_
#define KILL9_VARIANTS_TERMS_HANDLE_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "variants/channels/shared/sleepers.h"
#include "variants/segment.h"
#include "variants/segment/participants.h"
#include "variants/segment/terms.h"
#include "variants/store.h"

namespace kill9 {
namespace terms {

static_assert(sizeof(SleepersWord) == sizeof(SharedWords::sleepers) &&
              SleepersPage::kBytes == kPageBytes);

class Handle {
 public:
  Handle(std::shared_ptr<Segment> shared_segment, const Participant& participant)
      : segment(std::move(shared_segment)),
        table(segment->participants()),
        words(*reinterpret_cast<SharedWords*>(segment->terms_area())),
        sleepers(reinterpret_cast<SleepersWord&>(words.sleepers)),
        sleeper(*segment, *reinterpret_cast<SleepersPage*>(segment->terms_area() + kPageBytes)),
        me(HolderOf(participant.slot(), participant.generation())) {}

  CounterLine& counters(uint32_t slot) const {
    return reinterpret_cast<CounterLine*>(segment->terms_area() + 2 * kPageBytes)[slot];
  }
  CounterLine& mine() const { return counters(SlotOf(me)); }

  const std::shared_ptr<Segment> segment;
  const ParticipantTable table;
  SharedWords& words;
  SleepersWord& sleepers;
  Sleeper sleeper;
  const Holder me;
  std::string written;                                  // what is being written, with its terms
  std::string read;                                     // what was read, with its terms
  std::chrono::steady_clock::time_point next_search{};  // for room, among what has expired
};

}  // namespace terms

// What a look at a key found.
struct Store::Seen {
  Version stored = kAbsent;  // what CompareAndSwap of the design is to expect
  bool present = false;      // a value is there, and alive
  uint64_t era = 0;          // when it was seen so
  terms::Carried carried;    // of what is stored
};

}  // namespace kill9

#endif  // KILL9_VARIANTS_TERMS_HANDLE_H_
