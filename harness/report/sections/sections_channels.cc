// Channels beside what else passes messages: throughput, round trips, and what kills do to them.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/text/percent.h"
#include "harness/report/document/plot.h"
#include "harness/report/sections/roles.h"
#include "harness/report/sections/sections.h"

namespace kill9::report {
namespace {

constexpr std::string_view kChannelKind = "channel_benchmark";

std::vector<Run> RunsOf(const Results& results, std::string_view measure) {
  return results.Of(kChannelKind, "measure", measure);
}

// "2.15", million a second.
Cell RateCell(const Json* run) {
  if (run == nullptr) return {"-", Mark::kMuted};
  const double rate = MedianOf(*run, "messages_per_second");
  if (!(rate > 0)) return {"failed", Mark::kBad};
  std::string text = absl::StrFormat("%.3g", rate / 1e6);
  // Of a broadcast: what its receivers were too slow for did not come.
  const double share = MedianOf(*run, "received_share");
  if (share < 1) absl::StrAppend(&text, ", of which ", Percent(share), " came");
  return Cell(std::move(text));
}

Cell SpreadCell(const Json* run, std::string_view field) {
  const std::string text = run != nullptr ? SpreadText(*run, field) : "-";
  return text == "-" ? Cell(text, Mark::kMuted) : Cell(text);
}

// Designs first, then baselines and peers; what no file describes last.
std::vector<std::string> Subjects(const Results& results, std::string_view measure) {
  return results.VariantsIn(RunsOf(results, measure), "subject");
}

void AddStreams(const Results& results, Section* section) {
  if (RunsOf(results, "stream").empty()) return;
  section->blocks.push_back(
      Paragraph{"One process sends, another receives: messages of 1 to 155 bytes, one a call and "
                "64 a call. Ratios (low to high over the rounds) are taken within a round."});
  Table table{.head = {"subject", "million messages/s", "to a bare ring", "to a Unix stream",
                       "64 a call: million/s", "to a bare ring", "to a Unix stream"},
              .caption = "One sender, one receiver"};
  for (const std::string& subject : Subjects(results, "stream")) {
    table.rows.push_back({subject});
    for (const char* batch : {"1", "64"}) {
      const Json* run = ChannelRunOf(results, "stream", subject, "batch", batch);
      table.rows.back().push_back(RateCell(run));
      table.rows.back().push_back(SpreadCell(run, "ratio_to_bare_ring"));
      table.rows.back().push_back(SpreadCell(run, "ratio_to_unix_stream"));
    }
  }
  GroupFigures(results, &table);
  section->blocks.push_back(std::move(table));
}

// Rows: subjects; columns: values of `name`; cells: million messages a second.
void AddRates(const Results& results, std::string_view measure, const std::string& text,
              const std::function<std::string(const Json&)>& name, Section* section) {
  const std::vector<Run> runs = RunsOf(results, measure);
  if (runs.empty()) return;
  std::vector<std::string> columns;
  for (const Run& run : runs) {
    const std::string column = name(*run.json);
    if (std::find(columns.begin(), columns.end(), column) == columns.end()) {
      columns.push_back(column);
    }
  }
  Table table{.head = {"subject"}, .caption = text};
  table.head.insert(table.head.end(), columns.begin(), columns.end());
  for (const std::string& subject : Subjects(results, measure)) {
    table.rows.push_back({subject});
    for (const std::string& column : columns) {
      const auto run = std::find_if(runs.begin(), runs.end(), [&](const Run& one) {
        return Text(*one.json, "subject") == subject && name(*one.json) == column;
      });
      table.rows.back().push_back(RateCell(run != runs.end() ? run->json : nullptr));
    }
  }
  GroupFigures(results, &table);
  section->blocks.push_back(std::move(table));
}

absl::Status AddSizesPlot(const Results& results, Section* section) {
  Plot plot{.name = "channel-sizes",
            .x_label = "bytes of a message",
            .y_label = "million messages/s",
            .logarithmic_x = true,
            .logarithmic_y = true};
  for (const std::string& subject : Subjects(results, "sizes")) {
    Curve curve{subject, {}, false};
    for (const Run& run : RunsOf(results, "sizes")) {
      const double rate = MedianOf(*run.json, "messages_per_second");
      if (Text(*run.json, "subject") != subject || !(rate > 0)) continue;
      curve.is_dashed = Text(*run.json, "role") != "design";
      curve.points.emplace_back(Number(*run.json, "message_bytes"), rate / 1e6);
    }
    if (!curve.points.empty()) plot.curves.push_back(std::move(curve));
  }
  const std::string not_drawn = TakeOutFailed(results, &plot);
  if (plot.curves.empty()) return absl::OkStatus();
  absl::StatusOr<std::vector<Panel>> panels = Draw(plot);
  if (!panels.ok()) return panels.status();
  section->blocks.push_back(
      Figure{plot.name, *std::move(panels),
             absl::StrCat("Throughput: million messages a second by the size of messages in bytes, "
                          "copied in and out. Grey: the others. Dashed: baselines, peers, bare "
                          "rings.",
                          not_drawn)});
  return absl::OkStatus();
}

void AddEchoes(const Results& results, Section* section) {
  if (RunsOf(results, "echo").empty()) return;
  section->blocks.push_back(
      Paragraph{"A message of 64 bytes to the other process and back, nanoseconds. Spinning: both "
                "look again and again. Asleep: the other one sleeps in the kernel before each. "
                "Ratios are of the medians, to a bare ring and to a bare futex."});
  Table table{.head = {"subject", "spinning: p50 ns", "p99", "to a bare ring", "asleep: p50 ns",
                       "p99", "to a bare futex"},
              .caption = "Round trips of 64 bytes"};
  for (const std::string& subject : Subjects(results, "echo")) {
    table.rows.push_back({subject});
    for (const auto& [wait, reference] : {std::pair("spinning", "ratio_to_bare_ring"),
                                          std::pair("sleeping", "ratio_to_bare_futex_ring")}) {
      const Json* run = ChannelRunOf(results, "echo", subject, "wait", wait);
      const Json* times = run != nullptr ? Find(*run, {"round_trip_ns"}) : nullptr;
      for (const char* quantile : {"p50", "p99"}) {
        Cell cell("-", Mark::kMuted);
        if (times != nullptr) cell = Cell(Short(Number(*times, quantile)));
        table.rows.back().push_back(std::move(cell));
      }
      table.rows.back().push_back(SpreadCell(run, reference));
    }
  }
  GroupFigures(results, &table);
  section->blocks.push_back(std::move(table));
}

void AddKills(const Results& results, Section* section) {
  const std::vector<Run> runs = RunsOf(results, "kills");
  if (runs.empty()) return;
  section->blocks.push_back(Paragraph{
      "One side is killed again and again and begins anew, the other goes on. Lost: sent, "
      "and never used by anybody; what is left inside counts, where it got stuck. Marked: "
      "came again, and was told to; unmarked: came twice. Torn: bytes that nobody had sent "
      "so. Stuck: nothing came through any more."});
  Table table{.head = {"subject", "killed", "kills", "messages", "lost", "marked", "unmarked",
                       "torn", "longest pause ms", "stuck"},
              .caption = "What kills of one side do"};
  for (const std::string& subject : Subjects(results, "kills")) {
    for (const Run& run : runs) {
      const Json& json = *run.json;
      if (Text(json, "subject") != subject) continue;
      table.rows.push_back({subject, Text(json, "victims"), Short(Number(json, "kills")),
                            Short(Number(json, "sent"))});
      for (const char* field : {"lost", "redelivered", "duplicated", "torn"}) {
        const double count = Number(json, field);
        const bool is_bad = count > 0 && std::string_view(field) != "redelivered";
        table.rows.back().push_back({Short(count), is_bad ? Mark::kBad : Mark::kGood});
      }
      const bool stuck = Text(json, "stuck") == "true";
      table.rows.back().push_back(Short(Number(json, "longest_pause_ms")));
      table.rows.back().push_back({stuck ? "stuck" : "no", stuck ? Mark::kBad : Mark::kGood});
    }
  }
  GroupFigures(results, &table);
  section->blocks.push_back(std::move(table));
}

}  // namespace

const Json* ChannelRunOf(const Results& results, std::string_view measure,
                         const std::string& subject, std::string_view field,
                         std::string_view value) {
  for (const Run& run : RunsOf(results, measure)) {
    if (Text(*run.json, "subject") == subject && Text(*run.json, field) == value) return run.json;
  }
  return nullptr;
}

MaybeSection Channels(const Results& results) {
  if (results.Of(kChannelKind).empty()) return std::nullopt;
  Section section{"channels", "Messages: throughput, round trips, kills"};
  AddStreams(results, &section);
  if (absl::Status status = AddSizesPlot(results, &section); !status.ok()) return status;
  const auto bytes = [](const Json& run) {
    return absl::StrCat(Short(Number(run, "message_bytes")), " bytes");
  };
  AddRates(results, "sizes", "Million messages a second by size, copied in and out.", bytes,
           &section);
  AddRates(results, "in_place",
           "The same, filled in place by the sender and read in place by the receiver: what does "
           "not copy does not depend on the size.",
           bytes, &section);
  AddRates(
      results, "many",
      "The same of 1 to 155 bytes, by the number of senders and of receivers (on the cores of the "
      "machine).",
      [](const Json& run) {
        return absl::StrCat(Text(run, "senders"), " to ", Text(run, "receivers"));
      },
      &section);
  AddRates(
      results, "to_all",
      "Million messages a second of 1 to 155 bytes, each to all receivers: once where it is a "
      "broadcast, which overwrites what they are too slow for; else to one after the other.",
      [](const Json& run) { return absl::StrCat("to all of ", Text(run, "receivers")); }, &section);
  AddEchoes(results, &section);
  AddKills(results, &section);
  return section;
}

}  // namespace kill9::report
