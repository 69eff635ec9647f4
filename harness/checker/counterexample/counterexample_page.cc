// The counterexample as one page: a timeline, the order that is possible, what holds, how to repeat
// it.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/checker/counterexample/counterexample.h"
#include "harness/checker/search/engine.h"
#include "harness/page/html.h"
#include "harness/page/page.h"

namespace kill9 {
namespace {

constexpr std::string_view kStyle = R"css(
:root { --bar: #dbe9ff; --edge: #4878c8; --point: #173f7a; }
@media (prefers-color-scheme: dark) { :root { --bar: #1d3557; --edge: #6f9de0; --point: #cfe1ff; } }
p { margin: .3rem 0 .8rem; max-width: 60rem; }
.scroll { border: 1px solid var(--line); border-radius: 6px; }
svg { display: block; font: 12px system-ui, sans-serif; } svg text { fill: var(--ink); }
.grid { stroke: var(--line); } .bar { fill: var(--bar); stroke: var(--edge); }
.bad .bar { fill: var(--bad); stroke: var(--bad-ink); stroke-width: 2; }
.optional .bar { stroke-dasharray: 5 3; } .death { stroke: var(--bad-ink); stroke-width: 2.5; }
.operation:hover .bar, .operation:focus .bar { stroke-width: 3; }
.operation:focus { outline: none; }
svg .dim { fill: var(--muted); } .path { fill: none; stroke: var(--point); stroke-width: 1.3;
  opacity: .55; }
.point { fill: var(--point); } .dim { color: var(--muted); }
#told { min-height: 1.6em; font-weight: 600; }
.zoom button { font: inherit; color: inherit; background: var(--soft);
  border: 1px solid var(--muted); border-radius: 4px; padding: .1rem .6rem; cursor: pointer; }
table { border-collapse: collapse; margin-top: 1rem; }
caption { text-align: left; font-weight: 600; }
td, th { text-align: left; padding: .2rem .9rem .2rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; } td.n { text-align: right; }
tr.bad td { color: var(--bad-ink); font-weight: 600; } code { font-size: .92em; }
pre { background: var(--soft); border: 1px solid var(--line); padding: .5rem; overflow-x: auto;
  font-size: .85rem; }
)css";

// Zooms by its buttons, or by the wheel with Ctrl; tells of the operation under the pointer or in
// focus.
constexpr std::string_view kScript = R"js(
const svg = document.querySelector("svg.timeline");
const box = svg.closest(".scroll");
const natural = svg.viewBox.baseVal.width;
const show = width => {
  svg.style.width = width === "100%" ? width : Math.max(120, width) + "px";
  svg.style.height = "auto";
};
const widths = { in: () => svg.clientWidth * 1.4, out: () => svg.clientWidth / 1.4,
  one: () => natural, fit: () => "100%" };
for (const button of document.querySelectorAll("[data-zoom]"))
  button.addEventListener("click", () => show(widths[button.dataset.zoom]()));
box.addEventListener("wheel", event => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  const at = box.scrollLeft + event.clientX - box.getBoundingClientRect().left;
  const before = svg.clientWidth;
  show(before * (event.deltaY < 0 ? 1.2 : 1 / 1.2));
  box.scrollLeft += at * (svg.clientWidth / before - 1);
}, { passive: false });
const told = document.getElementById("told");
let last = "";
const place = event => event.clientX + " " + event.clientY;
addEventListener("pointermove", event => { last = place(event); });
const tell = event => {
  // The mouse stands still: the page was scrolled below it, to the one that is in focus.
  if (event.pointerType === "mouse" && place(event) === last) return;
  told.textContent = event.currentTarget.querySelector("title").textContent;
};
for (const bar of document.querySelectorAll(".operation"))
  for (const event of ["pointerenter", "focus"]) bar.addEventListener(event, tell);
)js";

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
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"timeline\" width=\"%.0f\" "
        "height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" role=\"group\" "
        "aria-label=\"Timeline of the operations\">\n",
        right + 20, bottom + 12, right + 20, bottom + 12);
    DrawGrid(bottom, right, &svg);
    for (size_t i = 0; i < shown_.operations.size(); ++i) DrawBar(i, right, &svg);
    DrawOrder(&svg);
    return svg + "</svg>\n";
  }

 private:
  static constexpr double kLeft = 70, kTop = 34, kRow = 46, kBar = 28, kGap = 42, kStep = 9;
  static constexpr double kLetter = 6.9;  // a wide one's width
  static constexpr double kApart = 10;    // between two moments' labels

  double X(uint64_t time) const { return x_[columns_.at(time)]; }

  // The moment's microseconds, as the axis shows them: two moments are at least 1 ns apart.
  std::string Moment(uint64_t time) const {
    return absl::StrFormat(
        "%.3f", static_cast<double>(naming_.Nanoseconds(time) - naming_.Nanoseconds(start_)) / 1e3);
  }
  double HalfOfLabel(uint64_t time) const {
    return time == kNever ? 0 : kLetter * static_cast<double>(Moment(time).size()) / 2;
  }

  // Each column as far to the right as the labels of the bars that end there need, and as its own
  // label on the axis does.
  void PlaceColumns() {
    std::vector<double> end(columns_.size(), 0);
    x_.resize(columns_.size());
    double taken = 0;  // by labels on the axis
    for (const auto& [time, column] : columns_) {
      x_[column] = std::max(end[column], column == 0 ? kLeft : x_[column - 1] + kGap);
      x_[column] = std::max(x_[column], taken + kApart + HalfOfLabel(time));
      taken = x_[column] + HalfOfLabel(time);
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
          svg, "<text class=\"dim axis\" x=\"%.1f\" y=\"18\" text-anchor=\"middle\">%s</text>\n",
          X(time), Moment(time));
    }
    absl::StrAppendFormat(svg, "<text class=\"dim axis\" x=\"8\" y=\"18\">us</text>\n");
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
    const std::string label = absl::StrCat(i + 1, "  ", DescribeOperation(operation, naming_));
    const std::string told = Told(i, bad);
    absl::StrAppendFormat(svg,
                          "<g class=\"operation %s%s\" tabindex=\"0\" role=\"img\" "
                          "aria-label=\"%s\"><title>%s</title><rect class=\"bar\" x=\"%.1f\" "
                          "y=\"%.1f\" width=\"%.1f\" "
                          "height=\"%.1f\" rx=\"4\"/><text x=\"%.1f\" y=\"%.1f\">%s</text>",
                          bad ? "bad " : "", IsOptional(operation) ? "optional" : "",
                          EscapeHtml(told), EscapeHtml(told), x, y, std::max(4.0, end - x), kBar,
                          x + 6, y + 13, EscapeHtml(label));
    if (operation.outcome == Outcome::kCrashed) {
      absl::StrAppendFormat(
          svg,
          "<path class=\"death\" d=\"M%.1f %.1fl14 14m0 -14l-14 14\"/><text x=\"%.1f\" "
          "y=\"%.1f\" class=\"dim\">death</text>",
          end - 7, y + kBar / 2 - 7, end + 11, y + kBar / 2 + 4);
    }
    *svg += "</g>\n";
  }

  // "3: P2 put v7 -> version 3, from 1.200 to 3.450 us, placed as the 2nd": all that is known.
  std::string Told(size_t i, bool bad) const {
    const Operation& operation = shown_.operations[i];
    std::string told =
        absl::StrCat(i + 1, ": P", operation.process, " ", DescribeOperation(operation, naming_),
                     ", from ", Moment(operation.invoke));
    if (operation.finish == kNever) {
      absl::StrAppend(&told, " us on, never returned");
    } else {
      absl::StrAppend(&told, " to ", Moment(operation.finish), " us");
      if (operation.outcome == Outcome::kCrashed) absl::StrAppend(&told, ", when its process died");
    }
    const auto place = std::find(shown_.placed.begin(), shown_.placed.end(), i);
    if (bad) absl::StrAppend(&told, "; no place is left for it");
    if (place != shown_.placed.end()) {
      absl::StrAppend(&told, "; place ", place - shown_.placed.begin() + 1, " of the order");
    }
    return told;
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
      "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Order\"><table>\n"
      "<caption>The longest linearizable prefix</caption>\n<tr><th scope=\"col\">#</th>"
      "<th scope=\"col\">process</th><th scope=\"col\">operation</th><th scope=\"col\">leaves"
      "</th></tr>\n";
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
  return html + "</table></div>\n";
}

