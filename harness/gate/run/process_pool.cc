#include "harness/gate/run/process_pool.h"

#include <fcntl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

#include "harness/base/children_of.h"
#include "harness/base/namespaces/namespaces.h"
#include "harness/base/process_end/die_with_parent.h"
#include "harness/base/process_end/wait_for_end.h"

namespace kill9::gate {
namespace {

constexpr unsigned kLookMicroseconds = 10'000;

[[noreturn]] void Become(const GateStep& step, pid_t parent) {
  setpgid(0, 0);
  DieWithParent(parent, kCannotRunExit);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) std::signal(signal, SIG_DFL);
  const int input = open("/dev/null", O_RDONLY);
  const int log = step.log_file.empty()
                      ? dup(STDERR_FILENO)
                      : open(step.log_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (input < 0 || log < 0 || dup2(input, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0) {
    _exit(kCannotRunExit);
  }
  close_range(3, ~0u, 0);
  if (step.has_own_memory) EnterOwnSharedMemory();  // refused: it shares the machine's
  if (step.without_randomisation) personality(ADDR_NO_RANDOMIZE);
  for (const std::string& assignment : step.environment) {
    const size_t equals = assignment.find('=');
    setenv(assignment.substr(0, equals).c_str(), assignment.substr(equals + 1).c_str(), 1);
  }
  std::vector<char*> words;
  for (const std::string& word : step.command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  execvp(words[0], words.data());
  std::fprintf(stderr, "kill9 gate: cannot run %s: %s\n", words[0], std::strerror(errno));
  _exit(kCannotRunExit);
}

}  // namespace

double NowSeconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

ProcessPool::ProcessPool(const volatile std::sig_atomic_t* interrupted)
    : interrupted_(interrupted), others_(ChildrenOf(getpid())) {
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  // Who started us may ignore it: children would then be gone without a status to wait for.
  std::signal(SIGCHLD, SIG_DFL);
}

ProcessPool::~ProcessPool() { EndOrphans(); }

void ProcessPool::Run(const std::vector<GateStep>& steps, size_t parallel, double deadline,
                      absl::FunctionRef<void(const GateStep&, const Outcome&)> done) {
  size_t next = 0;
  while (next < steps.size() || !running_.empty()) {
    const bool may_begin = WhyNot() == ExitReason::kByItself && NowSeconds() < deadline;
    while (next < steps.size() && (!may_begin || running_.size() < parallel)) {
      const GateStep& step = steps[next++];
      if (!may_begin) {
        const ExitReason why = WhyNot();
        done(step, {.ending = why == ExitReason::kByItself ? ExitReason::kOutOfBudget : why});
      } else if (!Start(step, deadline)) {
        done(step, {.ending = ExitReason::kNotStarted});
      }
    }
    Bound();
    while (Reap(done)) {
    }
    if (running_.empty()) continue;
    if (look_) look_(*running_.front().step, NowSeconds() - running_.front().begin);
    usleep(kLookMicroseconds);
  }
}

ExitReason ProcessPool::WhyNot() const {
  return *interrupted_ != 0 ? ExitReason::kInterrupted
         : stopped_         ? ExitReason::kNotWanted
                            : ExitReason::kByItself;
}

bool ProcessPool::Start(const GateStep& step, double deadline) {
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return false;
  if (pid == 0) Become(step, parent);
  setpgid(pid, pid);  // here, too: whoever comes first
  const double now = NowSeconds();
  const double limit = now + step.limit_seconds;
  running_.push_back({.step = &step,
                      .pid = pid,
                      .begin = now,
                      .ask_at = std::min(limit, deadline),
                      .kill_at = std::min(limit, deadline) + kGraceSeconds});
  return true;
}

void ProcessPool::Bound() {
  const double now = NowSeconds();
  for (Running& running : running_) {
    if (running.why_asked != ExitReason::kByItself) {
      if (now >= running.kill_at) kill(-running.pid, SIGKILL);
      continue;
    }
    const ExitReason why = WhyNot();
    if (why == ExitReason::kByItself && now < running.ask_at) continue;
    running.why_asked = why != ExitReason::kByItself ? why
                        : running.ask_at < running.begin + running.step->limit_seconds
                            ? ExitReason::kOutOfBudget
                            : ExitReason::kOutOfLimit;
    running.kill_at = now + kGraceSeconds;
    kill(running.pid, SIGTERM);
  }
}

bool ProcessPool::Reap(absl::FunctionRef<void(const GateStep&, const Outcome&)> done) {
  siginfo_t info{};
  if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return false;
  const pid_t pid = info.si_pid;
  auto found = std::find_if(running_.begin(), running_.end(),
                            [pid](const Running& running) { return running.pid == pid; });
  if (found == running_.end()) {  // an orphan (G2)
    waitpid(pid, nullptr, 0);
    return true;
  }
  kill(-pid, SIGKILL);  // G1
  Outcome outcome{
      .ending = found->why_asked, .begun = true, .seconds = NowSeconds() - found->begin};
  waitpid(pid, &outcome.status, 0);
  const GateStep& step = *found->step;
  running_.erase(found);
  done(step, outcome);
  return true;
}

int ProcessPool::EndOrphans() {
  const double until = NowSeconds() + kOrphanSeconds;
  int killed = 0;
  while (true) {
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    const std::vector<pid_t> orphans = NewChildren(others_);
    if (orphans.empty()) return killed;
    if (NowSeconds() >= until) {
      for (const pid_t orphan : orphans) {
        kill(orphan, SIGKILL);
        WaitForEnd(orphan);
        ++killed;
      }
    }
    usleep(kLookMicroseconds);
  }
}

}  // namespace kill9::gate
