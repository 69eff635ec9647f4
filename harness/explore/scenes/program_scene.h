// Scenes of small programs: some words of memory, and functions that participants run on it. For
// tests of the explorer, and for algorithms on paper.
#ifndef KILL9_HARNESS_EXPLORE_SCENES_PROGRAM_SCENE_H_
#define KILL9_HARNESS_EXPLORE_SCENES_PROGRAM_SCENE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <tuple>

#include "harness/explore/runtime/machine.h"

namespace kill9::explore {

inline constexpr size_t kProgramResults = 8;

// What became of one schedule.
struct ProgramOutcome {
  std::array<std::array<uint64_t, kProgramResults>, kMostParticipants> results = {};
  std::array<bool, kMostParticipants> returned = {};  // else it died in the middle
  bool operator<(const ProgramOutcome& other) const {
    return std::tie(results, returned) < std::tie(other.results, other.returned);
  }
};

struct Program {
  std::string name;
  size_t bytes = 4096;
  int participants = 2;
  // On zeroed memory. Explored code lies in a source of its own that is compiled to be explored.
  std::function<void(char* memory)> prepare = [](char*) {};
  // What the participant tells goes to `results`.
  std::function<void(char* memory, int participant, uint64_t* results)> run;
  // When all have ended; a sentence says what is wrong. It may recover: it runs as a participant of
  // its own.
  std::function<std::string(char* memory, const ProgramOutcome&)> judge =
      [](char*, const ProgramOutcome&) { return std::string(); };
  bool must_not_wait = false;
};

class ProgramScene : public Scene {
 public:
  explicit ProgramScene(const Program& program) : program_(program) {}
  ~ProgramScene() override;

  void Make() override;
  void Act(int /*participant*/, int /*what*/) override {}  // all is of the one who makes it
  int participants() const override { return program_.participants; }
  void Run(int participant) override;
  Finding Judge() override;

  // Of all schedules that have come to an end.
  const std::set<ProgramOutcome>& outcomes() const { return outcomes_; }

 private:
  const Program program_;
  char* memory_ = nullptr;
  ProgramOutcome outcome_;
  std::set<ProgramOutcome> outcomes_;
};

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SCENES_PROGRAM_SCENE_H_
