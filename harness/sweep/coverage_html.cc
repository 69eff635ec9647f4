// The pages of kill coverage: an index of variants, one of each variant's files, the annotated
// sources.
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "harness/base/text/write_text.h"
#include "harness/page/html.h"
#include "harness/page/page.h"
#include "harness/sweep/coverage_pages.h"

namespace kill9::sweep {
namespace {

using stepper::KillCoverage;
using LineCount = KillCoverage::LineCount;

constexpr std::string_view kStyle = R"css(
table { border-collapse: collapse; } caption { text-align: left; font-weight: 600; }
td, th { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child { text-align: left; font-weight: 400; } thead th { font-weight: 600; }
.bar { display: inline-flex; width: 8rem; height: .8rem; border: 1px solid var(--muted); }
.bar i { display: block; } .bar .k { background: var(--edge-good); }
.bar .x { background: var(--bad-ink); }
:root { --edge-good: #3f9d5f; --spoken: #e3eefb; }
@media (prefers-color-scheme: dark) { :root { --edge-good: #3f9d5f; --spoken: #1d3350; } }
pre { font: 12px/1.45 ui-monospace, monospace; overflow-x: auto; margin: 0; }
.k { background: var(--good); } .s { background: var(--spoken); } .n { color: var(--muted); }
.x { background: var(--bad); }
.g { color: var(--muted); }
@media (max-width: 40rem) { th:first-child { max-width: 9rem; overflow-wrap: anywhere; }
  .bar { width: 5rem; } td, th { padding: .2rem .4rem; } }
.red { color: var(--bad-ink); font-weight: 600; }
)css";

// What is told of a file, or of all files of a variant.
struct Sums {
  uint64_t with_code = 0, covered = 0, not_survived = 0;  // lines
  uint64_t instructions_not_survived = 0;                 // those that its lines called included

  void Add(const LineCount* line) {
    ++with_code;
    if (line == nullptr) return;
    const bool is_lost = line->all_not_survived() > 0;
    not_survived += is_lost;
    covered += !is_lost && line->killed + line->spoken_for > 0;
    instructions_not_survived += line->all_not_survived();
  }
};

const LineCount* Find(const KillCoverage::Group& counts, const std::string& file, int line) {
  const auto of_file = counts.lines.find(file);
  if (of_file == counts.lines.end()) return nullptr;
  const auto at = of_file->second.find(line);
  return at == of_file->second.end() ? nullptr : &at->second;
}

// A bar of what was survived and what was not, with both in words.
std::string Bar(const Sums& sums) {
  const auto share = [&](uint64_t part) {
    return sums.with_code == 0
               ? 0.0
               : 100 * static_cast<double>(part) / static_cast<double>(sums.with_code);
  };
  return absl::StrFormat(
      "<span class=\"bar\" role=\"img\" aria-label=\"%.0f %% of the lines survived, %.0f %% not\">"
      "<i class=\"k\" style=\"width:%.2f%%\"></i><i class=\"x\" style=\"width:%.2f%%\"></i></span>",
      share(sums.covered), share(sums.not_survived), share(sums.covered), share(sums.not_survived));
}

// The cells of a row, after its first.
std::string Cells(const Sums& sums) {
  const char* red = sums.not_survived > 0 ? " class=\"red\"" : "";
  return absl::StrFormat("<td>%s</td><td>%d</td><td>%d</td><td%s>%d</td><td%s>%d</td>", Bar(sums),
                         sums.with_code, sums.covered, red, sums.not_survived, red,
                         sums.instructions_not_survived);
}

std::string Table(const std::string& caption, const std::string& first, const std::string& rows) {
  return absl::StrCat(
      "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"", caption,
      "\"><table>\n<caption>", caption, "</caption>\n<thead><tr><th scope=\"col\">", first,
      "</th><th scope=\"col\">bar</th><th scope=\"col\">lines with code</th><th "
      "scope=\"col\">killed "
      "at and survived</th><th scope=\"col\">not survived</th><th scope=\"col\">instructions not "
      "survived</th></tr></thead>\n<tbody>\n",
      rows, "</tbody>\n</table></div>\n");
}

std::string NameOfPage(const std::string& variant, const std::string& file) {
  return absl::StrCat(variant, "-", absl::StrReplaceAll(file, {{"/", "-"}}), ".html");
}

std::string Link(const std::string& page, const std::string& text) {
  return absl::StrCat("<a href=\"", EscapeHtml(page), "\">", EscapeHtml(text), "</a>");
}

// One line of source, with its counts before it and a sign of what they come to.
std::string AnnotatedLine(int number, const LineCount* line, bool has_code,
                          const std::string& text) {
  const char* kind = "o";
  const char* sign = " ";
  std::string gutter;
  std::string operations;
  if (line != nullptr) {
    const bool is_lost = line->all_not_survived() > 0;
    kind = is_lost ? "x" : line->killed > 0 ? "k" : line->spoken_for > 0 ? "s" : "o";
    sign = is_lost ? "✗" : line->killed > 0 ? "✓" : line->spoken_for > 0 ? "~" : " ";
    gutter = absl::StrFormat("%8d %6d %8d %7d", line->executed + line->called_executed,
                             line->killed, line->spoken_for, line->all_not_survived());
    for (const std::string& operation : line->labels) absl::StrAppend(&operations, operation, " ");
  } else if (has_code) {
    kind = "n";
    sign = "·";
    gutter = "never reached";
  }
  return absl::StrFormat(
      "<span class=\"g\" title=\"%s\">%4d %-33s%s </span><span class=\"%s\">%s"
      "</span>\n",
      EscapeHtml(operations), number, gutter, sign, kind, EscapeHtml(text));
}

// Debugging information names a source as the compiler was told: maybe by its place beside the
// program's folder.
std::ifstream OpenSource(const std::string& path) {
  std::ifstream source(path);
  if (source || path.starts_with('/')) return source;
  std::error_code ignored;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  return std::ifstream(program.parent_path() / path);
}

std::string SourcePage(const KillCoverage& coverage, const std::string& variant,
                       const KillCoverage::Group& counts, const std::string& file) {
  const std::string title = absl::StrCat(file, ", by ", variant);
  std::string page = absl::StrCat(
      PageHead(title, kStyle), "<body>\n<main>\n<h1>", EscapeHtml(title), "</h1>\n<p>",
      Link(absl::StrCat(variant, ".html"), absl::StrCat("All files of ", variant)),
      "</p>\n<p>Before each line: instructions executed (in a library that it called, too), killed "
      "at, spoken for by a kill in the same state, not survived. <span class=\"k\">✓ killed at and "
      "survived</span>, <span class=\"s\">~ spoken for</span>, <span class=\"x\">✗ not "
      "survived</span>, <span class=\"n\">· never reached by an operation of the sweep</span>."
      "</p>\n<pre tabindex=\"0\">");
  const std::set<int>& with_code = coverage.lines_with_code().at(file);
  std::ifstream source = OpenSource(coverage.PathOf(file));
  if (!source)
    absl::StrAppend(&page, EscapeHtml(coverage.PathOf(file)), " is not here to be shown.");
  std::string text;
  for (int number = 1; std::getline(source, text); ++number) {
    page += AnnotatedLine(number, Find(counts, file, number), with_code.contains(number), text);
  }
  return page + "</pre>\n</main>\n</body>\n</html>\n";
}

absl::Status Write(const std::string& directory, const std::string& name, const std::string& text) {
  return WriteText(text, absl::StrCat(directory, "/", name), "the page");
}

// The pages of a variant; its sums are added.
absl::Status WriteVariant(const KillCoverage& coverage, const std::string& variant,
                          const KillCoverage::Group& counts, const std::string& directory,
                          Sums* all) {
  std::string rows;
  absl::Status status;
  for (const auto& [file, lines] : coverage.lines_with_code()) {
    if (!BelongsTo(variant, counts, file)) continue;
    Sums sums;
    for (const int line : lines) {
      const LineCount* found = Find(counts, file, line);
      sums.Add(found);
      all->Add(found);
    }
    absl::StrAppend(&rows, "<tr><th scope=\"row\">", Link(NameOfPage(variant, file), file), "</th>",
                    Cells(sums), "</tr>\n");
    status.Update(
        Write(directory, NameOfPage(variant, file), SourcePage(coverage, variant, counts, file)));
  }
  const std::string title = absl::StrCat("Kill coverage of ", variant);
  status.Update(Write(
      directory, absl::StrCat(variant, ".html"),
      absl::StrCat(PageHead(title, kStyle), "<body>\n<main data-page=\"coverage-index\">\n<h1>",
                   EscapeHtml(title), "</h1>\n<p>", Link("index.html", "All variants"), "</p>\n",
                   Table("By file", "file", rows), "</main>\n</body>\n</html>\n")));
  return status;
}

}  // namespace

absl::Status WriteCoverage(const KillCoverage& coverage, const std::string& directory,
                           const Json& result) {
  std::error_code ignored;  // a file that cannot be written tells it
  std::filesystem::create_directories(directory, ignored);
  const Json figures = CoverageFigures(coverage);
  std::string rows;
  absl::Status status;
  for (const auto& [variant, counts] : coverage.groups()) {
    Sums sums;
    status.Update(WriteVariant(coverage, variant, counts, directory, &sums));
    absl::StrAppend(&rows, "<tr><th scope=\"row\">", Link(absl::StrCat(variant, ".html"), variant),
                    "</th>", Cells(sums), "</tr>\n");
  }
  std::string page =
      absl::StrCat(PageHead("kill9: kill coverage", kStyle),
                   "<body>\n<main data-page=\"coverage-index\">\n<h1>Kill coverage</h1>\n<p>",
                   EscapeHtml(result.at("command").get<std::string>()), "</p>\n",
                   Table("By variant", "variant", rows), "<ul>\n");
  for (const Json& of_variant : figures) {
    absl::StrAppend(&page, "<li>", EscapeHtml(CoverageLine(of_variant)), "</li>\n");
  }
  status.Update(Write(directory, "index.html", page + "</ul>\n</main>\n</body>\n</html>\n"));
  status.Update(Write(directory, "coverage.json", figures.dump(2) + "\n"));
  return status;
}

}  // namespace kill9::sweep
