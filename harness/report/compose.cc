// Which one to choose; the kinds of result without a section of their own; how to repeat; the
// whole.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "harness/report/sections/sections.h"

namespace kill9::report {
namespace {

const std::set<std::string>& KindsWithSections() {
  static const auto* kinds = new std::set<std::string>{
      "torture", "sweep", "explore", "store_benchmark", "channel_benchmark", "planted"};
  return *kinds;
}

double TotalKills(const Results& results, const std::string& variant) {
  double kills = 0;
  for (const char* kind : {"torture", "sweep"}) {
    for (const Run& run : results.Of(kind, "variant", variant)) {
      if (const Json* counts = Find(*run.json, {"kills"}); counts != nullptr) {
        kills += Number(*counts, "total");
      }
    }
  }
  return kills;
}

// The median over scenarios of their p50; less than 0: none.
double RecoveryUs(const Results& results, const std::string& variant) {
  std::vector<double> all;
  for (const Run& run : results.Of("torture", "variant", variant)) {
    if (const Json* recovery = Find(*run.json, {"recovery_us"}); recovery != nullptr) {
      all.push_back(Number(*recovery, "p50"));
    }
  }
  if (all.empty()) return -1;
  std::sort(all.begin(), all.end());
  return all[all.size() / 2];
}

Cell WorstCell(const Results& results, const std::string& kind, const std::string& variant) {
  const std::string worst = WorstVerdict(results, kind, variant);
  if (worst.empty()) return {"-", Mark::kMuted};
  Cell cell(worst, MarkOf(worst));
  cell.link = kind == "explore" ? "explored" : "verdicts";
  return cell;
}

Cell KeepsEverything(const Json& design) {
  const Json* lossless = Find(design, {"lossless"});
  if (lossless == nullptr || !lossless->is_boolean()) return {"-", Mark::kMuted};
  return Cell(lossless->get<bool>() ? "yes" : "no");
}

Cell RatioCell(const Json* run) {
  const Json* ratio = run != nullptr ? Find(*run, {"ratio"}) : nullptr;
  if (ratio == nullptr) return {"-", Mark::kMuted};
  return Cell(absl::StrFormat("%.2f", Number(*ratio, "median")));
}

Cell LatencyCell(const Json* run, std::string_view operation) {
  const Json* all = run != nullptr ? Find(*run, {"latency_ns", operation}) : nullptr;
  if (all == nullptr || Number(*all, "samples") == 0) return {"-", Mark::kMuted};
  return Cell(Short(Number(*all, "p99")));
}

Cell RoomCell(const Results& results, const std::string& variant) {
  Cell cell("-", Mark::kMuted);
  for (const Run& run : results.Of("store_benchmark", "measure", "room")) {
    if (Text(*run.json, "subject") == variant && Number(*run.json, "value_bytes") == 64) {
      cell = Cell(Short(std::round(Number(*run.json, "overhead_bytes_per_entry"))));
    }
  }
  return cell;
}

Cell ChannelRatioCell(const Json* run, std::string_view reference) {
  const Json* ratio =
      run != nullptr ? Find(*run, {absl::StrCat("ratio_to_", std::string(reference))}) : nullptr;
  if (ratio == nullptr) return {"-", Mark::kMuted};
  return Cell(absl::StrFormat("%.2f", Number(*ratio, "median")));
}

Cell LostCell(const Json* run) {
  if (run == nullptr || Number(*run, "kills") == 0) return {"-", Mark::kMuted};
  // What is left inside then is nobody's loss alone.
  if (Text(*run, "stuck") == "true") return {"stuck", Mark::kBad};
  const double lost = Number(*run, "lost") / Number(*run, "kills");
  return {Short(lost), lost == 0 ? Mark::kGood : Mark::kBad};
}

// What was measured, of that which a file describes.
std::vector<std::string> DescribedIn(const Results& results) {
  std::vector<Run> all;
  for (const char* kind : {"torture", "sweep", "explore", "store_benchmark", "channel_benchmark"}) {
    const std::vector<Run> runs = results.Of(kind);
    all.insert(all.end(), runs.begin(), runs.end());
  }
  std::vector<std::string> names = results.VariantsIn(all);
  for (std::string& subject : results.VariantsIn(all, "subject")) {
    if (std::find(names.begin(), names.end(), subject) == names.end()) {
      names.push_back(std::move(subject));
    }
  }
  std::erase_if(names, [&](const std::string& name) { return results.DesignOf(name).empty(); });
  return names;
}

// A column that says nothing of any row is none.
Table WithoutEmptyColumns(Table table) {
  for (size_t column = table.head.size(); column-- > 0;) {
    const bool empty = std::all_of(table.rows.begin(), table.rows.end(),
                                   [&](const auto& row) { return row[column].text == "-"; });
    if (!empty) continue;
    table.head.erase(table.head.begin() + static_cast<ptrdiff_t>(column));
    for (auto& row : table.rows) row.erase(row.begin() + static_cast<ptrdiff_t>(column));
  }
  return table;
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
  Table table{.folded = absl::StrCat(file.name, ": ", file.json["runs"].size(), " runs (",
                                     Text(file.json, "kind"), ")")};
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
    hosts.insert(absl::StrFormat("%s (%s cores, Linux %s)",
                                 Text(host, "processor", "an unnamed processor"),
                                 Text(host, "cores", "?"), Text(host, "kernel", "?")));
  }
  return absl::StrJoin(hosts, "; ");
}

}  // namespace

