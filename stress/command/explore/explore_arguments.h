// The options of kill9 explore, for both programs that know them: kill9, which hands over, and
// kill9-explore, which does it (docs/explore.md).
#ifndef KILL9_STRESS_COMMAND_EXPLORE_EXPLORE_ARGUMENTS_H_
#define KILL9_STRESS_COMMAND_EXPLORE_EXPLORE_ARGUMENTS_H_

#include <cstdint>
#include <string>

#include "stress/command/arguments/options.h"

namespace kill9 {

struct ExploreArguments {
  std::string variant = "all", scenario, model = "sc", strategy = "auto", json, token, shard, steps,
              place;
  bool orderings = false, fail_fast = false, quiet = false;
  uint32_t deaths = 1, times = 1;
  int preemptions = -1;
  uint64_t schedules = 0, seed = 1;
  double budget_seconds = 0;  // of each scene; 0: as SetDefaults says
  uint64_t shipped = 0;
  uint32_t jobs = 0;   // scenes at a time; 0: as many as there are processors
  double seconds = 0;  // of all scenes together; 0: no bound
};

void AddExploreOptions(Command& command, ExploreArguments& arguments);
// Who names no scenario has all of those that have a name together, for less than a minute.
void SetDefaults(ExploreArguments& arguments);
// Of kill9-explore: its exit code.
int RunExplore(const ExploreArguments& arguments);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_EXPLORE_EXPLORE_ARGUMENTS_H_
