// The supervisor's part that does harm: kills and stops from outside. (Timer kills are in
// worker.cc.)
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "harness/torture/kill_timer.h"
#include "harness/torture/supervisor/supervisor.h"

namespace kill9 {
namespace {

constexpr uint64_t kRecoveryWaitNs = 50'000'000;  // for survivors to notice a death
constexpr uint64_t kAftermathUs = 300;
constexpr uint64_t kPollWhileDyingNs = 100'000;

}  // namespace

void Supervisor::WorkFor(uint64_t duration_us) {
  const uint64_t end = MonotonicNs() + duration_us * 1000;
  while (!over()) {
    const uint64_t now = MonotonicNs();
    if (now >= end) break;
    if (control_.killing.load(std::memory_order_relaxed) != 0) Inject(now);
    uint64_t until = end;
    if (context_.scenario.outside != OutsideKills::kNone && next_kill_ns_ != 0) {
      until = std::min(until, next_kill_ns_);
    }
    if (context_.scenario.stop_interval_us != 0 && next_stop_ns_ != 0) {
      until = std::min(until, next_stop_ns_);
    }
    Wait(until);
  }
}

void Supervisor::Inject(uint64_t now_ns) {
  const Scenario& scenario = context_.scenario;
  if (scenario.stop_interval_us != 0 && now_ns >= next_stop_ns_) {
    StopOne(now_ns);
    next_stop_ns_ = now_ns + random_.Below(uint64_t{scenario.stop_interval_us} * 2000 + 1);
  }
  if (scenario.outside != OutsideKills::kNone && now_ns >= next_kill_ns_) {
    InjectKills(now_ns);
    next_kill_ns_ =
        MonotonicNs() + random_.Below(uint64_t{scenario.outside_interval_us} * 2000 + 1);
  }
}

void Supervisor::InjectKills(uint64_t) {
  switch (context_.scenario.outside) {
    case OutsideKills::kNone:
      return;
    case OutsideKills::kOne:
      return KillOneAndWait();
    case OutsideKills::kAll:
      return KillAllAndRestart();
    case OutsideKills::kStorm: {
      std::vector<uint32_t> living = Living();
      if (living.size() < 2) return;
      const uint64_t victims = std::max<uint64_t>(1, random_.Below(living.size() - 1) + 1);
      for (uint64_t i = 0; i < victims; ++i) {
        std::swap(living[i], living[i + random_.Below(living.size() - i)]);
      }
      living.resize(victims);
      AwaitWork(living);
      for (const uint32_t slot : living) Kill(slot);
      return;
    }
  }
}

bool Supervisor::Kill(uint32_t slot) {
  Slot& mine = slots_[slot];
  if (mine.pid == 0 || mine.kill_sent) return false;
  mine.kill_sent = true;
  mine.kill_sent_ns = MonotonicNs();
  mine.charged_ns = mine.looked_ns = 0;
  // The PID is this child's: it has not been reaped, so it cannot have been reused.
  kill(mine.pid, OrderedSignal());
  const bool sent = kill(mine.pid, SIGKILL) == 0;
  Hasten(mine, true);  // not before: it would go on with its work instead of this process
  return sent;
}

// A victim must have a CPU to die; on a busy machine it would wait for one as long as any other.
// Best effort, where priorities are allowed.
void Supervisor::Hasten(Slot& slot, bool dies) {
  const sched_param first{.sched_priority = 2};
  if (dies) {
    sched_setscheduler(slot.pid, SCHED_FIFO, &first);
  } else {
    context_.usual.GiveTo(slot.pid);
  }
  slot.hastened = dies;
}

// Hastens those whose timers are due. Returns when the next one is.
uint64_t Supervisor::HastenDue(uint64_t now_ns) {
  uint64_t next = ~uint64_t{0};
  for (uint32_t slot = 0; slot < options_.processes; ++slot) {
    Slot& mine = slots_[slot];
    if (mine.pid == 0 || mine.kill_sent) continue;
    // Relaxed: a hint; a timer that was cleared meanwhile is seen to be at the next look.
    const uint64_t timer_ns = control_.boards[slot].timer_at_ns.load(std::memory_order_relaxed);
    const bool is_due = timer_ns != 0 && timer_ns <= now_ns;
    if (is_due != mine.hastened) Hasten(mine, is_due);
    if (timer_ns > now_ns) next = std::min(next, timer_ns);
  }
  return next;
}

// On a busy machine workers may have had no CPU since they were spawned, or since the last audit:
// their deaths would tell nothing. Half of the time they may be about to attach.
void Supervisor::AwaitWork(const std::vector<uint32_t>& slots) {
  constexpr uint64_t kMostWaitNs = 1'000'000'000;
  const uint64_t bound = MonotonicNs() + kMostWaitNs;
  const bool may_attach = random_.Chance(500);
  const auto is_to_begin = [this, may_attach](uint32_t slot) {
    if (slots_[slot].pid == 0) return false;
    // Relaxed: a hint.
    const Activity activity = control_.boards[slot].activity.load(std::memory_order_relaxed);
    return activity == Activity::kParked || activity == Activity::kStarting ||
           (activity == Activity::kAttaching && !may_attach);
  };
  while (std::any_of(slots.begin(), slots.end(), is_to_begin) && MonotonicNs() < bound && !over()) {
    Wait(MonotonicNs() + kPollWhileDyingNs);
  }
}

// Whether each of them is dead, or has made progress since `before`, or rests.
bool Supervisor::HaveAllGoneOn(const std::vector<uint32_t>& survivors,
                               const std::vector<uint64_t>& before) const {
  for (size_t i = 0; i < survivors.size(); ++i) {
    const Slot& mine = slots_[survivors[i]];
    const WorkerBoard& board = control_.boards[survivors[i]];
    if (mine.pid != 0 && !mine.kill_sent && !MayRest(mine, board) &&
        board.progress.load(std::memory_order_relaxed) == before[i]) {
      return false;
    }
  }
  return true;
}

// One victim; the others must recover and go on before it is replaced, and the account must be
// exact. Each of them must: who waits must be told by the death itself, since no newcomer and no
// audit comes who would wake it. The watchdog bounds that (Watch).
void Supervisor::KillOneAndWait() {
  const std::vector<uint32_t> living = Living();
  if (living.empty()) return;
  const uint32_t victim = living[random_.Below(living.size())];
  AwaitWork({victim});
  respawn_ = false;
  Kill(victim);
  while (slots_[victim].pid != 0 && !over()) Wait(MonotonicNs() + kPollWhileDyingNs);
  const uint64_t deaths = control_.deaths_reaped.load(std::memory_order_relaxed);
  const uint64_t bound = MonotonicNs() + kRecoveryWaitNs;
  // Acquire: pairs with the release of Raise; the recovery is complete.
  while (control_.recovery_completed.load(std::memory_order_acquire) < deaths && !over() &&
         MonotonicNs() < bound && !Living().empty()) {
    Wait(MonotonicNs() + kPollWhileDyingNs);
  }
  const std::vector<uint32_t> survivors = Living();
  std::vector<uint64_t> before;
  for (const uint32_t slot : survivors) {
    before.push_back(control_.boards[slot].progress.load(std::memory_order_relaxed));
  }
  // Where another one dies by its timer, a newcomer may be what the rest needs.
  while (!HaveAllGoneOn(survivors, before) && Living().size() == survivors.size() && !over()) {
    Wait(MonotonicNs() + kPollWhileDyingNs);
  }
  const uint64_t aftermath = MonotonicNs() + kAftermathUs * 1000;
  while (MonotonicNs() < aftermath && !over()) Wait(aftermath);
  Audit(NextDepth());
  respawn_ = true;
  if (!over()) SpawnVacant();
}

void Supervisor::KillAllAndRestart() {
  AwaitWork(Living());
  respawn_ = false;
  for (uint32_t slot = 0; slot < options_.processes; ++slot) Kill(slot);
  while (Anybody() != kSlots && !over()) Wait(MonotonicNs() + kPollWhileDyingNs);
  ++report_.generations;
  // Sometimes the first of the new generation audits before anybody works.
  if (random_.Chance(300) && !over()) Audit(NextDepth());
  respawn_ = true;
  if (!over()) SpawnVacant();
}

void Supervisor::StopOne(uint64_t now_ns) {
  const std::vector<uint32_t> living = Living();
  if (living.size() < 2) return;
  const uint32_t slot = living[random_.Below(living.size())];
  Slot& mine = slots_[slot];
  if (mine.resume_at_ns != 0) return;
  times_.NoteStop(mine.process, context_.clock.Now());
  if (kill(mine.pid, SIGSTOP) != 0) return;
  mine.resume_at_ns = now_ns + 1 + random_.Below(uint64_t{context_.scenario.stop_us} * 1000);
  ++report_.stops;
}

void Supervisor::ResumeDue(uint64_t now_ns, bool all) {
  if (context_.scenario.stop_interval_us == 0) return;
  for (Slot& slot : slots_) {
    if (slot.pid == 0 || slot.resume_at_ns == 0 || (!all && now_ns < slot.resume_at_ns)) continue;
    slot.resume_at_ns = 0;
    kill(slot.pid, SIGCONT);
    times_.NoteResume(slot.process, context_.clock.Now());
  }
}

// Whose own pause (worker/pauses.h) is over, and may not have ended: on a busy machine the timer
// that stops may be later than the one that resumes.
void Supervisor::ResumePaused(uint64_t now_ns) {
  constexpr uint64_t kLateNs = 1'000'000;
  if (!context_.pauses) return;
  for (uint32_t slot = 0; slot < options_.processes; ++slot) {
    const Slot& mine = slots_[slot];
    if (mine.pid == 0 || mine.resume_at_ns != 0) continue;
    const uint64_t ends_ns = control_.boards[slot].pause_ends_ns.load(std::memory_order_relaxed);
    if (ends_ns != 0 && ends_ns + kLateNs < now_ns) kill(mine.pid, SIGCONT);
  }
}

}  // namespace kill9