MaybeSection Choose(const Results& results) {
  std::map<std::string, Table> tables;  // by kind of object
  for (const std::string& name : DescribedIn(results)) {
    const Json& design = results.DesignOf(name);
    Table& table = tables[Text(design, "object")];
    table.head = {"variant",          "torture's worst verdict",
                  "the sweep's",      "explore's",
                  "keeps everything", "kills",
                  "reads: ratio",     "half writes: ratio",
                  "get p99 ns",       "put p99 ns",
                  "recovery p50 us",  "blocked elsewhere",
                  "bytes an entry",   "messages: ratio",
                  "batched: ratio",   "round trip, spinning: ratio",
                  "asleep: ratio",    "lost, each death of a receiver"};
    const auto channel = [&](std::string_view measure, std::string_view field,
                             std::string_view value) {
      return ChannelRunOf(results, measure, name, field, value);
    };
    const Json* reads = SpeedOf(results, name, 95);
    const Json* writes = SpeedOf(results, name, 50);
    const double recovery = RecoveryUs(results, name);
    const double blocked = std::max(BlockedShare(results, name, "get", "elsewhere"),
                                    BlockedShare(results, name, "put", "elsewhere"));
    table.rows.push_back(
        {name, WorstCell(results, "torture", name), WorstCell(results, "sweep", name),
         WorstCell(results, "explore", name), KeepsEverything(design),
         Short(TotalKills(results, name)), RatioCell(reads), RatioCell(writes),
         LatencyCell(reads, "get"), LatencyCell(reads, "put"),
         recovery < 0 ? Cell("-", Mark::kMuted) : Cell(Short(recovery)),
         blocked < 0 ? Cell("-", Mark::kMuted) : Cell(Percent(blocked)), RoomCell(results, name),
         ChannelRatioCell(channel("stream", "batch", "1"), "bare_ring"),
         ChannelRatioCell(channel("stream", "batch", "64"), "bare_ring"),
         ChannelRatioCell(channel("echo", "wait", "spinning"), "bare_ring"),
         ChannelRatioCell(channel("echo", "wait", "sleeping"), "bare_futex_ring"),
         LostCell(channel("kills", "victims", "receiver"))});
  }
  if (tables.empty()) return std::nullopt;
  Section section{"choose", "Which one should I choose?"};
  section.blocks = {
      Paragraph{"Every cell is a figure of these runs; a dash was not measured. First look at the "
                "verdict: a design whose survivors hang or read torn values is no choice, however "
                "fast. Ratios are to a bare table under robust mutexes (2 processes, 64-byte "
                "values, uniform): 1 is the price of the locks alone. 'Blocked elsewhere' is the "
                "share of instructions at which a stopped process keeps others from keys that it "
                "does not use; 'bytes an entry' is what it takes beyond its key and 64-byte value. "
                "Of channels: ratios of messages a second, and of the time of a round trip, to a "
                "bare ring of "
                "one sender and one receiver in which nobody may die (asleep: to a bare futex)."}};
  for (auto& [object, table] : tables) {
    if (tables.size() > 1) section.blocks.push_back(Paragraph{absl::StrCat("Kind: ", object, ".")});
    section.blocks.push_back(WithoutEmptyColumns(std::move(table)));
  }
  return section;
}

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
                       "kernel", "page fault us", "fork us", "compiler"}};
  for (const ResultFile& file : results.files()) {
    const Json& json = file.json;
    absl::StrAppend(&commands, Text(json, "command"), "\n");
    const Json host = json.value("host", Json::object());
    const Json build = json.value("build", Json::object());
    table.rows.push_back({file.name, Text(json, "kind"),
                          Short(static_cast<double>(json["runs"].size())), Text(json, "started_at"),
                          Text(json, "seed"), Text(host, "processor"), Text(host, "hypervisor"),
                          Text(host, "cores"), Text(host, "kernel"), Text(host, "page_fault_us"),
                          Text(host, "fork_us"), Text(build, "compiler")});
  }
  section.blocks.push_back(Code{commands});
  section.blocks.push_back(std::move(table));
  return section;
}

absl::StatusOr<Document> Compose(const Results& results) {
  size_t runs = 0;
  for (const ResultFile& file : results.files()) runs += file.json["runs"].size();
  Document document{.title = "kill9: what happens to the others when one process is killed",
                    .lead = absl::StrFormat("Made from %d runs in %d result files, measured on %s.",
                                            runs, results.files().size(), HostsOf(results))};
  for (auto* make : {&Choose, &Verdicts, &Shapes, &ProgressGuarantees, &Stalls, &Explored,
                     &KillCoverage, &Planted, &Speed, &Latency, &GrowthAndRoom, &Channels,
                     &Recovery, &Failures, &Others, &Repeat}) {
    MaybeSection section = make(results);
    if (!section.ok()) return section.status();
    if (section->has_value()) document.sections.push_back(**std::move(section));
  }
  return document;
}

}  // namespace kill9::report
