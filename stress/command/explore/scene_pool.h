// Explores scenes side by side, each in a process of its own, and tells their answers in the order
// in which the scenes were given: what is said does not depend on which one ended first, nor on how
// many there are at a time. What explored code keeps, and how it may end, stays in its process.
#ifndef KILL9_STRESS_COMMAND_EXPLORE_SCENE_POOL_H_
#define KILL9_STRESS_COMMAND_EXPLORE_SCENE_POOL_H_

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <ostream>
#include <string>

#include "harness/result/result.h"
#include "harness/result/verdict.h"

namespace kill9 {

class ScenePool {
 public:
  // Explores, tells it on the stream of lines, and adds its run; returns an exit code.
  using Work = std::function<int(Json* runs)>;
  // What is told of work whose process has ended without an answer, and how; the same.
  using Ended = std::function<int(Verdict verdict, const std::string& how, Json* runs)>;

  struct Options {
    uint32_t processes = 1;
    bool fail_fast = false;  // what comes behind the first answer that fails is dropped
    std::function<std::ostream&()> lines;  // where they are told, each time
  };
  // Answers go to `runs` and, the worst of them, to `exit_code`; both outlive the pool.
  ScenePool(const Options& options, Json* runs, int* exit_code);
  ~ScenePool();  // ends what is under way
  ScenePool(const ScenePool&) = delete;
  ScenePool& operator=(const ScenePool&) = delete;

  // Begins it, as soon as a process may; nothing behind a failure, where that ends all. Throws what
  // the work of an earlier one has thrown.
  void Begin(const Work& work, Ended ended);
  // Waits for the answers of all.
  void Finish();

 private:
  struct Member {
    pid_t pid;
    int answer;  // the end of a pipe; -1: all is read
    std::string text;
    Ended ended;
  };

  // Reads what there is, a moment at most; tells what is complete and has nothing before it.
  void Look();
  void Tell(const Member& member, int status);
  int TellEnd(const Member& member, int status);
  size_t running() const;
  bool IsOver() const { return options_.fail_fast && *exit_code_ == kExitFailed; }

  const Options options_;
  Json* const runs_;
  int* const exit_code_;
  bool is_told_to_end_ = false;
  std::deque<Member> members_;  // in the order in which they were begun
};

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_EXPLORE_SCENE_POOL_H_
