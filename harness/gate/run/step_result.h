// What a step's command said, as verdicts. Nothing that is missing, cut off or contradictory is
// ever read as a pass.
#ifndef KILL9_HARNESS_GATE_RUN_STEP_RESULT_H_
#define KILL9_HARNESS_GATE_RUN_STEP_RESULT_H_

#include <string>
#include <string_view>
#include <vector>

#include "harness/gate/plan/step.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"

namespace kill9::gate {

struct StepResult {
  std::string unit;  // the step's Id()
  Tier tier = Tier::kProperty;
  std::string variant;
  std::string name;
  Verdict verdict = Verdict::kUndecided;
  std::string reason;  // empty for a pass
  std::string repeat;  // the line that repeats it
  std::string file;    // where, as far as it is known; a path from the repository's root
  int line = 0;
  double seconds = 0;
  bool lacked_time = false;  // undecided for no other reason than that: not wrong, but slow
  Json detail;               // the command's own run, if it gave one
};

// One answer, or as many as the command's result file has runs. Never none.
std::vector<StepResult> Read(const GateStep& step, const Outcome& outcome);

// A run of the gate's result file.
Json RunOf(const StepResult& answer);

// The last lines of a file, for people; empty if there is none.
std::string Tail(const std::string& path, size_t most_bytes);

}  // namespace kill9::gate

#endif  // KILL9_HARNESS_GATE_RUN_STEP_RESULT_H_
