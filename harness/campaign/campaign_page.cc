// A campaign's summary for a terminal and as a page.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "harness/base/text/count_of.h"
#include "harness/campaign/campaign_summary.h"
#include "harness/page/html.h"
#include "harness/page/page.h"

namespace kill9::campaign {
namespace {

constexpr size_t kNeverShown = 5;  // names on a terminal; the page has all

std::string NameOf(const Cell& cell) {
  return absl::StrCat(cell.kind, " ", cell.object, cell.name.empty() ? "" : " ", cell.name);
}

std::string Describe(const Failing& one) {
  std::string text =
      absl::StrCat(NameOf(one.run.cell), ": ", one.run.verdict, " since ", one.since);
  if (!one.before.empty()) absl::StrAppend(&text, " (passed with ", one.before, ")");
  return text;
}

std::string Describe(const Flaky& one) {
  return absl::StrCat(NameOf(one.cell), ": ", one.bad, " of ", CountOf(one.good + one.bad, "run"),
                      " failed with ", one.build);
}

std::string Describe(const Regression& one) {
  return absl::StrFormat(
      "%s: %s is %.2f of what it was, since %s (before: %s; %s)",
      one.cell.name.empty() ? NameOf(one.cell) + ", all cells together" : NameOf(one.cell),
      one.figure, one.ratio, one.since, one.before, one.machine);
}

std::string Totals(const Summary& summary) {
  return absl::StrFormat("%s, %s, %.1f hours, %s", CountOf(summary.runs, "run"),
                         CountOf(summary.kills, "kill"), summary.seconds / 3600,
                         CountOf(summary.builds.size(), "build"));
}

std::string VerdictOf(const ObjectSummary& one) {
  if (one.bad > 0) return absl::StrCat(one.bad, " bad");
  if (one.undecided > 0) return absl::StrCat(one.undecided, " undecided");
  return one.tried > 0 ? "pass" : "never tried";
}

// A curve in a frame of 0 to 1 and, where it goes beyond, further; the middle line is the first
// build's level.
std::string Curve(const Trend& trend) {
  constexpr double kWidth = 240, kHeight = 60;
  const double most = std::max(2.0, *std::max_element(trend.values.begin(), trend.values.end()));
  std::string points;
  for (size_t n = 0; n < trend.values.size(); ++n) {
    absl::StrAppendFormat(
        &points, "%s%.1f,%.1f", n == 0 ? "" : " ",
        kWidth * static_cast<double>(n) / static_cast<double>(trend.values.size() - 1),
        kHeight * (1 - trend.values[n] / most));
  }
  return absl::StrFormat(
      "<svg viewBox=\"-4 -4 %.0f %.0f\" role=\"img\" aria-label=\"%s of %s %s, build by build\">"
      "<line x1=\"0\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/><polyline points=\"%s\"/></svg>",
      kWidth + 8, kHeight + 8, EscapeHtml(trend.figure), EscapeHtml(trend.kind),
      EscapeHtml(trend.object), kWidth, kHeight * (1 - 1 / most), kHeight * (1 - 1 / most), points);
}

constexpr std::string_view kStyle = R"css(
table { border-collapse: collapse; } th, td { padding: .2rem .6rem; text-align: left;
  border-bottom: 1px solid var(--line); vertical-align: top; }
td.number { text-align: right; } .bad { background: var(--bad); } .open { background: var(--open); }
.good { background: var(--good); } code { background: var(--soft); }
svg { width: 15rem; height: 4rem; } polyline { fill: none; stroke: var(--link); stroke-width: 2; }
line { stroke: var(--muted); stroke-dasharray: 4 3; }
)css";

class Page {
 public:
  explicit Page(const Summary& summary) : summary_(summary) {}

  std::string Write() {
    absl::StrAppend(&html_, PageHead("kill9 campaign", kStyle),
                    "<body>\n<main>\n<h1>Campaign</h1>\n", "<p>", Totals(summary_), ".</p>\n");
    List("Fails", summary_.failing, [](const Failing& one) {
      return absl::StrCat(EscapeHtml(Describe(one)), Repeat(one.run.repeat));
    });
    List("Worse than before", summary_.regressions,
         [](const Regression& one) { return EscapeHtml(Describe(one)); });
    List("Flaky: good and bad with one build", summary_.flaky, [](const Flaky& one) {
      return absl::StrCat(EscapeHtml(Describe(one)), Repeat(one.repeat));
    });
    Objects();
    Trends();
    absl::StrAppend(&html_, "</main>\n</body>\n</html>\n");
    return std::move(html_);
  }

