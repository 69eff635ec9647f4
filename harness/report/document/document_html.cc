#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "harness/report/document/document.h"
#include "harness/result/html.h"

namespace kill9::report {
namespace {

constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark; --ink: #1c2128; --paper: #ffffff; --soft: #f3f4f6;
  --line: #d4d8dd;
  --muted: #5b6470; --good: #d9f2df; --bad: #fbd9d5; --open: #fdeec4; --heat: 214, 69, 48;
  --link: #0a58ca; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7eb; --paper: #14181d; --soft: #1d2329; --line: #39414a; --muted: #9aa4af;
    --good: #17452a; --bad: #66251e; --open: #574513; --heat: 232, 99, 74; --link: #7db3ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 90rem; padding: 1rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { line-height: 1.2; margin: .5rem 0; } h2 { margin: 2.5rem 0 .5rem;
  border-bottom: 1px solid var(--line); }
a { color: var(--link); } nav { display: flex; flex-wrap: wrap; gap: .3rem 1rem; margin: 1rem 0; }
p { max-width: 48rem; }
.scroll { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .85rem; }
th, td { border: 1px solid var(--line); padding: .25rem .5rem; text-align: right;
  white-space: nowrap; }
th { background: var(--soft); text-align: center; font-weight: 600; white-space: normal; }
td:first-child, th:first-child { text-align: left; position: sticky; left: 0;
  background: var(--soft); }
td.text { text-align: left; }
td.words { white-space: normal; text-align: left; min-width: 14rem; }
.good { background: var(--good); } .bad { background: var(--bad); }
  .open { background: var(--open); }
.muted { color: var(--muted); }
.good a, .bad a, .open a { color: inherit; }
pre { background: var(--soft); border: 1px solid var(--line); padding: .6rem; overflow-x: auto;
  font-size: .8rem; }
details { margin: .4rem 0; } summary { cursor: pointer; }
details:target { outline: 2px solid var(--link); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .8rem; margin: .5rem 0;
  font-size: .9rem; }
dt { color: var(--muted); } dd { margin: 0; min-width: 0; }
figure { margin: 1rem 0; } figure svg { width: 100%; min-width: 34rem; max-width: 56rem;
  height: auto; display: block; }
figcaption { color: var(--muted); font-size: .9rem; max-width: 48rem; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } dt { margin-top: .3rem; } }
)css";

// A link into a folded detail opens it.
constexpr std::string_view kScript = R"js(
const open = () => { const at = document.getElementById(location.hash.slice(1));
  if (at && at.tagName === "DETAILS") at.open = true; };
addEventListener("hashchange", open); open();
)js";

constexpr size_t kWordsFrom = 28;  // a longer text may be broken into lines

const char* ClassOf(Mark mark) {
  switch (mark) {
    case Mark::kGood:
      return "good";
    case Mark::kBad:
      return "bad";
    case Mark::kOpen:
      return "open";
    case Mark::kMuted:
      return "muted";
    case Mark::kPlain:
      return "";
  }
  return "";
}

std::string ToHtml(const Cell& cell) {
  std::string classes = ClassOf(cell.mark);
  const bool words = cell.text.size() >= kWordsFrom;
  const bool text =
      cell.mark == Mark::kPlain && !cell.text.empty() && absl::ascii_isalpha(cell.text[0]);
  if (words || text)
    absl::StrAppend(&classes, classes.empty() ? "" : " ", words ? "words" : "text");
  std::string html = "<td";
  if (!classes.empty()) absl::StrAppend(&html, " class=\"", classes, "\"");
  if (cell.shade >= 0) {
    absl::StrAppendFormat(&html, " style=\"background: rgba(var(--heat), %.2f)\"",
                          cell.shade * 0.85);
  }
  if (!cell.hover.empty()) absl::StrAppend(&html, " title=\"", EscapeHtml(cell.hover), "\"");
  absl::StrAppend(&html, ">");
  if (cell.link.empty()) {
    absl::StrAppend(&html, EscapeHtml(cell.text));
  } else {
    absl::StrAppend(&html, "<a href=\"#", cell.link, "\">", EscapeHtml(cell.text), "</a>");
  }
  return html + "</td>";
}

struct Writer {
  std::string& out;

  void operator()(const Paragraph& paragraph) const {
    absl::StrAppend(&out, "<p>", EscapeHtml(paragraph.text), "</p>\n");
  }
  void operator()(const Code& code) const {
    absl::StrAppend(&out, "<pre>", EscapeHtml(code.text), "</pre>\n");
  }
  void operator()(const Table& table) const {
    if (!table.folded.empty()) {
      absl::StrAppend(&out, "<details><summary>", EscapeHtml(table.folded), "</summary>\n");
    }
    absl::StrAppend(&out, "<div class=\"scroll\"><table>\n<tr>");
    for (const std::string& name : table.head) {
      // A long name may be broken after its underscores.
      absl::StrAppend(&out, "<th>", absl::StrReplaceAll(EscapeHtml(name), {{"_", "_<wbr>"}}),
                      "</th>");
    }
    absl::StrAppend(&out, "</tr>\n");
    for (const auto& row : table.rows) {
      absl::StrAppend(&out, "<tr>");
      for (const Cell& cell : row) absl::StrAppend(&out, ToHtml(cell));
      absl::StrAppend(&out, "</tr>\n");
    }
    absl::StrAppend(&out, "</table></div>\n", table.folded.empty() ? "" : "</details>\n");
  }
  void operator()(const Figure& figure) const {
    absl::StrAppend(&out, "<figure><div class=\"scroll\">", figure.svg, "</div>\n<figcaption>",
                    EscapeHtml(figure.caption), "</figcaption></figure>\n");
  }
  void operator()(const Detail& detail) const {
    absl::StrAppend(&out, "<details id=\"", detail.id, "\"><summary>", EscapeHtml(detail.title),
                    "</summary>\n<dl>");
    for (const auto& [name, value] : detail.facts) {
      absl::StrAppend(&out, "<dt>", EscapeHtml(name), "</dt><dd>", EscapeHtml(value), "</dd>");
    }
    absl::StrAppend(&out, "</dl>\n");
    if (!detail.code.empty()) (*this)(Code{detail.code});
    absl::StrAppend(&out, "</details>\n");
  }
};

}  // namespace

std::string ToHtml(const Document& document) {
  std::string out = absl::StrCat(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
      EscapeHtml(document.title), "</title>\n<style>", std::string(kStyle),
      "</style>\n</head>\n<body>\n<h1>", EscapeHtml(document.title), "</h1>\n<p>",
      EscapeHtml(document.lead), "</p>\n<nav>");
  for (const Section& section : document.sections) {
    absl::StrAppend(&out, "<a href=\"#", section.id, "\">", EscapeHtml(section.title), "</a>");
  }
  absl::StrAppend(&out, "</nav>\n");
  for (const Section& section : document.sections) {
    absl::StrAppend(&out, "<h2 id=\"", section.id, "\">", EscapeHtml(section.title), "</h2>\n");
    for (const Block& block : section.blocks) std::visit(Writer{out}, block);
  }
  return absl::StrCat(out, "<script>", std::string(kScript), "</script>\n</body>\n</html>\n");
}

}  // namespace kill9::report
