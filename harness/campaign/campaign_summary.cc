#include "harness/campaign/campaign_summary.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "harness/base/statistics.h"
#include "harness/report/compare.h"

namespace kill9::campaign {
namespace {

constexpr size_t kLeastValues = 3;  // of a figure and a build, to tell noise from change
constexpr size_t kLeastCellsTogether = 4;

struct Spread {
  double low = 0, high = 0, median = 0;
};

Spread SpreadOf(const std::vector<double>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return {*low, *high, Median(values)};
}

// As `kill9 report --compare` has it: the spreads lie further apart than a part of the wider one,
// and the medians differ by more than a margin.
bool IsWorse(const Spread& before, const Spread& after, bool more_is_better) {
  const double gap = more_is_better ? before.low - after.high : after.low - before.high;
  const double wider = std::max(before.high - before.low, after.high - after.low);
  const double change =
      more_is_better ? before.median / after.median : after.median / before.median;
  return gap > 0 && gap > report::kLeastGap * wider && change > report::kMargin;
}

// Values of one figure of one cell on one machine, by the place of their build.
using ByBuild = std::map<size_t, std::vector<double>>;
struct Series {
  std::string kind, object, figure, machine;
  auto operator<=>(const Series&) const = default;
};
using CellsOfSeries = std::map<std::string, ByBuild>;  // by the cell's name

class Summing {
 public:
  Summing(std::span<const StoredRun> runs, std::span<const Cell> known)
      : runs_(runs), known_(known) {
    for (const StoredRun& run : runs) {
      if (place_of_.emplace(run.build, place_of_.size()).second) {
        summary_.builds.push_back(run.build);
      }
      of_cell_[run.cell].push_back(&run);
      summary_.runs += 1;
      summary_.kills += run.kills;
      summary_.seconds += run.seconds;
      for (const auto& [figure, value] : run.figures) {
        series_[{run.cell.kind, run.cell.object, figure, run.machine}][run.cell.name]
               [place_of_[run.build]]
                   .push_back(value);
      }
    }
  }

  Summary Take() {
    SumObjects();
    for (const auto& [cell, runs] : of_cell_) JudgeCell(cell, runs);
    for (const Figure& figure : Figures()) {
      for (const auto& [series, cells] : series_) {
        if (series.figure == figure.name) JudgeSeries(series, cells, figure.more_is_better);
      }
    }
    return std::move(summary_);
  }

 private:
  void SumObjects() {
    std::map<std::pair<std::string, std::string>, ObjectSummary> objects;
    const auto of = [&objects](const Cell& cell) -> ObjectSummary& {
      ObjectSummary& one = objects[{cell.kind, cell.object}];
      one.kind = cell.kind;
      one.object = cell.object;
      return one;
    };
    for (const auto& [cell, runs] : of_cell_) {
      ObjectSummary& one = of(cell);
      bool tried = false, by_last_build = false;
      for (const StoredRun* run : runs) {
        one.runs += 1;
        one.kills += run->kills;
        one.bad += run->answer == Answer::kBad;
        one.undecided += run->answer == Answer::kUndecided;
        one.last = std::max(one.last, run->started_at);
        const bool ran = run->answer != Answer::kSkipped;
        tried = tried || ran;
        by_last_build = by_last_build || (ran && run->build == summary_.builds.back());
      }
      one.tried += tried;
      one.by_last_build += by_last_build;
    }
    for (const Cell& cell : known_) {
      ObjectSummary& one = of(cell);
      ++one.known;
      // One that was skipped was answered: it does not apply.
      if (!of_cell_.contains(cell)) one.never.push_back(cell);
    }
    for (auto& [key, one] : objects) summary_.objects.push_back(std::move(one));
  }

