#include "harness/campaign/campaign_plan.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "harness/base/stable_hash.h"
#include "harness/kinds/kinds.h"
#include "harness/kinds/sweep_kinds.h"
#include "harness/torture/driver.h"

namespace kill9::campaign {
namespace {

constexpr double kTortureSeconds = 2;  // of a run, at least
constexpr double kMostTortureSeconds = 60;
constexpr double kTortureOverheadSeconds = 1;
constexpr double kUsualSweepSeconds = 5;  // of a cell, until one was measured

// Means of what was measured.
class Costs {
 public:
  explicit Costs(std::span<const StoredRun> runs) {
    for (const StoredRun& run : runs) {
      if (run.answer == Answer::kSkipped || run.seconds <= 0) continue;
      Add(of_cell_[run.cell], run.seconds);
      Add(of_kind_[run.cell.kind], run.seconds);
    }
  }
  double Expected(const Cell& cell) const {
    if (cell.kind == "torture") return kTortureSeconds + kTortureOverheadSeconds;
    if (const auto found = of_cell_.find(cell); found != of_cell_.end()) return Mean(found->second);
    const auto found = of_kind_.find(cell.kind);
    return found != of_kind_.end() ? Mean(found->second) : kUsualSweepSeconds;
  }

 private:
  struct Sum {
    double seconds = 0;
    uint64_t count = 0;
  };
  static void Add(Sum& sum, double seconds) {
    sum.seconds += seconds;
    ++sum.count;
  }
  static double Mean(const Sum& sum) { return sum.seconds / static_cast<double>(sum.count); }

  std::map<Cell, Sum> of_cell_;
  std::map<std::string, Sum> of_kind_;
};

// How long ago each was tried, and whether by this build.
struct Tried {
  std::string last;
  bool by_this_build = false;
};

std::vector<PlannedCell> InOrder(std::span<const Cell> known, std::span<const StoredRun> runs,
                                 const PlanOptions& options) {
  std::map<Cell, Tried> tried;
  for (const StoredRun& run : runs) {
    Tried& one = tried[run.cell];
    one.last = std::max(one.last, run.started_at);
    one.by_this_build |= run.build == options.build;
  }
  const Costs costs(runs);
  using Key = std::tuple<PlannedCell::Reason, std::string, uint64_t>;
  std::vector<std::pair<Key, PlannedCell>> order;
  for (const Cell& cell : known) {
    const auto found = tried.find(cell);
    const bool is_new = found == tried.end();
    const PlannedCell::Reason reason = is_new ? PlannedCell::Reason::kNeverTried
                                       : !found->second.by_this_build
                                           ? PlannedCell::Reason::kOtherBuild
                                           : PlannedCell::Reason::kLongestAgo;
    const uint64_t drawn =
        StableHash(absl::StrCat(options.seed, " ", cell.kind, " ", cell.object, " ", cell.name));
    order.push_back({{reason, is_new ? "" : found->second.last, drawn},
                     {.reason = reason, .cell = cell, .seconds = costs.Expected(cell)}});
  }
  std::sort(order.begin(), order.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<PlannedCell> cells;
  for (auto& [key, cell] : order) cells.push_back(std::move(cell));
  return cells;
}

// One command for what can be asked in one: the scenarios of a design, the states of an operation.
std::vector<PlannedCommand> CommandsOf(std::span<const PlannedCell> cells, double torture_seconds,
                                       const PlanOptions& options) {
  std::map<std::vector<std::string>, std::vector<std::string>>
      groups;  // what is common: what is not
  std::vector<std::vector<std::string>> in_order;
  const auto add = [&](std::vector<std::string> common, std::string one) {
    std::vector<std::string>& group = groups[common];
    if (group.empty()) in_order.push_back(common);
    group.push_back(std::move(one));
  };
  for (const PlannedCell& planned : cells) {
    const Cell& cell = planned.cell;
    const std::string variant = absl::StrCat("--variant=", cell.object);
    if (cell.kind == "torture") {
      add({"torture", variant, absl::StrFormat("--seconds=%.1f", torture_seconds), "--scenario="},
          cell.name);
    } else {
      const size_t colon = cell.name.find(':');
      add({"sweep", variant, absl::StrCat("--operation=", cell.name.substr(0, colon)), "--state="},
          cell.name.substr(colon + 1));
    }
  }
  std::vector<PlannedCommand> commands;
  for (const std::vector<std::string>& common : in_order) {
    PlannedCommand command{.words = common};
    command.result_file = absl::StrFormat("%s/%03d.json", options.folder, commands.size() + 1);
    absl::StrAppend(&command.words.back(), absl::StrJoin(groups[common], ","));
    command.words.push_back(absl::StrCat("--seed=", options.seed));
    command.words.push_back(absl::StrCat("--json=", command.result_file));
    commands.push_back(std::move(command));
  }
  return commands;
}

}  // namespace

std::vector<Cell> KnownCells(std::span<const Design* const> designs) {
  std::vector<Cell> cells;
  for (const Design* design : designs) {
    const std::string object(design->name());
    if (const TortureDriver* driver = FindTortureDriver(design->kind()); driver != nullptr) {
      for (const Scenario& scenario : driver->scenarios()) {
        cells.push_back({"torture", object, std::string(scenario.name)});
      }
    }
    for (const auto& [operation, state] : SweepCellsOf(*design)) {
      cells.push_back({"sweep", object, SweepCellName(operation, state)});
    }
  }
  return cells;
}

Plan MakePlan(std::span<const Cell> known, std::span<const StoredRun> runs,
              const PlanOptions& options) {
  Plan plan;
  size_t tortures = 0;
  for (PlannedCell& planned : InOrder(known, runs, options)) {
    if (plan.seconds + planned.seconds > options.seconds) {
      ++plan.left_out;
      continue;
    }
    plan.seconds += planned.seconds;
    tortures += planned.cell.kind == "torture";
    plan.cells.push_back(std::move(planned));
  }
  double torture_seconds = kTortureSeconds;
  if (tortures > 0 && plan.left_out == 0) {
    const double more = (options.seconds - plan.seconds) / static_cast<double>(tortures);
    torture_seconds = std::min(torture_seconds + more, kMostTortureSeconds);
    plan.seconds += static_cast<double>(tortures) * (torture_seconds - kTortureSeconds);
  }
  plan.commands = CommandsOf(plan.cells, torture_seconds, options);
  return plan;
}

}  // namespace kill9::campaign