std::string Capital(std::string text) {
  if (!text.empty()) text[0] = absl::ascii_toupper(text[0]);
  return text;
}

// What is known of each condition: "strict: does not hold".
std::string Conditions(const Counterexample& counterexample, std::optional<Condition> strongest) {
  std::string html = "<p id=\"conditions\">Conditions, from the strongest on: ";
  for (const Condition condition : kConditions) {
    const bool is_shown = strongest.has_value() && condition >= *strongest;
    const bool is_broken =
        condition <= counterexample.condition || (strongest.has_value() && condition < *strongest);
    absl::StrAppend(&html, condition == kConditions[0] ? "" : "; ",
                    std::string(ConditionName(condition)), " <strong>",
                    is_shown    ? "holds"
                    : is_broken ? "does not hold"
                                : "was not shown to hold",
                    "</strong>");
  }
  return html +
         ". The weaker ones let a crashed operation take effect until the recovery has "
         "ended, or at any later time.</p>\n";
}

}  // namespace

std::string RenderHtml(const Counterexample& counterexample, const Naming& given,
                       const PageFacts& facts) {
  const Naming naming = WithShownValues(given);
  const std::string title =
      absl::StrCat(Capital(naming.Subject(counterexample.key)), " is not ",
                   std::string(ConditionName(counterexample.condition)), " linearizable");
  return absl::StrCat(
      PageHead(title, kStyle), "<body>\n<main>\n<h1>", EscapeHtml(title), "</h1>\n<p>Model <code>",
      counterexample.model, "</code>. These ", counterexample.operations.size(),
      " operations of the history suffice to show it: without any one of them the rest could be "
      "put "
      "in order. Each bar lasts from an operation's call to its return, or to the death of its "
      "process (dashed: it may have taken effect before that, or never). The points show an order "
      "in "
      "which the blue ones could have taken effect; for the red ones, with the thick edge, no "
      "place "
      "is left.</p>\n",
      Conditions(counterexample, facts.strongest),
      facts.repeat.empty()
          ? ""
          : absl::StrCat("<p>To repeat it:</p>\n<pre id=\"repeat\" tabindex=\"0\">",
                         EscapeHtml(facts.repeat), "</pre>\n"),
      "<p class=\"zoom\">Zoom (or Ctrl and the wheel): <button type=\"button\" data-zoom=\"in\">in"
      "</button> <button type=\"button\" data-zoom=\"out\">out</button> <button type=\"button\" "
      "data-zoom=\"one\">as drawn</button> <button type=\"button\" data-zoom=\"fit\">fit</button>"
      "</p>\n<p id=\"told\" role=\"status\">Point to an operation, or go through them with Tab."
      "</p>\n<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Timeline\">",
      Page(counterexample, naming).Draw(), "</div>\n", OrderTable(counterexample, naming),
      "</main>\n<script>", std::string(kScript), "</script>\n</body>\n</html>\n");
}

}  // namespace kill9
