#include "stress/command/explore/scene_pool.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/base/process_end/die_with_parent.h"
#include "harness/base/process_end/kill_and_reap.h"
#include "harness/base/process_end/wait_for_end.h"
#include "harness/base/text/write_all.h"
#include "harness/result/verdict.h"
#include "stress/command/arguments/options.h"
#include "stress/command/interrupts.h"

namespace kill9 {
namespace {

constexpr int kLookMs = 50;  // how soon a signal that came before the wait is seen

// In the process of a scene.
[[noreturn]] void Answer(const ScenePool::Work& work, std::ostream& lines, int to) {
  std::ostringstream told;
  lines.rdbuf(told.rdbuf());
  Json answer = {{"runs", Json::array()}};
  try {
    answer["exit_code"] = work(&answer["runs"]);
  } catch (const UsageError& error) {
    answer["usage"] = error.what();
  } catch (const std::exception&) {
    _exit(kExitUndecided);  // no memory
  }
  answer["lines"] = told.str();
  const bool written = WriteAll(to, answer.dump(-1, ' ', false, Json::error_handler_t::replace));
  _exit(written ? kExitPass : kExitUndecided);
}

}  // namespace

ScenePool::ScenePool(const Options& options, Json* runs, int* exit_code)
    : options_(options), runs_(runs), exit_code_(exit_code) {}

ScenePool::~ScenePool() {
  for (const Member& member : members_) {
    int status = 0;
    KillAndReap(member.pid, &status);
    if (member.answer >= 0) close(member.answer);
  }
}

size_t ScenePool::running() const {
  return static_cast<size_t>(std::count_if(members_.begin(), members_.end(),
                                           [](const Member& one) { return one.answer >= 0; }));
}

void ScenePool::Begin(const Work& work, Ended ended) {
  while (running() >= options_.processes && !IsOver()) Look();
  if (IsOver()) return;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    throw UsageError(absl::StrCat("cannot make a pipe: ", std::strerror(errno)));
  }
  std::ostream& lines = options_.lines();
  lines << std::flush;
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    DieWithParent(parent);
    close(ends[0]);
    Answer(work, lines, ends[1]);
  }
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    throw UsageError(absl::StrCat("cannot make a process: ", std::strerror(errno)));
  }
  members_.push_back({.pid = pid, .answer = ends[0], .text = {}, .ended = std::move(ended)});
}

void ScenePool::Finish() {
  while (!members_.empty() && !IsOver()) Look();
}

void ScenePool::Look() {
  // Who was interrupted by the terminal itself takes no notice of this one.
  if (is_interrupted != 0 && !std::exchange(is_told_to_end_, true)) {
    for (const Member& member : members_) kill(member.pid, SIGTERM);
  }
  std::vector<struct pollfd> ends;
  std::vector<Member*> whose;
  for (Member& member : members_) {
    if (member.answer < 0) continue;
    ends.push_back({.fd = member.answer, .events = POLLIN, .revents = 0});
    whose.push_back(&member);
  }
  if (!ends.empty() && poll(ends.data(), ends.size(), kLookMs) > 0) {
    for (size_t i = 0; i < ends.size(); ++i) {
      if (ends[i].revents == 0) continue;
      char part[65536];
      const ssize_t count = read(ends[i].fd, part, sizeof part);
      if (count < 0 && errno == EINTR) continue;
      if (count > 0) {
        whose[i]->text.append(part, static_cast<size_t>(count));
        continue;
      }
      close(std::exchange(whose[i]->answer, -1));
    }
  }
  while (!members_.empty() && members_.front().answer < 0) {
    const Member first = std::move(members_.front());
    members_.pop_front();
    Tell(first, WaitForEnd(first.pid));
  }
}

int ScenePool::TellEnd(const Member& member, int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == kExitUsage) {
    member.ended(Verdict::kUndecided, "the scene cannot be made", runs_);
    return kExitUsage;
  }
  // Nothing that is explored kills its own process.
  if (!WIFSIGNALED(status) || WTERMSIG(status) == SIGKILL) {
    return member.ended(Verdict::kUndecided,
                        "the scene's process was killed from outside, or has no memory left",
                        runs_);
  }
  return member.ended(Verdict::kSurvivorCrashed,
                      absl::StrCat("the scene has ended its process by signal ", WTERMSIG(status)),
                      runs_);
}

void ScenePool::Tell(const Member& member, int status) {
  if (IsOver()) return;
  Json answer = Json::parse(member.text, nullptr, false);
  if (answer.is_discarded()) {
    *exit_code_ = WorseExitCode(*exit_code_, TellEnd(member, status));
    return;
  }
  if (answer.contains("usage")) throw UsageError(answer["usage"].get<std::string>());
  options_.lines() << answer["lines"].get<std::string>() << std::flush;
  for (Json& run : answer["runs"]) runs_->push_back(std::move(run));
  *exit_code_ = WorseExitCode(*exit_code_, answer["exit_code"].get<int>());
}

}  // namespace kill9
