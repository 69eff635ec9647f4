// The survivors that a runner forks: judges and probers, and what is asked of them.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>

#include "harness/stepper/process/futex_word.h"
#include "harness/sweep/cell/runner.h"

namespace kill9::sweep {

using stepper::Await;
using stepper::ForkAs;
using stepper::FutexWait;
using stepper::KillAndReap;
using stepper::kLookNanoseconds;
using stepper::Signal;
using stepper::StuckDetector;

namespace {

constexpr long kJudgeLookNanoseconds = 10'000'000;  // a judge that ends does not say so
constexpr long kNapNanoseconds = 300'000;
constexpr int kLooksForAnswer = 1000;  // some ten seconds: symbols of a large program are read
constexpr int kExitFinding = 2;

SlotOwners before_the_heir;

// What a survivor finds beside a stopped process is told by its exit code; why, in the report.
class SurvivorFindings final : public Findings {
 public:
  explicit SurvivorFindings(JudgeReport* report) : report_(report) {}
  [[noreturn]] void Fail(Verdict verdict, const std::string& message) override {
    report_->Say(verdict, message, "");
    _exit(kExitFinding);
  }

 private:
  JudgeReport* report_;
};

}  // namespace

void Runner::CallJudge(const JudgeRequest& request) {
  stage_->ready.store(0, std::memory_order_relaxed);  // the call, or the fork, orders them
  stage_->go.store(0, std::memory_order_relaxed);
  stage_->judged.store(0, std::memory_order_relaxed);
  std::memset(static_cast<void*>(&stage_->report), 0, sizeof stage_->report);
  stage_->request = request;
  if (judge_ == 0) {
    stage_->called.store(0, std::memory_order_relaxed);
    judgements_ = 0;
    judge_ = ForkAs(kJudgePid);
    if (judge_ == 0) BeJudge();
  }
  Signal(stage_->called, stage_->called.load(std::memory_order_relaxed) + 1);
  WaitReady(judge_);
}

void Runner::BeJudge() {
  std::optional<RemoteSurvivor> remote;
  if (scene_->OncePerProcess()) {
    remote.emplace(*scene_, stage_->history.SurvivorLog());
    stage_->remote_survivor = remote->pid();
  }
  HistoryCheck check(*scene_, beginning_);
  for (uint32_t calls = 1;; ++calls) {
    while (stage_->called.load(std::memory_order_acquire) < calls) {
      FutexWait(stage_->called, calls - 1, kLookNanoseconds);
    }
    {
      const uint64_t faults = stepper::OwnPageFaults();
      Judge judge(*scene_, stage_->request, &stage_->report, stage_->history, check,
                  remote.has_value() ? &*remote : nullptr);
      judge.AttachBefore();
      Signal(stage_->ready);
      Await(stage_->go);
      judge.Run();
      stage_->report.page_faults = stepper::OwnPageFaults() - faults;
    }
    Signal(stage_->judged);
  }
}

void Runner::DismissJudge() {
  if (judge_ > 0) KillAndReap(judge_);
  judge_ = 0;
  judgements_ = 0;
  // The judge's child, and this process's once the judge is gone (it is a subreaper).
  if (stage_->remote_survivor > 0) KillAndReap(std::exchange(stage_->remote_survivor, 0));
}

bool Runner::WaitReady(pid_t child) {
  StuckDetector stuck_detector(child, 20 * area_.request.watchdog_seconds);
  while (stage_->ready.load(std::memory_order_acquire) == 0) {
    FutexWait(stage_->ready, 0, kLookNanoseconds);
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid != 0 || stuck_detector.Exhausted()) {
      return stage_->ready.load(std::memory_order_acquire) != 0;
    }
  }
  return true;
}

