// Waiting for room, as all heaps do it: tries, recovers the dead, announces itself and sleeps.
#ifndef KILL9_VARIANTS_HEAPS_SHARED_WAITING_H_
#define KILL9_VARIANTS_HEAPS_SHARED_WAITING_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/channels/shared/sleepers.h"
#include "variants/deadline.h"

namespace kill9 {

// After an attempt that was in vain: tries until it is done, an error, or the deadline.
//   attempt(announce)   true: it is done. `announce`: if it is not, who waits is to be announced,
//                       such that no change between the look and the announcement is missed (W1)
//   recover()           gives back what the dead held. Whether there was anybody
inline absl::Status TryAgainForRoom(Deadline deadline, Sleeper& sleeper,
                                    absl::FunctionRef<absl::StatusOr<bool>(bool announce)> attempt,
                                    absl::FunctionRef<bool()> recover) {
  const auto no_room = [] { return absl::DeadlineExceededError("no room for the block"); };
  absl::StatusOr<bool> done = false;
  if (!deadline.waits()) {
    if (!recover()) return no_room();
    done = attempt(false);
    if (!done.ok()) return done.status();
    return *done ? absl::OkStatus() : no_room();
  }
  // Who died before the watch was there is found here, who dies later is told of.
  for (bool first = true;; first = false) {
    // Each time: the system may have had no watch left before.
    const bool told = sleeper.Watch();
    if (first || !told || sleeper.death_is_near()) recover();
    done = attempt(true);
    if (!done.ok()) return done.status();
    if (*done) return absl::OkStatus();
    if (!sleeper.Sleep(deadline)) return no_room();
  }
}

// The first attempt, too.
inline absl::Status WaitForRoom(Deadline deadline, Sleeper& sleeper,
                                absl::FunctionRef<absl::StatusOr<bool>(bool announce)> attempt,
                                absl::FunctionRef<bool()> recover) {
  const absl::StatusOr<bool> done = attempt(false);
  if (!done.ok()) return done.status();
  if (*done) return absl::OkStatus();
  return TryAgainForRoom(deadline, sleeper, attempt, recover);
}

}  // namespace kill9

#endif  // KILL9_VARIANTS_HEAPS_SHARED_WAITING_H_