 private:
  static std::string Repeat(const std::string& line) {
    return line.empty() ? "" : absl::StrCat("<br><code>", EscapeHtml(line), "</code>");
  }
  template <typename Entry, typename Say>
  void List(std::string_view title, const std::vector<Entry>& entries, Say say) {
    absl::StrAppend(&html_, "<h2>", std::string(title), "</h2>\n");
    if (entries.empty()) {
      absl::StrAppend(&html_, "<p>Nothing.</p>\n");
      return;
    }
    absl::StrAppend(&html_, "<ul>\n");
    for (const Entry& entry : entries) absl::StrAppend(&html_, "<li>", say(entry), "</li>\n");
    absl::StrAppend(&html_, "</ul>\n");
  }
  void Objects() {
    absl::StrAppend(&html_,
                    "<h2>What was tried</h2>\n<div class=\"scroll\"><table>\n<tr><th>kind</th>"
                    "<th>object</th><th>answer</th><th>cells tried</th><th>never tried</th>"
                    "<th>with the last build</th><th>runs</th><th>kills</th><th>last</th></tr>\n");
    for (const ObjectSummary& one : summary_.objects) {
      const char* css = one.bad > 0 ? "bad" : one.undecided > 0 || one.tried == 0 ? "open" : "good";
      absl::StrAppend(&html_, "<tr><td>", EscapeHtml(one.kind), "</td><td>", EscapeHtml(one.object),
                      "</td><td class=\"", css, "\">", EscapeHtml(VerdictOf(one)), "</td>",
                      Number(one.tried), "<td>", Never(one), "</td>", Number(one.by_last_build),
                      Number(one.runs), Number(one.kills), "<td>", EscapeHtml(one.last),
                      "</td></tr>\n");
    }
    absl::StrAppend(&html_, "</table></div>\n");
  }
  static std::string Number(uint64_t number) {
    return absl::StrCat("<td class=\"number\">", number, "</td>");
  }
  static std::string Never(const ObjectSummary& one) {
    if (one.known == 0) return "not known";
    if (one.never.empty()) return "none";
    std::vector<std::string> names;
    for (const Cell& cell : one.never) names.push_back(EscapeHtml(cell.name));
    return absl::StrCat("<details><summary>", names.size(), "</summary>",
                        absl::StrJoin(names, ", "), "</details>");
  }
  void Trends() {
    absl::StrAppend(&html_, "<h2>From build to build</h2>\n");
    if (summary_.trends.empty()) {
      absl::StrAppend(&html_, "<p>There is one build only.</p>\n");
      return;
    }
    absl::StrAppend(&html_,
                    "<p>Geometric means over the cells that two builds have in common, on one "
                    "machine; the first build's is 1, the dashed line.</p>\n<div "
                    "class=\"scroll\"><table>\n<tr><th>of</th><th>figure</th><th>machine</th>"
                    "<th>curve</th><th>builds</th></tr>\n");
    for (const Trend& trend : summary_.trends) {
      std::vector<std::string> values;
      for (size_t n = 0; n < trend.builds.size(); ++n) {
        values.push_back(absl::StrFormat("%s: %.2f", EscapeHtml(trend.builds[n]), trend.values[n]));
      }
      absl::StrAppend(&html_, "<tr><td>", EscapeHtml(trend.kind), " ", EscapeHtml(trend.object),
                      "</td><td>", EscapeHtml(trend.figure), "</td><td>", EscapeHtml(trend.machine),
                      "</td><td>", Curve(trend), "</td><td>", absl::StrJoin(values, ", "),
                      "</td></tr>\n");
    }
    absl::StrAppend(&html_, "</table></div>\n");
  }

  const Summary& summary_;
  std::string html_;
};

}  // namespace

std::string AsText(const Summary& summary) {
  std::string text = Totals(summary) + "\n\n";
  absl::StrAppendFormat(&text, "%-10s %-24s %-14s %8s %8s %10s %8s %10s\n", "kind", "object",
                        "answer", "tried", "never", "last build", "runs", "kills");
  for (const ObjectSummary& one : summary.objects) {
    absl::StrAppendFormat(&text, "%-10s %-24s %-14s %8d %8s %10d %8d %10d\n", one.kind, one.object,
                          VerdictOf(one), one.tried,
                          one.known == 0 ? "?" : absl::StrCat(one.never.size()), one.by_last_build,
                          one.runs, one.kills);
  }
  for (const ObjectSummary& one : summary.objects) {
    if (one.never.empty()) continue;
    std::vector<std::string> names;
    for (const Cell& cell : one.never) {
      if (names.size() < kNeverShown) names.push_back(cell.name);
    }
    absl::StrAppend(&text, "never tried: ", one.kind, " ", one.object, ": ",
                    absl::StrJoin(names, ", "),
                    one.never.size() > kNeverShown
                        ? absl::StrCat(" and ", one.never.size() - kNeverShown, " more")
                        : "",
                    "\n");
  }
  for (const Failing& one : summary.failing) {
    absl::StrAppend(&text, "fails: ", Describe(one), "\n");
    if (!one.run.repeat.empty()) absl::StrAppend(&text, "    repeat: ", one.run.repeat, "\n");
  }
  for (const Regression& one : summary.regressions) {
    absl::StrAppend(&text, "worse: ", Describe(one), "\n");
  }
  for (const Flaky& one : summary.flaky) {
    absl::StrAppend(&text, "flaky: ", Describe(one), "\n");
    if (!one.repeat.empty()) absl::StrAppend(&text, "    repeat: ", one.repeat, "\n");
  }
  return text;
}

std::string AsHtml(const Summary& summary) { return Page(summary).Write(); }

}  // namespace kill9::campaign
