// Who blocks whom: measured progress beside what is claimed, the stall matrix, recovery.
#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/text/percent.h"
#include "harness/report/document/plot.h"
#include "harness/report/sections/roles.h"
#include "harness/report/sections/sections.h"

namespace kill9::report {
namespace {

constexpr std::string_view kPlaces[] = {"same_key", "same_stripe", "elsewhere"};

// What a probe met at one place in one run: a share, or less than 0.
double ShareIn(const Results& results, const Json& run, std::string_view probe,
               std::string_view place) {
  if (place == "elsewhere" && !results.HasPlace(Text(run, "variant"), Text(run, "operation"))) {
    return -1;
  }
  const Json* share = Find(run, {"stall", "by_operation", probe});
  if (share == nullptr) return -1;
  if (share->is_number()) return share->get<double>();  // of operations that have no place
  return Number(*share, place, -1);
}

Cell ShareCell(double share) {
  if (share < 0) return {"-", Mark::kMuted};
  Cell cell(Percent(share));
  cell.shade = share;
  return cell;
}

std::vector<Cell> GuaranteeRow(const std::string& variant, const Json& claim, double share) {
  const std::string claimed = Text(claim, "progress");
  const bool blocks = share > 0;
  Cell holds("not measured", Mark::kMuted);
  if (share >= 0) {
    // Blocking is what happens or does not: it promises nothing.
    const bool kept = claimed == "blocking" || !blocks;
    holds = {kept ? "holds" : "does not hold", kept ? Mark::kGood : Mark::kBad};
  }
  return {variant, Text(claim, "of"), claimed, ShareCell(share), std::move(holds)};
}

}  // namespace

double BlockedShare(const Results& results, const std::string& variant, std::string_view probe,
                    std::string_view where) {
  double worst = -1;
  for (const Run& run : results.Of("sweep", "variant", variant)) {
    worst = std::max(worst, ShareIn(results, *run.json, probe, where));
  }
  return worst;
}

double BlockedAnywhere(const Results& results, const std::string& variant, std::string_view probe) {
  double worst = -1;
  for (const std::string_view place : kPlaces) {
    worst = std::max(worst, BlockedShare(results, variant, probe, place));
  }
  return worst;
}

MaybeSection ProgressGuarantees(const Results& results) {
  Table table{
      .head = {"variant", "operation", "claimed", "blocked while somebody is stopped", "the claim"},
      .caption = "Progress by operation: claimed, and measured"};
  Table reach{.head = {"variant", "claims to block", "same key", "same stripe", "elsewhere"},
              .caption = "Where a stopped process is felt"};
  for (const std::string& name : results.VariantsIn(results.Of("sweep"))) {
    const Json& design = results.DesignOf(name);
    const Json* claims = Find(design, {"claims"});
    if (claims == nullptr || !claims->is_array()) continue;
    std::vector<std::string> probes;
    bool measured = false;
    std::vector<std::vector<Cell>> rows;
    for (const Json& claim : *claims) {
      double share = -1;
      for (const std::string& probe : Strings(claim, "probes")) {
        share = std::max(share, BlockedAnywhere(results, name, probe));
        probes.push_back(probe);
      }
      measured = measured || share >= 0;
      rows.push_back(GuaranteeRow(name, claim, share));
    }
    if (!measured) continue;
    table.rows.insert(table.rows.end(), rows.begin(), rows.end());
    reach.rows.push_back({name, Text(design, "blocks")});
    for (const std::string_view place : kPlaces) {
      double share = -1;
      for (const std::string& probe : probes) {
        share = std::max(share, BlockedShare(results, name, probe, place));
      }
      reach.rows.back().push_back(ShareCell(share));
    }
  }
  if (table.rows.empty()) return std::nullopt;
  GroupByRole(results, &table);
  GroupByRole(results, &reach);
  Section section{"progress", "Progress: claimed and measured"};
  section.blocks = {
      Paragraph{"A victim is stopped in every distinct state of an operation while a "
                "survivor tries the others. The share is that of the victim's machine instructions "
                "at which the survivor waits, the worst of all cells that were swept."},
      std::move(table), Paragraph{"Where a stopped process is felt, by any of these operations:"},
      std::move(reach)};
  return section;
}

MaybeSection Stalls(const Results& results) {
  std::vector<std::string> probes;
  std::vector<Run> stalled;
  for (const Run& run : results.Of("sweep")) {
    const Json* by = Find(*run.json, {"stall", "by_operation"});
    if (by == nullptr) continue;
    stalled.push_back(run);
    for (const auto& [probe, share] : by->items()) {
      if (std::find(probes.begin(), probes.end(), probe) == probes.end()) probes.push_back(probe);
    }
  }
  if (stalled.empty()) return std::nullopt;
  Table table{.head = {"variant", "stopped in"},
              .caption = "Share of the victim's instructions at which the other waits"};
  for (const std::string& probe : probes) table.head.push_back(probe);
  std::map<std::pair<std::string, std::string>, size_t> rows;
  for (const std::string& variant : results.VariantsIn(stalled)) {
    for (const Run& run : stalled) {
      if (Text(*run.json, "variant") != variant) continue;
      const std::string operation = Text(*run.json, "operation");
      const auto [at, fresh] = rows.emplace(std::pair(variant, operation), table.rows.size());
      if (fresh) {
        table.rows.push_back({variant, operation});
        table.rows.back().resize(2 + probes.size(), ShareCell(-1));
      }
      for (size_t i = 0; i < probes.size(); ++i) {
        Cell& cell = table.rows[at->second][2 + i];
        const double share = ShareIn(results, *run.json, probes[i], "same_key");
        if (share > cell.shade) cell = ShareCell(share);
      }
    }
  }
  GroupByRole(results, &table);
  Section section{"stalls", "Stalls: who waits for a stopped process"};
  section.blocks = {
      Paragraph{"Rows: the operation in which a process stands still. Columns: the operation that "
                "another one tries on the same key. Cells: the share of the victim's instructions "
                "at which the other waits."},
      std::move(table)};
  return section;
}

MaybeSection Recovery(const Results& results) {
  const std::vector<Run> runs = results.Of("torture");
  Table table{.head = {"variant", "scenario", "p50 us", "p99 us", "longest us", "longest wait us",
                       "recoveries"},
              .caption = "Recovery by scenario",
              .is_folded = true};
  Plot plot{.name = "recovery",
            .x_label = "microseconds from a kill to the next completed operation",
            .y_label = "share of kills, %",
            .logarithmic_x = true};
  for (const std::string& variant : results.VariantsIn(runs)) {
    std::map<double, double> sum;  // of all scenarios that passed
    double total = 0;
    for (const Run& run : runs) {
      const Json* recovery = Find(*run.json, {"recovery_us"});
      if (Text(*run.json, "variant") != variant || recovery == nullptr) continue;
      table.rows.push_back({variant, Text(*run.json, "scenario"), Short(Number(*recovery, "p50")),
                            Short(Number(*recovery, "p99")), Short(Number(*recovery, "max")),
                            Short(Number(*run.json, "longest_wait_us")),
                            Short(Number(*run.json, "recoveries"))});
      const Json* histogram = Find(*recovery, {"histogram"});
      for (const Json& bucket : histogram != nullptr ? *histogram : Json::array()) {
        if (!bucket.is_array() || bucket.size() != 2) continue;
        sum[std::max(1.0, bucket[0].get<double>())] += bucket[1].get<double>();
        total += bucket[1].get<double>();
      }
    }
    if (total == 0) continue;
    const std::string role = Text(results.DesignOf(variant), "kind");
    Curve curve{variant, {}, role == "baseline" || role == "peer"};
    double seen = 0;
    for (const auto& [microseconds, count] : sum) {
      seen += count;
      curve.points.emplace_back(microseconds, 100 * seen / total);
    }
    plot.curves.push_back(std::move(curve));
  }
  if (table.rows.empty()) return std::nullopt;
  const std::string not_drawn = TakeOutFailed(results, &plot);
  GroupFigures(results, &table);
  Section section{"recovery", "Recovery"};
  section.blocks.push_back(
      Paragraph{"The time from a kill (the signal sent, or the victim's timer due) to the next "
                "operation that any survivor completes; it includes the scheduler's delays on a "
                "machine with more processes than cores."});
  if (!plot.curves.empty()) {
    absl::StatusOr<std::vector<Panel>> panels = Draw(plot);
    if (!panels.ok()) return panels.status();
    section.blocks.push_back(
        Figure{plot.name, *std::move(panels),
               absl::StrCat("Recovery latency: share of kills, %, by microseconds from the kill, "
                            "cumulative over all torture runs of each variant.",
                            not_drawn)});
  }
  section.blocks.push_back(std::move(table));
  return section;
}

}  // namespace kill9::report