bool Runner::AwaitJudgement(int* status, bool* stuck) {
  StuckDetector stuck_detector(judge_, area_.request.watchdog_seconds);
  // While the other process works the judge sleeps.
  std::optional<StuckDetector> remote_detector;
  if (stage_->remote_survivor > 0) {
    remote_detector.emplace(stage_->remote_survivor, area_.request.watchdog_seconds);
  }
  while (stage_->judged.load(std::memory_order_acquire) == 0) {
    FutexWait(stage_->judged, 0, kJudgeLookNanoseconds);
    if (stage_->judged.load(std::memory_order_acquire) != 0) break;
    if (waitpid(judge_, status, WNOHANG) == judge_) {
      judge_ = 0;
      return false;
    }
    const bool remote_is_stuck = !remote_detector.has_value() || remote_detector->Exhausted();
    if (stuck_detector.Exhausted() && remote_is_stuck) {
      *stuck = stage_->judged.load(std::memory_order_acquire) == 0;  // nor since that look
      return !*stuck;
    }
  }
  return true;
}

Judgement Runner::AskJudge() {
  Signal(stage_->go);
  int status = 0;
  bool stuck = false;
  JudgeReport& report = stage_->report;
  Judgement answer;
  const bool ended = AwaitJudgement(&status, &stuck);
  ++judgements_;
  if (stuck) {
    NoteWaiting(judge_);
    answer.verdict = Verdict::kStuck;
    std::snprintf(report.message, sizeof report.message, "%s: no progress", report.stage);
  } else if (!ended && WIFSIGNALED(status)) {
    answer.verdict = Verdict::kSurvivorCrashed;
    std::snprintf(report.message, sizeof report.message, "%s: died by signal %d (%s)", report.stage,
                  WTERMSIG(status), sigabbrev_np(WTERMSIG(status)));
  } else if (!report.done) {
    answer.verdict = Verdict::kSurvivorCrashed;
    std::snprintf(report.message, sizeof report.message, "%s: ended with status %d", report.stage,
                  WEXITSTATUS(status));
  } else {
    answer.verdict = report.verdict;
  }
  if (answer.verdict != Verdict::kPass) DismissJudge();
  if (!report.done) {
    CheckHistoryAfterDeath();
    if (report.window[0] != '\0') answer.verdict = report.verdict;
  }
  answer.outcome = report.outcome;
  answer.message = report.message;
  answer.window = report.window;
  faults_.judges += report.page_faults;
  area_.result.recovered_participants += report.recovered_participants;
  return answer;
}

void Runner::CheckHistoryAfterDeath() {
  const pid_t child = ForkAs(kJudgePid);
  if (child == 0) {
    const HistoryCheck::Found found = HistoryCheck(*scene_, beginning_).Check(stage_->history);
    if (found.verdict == Verdict::kViolation) {
      stage_->report.Say(found.verdict, found.message, found.window);
    }
    _exit(0);
  }
  int status = 0;
  stepper::Reap(child, area_.request.watchdog_seconds, &status);
}

pid_t Runner::ForkProber(uint32_t first_probe) {
  DismissJudge();  // whose process number the prober takes, so that the trace is the same
  stage_->ready.store(0, std::memory_order_relaxed);  // the fork orders them
  stage_->go.store(0, std::memory_order_relaxed);
  stage_->probe.store(first_probe, std::memory_order_relaxed);
  pid_t child = ForkAs(kJudgePid);
  if (child != 0) {
    WaitReady(child);
    return child;
  }
  SurvivorFindings findings(&stage_->report);
  absl::StatusOr<std::unique_ptr<Survivor>> prober =
      scene_->NewSurvivor(kProber, findings, stage_->history.SurvivorLog());
  if (!prober.ok()) _exit(1);
  Signal(stage_->ready);
  Await(stage_->go);
  for (uint32_t probe = first_probe; probe < probes_in_all(); ++probe) {
    const bool once = NearnessOf(probe) == Nearness::kSame;
    const uint32_t kind = ProbeOf(probe);
    if (scene_->IsTried(kind) && (once || driver_->probes()[kind].has_place)) {
      (*prober)->Probe(kind, NearnessOf(probe));
    }
    Signal(stage_->probe, probe + 1);
  }
  _exit(0);
}

