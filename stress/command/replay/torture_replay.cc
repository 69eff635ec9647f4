#include "stress/command/replay/torture_replay.h"

#include <algorithm>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/text/shell_word.h"
#include "harness/kinds/sweep_kinds.h"
#include "harness/result/command_name.h"
#include "harness/result/verdict.h"
#include "harness/result/waiting.h"
#include "harness/stepper/trace/symbols.h"
#include "harness/sweep/sweep.h"
#include "stress/command/replay/kept_history.h"
#include "stress/command/terminal/terminal.h"

namespace kill9 {
namespace {

constexpr double kMostSeconds = 30;
constexpr double kWatchdogSeconds = 2;

// Cells that are soon done and tell much come first: few entries, one kill for each state.
std::vector<sweep::CellRequest> CellsOf(const Design& design) {
  const sweep::SweepDriver* driver = FindSweepDriver(design.kind());
  if (driver == nullptr) return {};
  sweep::SweepOptions options;
  options.variants = {&design};
  options.sample = 0;
  options.watchdog_seconds = kWatchdogSeconds;
  options.most_failures = 1;
  std::vector<sweep::CellRequest> cells = sweep::PlanCells(options);
  const auto turn = [driver](const sweep::CellRequest& cell) {
    return sweep::IndexOf(driver->operations(), cell.operation).value_or(0) +
           sweep::IndexOf(driver->states(), cell.state).value_or(0);
  };
  std::stable_sort(cells.begin(), cells.end(),
                   [&turn](const auto& a, const auto& b) { return turn(a) < turn(b); });
  return cells;
}

struct Found {
  Json run;
  bool alike = false;  // the verdict is the one that is looked for
};

// The first cell that fails with this verdict; else the first one that fails.
std::optional<Found> FindCell(const Design& design, std::string_view verdict) {
  bool enough = false;
  std::optional<Found> found;
  size_t done = 0;
  const std::vector<sweep::CellRequest> cells = CellsOf(design);
  const Terminal terminal(2);
  LiveLine live(std::cerr, terminal);
  const absl::Status status = sweep::RunCells(
      cells, 0, [&enough] { return enough; },
      [&](const sweep::CellRequest& request, sweep::CellArea& area, pid_t) {
        live.Show(absl::StrFormat("[%d/%d] cells of the sweep", ++done, cells.size()));
        if (area.result.failures == 0) return;
        const bool alike = VerdictName(area.result.failure[0].verdict) == verdict;
        if (found.has_value() && (found->alike || !alike)) return;
        Json run = sweep::RunOf(request, area.result);
        found = {std::move(run), alike};
        enough = alike;
      },
      kMostSeconds);
  live.Clear();
  if (!status.ok() && !absl::IsCancelled(status)) {
    std::cerr << "kill9 replay: no cell of the sweep was looked for: " << status.message() << "\n";
    return std::nullopt;
  }
  std::cerr << "looked through " << done << " of " << cells.size() << " cells of the sweep\n";
  return found;
}

}  // namespace

bool ExplainTorture(const Design& design, const Json& run, const std::string& folder,
                    const SweepReplayOptions& options) {
  const std::string verdict = TextField(run, "verdict");
  std::cerr << Terminal(2).Broken(absl::StrCat(std::string(design.name()), " ",
                                               TextField(run, "scenario"), ": ", verdict, ": ",
                                               TextField(run, "reason", "no reason was kept")))
            << "\n";
  std::cerr << Terminal(2).Broken(DescribeWaiting(run));
  const std::string shown = TextField(run, "counterexample");
  const bool shows_it =
      CheckKeptHistory(*FindModel(design.model()), run, folder) == Verdict::kViolation;
  if (!shows_it && !shown.empty()) std::cerr << "what it was said to show:\n" << shown << "\n";
  ShowLastKills(run);
  std::cerr << "looking for an instruction at which a kill shows it each time, for " << kMostSeconds
            << " s at most" << std::endl;
  const std::optional<Found> found = FindCell(design, verdict);
  if (!found.has_value()) return false;
  std::cerr << (found->alike ? "the same, each time:\n"
                             : "not the same verdict, but a failure each time:\n");
  const bool failed = ReplaySweepRun(found->run, options) == kExitFailed;
  if (failed && !options.debugger) {
    std::cerr << "next: " << CommandName() << " replay " << ShellWord(folder)
              << " --gdb\n  stops right there; once it is mended, the line above passes\n";
  }
  return failed;
}

}  // namespace kill9
