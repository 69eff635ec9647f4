#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "harness/page/html.h"
#include "harness/page/page.h"
#include "harness/report/document/document.h"

namespace kill9::report {
namespace {

constexpr std::string_view kStyle = R"css(
h2 { margin: 2.5rem 0 .5rem; border-bottom: 1px solid var(--line); }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1rem; margin: 1rem 0; }
p, ul { max-width: 48rem; } li { margin: .3rem 0; }
table { border-collapse: collapse; font-size: .85rem; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; position: sticky; left: 0; }
th, td { border: 1px solid var(--line); padding: .25rem .5rem; text-align: right;
  white-space: nowrap; }
th { background: var(--soft); text-align: center; font-weight: 600; white-space: normal; }
tbody th { text-align: left; font-weight: 400; position: sticky; left: 0; }
tbody th.group { font-weight: 600; position: static; }
thead button { all: unset; cursor: pointer; } thead button:focus-visible {
  outline: 3px solid var(--link); }
[aria-sort=ascending] button::after { content: " \2191"; }
[aria-sort=descending] button::after { content: " \2193"; }
.text { text-align: left; }
.words { white-space: normal; text-align: left; min-width: 14rem; }
.good { background: var(--good); } .bad { background: var(--bad); font-weight: 600; }
.open { background: var(--open); }
.good::before { content: "\2713\00a0"; } .bad::before { content: "\2717\00a0"; }
.open::before { content: "?\00a0"; }
.muted { color: var(--muted); }
.good a, .bad a, .open a, th a { color: inherit; }
pre { background: var(--soft); border: 1px solid var(--line); padding: .6rem; overflow-x: auto;
  font-size: .8rem; }
details { margin: .4rem 0; } summary { cursor: pointer; }
details:target { outline: 2px solid var(--link); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .8rem; margin: .5rem 0;
  font-size: .9rem; }
dt { color: var(--muted); } dd { margin: 0; min-width: 0; }
figure { margin: 1rem 0; max-width: 70rem; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr));
  gap: .4rem; }
.panels svg { width: 100%; height: auto; display: block; }
figcaption { color: var(--muted); font-size: .9rem; max-width: 48rem; }
.filter { position: sticky; top: 0; z-index: 2; background: var(--paper); padding: .4rem 0;
  border-bottom: 1px solid var(--line); }
.filter input { font: inherit; max-width: 100%; color: inherit; background: var(--soft);
  border: 1px solid var(--muted); border-radius: 4px; padding: .1rem .4rem; }
[hidden] { display: none !important; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } dt { margin-top: .3rem; }
  tbody th { max-width: 9rem; } }
@media print { .filter { display: none; } .scroll { overflow: visible; } }
)css";

// A link into a folded detail opens it. A click on a column's name sorts within each group of rows:
// verdicts by how bad they are, then numbers, then words. What is typed above keeps the rows and
// findings that contain it.
constexpr std::string_view kScript = R"js(
const open = () => { const at = document.getElementById(location.hash.slice(1));
  if (at && at.tagName === "DETAILS") at.open = true; };
addEventListener("hashchange", open); open();

const units = { k: 1e3, M: 1e6, G: 1e9 };
const keyOf = cell => {
  const text = cell ? cell.textContent.trim() : "";
  const found = text.match(/-?\d+(\.\d+)?(?: ?([kMG])\b)?/);
  const number = found ? parseFloat(found[0]) * (units[found[2]] || 1) : null;
  const marks = ["good", "open", "bad"];
  const mark = cell ? marks.findIndex(name => cell.classList.contains(name)) : -1;
  const isText = !/^-?\d/.test(text) && mark < 0;
  return { empty: text === "" || text === "-", mark, number: isText ? null : number, text };
};
const compare = (a, b) => a.mark - b.mark ||
  (a.number === null || b.number === null ? a.text.localeCompare(b.text) : a.number - b.number);
const sort = (table, column, heading) => {
  const down = heading.getAttribute("aria-sort") === "ascending";
  for (const other of heading.parentNode.children) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter(row => !row.querySelector("th.group"));
    const keys = new Map(rows.map(row => [row, keyOf(row.cells[column])]));
    rows.sort((a, b) => keys.get(a).empty - keys.get(b).empty ||
      (down ? -1 : 1) * compare(keys.get(a), keys.get(b)));
    body.append(...rows);
  }
};
for (const table of document.querySelectorAll("table")) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sort(table, column, heading));
  });
}

const bar = document.createElement("div");
bar.className = "filter";
bar.innerHTML = '<label>Show only what contains <input type="search" size="18"></label> ' +
  '<output></output>';
document.querySelector("nav").after(bar);
const wanted = bar.querySelector("input");
const count = bar.querySelector("output");
const filter = () => {
  const words = wanted.value.trim().toLowerCase();
  const has = element => element.textContent.toLowerCase().includes(words);
  let shown = 0;
  for (const table of document.querySelectorAll("table")) {
    let ofTable = 0;
    for (const body of table.tBodies) {
      let ofBody = 0;
      for (const row of body.rows) {
        if (row.querySelector("th.group")) continue;
        row.hidden = !has(row);
        ofBody += row.hidden ? 0 : 1;
      }
      body.hidden = ofBody === 0;
      ofTable += ofBody;
    }
    (table.closest("details") || table.closest(".scroll")).hidden = ofTable === 0;
    shown += ofTable;
  }
  for (const finding of document.querySelectorAll("details[id]")) {
    finding.hidden = !has(finding);
    shown += finding.hidden ? 0 : 1;
  }
  for (const panels of document.querySelectorAll(".panels")) {
    const isIt = panel => panel.dataset.title.toLowerCase().includes(words);
    const any = [...panels.children].some(isIt);
    for (const panel of panels.children) panel.hidden = any && !isIt(panel);
  }
  count.textContent = words === "" ? "" : shown + " rows and findings";
};
wanted.addEventListener("input", filter);
)js";

