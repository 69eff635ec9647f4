// The gate: all tiers over all variants within a budget of time, with one answer.
//
// What is required of every variant (property tests, checker, tsan, baselines) is run whole; what
// does not fit the budget is undecided. Torture, sweep and planted bugs are samples that are as
// large as the tier's share of the budget allows, what passed longest ago first; a variant that
// does not get a single one is undecided; so is explore. Or they are so many kills, cells and
// schedules (--kills), and nothing is bounded by time.
#ifndef KILL9_HARNESS_GATE_GATE_H_
#define KILL9_HARNESS_GATE_GATE_H_

#include <csignal>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "harness/gate/plan/pass_history.h"
#include "harness/gate/plan/plan.h"
#include "harness/gate/run/process_pool.h"
#include "harness/gate/run/step_result.h"

namespace kill9::gate {

struct GateResult {
  std::vector<StepResult> answers;
  std::vector<std::string> units = {};  // of all shards; none without shards
  size_t not_run = 0;                   // steps that had no answer at the first failure: fail_fast
  int exit_code = 0;
  double seconds = 0;
  double needed_seconds = 0;  // a budget that would do on this machine; 0: it had its time
  absl::Status remembered{};  // whether its memory could be written
};

// The gate's last words: that it is open, or how many answers were wrong, how many undecided, what
// an undecided one needs, and what was not run.
std::string Conclusion(const GateResult& result);

// Where a gate is, many times a second.
struct GateProgress {
  const GateStep& step;  // it runs, of several the one that was begun first
  double step_seconds;   // so long
  size_t ended;          // steps
  size_t all;            // steps of all tiers, of which a budget may leave some out
  double left_seconds;   // of the budget; infinite
};

class Gate {
 public:
  // `answered` is called for each answer as it comes.
  Gate(const GateOptions& options, const volatile std::sig_atomic_t* interrupted,
       std::function<void(const StepResult&)> answered,
       std::function<void(const GateProgress&)> working = nullptr);

  // What passed when, where options.memory names no file that says so.
  void Remember(PassHistory memory) { memory_ = std::move(memory); }
  // An error is one of usage or environment. No process is left behind.
  absl::StatusOr<GateResult> Run();

 private:
  struct TierPlan {
    Tier tier;
    std::vector<GateStep> steps;
  };
  absl::StatusOr<std::vector<TierPlan>> PlanTiers();
  // Leaves what is this shard's; `units_` then are those of all shards.
  absl::Status KeepShare(std::vector<TierPlan>* plan);
  // No steps if the tier cannot run here; that is an answer, or, if it was named, an error.
  absl::StatusOr<std::vector<GateStep>> PlanOrSkip(Tier tier);
  void RunTiers(std::vector<TierPlan> plan);
  void RunTier(Tier tier, std::vector<GateStep> steps, double until);
  void RunSample(std::vector<GateStep> steps, double until);
  void RunTorture(const std::vector<GateStep>& steps, double until);
  void RunPlanted(const std::vector<GateStep>& steps, double until);
  void RunByWork(const std::vector<GateStep>& steps);
  // `size` fills in how much of it is run, at each try.
  void RunUntilDecided(const GateStep& step, absl::FunctionRef<void(GateStep&)> size);
  void RunSteps(const std::vector<GateStep>& steps, size_t parallel);
  // Of a step that is not wanted any more nothing but that.
  void Take(const GateStep& step, const Outcome& outcome, std::vector<StepResult> answers);
  void Add(StepResult answer);

  const GateOptions& options_;
  const volatile std::sig_atomic_t* interrupted_;
  std::function<void(const StepResult&)> answered_;
  double begin_;
  double deadline_;
  ProcessPool pool_;
  Planner planner_;
  PassHistory memory_;
  std::vector<std::string> units_;
  std::vector<StepResult> answers_;
  size_t steps_ = 0, steps_ended_ = 0, steps_not_run_ = 0;
};

}  // namespace kill9::gate

#endif  // KILL9_HARNESS_GATE_GATE_H_
