// What a campaign knows, in words: what was tried and what never, what fails, what is flaky, what
// has become worse, and since which commit.
#ifndef KILL9_HARNESS_CAMPAIGN_CAMPAIGN_SUMMARY_H_
#define KILL9_HARNESS_CAMPAIGN_CAMPAIGN_SUMMARY_H_

#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "harness/campaign/campaign.h"

namespace kill9::campaign {

// Of one object in one kind of run.
struct ObjectSummary {
  std::string kind, object;
  size_t known = 0;          // cells that this program can run; 0: it cannot tell
  size_t tried = 0;          // cells with a run that is not skipped
  std::vector<Cell> never;   // of those that are known
  size_t by_last_build = 0;  // of those that were tried, with the build that came last
  uint64_t runs = 0, kills = 0, bad = 0, undecided = 0;
  std::string last;  // when it was last tried
};

// A cell whose last answer is bad.
struct Failing {
  StoredRun run;
  std::string since;   // the build
  std::string before;  // the last build with which it had passed; empty: none
};

// With one build a cell was good and bad.
struct Flaky {
  Cell cell;
  std::string build;
  size_t good = 0, bad = 0;
  std::string repeat;  // of a bad one
};

// A figure that is worse with one build than with the one before, beyond noise, and has stayed so.
struct Regression {
  Cell cell;  // no name: of all cells of the object together
  std::string figure;
  std::string machine;
  std::string since, before;  // builds
  double ratio = 1;           // of the medians, the new one to the old one
};

// A figure's way from build to build, on one machine.
struct Trend {
  std::string kind, object, figure, machine;
  std::vector<std::string> builds;
  std::vector<double> values;  // geometric means over the cells, to that of the first build
};

struct Summary {
  std::vector<std::string> builds;  // in the order in which they first ran
  std::vector<ObjectSummary> objects;
  std::vector<Failing> failing;
  std::vector<Flaky> flaky;
  std::vector<Regression> regressions;
  std::vector<Trend> trends;
  uint64_t runs = 0, kills = 0;
  double seconds = 0;
  bool bad() const { return !failing.empty() || !regressions.empty(); }
};

// `runs`: the oldest first.
Summary Summarise(std::span<const StoredRun> runs, std::span<const Cell> known);

std::string AsText(const Summary& summary);
std::string AsHtml(const Summary& summary);

}  // namespace kill9::campaign

#endif  // KILL9_HARNESS_CAMPAIGN_CAMPAIGN_SUMMARY_H_
