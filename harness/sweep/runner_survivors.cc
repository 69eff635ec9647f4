// The survivors that a runner forks: judges and probers, and what is asked of them.
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "harness/sweep/prober.h"
#include "harness/sweep/runner.h"

namespace kill9::sweep {
namespace {

void FutexWait(std::atomic<uint32_t>& word, uint32_t value, long nanoseconds) {
  timespec limit{0, nanoseconds};
  syscall(SYS_futex, &word, FUTEX_WAIT, value, &limit, nullptr, 0);
}
constexpr long kLookNanoseconds = 100'000'000;
constexpr long kNapNanoseconds = 300'000;

// Acquire and release: the word hands the stage from one process to the other.
void Signal(std::atomic<uint32_t>& word, uint32_t value = 1) {
  word.store(value, std::memory_order_release);
  syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}
void Await(std::atomic<uint32_t>& word) {
  while (word.load(std::memory_order_acquire) == 0) FutexWait(word, 0, kLookNanoseconds);
}

}  // namespace

pid_t Runner::ForkJudge(const JudgeOrders& orders) {
  stage_->ready.store(0, std::memory_order_relaxed);  // the fork orders it
  stage_->go.store(0, std::memory_order_relaxed);
  std::memset(static_cast<void*>(&stage_->report), 0, sizeof stage_->report);
  pid_t child = ForkAs(kJudgePid);
  if (child != 0) {
    WaitReady(child);
    return child;
  }
  Judge judge(*scene_, orders, &stage_->report, stage_->read_back);
  if (!creating()) judge.AttachBefore();
  Signal(stage_->ready);
  Await(stage_->go);
  if (creating()) {
    judge.RunCreate();
  } else {
    judge.Run();
  }
  _exit(0);
}

bool Runner::WaitReady(pid_t child) {
  const double start = NowSeconds();
  while (stage_->ready.load(std::memory_order_acquire) == 0) {
    FutexWait(stage_->ready, 0, kLookNanoseconds);
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid != 0 || NowSeconds() - start > 20 * request().watchdog_seconds) {
      return stage_->ready.load(std::memory_order_acquire) != 0;
    }
  }
  return true;
}

Answer Runner::AskJudge(pid_t judge) {
  Signal(stage_->go);
  int status = 0;
  JudgeReport& report = stage_->report;
  Answer answer;
  if (!Reap(judge, request().watchdog_seconds, &status)) {
    answer.verdict = Verdict::kStuck;
    std::snprintf(report.message, sizeof report.message, "%s: no progress", report.stage);
  } else if (WIFSIGNALED(status)) {
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
  answer.outcome = report.outcome;
  answer.message = report.message;
  area_.result.recovered_participants += report.recovered_participants;
  return answer;
}

pid_t Runner::ForkProber(uint32_t first_probe) {
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

void Runner::LetSurvivorGo() { Signal(stage_->go); }

void Runner::Nap() {
  uint32_t now = stage_->probe.load(std::memory_order_acquire);
  if (now < kProbesInAll) FutexWait(stage_->probe, now, kNapNanoseconds);
}

bool Runner::StopBesideProber(const Job& job, const Trace& trace, uint32_t at, uint32_t first_probe,
                              Stopped* stopped) {
  Restore(job.base);
  stopped->prober = ForkProber(first_probe);
  if (Bring(job, trace, at, &stopped->victim)) return true;
  EndStop(*stopped);
  return false;
}

void Runner::EndStop(Stopped& stopped) {
  if (stopped.prober > 0) KillAndReap(stopped.prober);
  stopped.prober = 0;
  stopped.victim.Kill();
}

Answer Runner::JudgeAsReadBack(const JudgeOrders& orders) {
  std::swap_ranges(scene_->entries.begin(), scene_->entries.end(), stage_->read_back);
  Answer answer = AskJudge(ForkJudge(orders));
  std::swap_ranges(scene_->entries.begin(), scene_->entries.end(), stage_->read_back);
  return answer;
}

void Runner::LeaveStopped(const Job& job, const Trace& trace, uint32_t at,
                          const JudgeOrders& orders) {
  Tracee victim(0), other(0);
  pid_t judge = 0;
  if (!StartJob(job, &orders, &victim, &other, &judge) || !Reach(victim, trace, at)) {
    EndJob(victim, other, judge);
    return;
  }
  pid_t pid = victim.pid();
  victim.Detach(SIGSTOP);
  area_.result.stopped_pid = static_cast<uint32_t>(pid);
  int status = 0;
  while (waitpid(pid, &status, 0) != pid && errno == EINTR) {
  }
  if (judge > 0) KillAndReap(judge);
}

}  // namespace kill9::sweep
