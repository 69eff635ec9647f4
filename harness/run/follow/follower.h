// Follows a program and all that it starts (processes and threads) by ptrace: each system call that
// was asked for is told before it is executed, and where asked for, each instruction.
//
// Which calls are told a seccomp filter decides in the kernel (a stop for each of them, none for
// the others). The tracer is one thread. Everything that is followed dies with it.
#ifndef KILL9_HARNESS_RUN_FOLLOW_FOLLOWER_H_
#define KILL9_HARNESS_RUN_FOLLOW_FOLLOWER_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace kill9::run {

struct FollowedProcess {
  std::string name;     // as Point::process
  std::string program;  // what it runs, as the kernel calls it ("python3")
  uint32_t children = 0;
  std::map<long, uint32_t> calls;  // so many of each number were told
};

// A process stands before a system call (`number`), or before an instruction (number -1).
struct FollowedStop {
  FollowedProcess& process;
  pid_t thread;
  long number;
  uint64_t arguments[6];
};

class Follower {
 public:
  enum class Next : uint8_t {
    kGoOn,
    kStep,  // the thread goes on by one instruction, after which it is told again
    kEnd,   // Follow returns; everybody stays as they are
  };
  using OnStop = absl::FunctionRef<Next(const FollowedStop& stop)>;
  enum class End : uint8_t {
    kAsked,       // by OnStop
    kEnded,       // the program's first process has; `status()`
    kOtherEnded,  // the process that nobody follows; `status()`
    kTooLong,
  };
  // Of system calls.
  struct Told {
    bool all = false;
    std::vector<long> numbers;
  };

  Follower() = default;
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  // Starts `words`, looked for in PATH. Standard output and error go to these files. kNotFound: it
  // cannot be run.
  absl::Status Start(const std::vector<std::string>& words, const Told& told, int output,
                     int error);
  // Until something ends it. `other`: a child of this process that is not followed, while which
  // runs the program's own end ends nothing. `seconds`: of time in which this process could look.
  End Follow(OnStop on_stop, double seconds, pid_t other = 0);
  // As wait(2) has it.
  int status() const { return status_; }

  // SIGKILL, to all of them or to the first process and its threads, and the reaping.
  void KillAll();
  void KillFirst();
  // Who is alive, besides those that were killed.
  std::vector<pid_t> Processes() const;

 private:
  struct Thread {
    pid_t process = 0;
    bool stepping = false;
    bool at_call = false;  // told, and stopped there
  };

  void Handle(pid_t thread, int status, OnStop on_stop);
  void OnEvent(pid_t thread, int event, int signal, OnStop on_stop);
  void OnNewTask(pid_t parent);
  void OnExec(pid_t thread);
  void Tell(pid_t thread, OnStop on_stop);
  void Resume(pid_t thread, int signal = 0);
  void Forget(pid_t thread);
  void ReapUntilGone(pid_t process);

  std::map<pid_t, Thread> threads_;
  std::map<pid_t, FollowedProcess> processes_;
  std::vector<pid_t> early_;  // they stopped before whoever started them was seen to
  pid_t first_ = 0;
  bool started_ = false;  // the program has taken the place of the child that was forked for it
  bool asked_ = false;
  pid_t standing_ = 0;  // the thread at which OnStop ended Follow: it goes on with the next one
  int status_ = 0;
};

}  // namespace kill9::run

#endif  // KILL9_HARNESS_RUN_FOLLOW_FOLLOWER_H_
