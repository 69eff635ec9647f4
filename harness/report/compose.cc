// The kinds of result without a section of their own; how to repeat; the whole.
#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "harness/base/text/count_of.h"
#include "harness/report/sections/sections.h"

namespace kill9::report {
namespace {

const std::set<std::string>& KindsWithSections() {
  static const auto* kinds =
      new std::set<std::string>{"torture",           "sweep",   "explore", "store_benchmark",
                                "channel_benchmark", "planted", "mutants", "memcached_benchmark"};
  return *kinds;
}

// The runs of a file with the same keys, each flattened to one row.
void Flatten(const Json& json, const std::string& prefix,
             std::vector<std::pair<std::string, Cell>>* row) {
  for (const auto& [key, value] : json.items()) {
    const std::string name = prefix.empty() ? key : absl::StrCat(prefix, ".", key);
    if (value.is_object()) {
      Flatten(value, name, row);
    } else if (value.is_number_float()) {
      row->emplace_back(name, Cell(Short(value.get<double>())));
    } else if (value.is_string()) {
      row->emplace_back(name, Cell(value.get<std::string>()));
    } else if (value.is_null()) {
      row->emplace_back(name, Cell("-", Mark::kMuted));
    } else {
      row->emplace_back(name, Cell(Dump(value)));
    }
  }
}

Table TableOf(const ResultFile& file) {
  Table table{.caption = absl::StrCat(file.name, ": ", CountOf(file.json["runs"].size(), "run"),
                                      " (", Text(file.json, "kind"), ")"),
              .is_folded = true};
  std::vector<std::vector<std::pair<std::string, Cell>>> rows;
  for (const Json& run : file.json["runs"]) {
    rows.emplace_back();
    if (run.is_object()) Flatten(run, "", &rows.back());
    for (const auto& [name, cell] : rows.back()) {
      if (std::find(table.head.begin(), table.head.end(), name) == table.head.end()) {
        table.head.push_back(name);
      }
    }
  }
  for (const auto& row : rows) {
    table.rows.emplace_back(table.head.size(), Cell("", Mark::kMuted));
    for (const auto& [name, cell] : row) {
      const auto at = std::find(table.head.begin(), table.head.end(), name) - table.head.begin();
      table.rows.back()[static_cast<size_t>(at)] = cell;
    }
  }
  return table;
}

// Each host that a file was measured on, once.
std::string HostsOf(const Results& results) {
  std::set<std::string> hosts;
  for (const ResultFile& file : results.files()) {
    const Json host = file.json.value("host", Json::object());
    const std::string cores = Text(host, "cores", "?");
    hosts.insert(absl::StrFormat("%s (%s %s, Linux %s)",
                                 Text(host, "processor", "an unnamed processor"), cores,
                                 cores == "1" ? "core" : "cores", Text(host, "kernel", "?")));
  }
  return absl::StrJoin(hosts, "; ");
}

// "2026-11-22 to 2026-11-28".
std::string DaysOf(const Results& results) {
  std::set<std::string> days;
  for (const ResultFile& file : results.files()) {
    const std::string day = Text(file.json, "started_at").substr(0, std::size("2026-11-22") - 1);
    if (!day.empty()) days.insert(day);
  }
  if (days.empty()) return "on a day that is not told";
  if (days.size() == 1) return *days.begin();
  return absl::StrCat(*days.begin(), " to ", *days.rbegin());
}

// Each build that measured, once: "kill9 0.1, commit 1a2b3c".
std::string BuildsOf(const Results& results) {
  std::set<std::string> builds;
  for (const ResultFile& file : results.files()) {
    const Json build = file.json.value("build", Json::object());
    builds.insert(absl::StrCat("kill9 ", Text(build, "version", "of a version not told"),
                               ", commit ", Text(build, "commit", "not told")));
  }
  return absl::StrJoin(builds, "; ");
}

}  // namespace

MaybeSection Others(const Results& results) {
  Section section{"others", "Other measurements"};
  for (const ResultFile& file : results.files()) {
    if (KindsWithSections().contains(Text(file.json, "kind"))) continue;
    section.blocks.push_back(TableOf(file));
  }
  if (section.blocks.empty()) return std::nullopt;
  return section;
}

MaybeSection Repeat(const Results& results) {
  Section section{"repeat", "How to repeat all this"};
  section.blocks.push_back(
      Paragraph{"./dev report makes the whole report anew on this machine. One by one:"});
  std::string commands;
  Table table{.head = {"file", "kind", "runs", "begun", "seed", "processor", "hypervisor", "cores",
                       "kernel", "page fault us", "fork us", "compiler", "version", "commit"},
              .caption = "Where each file is from"};
  for (const ResultFile& file : results.files()) {
    const Json& json = file.json;
    absl::StrAppend(&commands, Text(json, "command"), "\n");
    const Json host = json.value("host", Json::object());
    const Json build = json.value("build", Json::object());
    table.rows.push_back({file.name, Text(json, "kind"),
                          Short(static_cast<double>(json["runs"].size())), Text(json, "started_at"),
                          Text(json, "seed"), Text(host, "processor"), Text(host, "hypervisor"),
                          Text(host, "cores"), Text(host, "kernel"), Text(host, "page_fault_us"),
                          Text(host, "fork_us"), Text(build, "compiler"), Text(build, "version"),
                          Text(build, "commit", "not told")});
  }
  section.blocks.push_back(Code{commands});
  section.blocks.push_back(std::move(table));
  return section;
}

absl::StatusOr<Document> Compose(const Results& results) {
  size_t runs = 0;
  for (const ResultFile& file : results.files()) runs += file.json["runs"].size();
  Document document{
      .title = "kill9: what happens to the others when one process is killed",
      .lead = absl::StrFormat("Made from %s in %s, measured %s by %s, on %s.", CountOf(runs, "run"),
                              CountOf(results.files().size(), "result file"), DaysOf(results),
                              BuildsOf(results), HostsOf(results))};
  for (auto* make : {&Choose, &Verdicts, &Shapes, &ProgressGuarantees, &Stalls, &Explored,
                     &KillCoverage, &Planted, &Mutants, &Speed, &Latency, &GrowthAndRoom, &Channels,
                     &Applications, &Recovery, &Failures, &Others, &Repeat}) {
    MaybeSection section = make(results);
    if (!section.ok()) return section.status();
    if (section->has_value()) document.sections.push_back(**std::move(section));
  }
  return document;
}

}  // namespace kill9::report
