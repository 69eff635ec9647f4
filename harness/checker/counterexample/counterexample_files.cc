// The counterexample as files: a page, a trace, and the window's history.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/checker/counterexample/counterexample.h"
#include "harness/checker/search/engine.h"
#include "harness/edn/edn.h"
#include "harness/result/html.h"
#include "harness/result/result.h"

namespace kill9 {
namespace {

constexpr char kStyle[] = R"(
:root { color-scheme: light dark; --ink: #1b1f24; --dim: #667; --paper: #fff; --line: #d8dce2;
  --bar: #dbe9ff; --edge: #4878c8; --bad: #ffd9d6; --bad-edge: #c62f26; --death: #c62f26;
  --point: #173f7a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --dim: #9aa3ad; --paper: #15181c;
  --line: #343a42;
  --bar: #1d3557; --edge: #6f9de0; --bad: #571d1d; --bad-edge: #ff7a70; --death: #ff7a70;
  --point: #cfe1ff; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  margin: 2rem; }
h1 { font-size: 1.35rem; margin: 0 0 .3rem; } p { margin: .3rem 0 .8rem; max-width: 60rem; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; margin: 1rem 0; }
svg { display: block; font: 12px system-ui, sans-serif; } svg text { fill: var(--ink); }
.grid { stroke: var(--line); } .bar { fill: var(--bar); stroke: var(--edge); }
.bad .bar { fill: var(--bad); stroke: var(--bad-edge); stroke-width: 2; }
.optional .bar { stroke-dasharray: 5 3; } .death { stroke: var(--death); stroke-width: 2.5; }
svg .dim { fill: var(--dim); } .path { fill: none; stroke: var(--point); stroke-width: 1.3;
  opacity: .55; }
.point { fill: var(--point); } .dim { color: var(--dim); }
table { border-collapse: collapse; margin-top: 1rem; } td, th { text-align: left;
  padding: .2rem .9rem .2rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; } td.n { text-align: right; }
tr.bad td { color: var(--bad-edge); font-weight: 600; } code { font-size: .92em; }
)";

// Where everything is on the page. Columns are moments, one after the other, not proportional to
// time.
class Page {
 public:
  Page(const Counterexample& counterexample, const Naming& naming)
      : shown_(counterexample), naming_(naming) {
    std::set<uint64_t> times;
    for (const Operation& operation : shown_.operations) {
      times.insert(operation.invoke);
      if (operation.finish != kNever) times.insert(operation.finish);
      rows_.try_emplace(operation.process, 0);
    }
    for (uint64_t time : times) columns_.try_emplace(time, columns_.size());
    columns_.try_emplace(kNever, columns_.size());
    int row = 0;
    for (auto& [process, number] : rows_) number = row++;
    start_ = times.empty() ? 0 : *times.begin();
    PlaceColumns();
  }

  std::string Draw() const {
    const double right = X(kNever) + kGap;
    const double bottom = kTop + kRow * static_cast<double>(rows_.size());
    std::string svg = absl::StrFormat(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" role=\"img\" "
        "aria-label=\"timeline of the operations\">\n",
        right + 20, bottom + 12);
    DrawGrid(bottom, right, &svg);
    for (size_t i = 0; i < shown_.operations.size(); ++i) DrawBar(i, right, &svg);
    DrawOrder(&svg);
    return svg + "</svg>\n";
  }

 private:
  static constexpr double kLeft = 70, kTop = 34, kRow = 46, kBar = 28, kGap = 42, kStep = 9;

  double X(uint64_t time) const { return x_[columns_.at(time)]; }

  // Each column as far to the right as the labels of the bars that end there need.
  void PlaceColumns() {
    std::vector<double> end(columns_.size(), 0);
    x_.resize(columns_.size());
    for (const auto& [time, column] : columns_) {
      x_[column] = std::max(end[column], column == 0 ? kLeft : x_[column - 1] + kGap);
      for (const Operation& operation : shown_.operations) {
        if (operation.invoke != time) continue;
        double label =
            6.6 * static_cast<double>(DescribeOperation(operation, naming_).size() + 4) + 14;
        double& least = end[columns_.at(operation.finish)];
        least = std::max(least, x_[column] + label);
      }
    }
  }
  double Y(const Operation& operation) const {
    return kTop + kRow * rows_.at(operation.process) + (kRow - kBar) / 2;
  }

