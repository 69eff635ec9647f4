#include "harness/torture/supervisor/supervisor.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/shared_mapping.h"
#include "harness/torture/kill_timer.h"
#include "harness/torture/supervisor/vacuity.h"
#include "harness/torture/worker/worker.h"

namespace kill9 {
namespace {

constexpr uint64_t kPollNs = 1'000'000;  // at least this often the rings are drained
constexpr uint64_t kExtension = 8;       // times the kills asked for, where these proved nothing
constexpr uint64_t kOperationsOfAKill = 40;  // as much work, where nobody dies
// On a busy machine so few deaths in operations tell nothing: a run that has proved nothing by the
// end of its extension goes on until there were more, for some more extensions.
constexpr uint64_t kFewKills = 1000;
constexpr uint64_t kMostExtensions = 6;
constexpr uint64_t kWatchNs = 20'000'000;
constexpr uint64_t kPauseNs = 20'000'000;  // more than it takes to be woken
constexpr uint64_t kLastDrainNs = 5'000'000'000;
constexpr size_t kErrorBytes = 600;

std::string DescribeEnd(int status) {
  if (WIFSIGNALED(status)) {
    return absl::StrCat("died of signal ", WTERMSIG(status), " (", strsignal(WTERMSIG(status)),
                        ")");
  }
  return absl::StrCat("exited with status ", WEXITSTATUS(status));
}

bool WasKilled(int status) {
  return WIFSIGNALED(status) &&
         (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == OrderedSignal());
}

// The end of what the workers wrote to their standard error.
std::string LastErrors(int fd) {
  if (fd < 0) return "";
  const off_t end = lseek(fd, 0, SEEK_END);
  const off_t begin = std::max<off_t>(0, end - static_cast<off_t>(kErrorBytes));
  std::string text(static_cast<size_t>(end - begin), '\0');
  const ssize_t got = pread(fd, text.data(), text.size(), begin);
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.empty() ? "" : absl::StrCat("; its standard error: ", text);
}

}  // namespace

uint64_t SupervisorReport::kills_total() const {
  return std::accumulate(kills.begin(), kills.end(), uint64_t{0});
}

Supervisor::Supervisor(RunContext& context, const SupervisorOptions& options, HistorySink& sink)
    : context_(context),
      control_(context.control()),
      options_(options),
      sink_(sink),
      random_(context.seed, 0),
      times_(context.clock, control_.recovery_us, control_.death_noted_us) {
  context_.memories = &memories_;
  batch_.reserve(size_t{options.processes + 1} * kRingCapacity);
  KeepFromChildren(batch_);
  if (context.scenario.reuse_pids) {
    last_pid_fd_ = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
  }
}

bool Supervisor::over() const {
  return control_.finding.state.load(std::memory_order_acquire) != Finding::kNone ||
         control_.interrupted.load(std::memory_order_relaxed) != 0;
}

// On a machine that is busy with other things little work may prove nothing: it goes on for a while
// then, as a run does that ends by its time.
bool Supervisor::enough_kills() const {
  const uint64_t done = context_.scenario.nobody_dies ? report_.operations / kOperationsOfAKill
                                                      : report_.kills_total();
  if (options_.kills == 0 || done < options_.kills) return false;
  // Where nobody dies so much is done within one turn on a CPU, beside which nothing overlaps.
  const uint64_t least = context_.scenario.nobody_dies ? kFewKills : 0;
  return done / kExtension >= std::max(options_.kills, least) || !proves_nothing();
}

bool Supervisor::proves_nothing() const {
  // One process alone cannot overlap: more time would not help.
  const uint64_t overlapping = options_.processes < 2 || sink_.saw_overlap() ? 1 : 0;
  return !WhatIsMissing(context_, report_, overlapping).empty();
}

// The kernel gives the next process the number after ns_last_pid, if it is free. Only this process
// forks in the namespace (but for children of workers), so the dead one's number is what the next
// worker gets.
bool Supervisor::ReusePid() {
  if (last_pid_fd_ < 0 || last_dead_pid_ <= 1) return false;
  char text[16];
  const int size = std::snprintf(text, sizeof text, "%d", last_dead_pid_ - 1);
  return pwrite(last_pid_fd_, text, static_cast<size_t>(size), 0) == size;
}

void Supervisor::Spawn(uint32_t slot) {
  Slot& mine = slots_[slot];
  WorkerBoard& board = control_.boards[slot];
  // Relaxed, here and below: the fork makes it visible to the worker.
  mine.process = control_.next_process.load(std::memory_order_relaxed) + 1;
  control_.next_process.store(mine.process, std::memory_order_relaxed);
  board.process.store(mine.process, std::memory_order_relaxed);
  board.activity.store(Activity::kStarting, std::memory_order_relaxed);
  board.timer_at_ns.store(0, std::memory_order_relaxed);
  board.pause_ends_ns.store(0, std::memory_order_relaxed);
  board.attached.store(0, std::memory_order_relaxed);
  board.held.store(0, std::memory_order_relaxed);
  board.waits.store(0, std::memory_order_relaxed);
  context_.recording->Open(slot, mine.process);
  const pid_t wanted = ReusePid() ? last_dead_pid_ : 0;
  int unborn[2] = {-1, -1};
  if (context_.scenario.inherit_handle && pipe2(unborn, O_CLOEXEC) != 0) {
    return CannotSpawn(slot, "cannot make a pipe for a worker");
  }
  context_.unborn_fd = unborn[1];
  const pid_t pid = fork();
  if (pid == 0) {
    if (slot == kAuditorSlot) RunFreshAuditor(context_, mine.process);
    RunWorker(context_, slot, mine.process);
  }
  if (pid < 0) CannotSpawn(slot, "cannot fork a worker");
  if (unborn[1] >= 0) close(unborn[1]);
  if (pid < 0) {
    if (unborn[0] >= 0) close(unborn[0]);
    return;
  }
  mine.unborn_fd = unborn[0];
  ++report_.forks;
  if (wanted != 0 && pid == wanted) ++report_.reused_pids;
  last_dead_pid_ = 0;
  mine.pid = pid;
  mine.kill_sent = false;
  mine.hastened = false;
  mine.resume_at_ns = 0;
  mine.progress = board.progress.load(std::memory_order_relaxed);
  mine.charged_ns = mine.looked_ns = 0;
  mine.chance.Begin(proc_is_ours_ ? pid : -1, MonotonicNs());
}

void Supervisor::CannotSpawn(uint32_t slot, const char* what) {
  const int error = errno;
  context_.recording->CloseCrashed(slot, context_.clock.Now());
  control_.finding.Report(Verdict::kUndecided, 0, absl::StrCat(what, ": ", std::strerror(error)));
}

void Supervisor::SpawnVacant() {
  for (uint32_t slot = 0; slot < options_.processes && !over(); ++slot) {
    if (slots_[slot].pid == 0) Spawn(slot);
  }
}

std::vector<uint32_t> Supervisor::Living() const {
  std::vector<uint32_t> living;
  for (uint32_t slot = 0; slot < options_.processes; ++slot) {
    if (slots_[slot].pid != 0 && !slots_[slot].kill_sent) living.push_back(slot);
  }
  return living;
}

void Supervisor::Wait(uint64_t until_ns) {
  uint64_t now = MonotonicNs();
  const uint64_t wake = std::min({until_ns, now + kPollNs, HastenDue(now)});
  if (wake > now) {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    const timespec timeout{0, static_cast<long>(std::min<uint64_t>(wake - now, 999'999'999))};
    sigtimedwait(&child, nullptr, &timeout);
  }
  NotePause(wake);
  Reap();
  Drain();
  now = MonotonicNs();
  ResumeDue(now, false);
  if (now >= next_watch_ns_) {
    next_watch_ns_ = now + kWatchNs;
    ResumePaused(now);
    Watch(now);
  }
}

// This process wanted to look at `wake_ns`.
void Supervisor::NotePause(uint64_t wake_ns) {
  const uint64_t now = MonotonicNs();
  if (now < wake_ns + kPauseNs) return;
  const uint64_t ticks = context_.clock.Now();
  times_.NotePause(ticks - context_.clock.ToTicks(now - wake_ns), ticks);
}

void Supervisor::Reap() {
  // Looked at first, reaped then: /proc still shows the signals of the dead.
  for (siginfo_t info{}; waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;) {
    const pid_t pid = std::exchange(info.si_pid, 0);
    if (pid == 0) break;
    const auto slot = std::find_if(slots_.begin(), slots_.end(),
                                   [pid](const Slot& one) { return one.pid == pid; });
    End end{.noted = context_.clock.Now(), .noted_ns = MonotonicNs()};
    end.by_sigkill_alone = info.si_code == CLD_KILLED && info.si_status == SIGKILL &&
                           slot != slots_.end() && !WasSentOrderedSignal(pid) &&
                           !MayBeOwnTimer(control_.boards[slot - slots_.begin()], end.noted_ns);
    if (waitpid(pid, &end.status, WNOHANG) != pid) break;
    if (slot == slots_.end()) {
      BuryStranger(pid, end.status);
      continue;
    }
    end.ordered_ns = OrderedBefore(static_cast<uint32_t>(slot - slots_.begin()), end.noted_ns);
    slot->end = end;
    slot->lingers = true;
    slot->kill_sent = true;  // its number is somebody else's by now
    slot->resume_at_ns = 0;
    slot->charged_ns = slot->looked_ns = 0;
  }
  for (uint32_t slot = 0; slot < kSlots; ++slot) BuryIfGone(slot);
  if (respawn_ && !parking_) SpawnVacant();
}

// A child of a worker, adopted after its parent's death.
void Supervisor::BuryStranger(pid_t pid, int status) {
  if ((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) || WIFEXITED(status)) return;
  control_.finding.Report(Verdict::kSurvivorCrashed, 0,
                          absl::StrCat("a worker's child (", pid, ") ", DescribeEnd(status),
                                       LastErrors(context_.errors_fd)));
}

// Of a process that died of SIGKILL: whether it was sent the ordered signal before, which it then
// blocks, or has waiting (it was stopped). Where /proc does not tell, it is taken to be so.
bool Supervisor::WasSentOrderedSignal(pid_t pid) const {
  std::ifstream file(proc_is_ours_ ? absl::StrCat("/proc/", pid, "/status") : "");
  bool known = false;
  for (std::string line; std::getline(file, line);) {
    for (const char* field : {"SigPnd:", "ShdPnd:", "SigBlk:", "SigIgn:", "SigCgt:"}) {
      if (line.rfind(field, 0) != 0) continue;
      known = true;
      const uint64_t signals = std::strtoull(line.c_str() + 7, nullptr, 16);
      if ((signals >> (OrderedSignal() - 1) & 1) != 0) return true;
    }
  }
  return !known;
}

// When the slot's process was sent SIGKILL, or its timer was due, if that was before `noted_ns`;
// else 0.
uint64_t Supervisor::OrderedBefore(uint32_t slot, uint64_t noted_ns) const {
  const Slot& mine = slots_[slot];
  const uint64_t timer_ns = control_.boards[slot].timer_at_ns.load(std::memory_order_relaxed);
  const bool timer_was_due = timer_ns != 0 && timer_ns <= noted_ns;
  if (!mine.kill_sent) return timer_was_due ? timer_ns : 0;
  return timer_was_due ? std::min(timer_ns, mine.kill_sent_ns) : mine.kill_sent_ns;
}

std::string Supervisor::DescribeStep(const WorkerBoard& board) const {
  return context_.prepared.DescribeStep(board.function.load(std::memory_order_relaxed),
                                        board.subject.load(std::memory_order_relaxed));
}

// Of a death that nobody ordered.
std::string Supervisor::DescribeTimer(const WorkerBoard& board, const End& end) {
  const uint64_t timer_ns = board.timer_at_ns.load(std::memory_order_relaxed);
  if (timer_ns == 0) return "its own timer was not set";
  const bool was_due = timer_ns <= end.noted_ns;
  const uint64_t away_us =
      (was_due ? end.noted_ns - timer_ns : timer_ns - end.noted_ns) / uint64_t{1000};
  return absl::StrCat("its own timer was due ", away_us, " us ", was_due ? "before" : "later");
}

// Who ended by itself has told so, or is a finding; at the end of a run nobody is there who could
// take the dead for alive.
void Supervisor::BuryIfGone(uint32_t slot) {
  const Slot& mine = slots_[slot];
  if (!mine.lingers) return;
  if (WasKilled(mine.end.status) && !ending_ && memories_.IsTaken(slot)) return;
  Bury(slot);
}

void Supervisor::Bury(uint32_t slot) {
  Slot& mine = slots_[slot];
  const End& end = mine.end;
  const int status = end.status;
  WorkerBoard& board = control_.boards[slot];
  const Activity activity = board.activity.load(std::memory_order_relaxed);
  last_dead_pid_ = mine.pid;
  mine.pid = 0;
  mine.lingers = false;
  // Relaxed: read in audits, which begin later. What the dead held excuses nothing there.
  board.attached.store(0, std::memory_order_relaxed);
  board.held.store(0, std::memory_order_relaxed);
  if (mine.unborn_fd >= 0) unborn_.push_back(mine.unborn_fd);
  mine.unborn_fd = -1;
  // H3 (history.h): the death is no later than this reading.
  const bool open = context_.recording->CloseCrashed(slot, end.noted);
  // Release: pairs with the workers' acquire; who sees the count finds the victim dead.
  control_.deaths_reaped.fetch_add(1, std::memory_order_release);
  const bool killed = WasKilled(status);
  if (killed && ending_) return;
  if (killed && !end.by_sigkill_alone && end.ordered_ns != 0) {
    times_.NoteDeath(mine.process,
                     end.noted - context_.clock.ToTicks(end.noted_ns - end.ordered_ns), end.noted);
    ++report_.kills[static_cast<size_t>(activity)];
    report_.last_kills.Note({.process = mine.process,
                             .activity = activity,
                             .function = board.function.load(std::memory_order_relaxed),
                             .subject = board.subject.load(std::memory_order_relaxed),
                             .noted = end.noted});
    report_.kills_open += open ? 1 : 0;
    control_.kills.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  // An object's own exit() has any status: only who was done, or has told a finding, ends well.
  const bool is_done = activity == Activity::kEnding && WEXITSTATUS(status) == kExitDone;
  const bool has_told = WEXITSTATUS(status) == kExitFinding &&
                        control_.finding.state.load(std::memory_order_acquire) != Finding::kNone;
  if (WIFEXITED(status) && (is_done || has_told)) return;
  const std::string who = absl::StrCat(
      "process ", mine.process, " ", DescribeEnd(status), " ", std::string(ActivityName(activity)),
      activity == Activity::kOperation || activity == Activity::kBetween
          ? absl::StrCat(" (", DescribeStep(board), ")")
          : "");
  if (killed) {
    control_.finding.Report(
        Verdict::kUndecided, 0,
        absl::StrCat(who, ", a SIGKILL that kill9 did not send (out of memory?); ",
                     DescribeTimer(board, end)));
    return;
  }
  control_.finding.Report(
      Verdict::kSurvivorCrashed, 0,
      absl::StrCat(who, " though nobody had killed it", LastErrors(context_.errors_fd)));
}

void Supervisor::Drain() {
  control_.heartbeat.fetch_add(1, std::memory_order_relaxed);
  if (!sink_.ready()) return;
  batch_.clear();
  const uint64_t settled = context_.recording->Drain(&batch_);
  report_.operations += batch_.size();
  times_.Take(batch_, settled);
  sink_.Feed(batch_, settled);
}

SupervisorReport Supervisor::Run() {
  const uint64_t begin = MonotonicNs();
  const uint64_t control_us =
      std::min<uint64_t>(200'000, static_cast<uint64_t>(options_.seconds * 1e6 / 10));
  SpawnVacant();
  // The control: everything must be clean before anybody is killed.
  WorkFor(control_us);
  Audit(AuditDepth::kFill);
  control_.killing.store(1, std::memory_order_relaxed);
  next_kill_ns_ = next_stop_ns_ = MonotonicNs();
  const uint64_t end = MonotonicNs() + static_cast<uint64_t>(options_.seconds * 1e9);
  const uint64_t extension_ns =
      static_cast<uint64_t>(std::max(options_.least_extension_seconds, options_.seconds) * 1e9);
  while (!over() && !enough_kills()) {
    const uint64_t now = MonotonicNs();
    const uint64_t most = report_.kills_in_operation() < kFewKills ? kMostExtensions : 1;
    if (now >= end && (now >= end + most * extension_ns || !proves_nothing())) break;
    const uint64_t left_us =
        now < end ? (end - now) / 1000 + 1 : context_.scenario.audit_interval_us;
    WorkFor(std::min<uint64_t>(context_.scenario.audit_interval_us, left_us));
    Audit(NextDepth());
  }
  control_.killing.store(0, std::memory_order_relaxed);
  if (!over()) Audit(AuditDepth::kEmpty);
  if (!over()) EndWorkers();
  if (!over()) AuditByNewcomer();
  AwaitFinding();
  KillEverything();
  DrainTheRest();
  times_.Finish();
  report_.times = times_.report();
  report_.interrupted = control_.interrupted.load(std::memory_order_relaxed) != 0;
  report_.seconds = static_cast<double>(MonotonicNs() - begin) / 1e9;
  return report_;
}

// What the dead have recorded goes to the checker. A ring whose worker could not be reaped never
// becomes empty; an interrupted run waits for the checker no longer than a moment.
void Supervisor::DrainTheRest() {
  const uint64_t since = MonotonicNs();
  const auto given_up = [this, since] {
    const uint32_t interrupted = control_.interrupted.load(std::memory_order_relaxed);
    return interrupted > 1 || (interrupted == 1 && MonotonicNs() - since > kLastDrainNs);
  };
  while (!context_.recording->empty() && Anybody() == kSlots && !given_up()) {
    Drain();
    if (!sink_.ready()) usleep(1000);
  }
  Drain();
  report_.history_is_whole = context_.recording->empty() && Anybody() == kSlots;
}

// Who has found something tells it before it is killed, if it comes to that.
void Supervisor::AwaitFinding() {
  constexpr int kLooks = 1'000;
  for (int look = 0; look < kLooks && control_.finding.is_being_written(); ++look) usleep(1'000);
}

void Supervisor::EndWorkers() {
  respawn_ = false;
  ResumeDue(MonotonicNs(), true);
  control_.stop.store(1, std::memory_order_release);
  ChangeAndWake(control_.news);
  while (!Living().empty() && !over()) Wait(MonotonicNs() + kPollNs);
}

void Supervisor::KillEverything() {
  respawn_ = false;
  ending_ = true;  // from here on nobody's death is a kill of the scenario
  // Whoever audits goes first: it would miss the others.
  for (const uint32_t slot : {kAuditorSlot, control_.audit_slot.load(std::memory_order_relaxed)}) {
    if (slot >= kSlots) continue;
    Kill(slot);
    while (slots_[slot].pid != 0 && !GivesUpOn(slot)) Wait(MonotonicNs() + kPollNs);
  }
  for (uint32_t slot = 0; slot < kSlots; ++slot) Kill(slot);
  while (Anybody() != kSlots && !GivesUpOn(Anybody())) Wait(MonotonicNs() + kPollNs);
}

uint32_t Supervisor::Anybody() const {
  const auto living =
      std::find_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.pid != 0; });
  return static_cast<uint32_t>(living - slots_.begin());
}

}  // namespace kill9