pid_t Runner::ForkInterferer(const Interferer& order) {
  DismissJudge();                                     // as for a prober
  stage_->ready.store(0, std::memory_order_relaxed);  // the fork orders them
  stage_->go.store(0, std::memory_order_relaxed);
  stage_->probe.store(0, std::memory_order_relaxed);
  stage_->place_of_the_dead.store(PlaceOfTheDead::kGivenToAnother, std::memory_order_relaxed);
  std::memset(static_cast<void*>(&stage_->report), 0, sizeof stage_->report);
  interferer_ = ForkAs(kJudgePid);
  if (interferer_ != 0) {
    WaitReady(interferer_);
    return interferer_;
  }
  SurvivorFindings findings(&stage_->report);
  std::unique_ptr<Survivor> interferer;
  const auto attach = [&] {
    absl::StatusOr<std::unique_ptr<Survivor>> attached =
        scene_->NewSurvivor(kInterferer, findings, stage_->history.SurvivorLog());
    if (!attached.ok()) _exit(1);
    interferer = *std::move(attached);
  };
  const ParticipantTable table = scene_->segment()->participants();
  const Scene::Making making = scene_->making();
  before_the_heir.Note(table);
  const bool has_dead =
      (making.half_done.has_value() || making.dead_holder) && before_the_heir.AnyTaken();
  uint32_t step = 0;
  const auto begin_step = [&] {
    ++step;
    while (stage_->go.load(std::memory_order_acquire) < step) {
      FutexWait(stage_->go, step - 1, kLookNanoseconds);
    }
  };
  const auto recover = [&] {
    const absl::Status recovered = interferer->object().Recover().status();
    findings.Check(recovered.ok() || absl::IsUnimplemented(recovered), Verdict::kAuditFailed,
                   "recover: ", recovered);
  };
  const bool late = making.all_participants_dead;
  if (!late) attach();
  Signal(stage_->ready);
  if (order.recovers) {
    begin_step();
    recover();
    Signal(stage_->probe, step);
  }
  begin_step();
  if (late) attach();
  interferer->Interfere(order.interference);
  if (order.recovers || order.has_heir) recover();
  std::unique_ptr<SharedObject> heir;
  std::shared_ptr<void> held;
  if (order.has_heir) {
    absl::StatusOr<std::unique_ptr<SharedObject>> attached =
        scene_->design().AttachObject(scene_->segment());
    findings.Check(attached.ok(), Verdict::kAuditFailed, "attach: ", attached.status());
    heir = *std::move(attached);
    const bool is_given = !has_dead || before_the_heir.AnyHasANewOwner(table);
    const bool is_kept = before_the_heir.AnyIsStillDead(table);
    // Relaxed: read once this process has ended.
    stage_->place_of_the_dead.store(is_given  ? PlaceOfTheDead::kGiven
                                    : is_kept ? PlaceOfTheDead::kKept
                                              : PlaceOfTheDead::kGivenToAnother,
                                    std::memory_order_relaxed);
    held = scene_->HoldBeside(*heir, findings);
  }
  Signal(stage_->probe, step);
  begin_step();
  if (order.twice || order.has_heir) interferer->Churn();
  if (order.looks) interferer->Look();
  interferer->EndInterference();
  held.reset();
  heir.reset();
  interferer.reset();
  _exit(0);
}

bool Runner::StopBeside(const VictimRun& run, const Trace& trace, uint32_t at, Stopped* stopped,
                        absl::FunctionRef<pid_t()> fork_survivor) {
  const auto before = [&] {
    BeginHistory(run);
    stopped->prober = fork_survivor();
  };
  do {
    if (stepper_.Bring(run, before, trace, at, &stopped->standing)) return true;
    EndStop(*stopped);
  } while (stepper_.MissedBreakpoint());
  return false;
}

bool Runner::StopBesideInterferer(const VictimRun& run, const Trace& trace, uint32_t at,
                                  const Interferer& interferer, Stopped* stopped) {
  return StopBeside(run, trace, at, stopped, [&] { return ForkInterferer(interferer); });
}

bool Runner::TraceBesideInterferer(const VictimRun& run, const Interferer& interferer,
                                   Trace& trace) {
  bool traced = false;
  do {
    pid_t child = 0;
    const auto before = [&] {
      BeginHistory(run);
      child = ForkInterferer(interferer);
    };
    traced = stepper_.TraceSubject(run, before, trace);
    if (child > 0) KillAndReap(child);
  } while (!traced && stepper_.MissedBreakpoint());
  return traced;
}

