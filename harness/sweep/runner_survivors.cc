// The survivors that a runner forks: judges and probers, and what is asked of them.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "harness/stepper/process/futex_word.h"
#include "harness/sweep/prober.h"
#include "harness/sweep/runner.h"

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

}  // namespace

void Runner::CallJudge(const JudgeRequest& orders) {
  stage_->ready.store(0, std::memory_order_relaxed);  // the call, or the fork, orders them
  stage_->go.store(0, std::memory_order_relaxed);
  stage_->judged.store(0, std::memory_order_relaxed);
  std::memset(static_cast<void*>(&stage_->report), 0, sizeof stage_->report);
  stage_->orders = orders;
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
  std::optional<RemoteSurvivor> remote_survivor;
  if (stepper_.shared().has_files()) remote_survivor.emplace(*scene_, mail_);
  for (uint32_t calls = 1;; ++calls) {
    while (stage_->called.load(std::memory_order_acquire) < calls) {
      FutexWait(stage_->called, calls - 1, kLookNanoseconds);
    }
    {
      const uint64_t faults = stepper::OwnPageFaults();
      Judge judge(*scene_, stage_->orders, &stage_->report, stage_->read_back,
                  remote_survivor.has_value() ? &*remote_survivor : nullptr);
      if (!creating()) judge.AttachBefore();
      Signal(stage_->ready);
      Await(stage_->go);
      if (creating()) {
        judge.RunCreate();
      } else {
        judge.Run();
      }
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
  if (mail_->remote_survivor > 0) KillAndReap(std::exchange(mail_->remote_survivor, 0));
}

bool Runner::WaitReady(pid_t child) {
  StuckDetector stuck_detector(child, 20 * request().watchdog_seconds);
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
  StuckDetector stuck_detector(judge_, request().watchdog_seconds);
  while (stage_->judged.load(std::memory_order_acquire) == 0) {
    FutexWait(stage_->judged, 0, kJudgeLookNanoseconds);
    if (stage_->judged.load(std::memory_order_acquire) != 0) break;
    if (waitpid(judge_, status, WNOHANG) == judge_) {
      judge_ = 0;
      return false;
    }
    if (stuck_detector.Exhausted()) {
      *stuck = true;
      return false;
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
  answer.outcome = report.outcome;
  answer.message = report.message;
  faults_.judges += report.page_faults;
  area_.result.recovered_participants += report.recovered_participants;
  return answer;
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
  Prober prober(*scene_, request().operation);
  if (!prober.Attach()) _exit(1);
  Signal(stage_->ready);
  Await(stage_->go);
  for (uint32_t probe = first_probe; probe < kProbesInAll; ++probe) {
    prober.Run(probe);
    Signal(stage_->probe, probe + 1);
  }
  if (first_probe == 0) prober.ReadBack(stage_->read_back);
  _exit(0);
}

pid_t Runner::ForkInterferer(Interference interference, bool twice) {
  DismissJudge();                                     // as for a prober
  stage_->ready.store(0, std::memory_order_relaxed);  // the fork orders them
  stage_->go.store(0, std::memory_order_relaxed);
  stage_->probe.store(0, std::memory_order_relaxed);
  std::memset(static_cast<void*>(&stage_->interferences), 0, sizeof stage_->interferences);
  stage_->victim.visits = 0;
  stage_->victim.strange = false;
  stage_->victim.answered = Answered{};
  pid_t child = ForkAs(kJudgePid);
  if (child != 0) {
    WaitReady(child);
    return child;
  }
  Interferer interferer(*scene_, request().operation, &stage_->interferences);
  const bool late = scene_->all_participants_dead;
  if (!late && !interferer.Attach()) _exit(1);
  Signal(stage_->ready);
  Await(stage_->go);
  if (late && !interferer.Attach()) _exit(1);
  interferer.Run(interference);
  Signal(stage_->probe);
  while (stage_->go.load(std::memory_order_acquire) < 2) FutexWait(stage_->go, 1, kLookNanoseconds);
  if (twice) interferer.Churn();
  ReadKeys(*scene_, interferer.store(), stage_->read_back);
  interferer.Detach();
  _exit(0);
}

bool Runner::StopBeside(const VictimRun& run, const Trace& trace, uint32_t at, Stopped* stopped,
                        absl::FunctionRef<pid_t()> fork_survivor) {
  const auto before = [&] { stopped->prober = fork_survivor(); };
  do {
    if (stepper_.Bring(run, before, trace, at, &stopped->standing)) return true;
    EndStop(*stopped);
  } while (stepper_.MissedBreakpoint());
  return false;
}

bool Runner::StopBesideInterferer(const VictimRun& run, const Trace& trace, uint32_t at,
                                  Interference interference, bool twice, Stopped* stopped) {
  return StopBeside(run, trace, at, stopped, [&] { return ForkInterferer(interference, twice); });
}

void Runner::LetSurvivorGo(uint32_t word) { Signal(stage_->go, word); }

void Runner::Nap() {
  uint32_t now = stage_->probe.load(std::memory_order_acquire);
  if (now < kProbesInAll) FutexWait(stage_->probe, now, kNapNanoseconds);
}

bool Runner::StopBesideProber(const VictimRun& run, const Trace& trace, uint32_t at,
                              uint32_t first_probe, Stopped* stopped) {
  return StopBeside(run, trace, at, stopped, [&] { return ForkProber(first_probe); });
}

void Runner::EndStop(Stopped& stopped) {
  if (stopped.prober > 0) KillAndReap(stopped.prober);
  stopped.prober = 0;
  stopped.standing.KillAll();
}

Judgement Runner::JudgeAsReadBack(const JudgeRequest& orders) {
  DismissJudge();
  std::swap_ranges(scene_->entries.begin(), scene_->entries.end(), stage_->read_back);
  Judgement answer = JudgeNow(orders);
  std::swap_ranges(scene_->entries.begin(), scene_->entries.end(), stage_->read_back);
  DismissJudge();
  return answer;
}

void Runner::LeaveStopped(const VictimRun& run, const Trace& trace, uint32_t at,
                          const JudgeRequest& orders) {
  stepper::Stepper::Standing standing;
  if (!Bring(run, orders, trace, at, &standing)) return;
  pid_t pid = standing.subject().pid();
  standing.subject().Detach(SIGSTOP);
  area_.result.stopped_pid = static_cast<uint32_t>(pid);
  int status = 0;
  while (waitpid(pid, &status, 0) != pid && errno == EINTR) {
  }
  DismissJudge();
}

}  // namespace kill9::sweep
