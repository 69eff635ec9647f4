#include "harness/explore/search/swarm.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/base/shared_mapping.h"

namespace kill9::explore {
namespace {

constexpr uint32_t kMostProcesses = 16;
constexpr uint64_t kScenesOfAProcess = 64;
constexpr uint64_t kNoScene = ~uint64_t{0};
constexpr useconds_t kLookUs = 5'000;  // for the end of a process, and for an interrupt

// Of one process: the scene at which it is.
struct Member {
  std::atomic<uint64_t> present = kNoScene;
};

// What the processes share.
struct Shared {
  std::atomic<uint64_t> next = 0, found = kNoScene;
  std::atomic<uint64_t> scenes = 0, schedules = 0, deaths = 0, states = 0;
  std::array<Member, kMostProcesses> members;
};

void Lower(std::atomic<uint64_t>& to, uint64_t value) {
  uint64_t present = to.load();
  while (value < present && !to.compare_exchange_weak(present, value)) {
  }
}

class Swarm {
 public:
  Swarm(const Design& design, const SwarmOptions& options)
      : design_(design),
        options_(options),
        scenes_most_(options.schedules == 0 ? kNoScene
                                            : (options.schedules + kSchedulesOfDrawnScene - 1) /
                                                  kSchedulesOfDrawnScene),
        began_(std::chrono::steady_clock::now()),
        shared_(MapShared<Shared>()) {
    if (shared_ != nullptr) return;
    std::perror("kill9-explore: cannot map what processes share");
    std::exit(kExitUsage);
  }
  Swarm(const Swarm&) = delete;
  Swarm& operator=(const Swarm&) = delete;

  SwarmResult Run() {
    std::array<pid_t, kMostProcesses> pids = {};
    const uint32_t processes = std::clamp(options_.processes, 1u, kMostProcesses);
    for (uint32_t i = 0; i < processes; ++i) pids[i] = Start(i);
    bool told = false;
    for (uint32_t left = processes; left > 0;) {
      // Who was interrupted by the terminal itself takes no notice of this one.
      if (IsInterrupted() && !std::exchange(told, true)) {
        for (uint32_t i = 0; i < processes; ++i) {
          if (pids[i] > 0) kill(pids[i], SIGTERM);
        }
      }
      int status = 0;
      const pid_t ended = waitpid(-1, &status, told ? 0 : WNOHANG);
      if (ended < 0 && errno == EINTR) continue;
      if (ended == 0) {
        usleep(kLookUs);
        continue;
      }
      const auto member = std::find(pids.begin(), pids.begin() + processes, ended);
      if (ended < 0 || member == pids.begin() + processes) break;
      const auto i = static_cast<uint32_t>(member - pids.begin());
      if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) NoteEnd(i, status);
      if (IsOver()) {
        pids[i] = 0;
        --left;
      } else {
        pids[i] = Start(i);
      }
    }
    return Result();
  }

 private:
  double Seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  }
  bool IsOver() const {
    return shared_->found != kNoScene || shared_->next >= scenes_most_ ||
           Seconds() > options_.budget_seconds || IsInterrupted();
  }
  bool IsInterrupted() const { return options_.interrupted != nullptr && *options_.interrupted; }

  pid_t Start(uint32_t member) {
    std::cout << std::flush;
    const pid_t pid = fork();
    if (pid < 0) {
      std::perror("kill9-explore: cannot fork");
      std::exit(kExitUsage);
    }
    if (pid != 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (uint64_t i = 0; i < kScenesOfAProcess && !IsOver(); ++i) {
      const uint64_t number = shared_->next++;
      if (number >= scenes_most_) break;
      shared_->members[member].present = number;
      ExploreOne(number);
      shared_->members[member].present = kNoScene;
    }
    _exit(0);
  }

  void ExploreOne(uint64_t number) {
    const DrawnScene drawn = DrawScene(design_, options_.seed, number);
    const absl::StatusOr<std::unique_ptr<Scene>> scene = NewScene(design_, drawn.name);
    if (!scene.ok()) std::abort();
    ExploreOptions options;
    options.model = options_.model;
    options.deaths = drawn.deaths;
    options.strategy = Strategy::kRandom;
    options.schedules = kSchedulesOfDrawnScene;
    options.budget_seconds = std::max(options_.budget_seconds - Seconds(), 0.01);
    options.seed = options_.seed;
    options.shortens = false;
    options.ends_when_dull = true;
    options.interrupted = options_.interrupted;
    const ExploreResult result = Explore(**scene, options);
    ++shared_->scenes;
    shared_->schedules += result.schedules;
    shared_->deaths += result.deaths;
    shared_->states += result.distinct_states;
    if (result.finding.verdict != Verdict::kPass) Lower(shared_->found, number);
  }

  // A process has not ended as it should.
  void NoteEnd(uint32_t member, int status) {
    const uint64_t present = shared_->members[member].present;
    if (present == kNoScene) return;
    Lower(shared_->found, present);
    if (shared_->found != present) return;
    ended_ = present;
    how_ = WIFSIGNALED(status)
               ? absl::StrCat("the scene has ended its process by signal ", WTERMSIG(status))
               : "the scene cannot be made";
  }

  SwarmResult Result() {
    SwarmResult result;
    result.scenes = shared_->scenes;
    result.schedules = shared_->schedules;
    result.deaths = shared_->deaths;
    result.distinct_states = shared_->states;
    result.seconds = Seconds();
    if (const uint64_t found = shared_->found; found != kNoScene) {
      result.found = {DrawScene(design_, options_.seed, found), std::nullopt};
      if (found == ended_) result.found->finding = Finding{Verdict::kSurvivorCrashed, how_};
    }
    return result;
  }

  const Design& design_;
  const SwarmOptions& options_;
  const uint64_t scenes_most_;
  const std::chrono::steady_clock::time_point began_;
  const SharedMapping<Shared> shared_;
  uint64_t ended_ = kNoScene;
  std::string how_;
};

}  // namespace

SwarmResult ExploreSwarm(const Design& design, const SwarmOptions& options) {
  return Swarm(design, options).Run();
}

}  // namespace kill9::explore
