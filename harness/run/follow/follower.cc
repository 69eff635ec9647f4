#include "harness/run/follow/follower.h"

#include <fcntl.h>
#include <seccomp.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/base/signals.h"
#include "harness/stepper/process/process_wait.h"

namespace kill9::run {
namespace {

constexpr double kMostPerLookSeconds = 0.5;  // of a wait: nobody is charged for a frozen machine
constexpr double kReapSeconds = 60;

constexpr unsigned long kOptions = PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEEXEC |
                                   PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;

// Told by a seccomp filter; null: there is no memory for one.
scmp_filter_ctx FilterOf(const Follower::Told& told) {
  scmp_filter_ctx filter = seccomp_init(told.all ? SCMP_ACT_TRACE(0) : SCMP_ACT_ALLOW);
  if (filter == nullptr) return nullptr;
  // Calls by the tables of other architectures are not told.
  seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
  if (told.all) return filter;
  for (const long number : told.numbers) {
    seccomp_rule_add(filter, SCMP_ACT_TRACE(0), static_cast<int>(number), 0);
  }
  return filter;
}

[[noreturn]] void Become(const std::vector<std::string>& words, scmp_filter_ctx filter, int go,
                         int why_not, int output, int error) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  setsid();  // what the terminal sends is for kill9
  std::signal(SIGXFSZ, SIG_DFL);
  std::signal(SIGALRM, SIG_DFL);
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  const int input = open("/dev/null", O_RDONLY);
  dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(error, STDERR_FILENO);
  personality(ADDR_NO_RANDOMIZE);
  char followed = 0;
  if (read(go, &followed, 1) != 1) _exit(1);
  if (filter != nullptr && seccomp_load(filter) != 0) {
    errno = ENOSYS;
  } else {
    execvp(arguments[0], arguments.data());
  }
  const int number = errno;
  (void)!write(why_not, &number, sizeof number);
  _exit(127);
}

std::string ProgramOf(pid_t process) {
  std::ifstream file(absl::StrCat("/proc/", process, "/comm"));
  std::string name;
  std::getline(file, name);
  return name;
}

// The process that a thread belongs to; 0: it has gone.
pid_t ProcessOfThread(pid_t thread) {
  std::ifstream file(absl::StrCat("/proc/", thread, "/status"));
  std::string line;
  pid_t process = 0;
  while (std::getline(file, line)) {
    if (std::sscanf(line.c_str(), "Tgid: %d", &process) == 1) break;
  }
  return process;
}

// Time as it passes for somebody who looks: what passed while it did not run does not count.
class Budget {
 public:
  explicit Budget(double seconds) : left_(seconds), looked_(stepper::NowSeconds()) {}
  bool IsSpent() {
    const double now = stepper::NowSeconds();
    left_ -= std::min(now - looked_, kMostPerLookSeconds);
    looked_ = now;
    return left_ <= 0;
  }

 private:
  double left_, looked_;
};

}  // namespace

absl::Status Follower::Start(const std::vector<std::string>& words, const Told& told, int output,
                             int error) {
  int go[2], why_not[2];
  const bool is_told = told.all || !told.numbers.empty();
  scmp_filter_ctx filter = is_told ? FilterOf(told) : nullptr;
  if ((is_told && filter == nullptr) || pipe2(go, O_CLOEXEC) != 0 ||
      pipe2(why_not, O_CLOEXEC) != 0) {
    return absl::UnavailableError("cannot make pipes for a program");
  }
  first_ = fork();
  if (first_ == 0) Become(words, filter, go[0], why_not[1], output, error);
  if (filter != nullptr) seccomp_release(filter);
  close(go[0]);
  close(why_not[1]);
  if (first_ < 0) return absl::ErrnoToStatus(errno, "cannot start a process");
  const bool seized = ptrace(PTRACE_SEIZE, first_, nullptr, kOptions) == 0;
  threads_[first_] = {.process = first_};
  processes_[first_];
  if (seized) (void)!write(go[1], "g", 1);
  close(go[1]);
  if (!seized) return absl::ErrnoToStatus(errno, "cannot trace a process");
  // Up to its first instruction: the end of the other side of the pipe says that it has come there.
  Follow([this](const FollowedStop&) { return started_ ? Next::kEnd : Next::kGoOn; }, kReapSeconds);
  int number = 0;
  const bool failed = read(why_not[0], &number, sizeof number) == sizeof number;
  close(why_not[0]);
  if (!failed) return absl::OkStatus();
  return absl::NotFoundError(
      absl::StrCat("cannot run '", words.front(), "': ", std::strerror(number)));
}

void Follower::Resume(pid_t thread, int signal) {
  const auto found = threads_.find(thread);
  const bool step = found != threads_.end() && found->second.stepping;
  ptrace(step ? PTRACE_SINGLESTEP : PTRACE_CONT, thread, nullptr,
         static_cast<unsigned long>(signal));
}

void Follower::Forget(pid_t thread) {
  const auto found = threads_.find(thread);
  if (found == threads_.end()) return;
  const pid_t process = found->second.process;
  threads_.erase(found);
  const bool alive = std::any_of(threads_.begin(), threads_.end(), [&](const auto& other) {
    return other.second.process == process;
  });
  if (!alive) processes_.erase(process);
}

