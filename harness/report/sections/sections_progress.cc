// Who blocks whom: measured progress beside what is claimed, the stall matrix, recovery.
#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/report/document/plot.h"
#include "harness/report/sections/sections.h"
#include "harness/store_driver/sweep/store_operations.h"
#include "variants/registry.h"

namespace kill9::report {
namespace {

constexpr std::string_view kPlaces[] = {"same_key", "same_stripe", "elsewhere"};
constexpr std::string_view kWriteProbes[] = {"put", "erase", "cas", "draft"};

const char* ProgressName(Progress progress) {
  switch (progress) {
    case Progress::kBlocking:
      return "blocking";
    case Progress::kLockFree:
      return "lock-free";
    case Progress::kWaitFree:
      return "wait-free";
  }
  return "";
}

const char* ReachName(const Traits& traits) {
  switch (traits.blocks) {
    case Traits::Reach::kNowhere:
      return "nowhere";
    case Traits::Reach::kStripe:
      return traits.borrows_room ? "its stripe; without room, those it looks through"
                                 : "its stripe";
    case Traits::Reach::kStore:
      return "the store";
  }
  return "";
}

// What a probe met at one place in one run: a share, or less than 0.
double ShareIn(const Json& run, std::string_view probe, std::string_view place) {
  const auto victims = sweep::IndexOf(sweep::StoreOperationNames(), Text(run, "operation"));
  if (place == "elsewhere" && victims.has_value() &&
      sweep::TakesNoKey(static_cast<sweep::StoreOperation>(*victims))) {
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

// Blocked by anybody stopped anywhere: the largest of all places.
double BlockedAnywhere(const Results& results, const std::string& variant, std::string_view probe) {
  double worst = -1;
  for (const std::string_view place : kPlaces) {
    worst = std::max(worst, BlockedShare(results, variant, probe, place));
  }
  return worst;
}

std::vector<Cell> GuaranteeRow(const std::string& variant, const char* what, Progress claimed,
                               double share) {
  const bool blocks = share > 0;
  Cell holds("not measured", Mark::kMuted);
  if (share >= 0) {
    // Blocking is what happens or does not: it promises nothing.
    const bool kept = claimed == Progress::kBlocking || !blocks;
    holds = {kept ? "holds" : "does not hold", kept ? Mark::kGood : Mark::kBad};
  }
  return {variant, what, ProgressName(claimed), ShareCell(share), std::move(holds)};
}

}  // namespace

double BlockedShare(const Results& results, const std::string& variant, std::string_view probe,
                    std::string_view where) {
  double worst = -1;
  for (const Run& run : results.Of("sweep", "variant", variant)) {
    worst = std::max(worst, ShareIn(*run.json, probe, where));
  }
  return worst;
}

MaybeSection ProgressGuarantees(const Results& results) {
  Table table{.head = {"variant", "operation", "claimed", "blocked while somebody is stopped",
                       "the claim"}};
  Table reach{.head = {"variant", "claims to block", "same key", "same stripe", "elsewhere"}};
  for (const std::string& name : VariantsIn(results.Of("sweep"))) {
    const Variant* variant = FindVariant(name);
    if (variant == nullptr) continue;
    const Traits& traits = variant->traits();
    double write = -1;
    for (const std::string_view probe : kWriteProbes) {
      write = std::max(write, BlockedAnywhere(results, name, probe));
    }
    const double read = BlockedAnywhere(results, name, "get");
    if (read < 0 && write < 0) continue;
    table.rows.push_back(GuaranteeRow(name, "read", traits.read, read));
    table.rows.push_back(GuaranteeRow(name, "write", traits.write, write));
    if (traits.has_pin) {
      table.rows.push_back(
          GuaranteeRow(name, "pin", traits.pin, BlockedAnywhere(results, name, "pin")));
    }
    reach.rows.push_back({name, ReachName(traits)});
    for (const std::string_view place : kPlaces) {
      reach.rows.back().push_back(ShareCell(std::max(BlockedShare(results, name, "get", place),
                                                     BlockedShare(results, name, "put", place))));
    }
  }
  if (table.rows.empty()) return std::nullopt;
  Section section{"progress", "Progress: claimed and measured"};
  section.blocks = {
      Paragraph{"A victim is stopped in every distinct state of an operation while a "
                "survivor tries the others. The share is that of the victim's machine instructions "
                "at which the survivor waits, the worst of all cells that were swept."},
      std::move(table), Paragraph{"Where a stopped process is felt (reads and writes):"},
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
  Table table{.head = {"stopped in"}};
  for (const std::string& probe : probes) table.head.push_back(probe);
  std::map<std::string, size_t> rows;
  for (const std::string& variant : VariantsIn(stalled)) {
    for (const Run& run : stalled) {
      if (Text(*run.json, "variant") != variant) continue;
      const std::string name = absl::StrCat(variant, " ", Text(*run.json, "operation"));
      const auto [at, fresh] = rows.emplace(name, table.rows.size());
      if (fresh) {
        table.rows.push_back({name});
        table.rows.back().resize(1 + probes.size(), ShareCell(-1));
      }
      for (size_t i = 0; i < probes.size(); ++i) {
        Cell& cell = table.rows[at->second][1 + i];
        const double share = ShareIn(*run.json, probes[i], "same_key");
        if (share > cell.shade) cell = ShareCell(share);
      }
    }
  }
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
              .folded = "Recovery by scenario"};
  Plot plot{.name = "recovery",
            .x_label = "microseconds from a kill to the next completed operation",
            .y_label = "share of kills, %",
            .logarithmic_x = true};
  for (const std::string& variant : VariantsIn(runs)) {
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
    const Variant* registered = FindVariant(variant);
    Curve curve{variant, {}, registered != nullptr && registered->role() != Design::Role::kDesign};
    double seen = 0;
    for (const auto& [microseconds, count] : sum) {
      seen += count;
      curve.points.emplace_back(microseconds, 100 * seen / total);
    }
    plot.curves.push_back(std::move(curve));
  }
  if (table.rows.empty()) return std::nullopt;
  Section section{"recovery", "Recovery"};
  section.blocks.push_back(
      Paragraph{"The time from a kill (the signal sent, or the victim's timer due) to the next "
                "operation that any survivor completes; it includes the scheduler's delays on a "
                "machine with more processes than cores."});
  if (!plot.curves.empty()) {
    absl::StatusOr<std::string> svg = Draw(plot);
    if (!svg.ok()) return svg.status();
    section.blocks.push_back(
        Figure{plot.name, *std::move(svg),
               "Recovery latency, cumulative over all torture runs of each variant."});
  }
  section.blocks.push_back(std::move(table));
  return section;
}

}  // namespace kill9::report
