// What a given time is best spent on: cells that were never tried first, then those that were not
// tried with this build, then those that were tried longest ago.
#ifndef KILL9_HARNESS_CAMPAIGN_CAMPAIGN_PLAN_H_
#define KILL9_HARNESS_CAMPAIGN_CAMPAIGN_PLAN_H_

#include <span>
#include <string>
#include <vector>

#include "harness/campaign/campaign.h"
#include "variants/object.h"

namespace kill9::campaign {

// Every scenario of torture and every operation in every state of the sweep that these designs
// have.
std::vector<Cell> KnownCells(std::span<const Design* const> designs);

struct PlanOptions {
  double seconds = 0;
  std::string build;   // the commit that is to be tried
  uint64_t seed = 1;   // of what is run, and of the order of cells that are worth the same
  std::string folder;  // for the result files
};

struct PlannedCell {
  enum class Reason { kNeverTried, kOtherBuild, kLongestAgo } reason;
  Cell cell;
  double seconds;  // that it is expected to take: what it took before, or others of its kind
};

struct PlannedCommand {
  std::vector<std::string> words;  // "torture", "--variant=…", …
  std::string result_file = {};
};

struct Plan {
  std::vector<PlannedCell> cells;  // the most worthwhile first
  std::vector<PlannedCommand> commands;
  double seconds = 0;   // expected
  size_t left_out = 0;  // cells that the time has no room for
};

// What time is left over makes the runs of torture longer.
Plan MakePlan(std::span<const Cell> known, std::span<const StoredRun> runs,
              const PlanOptions& options);

}  // namespace kill9::campaign

#endif  // KILL9_HARNESS_CAMPAIGN_CAMPAIGN_PLAN_H_
