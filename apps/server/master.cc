#include "apps/server/master.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

namespace kill9::server {
namespace {

constexpr int64_t kShortLife_ms = 1000;
constexpr int64_t kLongestPause_ms = 5000;
constexpr int64_t kFirstPause_ms = 100;

int64_t NowMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

struct Place {
  pid_t pid = 0;
  int64_t started_ms = 0;
  int64_t start_at_ms = 0;  // where pid is 0
  int64_t pause_ms = 0;     // grows while workers end by themselves soon after their start
};

class Master {
 public:
  explicit Master(const MasterOptions& options) : options_(options), places_(options.workers) {}

  int Run() {
    sigset_t watched;
    sigemptyset(&watched);
    for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&watched, signal);
    sigprocmask(SIG_BLOCK, &watched, &before_);
    for (;;) {
      if (!ending_) StartMissing();
      if (ending_ && Living() == 0) return exit_status_;
      const int64_t wait_ms = WaitMs();
      const timespec wait = {wait_ms / 1000, wait_ms % 1000 * 1'000'000};
      const int signal = sigtimedwait(&watched, nullptr, &wait);
      if (signal == SIGTERM || signal == SIGINT) {
        End(0);
      } else if (signal == SIGHUP) {
        Tell(SIGTERM);
      }
      Reap();
      if (ending_ && NowMs() >= kill_at_ms_) Tell(SIGKILL);
    }
  }

 private:
  int Living() const {
    return static_cast<int>(std::count_if(places_.begin(), places_.end(),
                                          [](const Place& place) { return place.pid != 0; }));
  }
  // Until something is due; a signal comes sooner.
  int64_t WaitMs() const {
    int64_t wait_ms = 60'000;
    if (ending_) wait_ms = kill_at_ms_ - NowMs();
    for (const Place& place : places_) {
      if (!ending_ && place.pid == 0) wait_ms = std::min(wait_ms, place.start_at_ms - NowMs());
    }
    return std::max<int64_t>(wait_ms, 10);
  }
  void Tell(int signal) {
    for (const Place& place : places_) {
      if (place.pid != 0) kill(place.pid, signal);
    }
  }
  void End(int exit_status) {
    if (ending_) return;
    ending_ = true;
    exit_status_ = exit_status;
    kill_at_ms_ = NowMs() + options_.grace_ms;
    Tell(SIGTERM);
  }
  void StartMissing() {
    for (size_t worker = 0; worker < places_.size(); ++worker) {
      Place& place = places_[worker];
      if (place.pid == 0 && place.start_at_ms <= NowMs()) Start(static_cast<int>(worker), place);
    }
  }
  void Start(int worker, Place& place) {
    const pid_t master = getpid();
    std::fflush(nullptr);
    const pid_t pid = fork();
    if (pid == 0) {
      // The kernel kills a worker whose master has died; one that died before this line, too.
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != master) _exit(1);
      sigprocmask(SIG_SETMASK, &before_, nullptr);
      const int status = options_.work(worker);
      std::fflush(nullptr);
      _exit(status);
    }
    place.started_ms = NowMs();
    if (pid < 0) {
      place.start_at_ms = place.started_ms + kFirstPause_ms;
      return;
    }
    place.pid = pid;
    if (options_.started) options_.started(worker, pid);
  }
  void Reap() {
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
      for (size_t worker = 0; worker < places_.size(); ++worker) {
        if (places_[worker].pid == pid) Ended(static_cast<int>(worker), places_[worker], status);
      }
    }
  }
  void Ended(int worker, Place& place, int status) {
    if (options_.ended) options_.ended(worker, place.pid, status);
    place.pid = 0;
    // Somebody else's SIGKILL says nothing of the worker: the next one starts at once.
    const bool fault = !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) &&
                       !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    const bool soon = NowMs() - place.started_ms < kShortLife_ms;
    place.pause_ms =
        fault && soon ? std::clamp(place.pause_ms * 2, kFirstPause_ms, kLongestPause_ms) : 0;
    place.start_at_ms = NowMs() + place.pause_ms;
    if (WIFEXITED(status) && WEXITSTATUS(status) == kHopeless) End(kHopeless);
  }

  const MasterOptions& options_;
  std::vector<Place> places_;
  sigset_t before_;
  bool ending_ = false;
  int exit_status_ = 0;
  int64_t kill_at_ms_ = 0;
};

}  // namespace

int RunMaster(const MasterOptions& options) { return Master(options).Run(); }

}  // namespace kill9::server
