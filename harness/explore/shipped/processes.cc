#include "harness/explore/shipped/processes.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "harness/stepper/process/process_wait.h"

namespace kill9::explore {

Processes::Processes(Scene& scene) : scene_(scene), shared_(MapShared<Shared>()) {
  if (shared_ == nullptr) {
    std::perror("kill9: cannot map what processes share");
    std::abort();
  }
  present_ = this;
}

Processes::~Processes() {
  for (int i = 0; i < scene_.participants(); ++i) {
    if (pid(i) != 0 && !died(i)) stepper::KillAndReap(pid(i));
  }
}

// In the participant's process: does as it is told, stops, and waits to be told again.
void Processes::Serve(int participant) {
  own_ = participant;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (; shared_->order != kRun; raise(SIGSTOP)) scene_.Act(participant, shared_->order);
  stepper::TraceMe();
  stepper::MarkBegin();
  scene_.Run(participant);
  _exit(0);
}

bool Processes::AwaitStop(int participant) {
  int status = 0;
  while (waitpid(pid(participant), &status, WUNTRACED) < 0) {
    if (errno != EINTR) return false;
  }
  return WIFSTOPPED(status);
}

void Processes::As(int participant, int what) {
  if (participant == kAuditor) return scene_.Act(participant, what);
  pid_t& pid = pids_[static_cast<size_t>(participant)];
  shared_->order = what;
  if (pid == 0) {
    pid = stepper::ForkAs(0);
    if (pid == 0) Serve(participant);
  } else {
    kill(pid, SIGCONT);
  }
  if (!AwaitStop(participant)) Fail(Verdict::kUndecided, "a participant ended in the making");
}

std::string Processes::Begin() {
  scene_.Make();
  shared_->order = kRun;
  for (int i = 0; i < scene_.participants(); ++i) {
    if (pid(i) == 0) return "a participant has nothing to do in the making";
    tracee(i) = stepper::Tracee(pid(i));
    kill(pid(i), SIGCONT);
    if (tracee(i).WaitForBegin() != stepper::Tracee::Stop::kTrap) {
      return "a participant cannot be traced";
    }
  }
  return "";
}

void Processes::NoteDeath(int participant) {
  shared_->died[static_cast<size_t>(participant)] = Tick();
}

void Processes::BeginOperation(const char*, bool) {
  // One instruction.
  shared_->marker[static_cast<size_t>(own_)].word.fetch_add(1, std::memory_order_relaxed);
}

void Processes::EndOperation(uint64_t) { BeginOperation(nullptr, false); }

int64_t Processes::now_ns() const {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

void Processes::EndBy(Verdict verdict, std::string message) {
  if (own_ == kAuditor) throw Finding{verdict, std::move(message)};
  shared_->seen = verdict;
  std::snprintf(shared_->message, sizeof shared_->message, "%s", message.c_str());
  _exit(1);
}

}  // namespace kill9::explore