constexpr double kDarkest = 0.7;   // of a heat map: its text stays legible
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

std::string Linked(const std::string& text, const std::string& id) {
  if (id.empty()) return EscapeHtml(text);
  return absl::StrCat("<a href=\"#", id, "\">", EscapeHtml(text), "</a>");
}

// `element` is "td", or "th" with its attributes.
std::string ToHtml(const Cell& cell, const std::string& element) {
  std::string classes = ClassOf(cell.mark);
  const bool words = cell.text.size() >= kWordsFrom;
  const bool text =
      cell.mark == Mark::kPlain && !cell.text.empty() && absl::ascii_isalpha(cell.text[0]);
  if (words || text)
    absl::StrAppend(&classes, classes.empty() ? "" : " ", words ? "words" : "text");
  std::string html = absl::StrCat("<", element);
  if (!classes.empty()) absl::StrAppend(&html, " class=\"", classes, "\"");
  if (cell.shade >= 0) {
    absl::StrAppendFormat(&html, " style=\"background: rgba(var(--heat), %.2f)\"",
                          cell.shade * kDarkest);
  }
  if (!cell.hover.empty()) absl::StrAppend(&html, " title=\"", EscapeHtml(cell.hover), "\"");
  return absl::StrCat(html, ">", Linked(cell.text, cell.link), "</", element.substr(0, 2), ">");
}

struct HtmlWriter {
  std::string& out;

  void operator()(const Paragraph& paragraph) const {
    absl::StrAppend(&out, "<p>", EscapeHtml(paragraph.text), "</p>\n");
  }
  void operator()(const Code& code) const {
    absl::StrAppend(&out, "<pre tabindex=\"0\">", EscapeHtml(code.text), "</pre>\n");
  }
  void operator()(const List& list) const {
    out += "<ul>\n";
    for (const std::vector<Span>& item : list.items) {
      out += "<li>";
      for (const Span& span : item) {
        const std::string html = Linked(span.text, span.link);
        out += span.is_strong ? absl::StrCat("<strong>", html, "</strong>") : html;
      }
      out += "</li>\n";
    }
    out += "</ul>\n";
  }
  void operator()(const Table& table) const {
    const std::string caption = EscapeHtml(table.caption);
    if (table.is_folded) absl::StrAppend(&out, "<details><summary>", caption, "</summary>\n");
    absl::StrAppend(&out, "<div class=\"scroll\" role=\"group\" tabindex=\"0\" aria-label=\"",
                    caption, "\"><table>\n<caption>", caption, "</caption>\n<thead><tr>");
    for (const std::string& name : table.head) {
      // A long name may be broken after its underscores.
      absl::StrAppend(&out, "<th scope=\"col\">",
                      absl::StrReplaceAll(EscapeHtml(name), {{"_", "_<wbr>"}}), "</th>");
    }
    out += "</tr></thead>\n<tbody>\n";
    size_t group = 0;
    for (size_t i = 0; i < table.rows.size(); ++i) {
      if (group < table.groups.size() && table.groups[group].first_row == i) {
        absl::StrAppend(&out, i == 0 ? "" : "</tbody>\n<tbody>\n",
                        "<tr><th class=\"group\" colspan=\"", table.head.size(),
                        "\" scope=\"rowgroup\">", EscapeHtml(table.groups[group++].title),
                        "</th></tr>\n");
      }
      out += "<tr>";
      const std::vector<Cell>& row = table.rows[i];
      for (size_t column = 0; column < row.size(); ++column) {
        out += ToHtml(row[column], column == 0 ? "th scope=\"row\"" : "td");
      }
      out += "</tr>\n";
    }
    absl::StrAppend(&out, "</tbody>\n</table></div>\n", table.is_folded ? "</details>\n" : "");
  }
  void operator()(const Figure& figure) const {
    out += "<figure><div class=\"panels\">\n";
    for (const Panel& panel : figure.panels) {
      absl::StrAppend(&out, "<div data-title=\"", EscapeHtml(panel.title), "\">", panel.svg,
                      "</div>\n");
    }
    absl::StrAppend(&out, "</div>\n<figcaption>", EscapeHtml(figure.caption),
                    "</figcaption></figure>\n");
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
  std::string out = absl::StrCat(PageHead(document.title, kStyle), "<body>\n<header>\n<h1>",
                                 EscapeHtml(document.title), "</h1>\n<p>",
                                 EscapeHtml(document.lead), "</p>\n<nav aria-label=\"Sections\">");
  for (const Section& section : document.sections) {
    absl::StrAppend(&out, "<a href=\"#", section.id, "\">", EscapeHtml(section.title), "</a>");
  }
  absl::StrAppend(&out, "</nav>\n</header>\n<main>\n");
  for (const Section& section : document.sections) {
    absl::StrAppend(&out, "<h2 id=\"", section.id, "\">", EscapeHtml(section.title), "</h2>\n");
    for (const Block& block : section.blocks) std::visit(HtmlWriter{out}, block);
  }
  return absl::StrCat(out, "</main>\n<script>", std::string(kScript),
                      "</script>\n</body>\n</html>\n");
}

}  // namespace kill9::report
