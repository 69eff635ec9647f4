// Which steps each tier has.
#ifndef KILL9_HARNESS_GATE_PLAN_PLAN_H_
#define KILL9_HARNESS_GATE_PLAN_PLAN_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "harness/gate/plan/pass_history.h"
#include "harness/gate/plan/planted.h"
#include "harness/gate/plan/step.h"
#include "harness/gate/run/process_pool.h"
#include "harness/result/result.h"
#include "harness/result/shard.h"
#include "variants/object.h"

namespace kill9::gate {

struct GateOptions {
  double budget_seconds = 300;  // infinite: only work bounds it
  // Sizes of the samples by work instead of by shares of the budget; 0: by the budget.
  uint64_t kills = 0;  // of each torture run; and ten schedules of each scene for each of them
  uint64_t cells = 0;  // of each design's sweep
  bool by_work() const { return kills != 0; }
  std::vector<const Design*> designs;  // each must pass
  std::vector<Tier> tiers;
  bool tiers_are_named = false;  // one that cannot run is then an error of the environment
  bool fail_fast = false;        // nothing is begun after an answer that is wrong
  uint64_t seed = 1;
  Shard shard = {};             // which of the steps are run; REQUIRES: whole, or by_work()
  std::string program;          // kill9 itself
  std::string tests_directory;  // where the test programs lie
  std::string tsan_program;     // threads_test, built with ThreadSanitizer
  std::string planted;          // manifest.json of the planted bugs
  std::string output;           // a folder: logs, counterexamples; and memory.json, unless …
  std::string memory;           // … it is elsewhere; empty: no file
};

class Planner {
 public:
  // `deadline`: of what it runs in order to plan, in NowSeconds().
  Planner(const GateOptions& options, ProcessPool& pool, double deadline)
      : options_(options), pool_(pool), deadline_(deadline) {}

  // Steps of all that the tier has, or why it cannot run here. Torture's, the sweep's and explore's
  // lack their bound (SetSeconds, SetWork).
  absl::StatusOr<std::vector<GateStep>> Plan(Tier tier);

  // Whether one of `steps` in this tier is as good as another, so that a sample is enough.
  static bool IsSample(Tier tier);
  // How much of its tier's time the step has beside the others.
  static double ShareOf(const GateStep& step);
  void SetSeconds(GateStep& step, double seconds) const;
  void SetWork(GateStep& step, uint64_t kills) const;

  // The build's targets of up to `most` planted bugs and controls, those caught longest ago first.
  absl::StatusOr<std::vector<std::string>> PlantedTargets(const PassHistory& memory,
                                                          size_t most) const;

 private:
  struct TestGroup {
    std::string variant;
    std::string filter;
  };

  // A limit is there to end what hangs, not what is slow: a larger budget means a slower machine.
  double Limit(double least_seconds) const;
  std::vector<GateStep> Torture() const;
  absl::StatusOr<std::vector<GateStep>> Sweep() const;
  absl::StatusOr<std::vector<GateStep>> Explore();
  bool IsExplored(const std::string& explorer, std::string_view design);
  std::vector<GateStep> Baselines() const;
  // Those of the manifest that are built, or all.
  absl::StatusOr<std::vector<GateStep>> Planted(bool only_built) const;
  absl::StatusOr<GateStep> PlantedStep(const PlantedBug& bug) const;
  absl::StatusOr<std::vector<GateStep>> Tests(Tier tier);
  // What a test program has: its tests by variant, and those of none.
  std::vector<TestGroup> GroupsOf(const std::string& program, Tier tier);
  GateStep Kill9(Tier tier, const std::string& variant, const std::string& name,
                 std::vector<std::string> arguments) const;
  // Fills in what follows from the rest: log and result file.
  void SetFiles(GateStep& step) const;

  const GateOptions& options_;
  ProcessPool& pool_;
  double deadline_;
};

}  // namespace kill9::gate

#endif  // KILL9_HARNESS_GATE_PLAN_PLAN_H_
