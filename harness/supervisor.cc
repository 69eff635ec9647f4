#include "harness/supervisor.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/vacuity.h"
#include "harness/worker.h"

namespace kill9 {
namespace {

constexpr uint64_t kPollNs = 1'000'000;  // at least this often the rings are drained
constexpr uint64_t kLeastExtensionNs = 3'000'000'000;
constexpr uint64_t kWatchNs = 20'000'000;
constexpr size_t kErrorBytes = 600;

std::string DescribeEnd(int status) {
  if (WIFSIGNALED(status)) {
    return absl::StrCat("died of signal ", WTERMSIG(status), " (", strsignal(WTERMSIG(status)),
                        ")");
  }
  return absl::StrCat("exited with status ", WEXITSTATUS(status));
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

const char* FunctionName(uint8_t function) {
  switch (static_cast<Function>(function)) {
    case Function::kPut:
      return "Put";
    case Function::kGet:
      return "Get";
    case Function::kErase:
      return "Erase";
    case Function::kCompareAndSwap:
      return "CompareAndSwap";
    case Function::kPin:
      return "Pin or its release";
    case Function::kCommit:
      return "Reserve, Commit or drop";
    case Function::kRecover:
      return "Recover";
    case Function::kAttach:
      return "Attach";
    case Function::kDetach:
      return "Detach";
    case Function::kForEach:
      return "ForEach";
    default:
      return "an operation";
  }
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
      random_(context.seed, 0) {
  batch_.reserve(1 << 16);
  if (context.scenario.reuse_pids) {
    last_pid_fd_ = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
  }
}

bool Supervisor::over() const {
  return control_.finding.state.load(std::memory_order_acquire) != Finding::kNone ||
         control_.interrupted.load(std::memory_order_relaxed) != 0;
}

bool Supervisor::enough_kills() const {
  return options_.kills != 0 && report_.kills_total() >= options_.kills;
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
  board.place.store(Place::kStarting, std::memory_order_relaxed);
  board.timer_at_ns.store(0, std::memory_order_relaxed);
  board.attached.store(0, std::memory_order_relaxed);
  board.held.store(0, std::memory_order_relaxed);
  board.was_stopped.store(0, std::memory_order_relaxed);
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
  mine.resume_at_ns = 0;
  mine.progress = board.progress.load(std::memory_order_relaxed);
  mine.progress_at_ns = MonotonicNs();
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
  const uint64_t wake = std::min(until_ns, now + kPollNs);
  if (wake > now) {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    const timespec timeout{0, static_cast<long>(std::min<uint64_t>(wake - now, 999'999'999))};
    sigtimedwait(&child, nullptr, &timeout);
  }
  Reap();
  Drain();
  now = MonotonicNs();
  ResumeDue(now, false);
  if (now >= next_watch_ns_) {
    next_watch_ns_ = now + kWatchNs;
    Watch(now);
  }
}

void Supervisor::Reap() {
  int status = 0;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto slot = std::find_if(slots_.begin(), slots_.end(),
                                   [pid](const Slot& one) { return one.pid == pid; });
    if (slot == slots_.end()) {
      BuryStranger(pid, status);
    } else {
      Bury(static_cast<uint32_t>(slot - slots_.begin()), status);
    }
  }
  if (respawn_ && !parking_) SpawnVacant();
}

// A child of a worker, adopted after its parent's death.
void Supervisor::BuryStranger(pid_t pid, int status) {
  if ((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) || WIFEXITED(status)) return;
  control_.finding.Report(Verdict::kSurvivorCrashed, 0,
                          absl::StrCat("a worker's child (", pid, ") ", DescribeEnd(status),
                                       LastErrors(context_.errors_fd)));
}

void Supervisor::Bury(uint32_t slot, int status) {
  Slot& mine = slots_[slot];
  WorkerBoard& board = control_.boards[slot];
  const Place place = board.place.load(std::memory_order_relaxed);
  const uint64_t timer_at_ns = board.timer_at_ns.load(std::memory_order_relaxed);
  last_dead_pid_ = mine.pid;
  mine.pid = 0;
  if (mine.unborn_fd >= 0) unborn_.push_back(mine.unborn_fd);
  mine.unborn_fd = -1;
  // H3: the death is no later than this reading.
  const bool open = context_.recording->CloseCrashed(slot, context_.clock.Now());
  // Release: pairs with the workers' acquire; who sees the count finds the victim dead.
  control_.deaths_reaped.fetch_add(1, std::memory_order_release);
  const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  if (killed && (mine.kill_sent || (timer_at_ns != 0 && timer_at_ns <= MonotonicNs()))) {
    ++report_.kills[static_cast<size_t>(place)];
    report_.kills_open += open ? 1 : 0;
    control_.kills.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  if (WIFEXITED(status) &&
      (WEXITSTATUS(status) == kExitDone || WEXITSTATUS(status) == kExitFinding)) {
    return;
  }
  const std::string who = absl::StrCat(
      "process ", mine.process, " ", DescribeEnd(status), " ", std::string(PlaceName(place)),
      place == Place::kOperation || place == Place::kBetween
          ? absl::StrCat(" (", FunctionName(board.action.load(std::memory_order_relaxed)), ")")
          : "");
  if (killed) {
    control_.finding.Report(
        Verdict::kUndecided, 0,
        absl::StrCat(who, ", a SIGKILL that kill9 did not send (out of memory?)"));
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
  sink_.Feed(batch_, settled);
}

void Supervisor::Watch(uint64_t now_ns) {
  if (sink_.found_violation()) {
    control_.finding.Report(Verdict::kViolation, 0, "the history is not consistent");
  }
  for (uint32_t slot = 0; slot < kSlots; ++slot) {
    Slot& mine = slots_[slot];
    if (mine.pid == 0) continue;
    const WorkerBoard& board = control_.boards[slot];
    const uint64_t progress = board.progress.load(std::memory_order_relaxed);
    const Place place = board.place.load(std::memory_order_relaxed);
    const bool in_store = place == Place::kOperation || place == Place::kRecovering ||
                          place == Place::kAttaching || place == Place::kDetaching ||
                          place == Place::kAuditing;
    // Who waits in a pause, or was stopped by the scenario, need not progress. Who was sent SIGKILL
    // must die.
    if (progress != mine.progress || mine.resume_at_ns != 0 ||
        (place == Place::kParked && !mine.kill_sent)) {
      mine.progress = progress;
      mine.progress_at_ns = now_ns;
      continue;
    }
    const uint64_t waited_ns = now_ns - mine.progress_at_ns;
    if ((in_store || mine.kill_sent) && waited_ns > options_.watchdog_us * 1000) {
      return ReportStuck(slot, waited_ns);
    }
    if (waited_ns > options_.watchdog_us * 4000) {
      control_.finding.Report(
          Verdict::kUndecided, mine.process,
          absl::StrFormat("process %d does nothing outside the store for %.1f s: stopped by "
                          "somebody else, or the machine is too busy",
                          mine.process, static_cast<double>(waited_ns) / 1e9));
    }
  }
}

void Supervisor::ReportStuck(uint32_t slot, uint64_t waited_ns) {
  const WorkerBoard& board = control_.boards[slot];
  const Place place = board.place.load(std::memory_order_relaxed);
  const double seconds = static_cast<double>(waited_ns) / 1e9;
  const uint64_t key = board.key.load(std::memory_order_relaxed);
  if (slots_[slot].kill_sent) {
    control_.finding.Report(
        Verdict::kStuck, slots_[slot].process,
        absl::StrFormat(
            "process %d was sent SIGKILL %.1f s ago and has not died: it waits in the kernel",
            slots_[slot].process, seconds));
    return;
  }
  control_.finding.Report(
      Verdict::kStuck, slots_[slot].process,
      absl::StrFormat(
          "process %d has been %s (%s of key %d) for %.1f s without progress, after %d kills",
          slots_[slot].process, std::string(PlaceName(place)),
          FunctionName(board.action.load(std::memory_order_relaxed)), key, seconds,
          report_.kills_total()));
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
  // On a machine that is busy with other things a short run may prove nothing: it goes on for a
  // while then.
  const uint64_t latest =
      end + std::max(kLeastExtensionNs, static_cast<uint64_t>(options_.seconds * 1e9));
  const auto proves_nothing = [this] {
    return !WhatIsMissing(context_.scenario, context_.variant.traits(), report_, control_,
                          /*overlapping_operations=*/1)
                .empty();
  };
  while (!over() && !enough_kills()) {
    const uint64_t now = MonotonicNs();
    if (now >= end && (now >= latest || !proves_nothing())) break;
    const uint64_t left_us =
        now < end ? (end - now) / 1000 + 1 : context_.scenario.audit_interval_us;
    WorkFor(std::min<uint64_t>(context_.scenario.audit_interval_us, left_us));
    Audit(NextDepth());
  }
  control_.killing.store(0, std::memory_order_relaxed);
  if (!over()) Audit(AuditDepth::kEmpty);
  if (!over()) EndWorkers();
  if (!over()) AuditByNewcomer();
  KillEverything();
  while (!context_.recording->empty() && control_.interrupted.load(std::memory_order_relaxed) < 2) {
    Drain();
    if (!sink_.ready()) usleep(1000);
  }
  Drain();
  report_.interrupted = control_.interrupted.load(std::memory_order_relaxed) != 0;
  report_.seconds = static_cast<double>(MonotonicNs() - begin) / 1e9;
  return report_;
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
  for (Slot& slot : slots_) {
    if (slot.pid != 0) {
      slot.kill_sent = true;
      kill(slot.pid, SIGKILL);
    }
  }
  // These are no kills of the scenario.
  const SupervisorReport before = report_;
  const uint64_t bound = MonotonicNs() + options_.watchdog_us * 1000;
  const auto alive = [this] {
    return std::any_of(slots_.begin(), slots_.end(),
                       [](const Slot& slot) { return slot.pid != 0; });
  };
  while (alive() && MonotonicNs() < bound) {
    Reap();
    Drain();
    usleep(200);
  }
  const uint64_t operations = report_.operations;
  report_ = before;
  report_.operations = operations;
}

}  // namespace kill9
