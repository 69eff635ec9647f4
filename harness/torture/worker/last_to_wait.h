// Work in which nobody dies, and in which no wake-up is spare: all wait without end, but for the
// last one, which gives what they wait for, and does not go on before one of them has gone on with
// it. Who is not woken stays asleep, and the watchdog finds it.
#ifndef KILL9_HARNESS_TORTURE_WORKER_LAST_TO_WAIT_H_
#define KILL9_HARNESS_TORTURE_WORKER_LAST_TO_WAIT_H_

#include <array>
#include <cstdint>

#include "harness/base/random.h"
#include "harness/torture/control.h"
#include "variants/deadline.h"

namespace kill9 {

// The part of one worker. Each waits for the same, and gives back what it has got.
class LastToWait {
 public:
  LastToWait(Control& control, uint32_t slot) : control_(control), slot_(slot) {}

  enum class Begun : uint8_t {
    kWaits,  // it counts as waiting now, until End
    kLast,   // all others wait
    kStops,  // there is a pause, or the end: who waits now would wait for who has parked
  };
  // To be called right before what may wait. Of several that begin at once one at least is the
  // last.
  Begun Begin();
  // The same of who is sure to get what it waits for from itself.
  void BeginAnyway();
  // Begin of who waits for room, of which nobody has any where all others wait: they are on the
  // way to it, and the last one leaves them time. Whether this one waits.
  bool BeginForRoom(Random& random);
  // How much each waits for: often so much that two do not get it at once.
  static uint64_t RoomToWaitFor(uint64_t most, Random& random) {
    return random.Chance(600) ? most / 3 * 2 : random.Below(most + 1);
  }
  // To be called right after it.
  void End();

  // So long that nobody comes to its end in a run; now and then without end.
  static Deadline Far(Random& random);

  // Who waits; for one of several that each worker began.
  struct Others {
    std::array<uint32_t, kMaxWorkers> waits{};  // 0: it does not
    bool any = false;
    bool are_all = false;  // who were attached then
  };
  // Nobody of `others` is there unless all who work do wait, but for this one.
  Others AllOthers() const;
  Others WhoWaits() const;
  // Waits until all others wait, most often for a little longer, so that they sleep; for a
  // millisecond or two at most. Who then waits: nobody, if it came to nothing.
  Others AwaitAllOthers(Random& random) const;
  enum class Woken : uint8_t { kOne, kAll };
  // After what must wake one of them, or all. If they were all there were, it ends as well when
  // another worker comes: that one may have had what was given.
  void AwaitWoken(const Others& others, Woken woken) const;

 private:
  bool MustStop() const;
  Others Look(bool all) const;

  Control& control_;
  const uint32_t slot_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_WORKER_LAST_TO_WAIT_H_