void Follower::OnNewTask(pid_t parent) {
  unsigned long message = 0;
  if (ptrace(PTRACE_GETEVENTMSG, parent, nullptr, &message) != 0) return;
  const pid_t task = static_cast<pid_t>(message);
  const pid_t process = ProcessOfThread(task);
  if (process != 0) {
    threads_[task] = {.process = process};
    const auto known = processes_.find(threads_[parent].process);
    if (process == task && known != processes_.end()) {
      FollowedProcess& starter = known->second;
      const uint32_t child = ++starter.children;
      FollowedProcess& fresh = processes_[task];
      fresh.name =
          starter.name.empty() ? absl::StrCat(child) : absl::StrCat(starter.name, ".", child);
      fresh.program = starter.program;
    }
  }
  if (std::erase(early_, task) > 0) Resume(task);
}

// Of its threads one is left, which has the number of the process now.
void Follower::OnExec(pid_t thread) {
  std::erase_if(threads_, [&](const auto& other) { return other.second.process == thread; });
  threads_[thread] = {.process = thread};
  processes_[thread].program = ProgramOf(thread);
}

void Follower::Tell(pid_t thread, OnStop on_stop) {
  Thread& told = threads_[thread];
  const auto process = processes_.find(told.process);
  if (!started_ || process == processes_.end()) return Resume(thread);
  FollowedStop stop{.process = process->second, .thread = thread, .number = -1, .arguments = {}};
  if (told.at_call) {
    user_regs_struct registers{};
    ptrace(PTRACE_GETREGS, thread, nullptr, &registers);
    stop.number = static_cast<long>(registers.orig_rax);
    const uint64_t arguments[] = {registers.rdi, registers.rsi, registers.rdx,
                                  registers.r10, registers.r8,  registers.r9};
    std::copy(std::begin(arguments), std::end(arguments), stop.arguments);
    ++process->second.calls[stop.number];
  }
  const Next next = on_stop(stop);
  told.at_call = false;
  told.stepping = next == Next::kStep;
  asked_ = next == Next::kEnd;
  if (!asked_) return Resume(thread);
  standing_ = thread;
}

void Follower::OnEvent(pid_t thread, int event, int signal, OnStop on_stop) {
  switch (event) {
    case PTRACE_EVENT_SECCOMP:
      threads_[thread].at_call = true;
      return Tell(thread, on_stop);
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
    case PTRACE_EVENT_CLONE:
      OnNewTask(thread);
      return Resume(thread);
    case PTRACE_EVENT_EXEC:
      OnExec(thread);
      if (thread == first_ && !started_) {
        started_ = true;
        return Tell(thread, on_stop);
      }
      return Resume(thread);
    case PTRACE_EVENT_STOP:
      if (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU) {
        ptrace(PTRACE_LISTEN, thread, nullptr, nullptr);  // stopped, until somebody wakes it
        return;
      }
      if (threads_.contains(thread)) return Resume(thread);
      early_.push_back(thread);
      return;
    default:
      return Resume(thread);
  }
}

void Follower::Handle(pid_t thread, int status, OnStop on_stop) {
  if (!WIFSTOPPED(status)) return Forget(thread);
  const int signal = WSTOPSIG(status);
  const int event = status >> 16;
  if (event != 0) return OnEvent(thread, event, signal, on_stop);
  if (signal == SIGTRAP && threads_[thread].stepping) return Tell(thread, on_stop);
  Resume(thread, signal);
}

Follower::End Follower::Follow(OnStop on_stop, double seconds, pid_t other) {
  Budget budget(seconds);
  asked_ = false;
  if (standing_ != 0) Resume(std::exchange(standing_, 0));
  while (true) {
    int status = 0;
    const pid_t thread = waitpid(-1, &status, __WALL);
    if (thread < 0) {
      if (errno != EINTR) return End::kEnded;
      if (budget.IsSpent()) return End::kTooLong;
      continue;
    }
    if (!WIFSTOPPED(status) && (thread == other || (other == 0 && thread == first_))) {
      status_ = status;
      Forget(thread);
      return thread == other ? End::kOtherEnded : End::kEnded;
    }
    Handle(thread, status, on_stop);
    if (asked_) return End::kAsked;
  }
}

// Whoever is not killed goes on meanwhile.
void Follower::ReapUntilGone(pid_t process) {
  const auto is_gone = [&] {
    return process == 0 ? threads_.empty() : !processes_.contains(process);
  };
  Budget budget(kReapSeconds);
  while (!is_gone() && !budget.IsSpent()) {
    int status = 0;
    const pid_t thread = waitpid(-1, &status, __WALL);
    if (thread < 0 && errno != EINTR) break;
    if (thread < 0) continue;
    if (process == 0 && WIFSTOPPED(status)) {
      kill(thread, SIGKILL);  // it has just begun
      threads_.try_emplace(thread, Thread{.process = thread});
    }
    Handle(thread, status, [](const FollowedStop&) { return Next::kGoOn; });
  }
}

void Follower::KillAll() {
  for (const auto& [process, followed] : processes_) kill(process, SIGKILL);
  for (const pid_t process : early_) kill(process, SIGKILL);
  ReapUntilGone(0);
  first_ = standing_ = 0;
}

void Follower::KillFirst() {
  kill(first_, SIGKILL);
  ReapUntilGone(first_);
  first_ = standing_ = 0;
}

std::vector<pid_t> Follower::Processes() const {
  std::vector<pid_t> alive;
  for (const auto& [process, followed] : processes_) alive.push_back(process);
  return alive;
}

}  // namespace kill9::run