  void JudgeCell(const Cell& cell, const std::vector<const StoredRun*>& runs) {
    std::map<size_t, Flaky> by_build;
    const StoredRun* last = nullptr;
    for (const StoredRun* run : runs) {
      if (run->answer != Answer::kGood && run->answer != Answer::kBad) continue;
      last = run;
      Flaky& one = by_build[place_of_[run->build]];
      (run->answer == Answer::kGood ? one.good : one.bad) += 1;
      if (run->answer == Answer::kBad) one.repeat = run->repeat;
    }
    for (auto& [place, one] : by_build) {
      one.cell = cell;
      one.build = summary_.builds[place];
      if (one.good > 0 && one.bad > 0) summary_.flaky.push_back(one);
    }
    if (last == nullptr || last->answer != Answer::kBad) return;
    Failing failing{.run = *last, .since = last->build, .before = ""};
    for (auto at = by_build.rbegin(); at != by_build.rend(); ++at) {
      if (at->second.bad == 0) {
        failing.before = at->second.build;
        break;
      }
      failing.since = at->second.build;
    }
    summary_.failing.push_back(std::move(failing));
  }

  // The last step down that was not made good, of one cell.
  void JudgeSteps(const Series& series, const std::string& cell, const ByBuild& values,
                  bool more_is_better) {
    std::vector<std::pair<size_t, Spread>> spreads;
    for (const auto& [place, measured] : values) {
      if (measured.size() >= kLeastValues) spreads.emplace_back(place, SpreadOf(measured));
    }
    for (size_t n = spreads.size(); n-- > 1;) {
      const Spread& before = spreads[n - 1].second;
      const Spread& after = spreads[n].second;
      if (!IsWorse(before, after, more_is_better) ||
          !IsWorse(before, spreads.back().second, more_is_better)) {
        continue;
      }
      summary_.regressions.push_back({{series.kind, series.object, cell},
                                      series.figure,
                                      series.machine,
                                      summary_.builds[spreads[n].first],
                                      summary_.builds[spreads[n - 1].first],
                                      after.median / before.median});
      return;
    }
  }

  // The geometric mean over the cells of both builds; nothing if they have none in common.
  static std::optional<double> Ratio(const CellsOfSeries& cells, size_t before, size_t after,
                                     size_t least_cells) {
    double logarithms = 0;
    size_t count = 0;
    for (const auto& [cell, values] : cells) {
      const auto a = values.find(before), b = values.find(after);
      if (a == values.end() || b == values.end()) continue;
      logarithms += std::log(SpreadOf(b->second).median / SpreadOf(a->second).median);
      ++count;
    }
    if (count < least_cells || count == 0) return std::nullopt;
    return std::exp(logarithms / static_cast<double>(count));
  }

  void JudgeSeries(const Series& series, const CellsOfSeries& cells, bool more_is_better) {
    std::set<size_t> places;
    for (const auto& [cell, values] : cells) {
      JudgeSteps(series, cell, values, more_is_better);
      for (const auto& [place, measured] : values) places.insert(place);
    }
    Trend trend{series.kind, series.object, series.figure, series.machine, {}, {}};
    std::optional<size_t> before;
    double level = 1;
    for (const size_t place : places) {
      if (before.has_value()) {
        const double step = Ratio(cells, *before, place, 1).value_or(1);
        const std::optional<double> together = Ratio(cells, *before, place, kLeastCellsTogether);
        const double worse =
            together.has_value() ? (more_is_better ? 1 / *together : *together) : 1;
        if (worse > report::kMargin && place == *places.rbegin()) {
          summary_.regressions.push_back({{series.kind, series.object, ""},
                                          series.figure,
                                          series.machine,
                                          summary_.builds[place],
                                          summary_.builds[*before],
                                          *together});
        }
        level *= step;
      }
      trend.builds.push_back(summary_.builds[place]);
      trend.values.push_back(level);
      before = place;
    }
    if (trend.builds.size() > 1) summary_.trends.push_back(std::move(trend));
  }

  std::span<const StoredRun> runs_;
  std::span<const Cell> known_;
  std::map<std::string, size_t> place_of_;  // of a build in summary_.builds
  std::map<Cell, std::vector<const StoredRun*>> of_cell_;
  std::map<Series, CellsOfSeries> series_;
  Summary summary_;
};

}  // namespace

Summary Summarise(std::span<const StoredRun> runs, std::span<const Cell> known) {
  return Summing(runs, known).Take();
}

}  // namespace kill9::campaign
