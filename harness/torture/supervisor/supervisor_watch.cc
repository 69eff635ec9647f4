// The supervisor's part that watches whether the workers make progress.
//
// A process is charged only with time in which it could have done something, and in which whoever
// else makes no progress could have, too: it may wait for one of them. Time without a CPU is
// nobody's, nor is what passes between two looks beyond a look's own length: then the supervisor
// did not run either, because the machine or the container was paused. And while one is dying (it
// was sent SIGKILL, or its timer was due) the others may wait for the kernel, which takes seconds
// where memory is short.
#include <algorithm>
#include <cerrno>
#include <csignal>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/text/count_of.h"
#include "harness/torture/supervisor/supervisor.h"

namespace kill9 {
namespace {

constexpr uint64_t kUnreapedNs = 5'000'000'000;
// Outside the object nothing is the design's fault, and slow is not stuck.
constexpr uint64_t kOutside = 4;

bool IsInObject(Activity activity) {
  return activity == Activity::kOperation || activity == Activity::kRecovering ||
         activity == Activity::kAttaching || activity == Activity::kDetaching ||
         activity == Activity::kAuditing;
}

double Seconds(uint64_t ns) { return static_cast<double>(ns) / 1e9; }

}  // namespace

// Who waits in a pause, or was stopped by the scenario, need not progress. Who was sent SIGKILL
// must die.
bool Supervisor::MayRest(const Slot& slot, const WorkerBoard& board) const {
  return slot.resume_at_ns != 0 ||
         (!slot.kill_sent && board.activity.load(std::memory_order_relaxed) == Activity::kParked);
}

void Supervisor::Watch(uint64_t now_ns) {
  if (sink_.found_violation()) {
    control_.finding.Report(Verdict::kViolation, 0, "the history is not consistent");
  }
  const uint64_t looked = std::min(now_ns - std::min(now_ns, watched_ns_), kMostChargedNs);
  watched_ns_ = now_ns;
  uint64_t longest = 0;
  for (uint32_t slot = 0; slot < kSlots; ++slot) {
    Slot& mine = slots_[slot];
    if (mine.pid == 0) continue;
    const WorkerBoard& board = control_.boards[slot];
    const uint64_t progress = board.progress.load(std::memory_order_relaxed);
    if (progress != mine.progress || MayRest(mine, board)) {
      mine.progress = progress;
      mine.charged_ns = mine.looked_ns = 0;
    } else {
      mine.looked_ns += looked;
    }
    longest = std::max(longest, mine.looked_ns);
  }
  // Most of the time everybody progresses, and /proc need not be read.
  if (longest < options_.watchdog_us * 1000 / 16) return;
  const uint64_t charge = ChargeOf(now_ns, looked);
  for (uint32_t slot = 0; slot < kSlots; ++slot) {
    if (slots_[slot].pid == 0 || slots_[slot].looked_ns == 0) continue;
    slots_[slot].charged_ns += IsDying(slot, now_ns) ? slots_[slot].chance_ns : charge;
    if (!over()) WatchOne(slot, now_ns);
  }
}

bool Supervisor::IsDying(uint32_t slot, uint64_t now_ns) const {
  return slots_[slot].kill_sent || OrderedBefore(slot, now_ns) != 0;
}

uint64_t Supervisor::ChargeOf(uint64_t now_ns, uint64_t looked_ns) {
  uint64_t charge = looked_ns;
  for (uint32_t slot = 0; slot < kSlots; ++slot) {
    Slot& mine = slots_[slot];
    if (mine.pid == 0 || mine.looked_ns == 0) continue;
    mine.chance_ns = mine.chance.Look(now_ns, looked_ns);
    charge = std::min(charge, IsDying(slot, now_ns)
                                  ? LookedBefore(OrderedBefore(slot, now_ns), now_ns, looked_ns)
                                  : mine.chance_ns);
  }
  return charge;
}

void Supervisor::WatchOne(uint32_t slot, uint64_t now_ns) {
  const Slot& mine = slots_[slot];
  // It may have gone on while /proc was read.
  if (control_.boards[slot].progress.load(std::memory_order_relaxed) != mine.progress) return;
  const uint64_t bound_ns = options_.watchdog_us * 1000;
  const Activity activity = control_.boards[slot].activity.load(std::memory_order_relaxed);
  if (IsDying(slot, now_ns)) {
    // Of what keeps it from being reaped nothing is the object's, whose watchdog may be short.
    const uint64_t dying_ns = std::max(bound_ns * kOutside, kDyingNs);
    if (mine.charged_ns > dying_ns || mine.looked_ns > kStarved * dying_ns) ReportDying(slot);
    return;
  }
  if (IsInObject(activity) && mine.charged_ns > bound_ns) return ReportStuck(slot);
  if (mine.looked_ns > bound_ns * kStarved) {
    control_.finding.Report(
        Verdict::kUndecided, mine.process,
        absl::StrFormat(
            "process %d has made no progress for %.1f s, but it, or another that it may "
            "wait for, had a CPU for %.1f s of these only: the machine is too busy",
            mine.process, Seconds(mine.looked_ns), Seconds(mine.charged_ns)));
  } else if (mine.charged_ns > bound_ns * kOutside) {
    control_.finding.Report(
        Verdict::kUndecided, mine.process,
        absl::StrFormat(
            "process %d does nothing outside the object for %.1f s: stopped by somebody "
            "else, or the machine is too busy",
            mine.process, Seconds(mine.charged_ns)));
  }
}

// No design can keep a process from dying.
void Supervisor::ReportDying(uint32_t slot) {
  const Slot& mine = slots_[slot];
  const double seconds = Seconds(mine.charged_ns);
  control_.finding.Report(
      Verdict::kUndecided, mine.process,
      mine.lingers
          ? absl::StrFormat("process %d is dead, and its memory still there after %.1f s: somebody "
                            "looks into it (/proc, a debugger)",
                            mine.process, seconds)
          : absl::StrFormat("process %d was sent SIGKILL and has not been reaped for %.1f s: the "
                            "kernel, or a debugger, holds it",
                            mine.process, seconds));
}

void Supervisor::ReportStuck(uint32_t slot) {
  const Slot& mine = slots_[slot];
  const WorkerBoard& board = control_.boards[slot];
  // Nothing else is done in this run: what it takes to read the symbols delays nobody.
  if (proc_is_ours_) {
    report_.stuck.Look(mine.process, mine.pid, [this](pid_t thread) { return WhoIs(thread); });
  }
  control_.finding.Report(
      Verdict::kStuck, mine.process,
      absl::StrFormat(
          "process %d has been %s (%s) for %.1f s without progress, after %s", mine.process,
          std::string(ActivityName(board.activity.load(std::memory_order_relaxed))),
          DescribeStep(board), Seconds(mine.charged_ns), CountOf(report_.kills_total(), "kill")));
}

std::string Supervisor::WhoIs(pid_t thread) const {
  for (const Slot& slot : slots_) {
    if (slot.pid == thread) return absl::StrCat("process ", slot.process);
  }
  return absl::StrCat("thread ", thread,
                      kill(thread, 0) != 0 && errno == ESRCH ? ", which is dead"
                                                             : ", which is none of the workers");
}

// A process that was sent SIGKILL at the run's end, and does not die.
bool Supervisor::GivesUpOn(uint32_t slot) const {
  const uint64_t bound_ns = std::min(options_.watchdog_us * 1000, kUnreapedNs);
  return slots_[slot].charged_ns > bound_ns || slots_[slot].looked_ns > bound_ns * kOutside;
}

}  // namespace kill9
