// Runs commands as child processes, a few at a time, each within a bound, and leaves no process
// behind.
//
// G1  Each command is the leader of a process group of its own. The group is killed before its
//     leader is reaped, so that the group's number cannot be somebody else's by then.
// G2  What a command started outside its group comes to this process when its parent ends
//     (PR_SET_CHILD_SUBREAPER) and is waited for; what is still there kOrphanSeconds after the last
//     command is killed, and told.
// G3  Commands die with this process (PR_SET_PDEATHSIG), however it ends.
#ifndef KILL9_HARNESS_GATE_RUN_PROCESS_POOL_H_
#define KILL9_HARNESS_GATE_RUN_PROCESS_POOL_H_

#include <sys/types.h>

#include <csignal>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "harness/gate/plan/step.h"

namespace kill9::gate {

double NowSeconds();  // monotonic

inline constexpr int kCannotRunExit = 127;  // the shell's: of a command that could not be run

class ProcessPool {
 public:
  // `interrupted` is looked at many times a second: 0: go on; otherwise commands are asked to end
  // (SIGTERM), and killed kGraceSeconds later.
  explicit ProcessPool(const volatile std::sig_atomic_t* interrupted);
  ~ProcessPool();
  ProcessPool(const ProcessPool&) = delete;
  ProcessPool& operator=(const ProcessPool&) = delete;

  // Runs the steps in their order, at most `parallel` at a time; `done` is called as each ends, and
  // for those that were never begun. `deadline` is in NowSeconds().
  // ENSURES: none of the commands lives.
  void Run(const std::vector<GateStep>& steps, size_t parallel, double deadline,
           absl::FunctionRef<void(const GateStep&, const Outcome&)> done);

  // No step is begun any more, and those that run are asked to end. From `done`.
  void Stop() { stopped_ = true; }
  // `look` is called many times a second while steps run, with the one that was begun first and how
  // long ago that was, in seconds.
  void WhileRunning(std::function<void(const GateStep&, double)> look) { look_ = std::move(look); }

  // Waits for orphans; kills those that stay. Returns how many had to be killed.
  int EndOrphans();

 private:
  struct Running {
    const GateStep* step;
    pid_t pid;
    double begin;
    double ask_at;  // when it is asked to end
    ExitReason why_asked = ExitReason::kByItself;
    double kill_at;
  };

  static constexpr double kGraceSeconds = 3;
  static constexpr double kOrphanSeconds = 3;

  bool Start(const GateStep& step, double deadline);
  // Asks and kills those whose time is over.
  void Bound();
  // Reaps one process that has ended, if there is one.
  bool Reap(absl::FunctionRef<void(const GateStep&, const Outcome&)> done);

  // Why no step is to run; kByItself: they may.
  ExitReason WhyNot() const;

  const volatile std::sig_atomic_t* interrupted_;
  const std::vector<pid_t> others_;  // children that this process had before
  std::function<void(const GateStep&, double)> look_;
  bool stopped_ = false;
  std::vector<Running> running_;
};

}  // namespace kill9::gate

#endif  // KILL9_HARNESS_GATE_RUN_PROCESS_POOL_H_
