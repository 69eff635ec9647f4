// What a run's supervisor measures in time, from the operations that it drains and the deaths that
// it notes itself. All times are ticks of the run's clock.
//
// T1  A recovery is sampled for a death that was noted, once at most: from its order (the signal
//     was sent, or the timer was due) to the first operation that any other process completes.
// T2  How late a death is noted: from its order to the reading of the clock after the reaping. The
//     death lies in between, so no crashed operation ends later than that after its process's last
//     instruction. An order of the strict condition is hidden by no more than that.
// T3  The longest wait is that of one completed operation of a process that was not stopped
//     meanwhile, by the clock on the wall. `longest_wait_paused` is how much of it fell into times
//     in which the supervisor, which wants to look every millisecond, did not run either: the
//     machine was paused, or had no CPU for this run.
#ifndef KILL9_HARNESS_TORTURE_SUPERVISOR_RUN_TIMES_H_
#define KILL9_HARNESS_TORTURE_SUPERVISOR_RUN_TIMES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "harness/base/clock.h"
#include "harness/base/histogram.h"
#include "harness/history/history.h"

namespace kill9 {

// Read when the run is over.
struct RunTimesReport {
  uint64_t longest_wait = 0;
  uint64_t longest_wait_paused = 0;
  Function longest_wait_function = Function::kAttach;
  uint64_t longest_pause = 0;
};

class RunTimes {
 public:
  // `recovery_us`, `death_noted_us`: where samples go.
  RunTimes(const Clock& clock, Histogram& recovery_us, Histogram& death_noted_us);

  // REQUIRES: `process` was reaped; its operations were drained or closed.
  void NoteDeath(uint32_t process, uint64_t ordered, uint64_t noted);
  void NoteStop(uint32_t process, uint64_t from);
  void NoteResume(uint32_t process, uint64_t until);
  // The supervisor did not run, though it wanted to.
  void NotePause(uint64_t from, uint64_t until);
  // Drained operations; whatever is drained later ends after `settled`.
  void Take(std::span<const Operation> operations, uint64_t settled);
  // Nothing follows.
  void Finish();

  const RunTimesReport& report() const { return report_; }

 private:
  struct Completion {
    uint64_t finish;
    uint32_t process;
  };
  struct Death {
    uint32_t process;
    uint64_t ordered;
    uint64_t first_finish;  // kNever: nobody has completed anything since
  };
  struct Span {
    uint32_t process;  // 0: of all
    uint64_t from;
    uint64_t until;
  };
  static constexpr uint64_t kNever = ~uint64_t{0};

  void TakeLongest(const Operation& operation);
  void Sample(const Death& death);
  bool WasStopped(const Operation& operation) const;
  uint64_t PausedIn(uint64_t from, uint64_t until) const;

  Clock clock_;
  Histogram& recovery_us_;
  Histogram& death_noted_us_;
  RunTimesReport report_;
  // The latest completions: a death is noted some time after its order.
  std::vector<Completion> recent_;
  uint64_t completions_ = 0;
  std::vector<Death> pending_;
  std::vector<Span> stops_;
  std::vector<Span> pauses_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_SUPERVISOR_RUN_TIMES_H_
