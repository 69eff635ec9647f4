// Throughput, latency, growth, room, and the limits of the machine.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/text/percent.h"
#include "harness/report/document/plot.h"
#include "harness/report/sections/roles.h"
#include "harness/report/sections/sections.h"

namespace kill9::report {
namespace {

constexpr std::string_view kStoreKind = "store_benchmark";

std::string CaseName(const Json& run) {
  const int reads = static_cast<int>(Number(run, "read_percent"));
  return absl::StrFormat("%d/%d, %s, %s bytes, %d process%s", reads, 100 - reads,
                         Text(run, "distribution"), Short(Number(run, "value_bytes")),
                         static_cast<int>(Number(run, "processes")),
                         Number(run, "processes") == 1 ? "" : "es");
}

bool IsCase(const Json& run, int reads, std::string_view distribution, double value_bytes) {
  return Number(run, "read_percent") == reads && Text(run, "distribution") == distribution &&
         Number(run, "value_bytes") == value_bytes;
}

std::string Quantile(const Json& run, std::string_view operation, std::string_view quantile) {
  const Json* all = Find(run, {"latency_ns", operation});
  if (all == nullptr || Number(*all, "samples") == 0) return "-";
  return Short(Number(*all, quantile));
}

bool IsDashed(const Json& run) { return Text(run, "role") != "design"; }

// A panel for each subject that has not failed.
absl::Status AddFigure(const Results& results, Plot plot, const std::string& caption,
                       Section* section) {
  const std::string not_drawn = TakeOutFailed(results, &plot);
  if (plot.curves.empty()) return absl::OkStatus();
  absl::StatusOr<std::vector<Panel>> panels = Draw(plot);
  if (!panels.ok()) return panels.status();
  section->blocks.push_back(
      Figure{plot.name, *std::move(panels), absl::StrCat(caption, not_drawn)});
  return absl::OkStatus();
}

void AddPoint(const Json& run, double x, double y, Plot* plot) {
  if (!(y > 0)) return;
  const std::string name = Text(run, "subject");
  auto at = std::find_if(plot->curves.begin(), plot->curves.end(),
                         [&](const Curve& curve) { return curve.name == name; });
  if (at == plot->curves.end()) {
    plot->curves.push_back({name, {}, IsDashed(run)});
    at = plot->curves.end() - 1;
  }
  at->points.emplace_back(x, y);
}

// Operations a second against processes, for one mix.
absl::Status AddThroughput(const Results& results, const std::vector<Run>& runs, int reads,
                           Section* section) {
  Plot plot{.name = absl::StrCat("throughput-", reads),
            .x_label = "processes",
            .y_label = "million operations/s"};
  std::set<double> processes;
  for (const Run& run : runs) {
    if (IsCase(*run.json, reads, "uniform", 64)) processes.insert(Number(*run.json, "processes"));
  }
  for (double count : processes) plot.x_names.push_back(Short(count));
  for (const Run& run : runs) {
    if (!IsCase(*run.json, reads, "uniform", 64)) continue;
    const auto x = std::distance(processes.begin(), processes.find(Number(*run.json, "processes")));
    AddPoint(*run.json, static_cast<double>(x), MedianOf(*run.json, "operations_per_second") / 1e6,
             &plot);
  }
  return AddFigure(
      results, std::move(plot),
      absl::StrFormat(
          "Throughput: million operations a second by number of processes; %d %% reads, "
          "uniform keys, 64-byte values; medians over the rounds. Grey: the others. "
          "Dashed: peers, bare limits, maps of threads.",
          reads),
      section);
}

Table SpeedTable(const Results& results, const std::vector<Run>& runs, const std::string& title,
                 const std::function<bool(const Json&)>& wanted) {
  Table table{.head = {"subject", "case", "ratio (low to high)", "million ops/s", "misses",
                       "get p50 ns", "p99", "p99.9", "put p50 ns", "p99", "p99.9"},
              .caption = title,
              .is_folded = true};
  for (const Run& run : runs) {
    const Json& json = *run.json;
    if (!wanted(json)) continue;
    const double rate = MedianOf(json, "operations_per_second");
    table.rows.push_back({Text(json, "subject"), CaseName(json), SpreadText(json, "ratio"),
                          rate > 0 ? absl::StrFormat("%.2f", rate / 1e6) : "failed",
                          Percent(Number(json, "failed_share"))});
    for (const char* operation : {"get", "put"}) {
      for (const char* quantile : {"p50", "p99", "p999"}) {
        table.rows.back().push_back(Quantile(json, operation, quantile));
      }
    }
  }
  GroupFigures(results, &table);
  return table;
}

}  // namespace

const Json* SpeedOf(const Results& results, const std::string& subject, int reads, int processes) {
  for (const Run& run : results.Of(kStoreKind, "subject", subject)) {
    if (Text(*run.json, "measure") == "speed" && IsCase(*run.json, reads, "uniform", 64) &&
        Number(*run.json, "processes") == processes) {
      return run.json;
    }
  }
  return nullptr;
}

MaybeSection Speed(const Results& results) {
  const std::vector<Run> runs = results.Of(kStoreKind, "measure", "speed");
  const std::vector<Run> limits = results.Of(kStoreKind, "measure", "limit");
  if (runs.empty() && limits.empty()) return std::nullopt;
  Section section{"speed", "Throughput"};
  section.blocks.push_back(
      Paragraph{"Real processes (threads for the maps that know nothing else), pinned to the cores "
                "in turn; every subject in turn within each round. A ratio is taken within a "
                "round to robust_stripes, a bare table under robust mutexes without allocation, "
                "versions or repair; the spread is that of the rounds. Ratios mean more than "
                "absolute figures."});
  for (int reads : {100, 95, 50}) {
    if (absl::Status status = AddThroughput(results, runs, reads, &section); !status.ok())
      return status;
  }
  std::vector<std::string> mixes = ValuesOf(runs, "read_percent");
  for (const std::string& mix : mixes) {
    Table table = SpeedTable(results, runs, absl::StrCat("Every case with ", mix, " % reads"),
                             [&](const Json& run) { return Text(run, "read_percent") == mix; });
    section.blocks.push_back(std::move(table));
  }
  if (!limits.empty()) {
    Table table{.head = {"limit of the machine", "ns (low to high)"},
                .caption = "Limits of the machine"};
    for (const Run& run : limits) {
      table.rows.push_back({Text(*run.json, "subject"), SpreadText(*run.json, "nanoseconds")});
    }
    section.blocks.push_back(std::move(table));
  }
  return section;
}

MaybeSection Latency(const Results& results) {
  const std::vector<Run> runs = results.Of(kStoreKind, "measure", "speed");
  if (runs.empty()) return std::nullopt;
  Section section{"latency", "Latency"};
  section.blocks.push_back(
      Paragraph{"One operation in eight is timed in the workers of the throughput runs. 95 % "
                "reads, uniform keys, 64 bytes, 2 processes."});
  for (const char* operation : {"get", "put"}) {
    Plot plot{.name = absl::StrCat("latency-", operation),
              .x_label = absl::StrCat("of all ", operation, "s"),
              .y_label = "nanoseconds",
              .logarithmic_y = true,
              .x_names = {"p50", "p99", "p99.9"}};
    for (const std::string& subject : results.VariantsIn(runs, "subject")) {
      const Json* run = SpeedOf(results, subject);
      const Json* all = run != nullptr ? Find(*run, {"latency_ns", operation}) : nullptr;
      if (all == nullptr) continue;
      AddPoint(*run, 0, Number(*all, "p50"), &plot);
      AddPoint(*run, 1, Number(*all, "p99"), &plot);
      AddPoint(*run, 2, Number(*all, "p999"), &plot);
    }
    const std::string caption =
        absl::StrCat("Latency of ", operation, ": nanoseconds by quantile. Grey: the others.");
    absl::Status status = AddFigure(results, std::move(plot), caption, &section);
    if (!status.ok()) return status;
  }
  return section;
}

MaybeSection GrowthAndRoom(const Results& results) {
  const std::vector<Run> growth = results.Of(kStoreKind, "measure", "growth");
  const std::vector<Run> room = results.Of(kStoreKind, "measure", "room");
  if (growth.empty() && room.empty()) return std::nullopt;
  Section section{"growth", "Growth and room"};
  for (const char* operation : {"get", "put"}) {
    Plot plot{.name = absl::StrCat("growth-", operation),
              .x_label = "entries",
              .y_label = "nanoseconds",
              .logarithmic_x = true,
              .logarithmic_y = true};
    for (const Run& run : growth) {
      AddPoint(*run.json, Number(*run.json, "entries"),
               MedianOf(*run.json, absl::StrCat(operation, "_ns")), &plot);
    }
    const std::string caption = absl::StrCat("Cost of one ", operation,
                                             " as the entries grow: nanoseconds by entries; one "
                                             "process, uniform keys, values of 64 bytes.");
    absl::Status status = AddFigure(results, std::move(plot), caption, &section);
    if (!status.ok()) return status;
  }
  if (!growth.empty()) {
    Table table{.head = {"subject", "entries", "get ns (low to high)", "put ns (low to high)"},
                .caption = "Every figure of growth",
                .is_folded = true};
    for (const Run& run : growth) {
      table.rows.push_back({Text(*run.json, "subject"), Short(Number(*run.json, "entries")),
                            SpreadText(*run.json, "get_ns"), SpreadText(*run.json, "put_ns")});
    }
    GroupFigures(results, &table);
    section.blocks.push_back(std::move(table));
  }
  if (!room.empty()) {
    section.blocks.push_back(
        Paragraph{"Room: bytes that an entry takes beyond its 16-byte key and its value. Of a "
                  "bounded store all of a full segment counts, index and unused rest included; of "
                  "a store that keeps files, what these came to."});
    Table table{.head = {"variant"}, .caption = "Bytes an entry takes beyond its key and value"};
    const std::vector<std::string> sizes = ValuesOf(room, "value_bytes");
    for (const std::string& size : sizes) table.head.push_back(absl::StrCat(size, "-byte values"));
    for (const std::string& variant : results.VariantsIn(room, "subject")) {
      table.rows.push_back({variant});
      for (const std::string& size : sizes) {
        Cell cell("-", Mark::kMuted);
        for (const Run& run : room) {
          if (Text(*run.json, "subject") == variant && Text(*run.json, "value_bytes") == size) {
            cell = Cell(Short(std::round(Number(*run.json, "overhead_bytes_per_entry"))));
          }
        }
        table.rows.back().push_back(std::move(cell));
      }
    }
    GroupFigures(results, &table);
    section.blocks.push_back(std::move(table));
  }
  return section;
}

}  // namespace kill9::report
