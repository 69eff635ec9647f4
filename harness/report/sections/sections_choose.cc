// Which one to choose: the answer in words, then the figures it is made from.
#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/text/percent.h"
#include "harness/report/sections/answer.h"
#include "harness/report/sections/roles.h"
#include "harness/report/sections/sections.h"

namespace kill9::report {
namespace {

constexpr size_t kMostReasonBytes = 160;

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

// A failure leads to what was found.
Cell WorstCell(const Results& results, const std::string& kind, const std::string& variant) {
  const WorstRun worst = WorstRunOf(results, kind, variant);
  if (worst.verdict.empty()) return {"-", Mark::kMuted};
  Cell cell(worst.verdict, MarkOf(worst.verdict));
  cell.link = worst.link;
  return cell;
}

Cell KeepsEverything(const Json& design) {
  const Json* lossless = Find(design, {"lossless"});
  if (lossless == nullptr || !lossless->is_boolean()) return {"-", Mark::kMuted};
  return Cell(lossless->get<bool>() ? "yes" : "no");
}

Cell RatioCell(const Json* run, std::string_view field) {
  const Json* ratio = run != nullptr ? Find(*run, {field}) : nullptr;
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

// One row of figures.
std::vector<Cell> FiguresOf(const Results& results, const std::string& name) {
  const auto channel = [&](std::string_view measure, std::string_view field,
                           std::string_view value) {
    return ChannelRunOf(results, measure, name, field, value);
  };
  const Json* reads = SpeedOf(results, name, 95);
  const Json* writes = SpeedOf(results, name, 50);
  const double recovery = RecoveryUs(results, name);
  const double blocked = BlockedByAnything(results, name);
  const double elsewhere = std::max(BlockedShare(results, name, "get", "elsewhere"),
                                    BlockedShare(results, name, "put", "elsewhere"));
  const auto share = [](double of) { return of < 0 ? Cell("-", Mark::kMuted) : Cell(Percent(of)); };
  return {name,
          WorstCell(results, "torture", name),
          WorstCell(results, "sweep", name),
          WorstCell(results, "explore", name),
          KeepsEverything(results.DesignOf(name)),
          Short(TotalKills(results, name)),
          RatioCell(reads, "ratio"),
          RatioCell(writes, "ratio"),
          LatencyCell(reads, "get"),
          LatencyCell(reads, "put"),
          recovery < 0 ? Cell("-", Mark::kMuted) : Cell(Short(recovery)),
          share(blocked),
          share(elsewhere),
          RoomCell(results, name),
          RatioCell(channel("stream", "batch", "1"), "ratio_to_bare_ring"),
          RatioCell(channel("stream", "batch", "64"), "ratio_to_bare_ring"),
          RatioCell(channel("echo", "wait", "spinning"), "ratio_to_bare_ring"),
          RatioCell(channel("echo", "wait", "sleeping"), "ratio_to_bare_futex_ring"),
          LostCell(channel("kills", "victims", "receiver"))};
}

Table FiguresOf(const Results& results, const std::vector<std::string>& names,
                const std::string& caption) {
  Table table{
      .head = {"variant", "torture's worst verdict", "the sweep's", "explore's", "keeps everything",
               "kills", "reads: ratio", "half writes: ratio", "get p99 ns", "put p99 ns",
               "recovery p50 us", "blocked", "blocked elsewhere", "bytes an entry",
               "messages: ratio", "batched: ratio", "round trip, spinning: ratio", "asleep: ratio",
               "lost, each death of a receiver"},
      .caption = caption};
  for (const std::string& name : names) table.rows.push_back(FiguresOf(results, name));
  GroupByRole(results, &table);
  return WithoutEmptyColumns(std::move(table));
}

std::string Beginning(const std::string& text) {
  return text.size() <= kMostReasonBytes ? text
                                         : absl::StrCat(text.substr(0, kMostReasonBytes), "…");
}

// What failed, and how: no figure of speed.
Table FailuresOf(const Results& results, const std::vector<std::string>& names,
                 const std::string& caption) {
  Table table{.head = {"variant", "torture's worst verdict", "the sweep's", "explore's", "kills",
                       "what was found"},
              .caption = caption};
  for (const std::string& name : names) {
    std::string found;
    for (const char* tier : {"torture", "sweep", "explore"}) {
      const WorstRun worst = WorstRunOf(results, tier, name);
      if (found.empty() && MarkOf(worst.verdict) == Mark::kBad) found = worst.reason;
    }
    table.rows.push_back({name, WorstCell(results, "torture", name),
                          WorstCell(results, "sweep", name), WorstCell(results, "explore", name),
                          Short(TotalKills(results, name)), Beginning(found)});
  }
  GroupByRole(results, &table);
  return WithoutEmptyColumns(std::move(table));
}

}  // namespace

MaybeSection Choose(const Results& results) {
  std::vector<std::pair<std::string, std::vector<std::string>>> kinds;
  for (const std::string& name : DescribedIn(results)) {
    const std::string object = Text(results.DesignOf(name), "object");
    auto kind = std::find_if(kinds.begin(), kinds.end(),
                             [&](const auto& one) { return one.first == object; });
    if (kind == kinds.end()) kind = kinds.insert(kinds.end(), {object, {}});
    kind->second.push_back(name);
  }
  if (kinds.empty()) return std::nullopt;
  Section section{"choose", "Which one should I choose?"};
  section.blocks = {Paragraph{
      "These words are made from the figures below. A design whose survivors hang or read "
      "torn values is no choice, however fast; of the others it counts who is kept "
      "waiting, then speed."}};
  for (const auto& [object, names] : kinds) {
    section.blocks.push_back(AnswerOf(results, object, names));
  }
  section.blocks.push_back(
      Paragraph{"Every cell is a figure of these runs; a dash was not measured. "
                "Ratios are to a bare table under robust mutexes (2 processes, 64-byte "
                "values, uniform): 1 is the price of the locks alone. 'Blocked' is the "
                "share of instructions at which a stopped process keeps others waiting, "
                "'elsewhere' from keys that it does not use; "
                "'bytes an entry' is what it takes beyond its key and 64-byte value. "
                "Of channels: ratios of messages a second, and of the time of a round trip, to a "
                "bare ring of one sender and one receiver in which nobody may die (asleep: to a "
                "bare futex)."});
  Failed has_failed(results);
  for (const auto& [object, names] : kinds) {
    std::vector<std::string> compared = names;
    std::vector<std::string> failed;
    std::copy_if(names.begin(), names.end(), std::back_inserter(failed), std::ref(has_failed));
    std::erase_if(compared, std::ref(has_failed));
    const std::string kind = kinds.size() < 2 ? "" : absl::StrCat(" Kind: ", object, ".");
    if (!compared.empty()) {
      section.blocks.push_back(
          FiguresOf(results, compared, absl::StrCat("Figures of what has not failed.", kind)));
    }
    if (!failed.empty()) {
      section.blocks.push_back(FailuresOf(
          results, failed, absl::StrCat("What failed: not compared with the others.", kind)));
    }
  }
  return section;
}

}  // namespace kill9::report