  void DrawGrid(double bottom, double right, std::string* svg) const {
    for (const auto& [time, column] : columns_) {
      if (time == kNever) continue;
      absl::StrAppendFormat(
          svg, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", X(time),
          kTop - 6, X(time), bottom);
      absl::StrAppendFormat(
          svg, "<text class=\"dim\" x=\"%.1f\" y=\"18\" text-anchor=\"middle\">%.2f</text>\n",
          X(time),
          static_cast<double>(naming_.Nanoseconds(time) - naming_.Nanoseconds(start_)) / 1e3);
    }
    absl::StrAppendFormat(svg, "<text class=\"dim\" x=\"8\" y=\"18\">us</text>\n");
    for (const auto& [process, row] : rows_) {
      double y = kTop + kRow * row;
      absl::StrAppendFormat(svg, "<text x=\"8\" y=\"%.1f\">P%d</text>", y + kRow / 2 + 4, process);
      absl::StrAppendFormat(svg,
                            "<line class=\"grid\" x1=\"0\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                            y + kRow, right + 20, y + kRow);
    }
  }

  void DrawBar(size_t i, double right, std::string* svg) const {
    const Operation& operation = shown_.operations[i];
    const bool bad = std::find(shown_.unplaceable.begin(), shown_.unplaceable.end(), i) !=
                     shown_.unplaceable.end();
    const double x = X(operation.invoke);
    const double end = operation.finish == kNever ? right : X(operation.finish);
    const double y = Y(operation);
    std::string label = absl::StrCat(i + 1, "  ", DescribeOperation(operation, naming_));
    absl::StrAppendFormat(svg,
                          "<g class=\"%s%s\"><title>%s</title><rect class=\"bar\" x=\"%.1f\" "
                          "y=\"%.1f\" width=\"%.1f\" "
                          "height=\"%.1f\" rx=\"4\"/><text x=\"%.1f\" y=\"%.1f\">%s</text>",
                          bad ? "bad " : "", IsOptional(operation) ? "optional" : "",
                          EscapeHtml(label), x, y, std::max(4.0, end - x), kBar, x + 6, y + 13,
                          EscapeHtml(label));
    if (operation.outcome == Outcome::kCrashed) {
      absl::StrAppendFormat(
          svg,
          "<path class=\"death\" d=\"M%.1f %.1fl14 14m0 -14l-14 14\"/><text x=\"%.1f\" "
          "y=\"%.1f\" class=\"dim\">death</text>",
          end - 7, y + kBar / 2 - 7, end + 11, y + kBar / 2 + 4);
    }
    *svg += "</g>\n";
  }

  // The order of the prefix: a point in each operation, joined.
  void DrawOrder(std::string* svg) const {
    double x = 0;
    std::string path;
    std::string points;
    for (size_t i : shown_.placed) {
      const Operation& operation = shown_.operations[i];
      x = std::max(x, X(operation.invoke)) + kStep;
      if (operation.finish != kNever) x = std::min(x, X(operation.finish) - 3);
      double y = Y(operation) + kBar - 6;
      absl::StrAppendFormat(&path, "%s%.1f %.1f", path.empty() ? "M" : " L", x, y);
      absl::StrAppendFormat(&points, "<circle class=\"point\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>\n",
                            x, y);
    }
    if (!path.empty())
      absl::StrAppendFormat(svg, "<path class=\"path\" d=\"%s\"/>\n%s", path, points);
  }

  const Counterexample& shown_;
  const Naming& naming_;
  std::map<uint64_t, size_t> columns_;
  std::map<uint32_t, int> rows_;
  uint64_t start_ = 0;
  std::vector<double> x_;
};

std::string OrderTable(const Counterexample& shown, const Naming& naming) {
  std::string html =
      "<h2>The longest linearizable prefix</h2>\n<table><tr><th>#</th><th>process</th>"
      "<th>operation</th><th>leaves</th></tr>\n";
  std::string before;
  for (const std::string& state : shown.initial_states) {
    absl::StrAppend(&before, before.empty() ? "" : ", or ", naming.State(state));
  }
  absl::StrAppend(&html, "<tr class=\"dim\"><td></td><td></td><td>before the window</td><td>",
                  EscapeHtml(before), "</td></tr>\n");
  for (size_t i = 0; i < shown.placed.size(); ++i) {
    const Operation& operation = shown.operations[shown.placed[i]];
    absl::StrAppend(
        &html, "<tr><td class=\"n\">", shown.placed[i] + 1, "</td><td>P", operation.process,
        "</td><td>", EscapeHtml(DescribeOperation(operation, naming)), "</td><td>",
        i < shown.states.size() ? EscapeHtml(naming.State(shown.states[i])) : "", "</td></tr>\n");
  }
  for (size_t i : shown.unplaceable) {
    const Operation& operation = shown.operations[i];
    absl::StrAppend(&html, "<tr class=\"bad\"><td class=\"n\">", i + 1, "</td><td>P",
                    operation.process, "</td><td>",
                    EscapeHtml(DescribeOperation(operation, naming)),
                    "</td><td>no place is left for it</td></tr>\n");
  }
  return html + "</table>\n";
}

std::string Capital(std::string text) {
  if (!text.empty()) text[0] = absl::ascii_toupper(text[0]);
  return text;
}

absl::Status WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  if (file) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot write '", path, "': ", std::strerror(errno)));
}

}  // namespace

std::string RenderHtml(const Counterexample& counterexample, const Naming& naming) {
  std::string title =
      absl::StrCat(Capital(EscapeHtml(naming.Subject(counterexample.key))), " is not ",
                   std::string(ConditionName(counterexample.condition)), " linearizable");
  return absl::StrCat("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<title>",
                      title, "</title>\n<style>", kStyle, "</style></head><body>\n<h1>", title,
                      "</h1>\n<p>Model <code>", counterexample.model, "</code>. These ",
                      counterexample.operations.size(),
                      " operations of the history suffice to show it: without any one of them the "
                      "rest could be put in "
                      "order. Each bar lasts from an operation's call to its return, or to the "
                      "death of its process "
                      "(dashed: it may have taken effect before that, or never). The points show "
                      "an order in which the "
                      "blue ones could have taken effect; for the red ones no place is "
                      "left.</p>\n<div class=\"scroll\">",
                      Page(counterexample, naming).Draw(), "</div>\n",
                      OrderTable(counterexample, naming), "</body></html>\n");
}

std::string RenderTrace(const Counterexample& counterexample, const Naming& naming) {
  Json events = Json::array();
  std::set<uint32_t> processes;
  uint64_t last = 0;
  for (const Operation& operation : counterexample.operations) {
    if (operation.finish != kNever) last = std::max(last, operation.finish);
    processes.insert(operation.process);
  }
  for (uint32_t process : processes) {
    events.push_back({{"ph", "M"},
                      {"name", "thread_name"},
                      {"pid", 1},
                      {"tid", process},
                      {"args", {{"name", absl::StrCat("P", process)}}}});
  }
  auto microseconds = [&](uint64_t ticks) {
    return static_cast<double>(naming.Nanoseconds(ticks)) / 1e3;
  };
  for (size_t i = 0; i < counterexample.operations.size(); ++i) {
    const Operation& operation = counterexample.operations[i];
    const uint64_t finish = std::min(operation.finish, last);
    const bool bad = std::find(counterexample.unplaceable.begin(), counterexample.unplaceable.end(),
                               i) != counterexample.unplaceable.end();
    auto place = std::find(counterexample.placed.begin(), counterexample.placed.end(), i);
    Json arguments = {{"number", i + 1}, {"key", naming.Key(operation.key)}};
    if (place != counterexample.placed.end()) {
      arguments["place_in_prefix"] = place - counterexample.placed.begin() + 1;
    }
    if (bad) arguments["unplaceable"] = true;
    Json event = {{"ph", "X"},
                  {"name", DescribeOperation(operation, naming)},
                  {"cat", bad ? "unplaceable" : "operation"},
                  {"pid", 1},
                  {"tid", operation.process},
                  {"ts", microseconds(operation.invoke)},
                  {"dur", microseconds(finish) - microseconds(operation.invoke)},
                  {"args", arguments}};
    if (bad) event["cname"] = "terrible";
    events.push_back(event);
    if (operation.outcome == Outcome::kCrashed) {
      events.push_back({{"ph", "i"},
                        {"name", "death"},
                        {"s", "t"},
                        {"pid", 1},
                        {"tid", operation.process},
                        {"ts", microseconds(operation.finish)}});
    }
  }
  Json trace = {{"displayTimeUnit", "ns"}, {"traceEvents", events}};
  return Dump(trace, 1) + "\n";
}

absl::StatusOr<std::vector<std::string>> WriteCounterexample(const Counterexample& counterexample,
                                                             const Naming& naming,
                                                             const std::string& stem) {
  std::vector<std::string> files = {stem + ".html", stem + ".trace.json", stem + ".window.edn"};
  std::error_code ignored;  // a file that cannot be written tells it
  std::filesystem::create_directories(std::filesystem::path(stem).parent_path(), ignored);
  absl::Status status = WriteFile(files[0], RenderHtml(counterexample, naming));
  status.Update(WriteFile(files[1], RenderTrace(counterexample, naming)));
  status.Update(WriteFile(files[2], WriteEdn(counterexample.operations, naming)));
  if (!status.ok()) return status;
  return files;
}

}  // namespace kill9