void Runner::KillStopped(Stopped& stopped) {
  faults_.victims += stopped.standing.KillAll();
  stage_->history.CloseVictim(0, nullptr);
  CountKill();
}

void Runner::KillOneStopped(Stopped& stopped, uint32_t number) {
  faults_.victims += stopped.standing[number].Kill();
  stage_->history.CloseVictim(number, nullptr);
  CountKill();
}

void Runner::LetSurvivorGo(uint32_t word) { Signal(stage_->go, word); }

void Runner::Nap() {
  uint32_t now = stage_->probe.load(std::memory_order_acquire);
  if (now < probes_in_all()) FutexWait(stage_->probe, now, kNapNanoseconds);
}

bool Runner::StopBesideProber(const VictimRun& run, const Trace& trace, uint32_t at,
                              uint32_t first_probe, Stopped* stopped) {
  return StopBeside(run, trace, at, stopped, [&] { return ForkProber(first_probe); });
}

bool Runner::ProberEnds(Stopped& stopped, int* status) {
  const pid_t prober = std::exchange(stopped.prober, 0);
  return stepper::Reap(prober, area_.request.watchdog_seconds, status) && WIFEXITED(*status) &&
         WEXITSTATUS(*status) == 0;
}

void Runner::EndStop(Stopped& stopped) {
  if (stopped.prober > 0) KillAndReap(stopped.prober);
  stopped.prober = 0;
  stopped.standing.KillAll();
}

Judgement Runner::JudgeSurvivor(pid_t prober, int status) {
  siginfo_t ended{};
  if (prober > 0 &&
      waitid(P_PID, static_cast<id_t>(prober), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
      ended.si_pid == prober && ended.si_code == CLD_EXITED && ended.si_status == kExitFinding) {
    return {stage_->report.verdict, DecidedOutcome::kNone, stage_->report.message};
  }
  if (prober == 0 && WIFEXITED(status) && WEXITSTATUS(status) == kExitFinding) {
    return {stage_->report.verdict, DecidedOutcome::kNone, stage_->report.message};
  }
  const bool crashed = prober == 0 ? WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL
                                   : stepper::HowItWaits(prober) == stepper::Waiting::kGone;
  if (crashed) {
    return {Verdict::kSurvivorCrashed, DecidedOutcome::kNone,
            "a survivor crashed beside a stopped process"};
  }
  NoteWaiting(prober);
  return {Verdict::kStuck, DecidedOutcome::kNone,
          "a survivor made no progress after the stopped process had gone on"};
}

void Runner::NoteWaiting(pid_t stuck) {
  if (stuck <= 0 || area_.result.waiting_is_of_a_failure != 0 || kill(stuck, SIGSTOP) != 0) return;
  // Release: pairs with AnswerLook, as its release with the acquire here.
  area_.look.store(Look::kAsked, std::memory_order_release);
  for (int looks = 0; looks < kLooksForAnswer; ++looks) {
    if (area_.look.load(std::memory_order_acquire) == Look::kDone) break;
    const timespec nap{0, kJudgeLookNanoseconds};
    nanosleep(&nap, nullptr);
  }
  area_.look.store(Look::kNone, std::memory_order_relaxed);  // nobody answers any more
  kill(stuck, SIGCONT);
}

void Runner::LeaveStopped(const VictimRun& run, const Trace& trace, uint32_t at,
                          const JudgeRequest& request) {
  stepper::Stepper::Standing standing;
  if (!Bring(run, request, trace, at, &standing)) return;
  LeaveStopped(standing);
}

void Runner::LeaveStopped(stepper::Stepper::Standing& standing) {
  pid_t pid = standing.subject().pid();
  standing.subject().Detach(SIGSTOP);
  // It stops when it has a CPU. Only then: who looks for it looks for one that is stopped.
  siginfo_t stopped{};
  while (waitid(P_PID, static_cast<id_t>(pid), &stopped, WSTOPPED | WEXITED | WNOWAIT) != 0 &&
         errno == EINTR) {
  }
  area_.result.stopped_pid = static_cast<uint32_t>(pid);
  int status = 0;
  while (waitpid(pid, &status, 0) != pid && errno == EINTR) {
  }
  DismissJudge();
}

}  // namespace kill9::sweep
