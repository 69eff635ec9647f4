// A step of the gate: one command that is run in a process of its own, and how its answer is read.
#ifndef KILL9_HARNESS_GATE_PLAN_STEP_H_
#define KILL9_HARNESS_GATE_PLAN_STEP_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kill9::gate {

// In the order in which they run: what must be run whole, then the samples.
enum class Tier : uint8_t {
  kChecker,
  kProperty,
  kTsan,
  kBaselines,
  kSweep,
  kExplore,
  kTorture,
  kPlanted
};
inline constexpr int kTiers = 8;
std::string_view TierName(Tier tier);  // "checker"

// The steps of tiers that are samples of a variant's cells and scenes.
inline constexpr char kSweepSample[] = "sample";
inline constexpr char kExploreSample[] = "pairs";
// Three participants, and channels that are closed: a step of its own, with a fixed share of the
// tier's time, since most of its scenes cannot be exhausted.
inline constexpr char kExploreWider[] = "wider";
// Scenes that are drawn from the seed, without end: likewise.
inline constexpr char kExploreDrawn[] = "drawn";

// How what a command left is turned into verdicts.
enum class ResultFormat : uint8_t {
  kResultFile,  // a result file of kill9: its runs are the gate's
  kGoogleTest,  // GoogleTest's JSON
  kExpected,    // a result file, or only an exit code: whether it is what was expected
};

struct GateStep {
  Tier tier = Tier::kProperty;
  std::string variant = {};  // empty: of no single one
  std::string name = {};     // scenario, test program, planted bug
  std::vector<std::string> command = {};
  std::vector<std::string> environment = {};  // NAME=VALUE, besides what the gate itself has
  bool without_randomisation = false;  // of addresses: older ThreadSanitizer run-times need it
  // A /dev/shm of its own, where we are root: tests that are ended in their midst leave segments.
  bool has_own_memory = false;
  double limit_seconds = 60;
  ResultFormat format = ResultFormat::kResultFile;
  std::string result_file = {};  // that the command writes; empty: none
  std::string log_file = {};     // standard output and error; empty: to our standard error
  std::string source_file = {};  // what an annotation points at where the answer names no line
  // kExpected: the verdict that the command must give, or several with | between; "failed": it must
  // end badly, however
  std::string expected = {};
  std::string target = {};   // of the build, for a planted bug
  std::string skipped = {};  // why it cannot run on this machine; empty: it can
  bool must_pass() const { return expected == "pass"; }

  // What the state remembers it by.
  std::string Id() const;
};

// The step of a run of this tier, variant and name, whoever made it: its Id(), and nothing else.
GateStep StepOf(std::string_view tier, const std::string& variant, const std::string& name);

bool IsProgram(const std::string& path);

// The command as a line for a shell.
std::string CommandLine(const GateStep& step);

// Why a command ended.
enum class ExitReason : uint8_t {
  kByItself,
  kOutOfLimit,   // of the step
  kOutOfBudget,  // of the gate; or it was never begun
  kInterrupted,  // Ctrl-C; or it was never begun
  kNotStarted,   // the system refused
  kNotWanted,    // any more: ProcessPool::Stop
};

struct Outcome {
  ExitReason ending = ExitReason::kOutOfBudget;
  int status = 0;  // as waitpid gives it
  bool begun = false;
  double seconds = 0;
};

}  // namespace kill9::gate

#endif  // KILL9_HARNESS_GATE_PLAN_STEP_H_
