// What a torture run's processes know, decided before they fork.
#ifndef KILL9_HARNESS_TORTURE_RUN_CONTEXT_H_
#define KILL9_HARNESS_TORTURE_RUN_CONTEXT_H_

#include <sched.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>

#include "harness/base/process_end/address_space_lock.h"
#include "harness/history/recorder.h"
#include "harness/torture/control.h"
#include "harness/torture/driver.h"
#include "harness/torture/scenario.h"
#include "variants/object.h"

namespace kill9 {

// How the scheduler treats a process.
struct Priority {
  int policy = SCHED_OTHER;
  sched_param parameters{};
  int nice = 0;

  static Priority OfThisProcess() {
    Priority now{.policy = sched_getscheduler(0), .nice = getpriority(PRIO_PROCESS, 0)};
    sched_getparam(0, &now.parameters);
    return now;
  }
  void GiveTo(pid_t process) const {
    sched_setscheduler(process, policy, &parameters);
    setpriority(PRIO_PROCESS, static_cast<id_t>(process), nice);
  }
};

struct RunContext {
  const Design& design;
  const Scenario& scenario;
  uint64_t seed;
  const PreparedRun& prepared;
  const ControlMemory& memory;
  const Clock& clock;
  Recording* recording;

  std::shared_ptr<Segment> segment;  // inherited by the workers; null if they open `location`
  SegmentLocation location;
  SegmentOptions segment_options = {};
  pid_t supervisor = 0;
  Priority usual;                               // the workers'; the supervisor takes a higher one
  int errors_fd = -1;                           // where workers' standard error goes
  const AddressSpaceLocks* memories = nullptr;  // of the workers, by slot; made by the supervisor
  bool pauses = false;  // workers do, at any instruction (worker/pauses.h)
  int unborn_fd = -1;  // held by a worker, and by its children until fork is done
  // The supervisor's own handle, for scenarios that inherit one.
  std::unique_ptr<SharedObject> inherited;
  // Those that do nothing (PreparedRun::idle), the supervisor's.
  std::vector<std::unique_ptr<SharedObject>> idle = {};

  // Participants that are no worker's, and no auditor's.
  uint32_t of_the_supervisor() const {
    return static_cast<uint32_t>(idle.size()) + (inherited != nullptr ? 1 : 0);
  }

  Control& control() const { return memory.control(); }
};

// Operations in the ring of one slot.
inline constexpr uint32_t kRingCapacity = 1u << 12;

// How a worker process ends by itself.
inline constexpr int kExitDone = 0;
inline constexpr int kExitFinding = 3;  // Control::finding says what it found
inline constexpr int kExitOrphan = 4;   // the supervisor was gone before the worker could watch it

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_RUN_CONTEXT_H_
