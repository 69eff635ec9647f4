#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "harness/base/text/count_of.h"
#include "harness/report/document/document.h"

namespace kill9::report {
namespace {

std::string Escape(const std::string& text) {
  return absl::StrReplaceAll(text, {{"|", "\\|"}, {"\n", " "}, {"<", "&lt;"}, {"_", "\\_"}});
}

// Of a folded table, where the figures are elsewhere.
constexpr size_t kMostRowsBesideFigures = 60;

struct MarkdownWriter {
  std::string& out;
  const std::string& figures;

  void operator()(const Paragraph& paragraph) const {
    absl::StrAppend(&out, Escape(paragraph.text), "\n\n");
  }
  void operator()(const Code& code) const {
    absl::StrAppend(&out, "```\n", code.text, code.text.ends_with('\n') ? "" : "\n", "```\n\n");
  }
  void operator()(const List& list) const {
    for (const std::vector<Span>& item : list.items) {
      out += "- ";
      for (const Span& span : item) {
        const std::string text =
            span.is_strong ? absl::StrCat("**", Escape(span.text), "**") : Escape(span.text);
        out += span.link.empty() ? text : absl::StrCat("[", text, "](#", span.link, ")");
      }
      out += "\n";
    }
    out += "\n";
  }
  void operator()(const Table& table) const {
    if (figures.empty() && table.is_folded && table.rows.size() > kMostRowsBesideFigures) {
      absl::StrAppend(&out, "*In report.html: ", Escape(table.caption), " (",
                      CountOf(table.rows.size(), "row"), ")*\n\n");
      return;
    }
    absl::StrAppend(&out, table.is_folded ? "<details><summary>" : "*", Escape(table.caption),
                    table.is_folded ? "</summary>\n\n" : "*\n\n");
    std::string rule;
    for (const std::string& name : table.head) {
      absl::StrAppend(&out, "| ", Escape(name), " ");
      absl::StrAppend(&rule, "|---");
    }
    absl::StrAppend(&out, "|\n", rule, "|\n");
    size_t group = 0;
    for (size_t i = 0; i < table.rows.size(); ++i) {
      if (group < table.groups.size() && table.groups[group].first_row == i) {
        absl::StrAppend(&out, "| **", Escape(table.groups[group++].title), "** ");
        for (size_t column = 1; column < table.head.size(); ++column) out += "| ";
        out += "|\n";
      }
      for (const Cell& cell : table.rows[i]) {
        const char* bold = cell.mark == Mark::kBad ? "**" : "";
        const std::string text = absl::StrCat(bold, Escape(cell.text), bold);
        absl::StrAppend(&out, "| ",
                        cell.link.empty() ? text : absl::StrCat("[", text, "](#", cell.link, ")"),
                        " ");
      }
      absl::StrAppend(&out, "|\n");
    }
    absl::StrAppend(&out, "\n", table.is_folded ? "</details>\n\n" : "");
  }
  void operator()(const Figure& figure) const {
    if (figures.empty()) {
      absl::StrAppend(&out, "*Drawn in report.html: ", Escape(figure.caption), "*\n\n");
      return;
    }
    absl::StrAppend(&out, "![", Escape(figure.caption), "](", figures, "/", figure.name,
                    ".svg)\n\n", Escape(figure.caption), "\n\n");
  }
  void operator()(const Detail& detail) const {
    absl::StrAppend(&out, "<a id=\"", detail.id, "\"></a>\n<details><summary>",
                    Escape(detail.title), "</summary>\n\n");
    for (const auto& [name, value] : detail.facts) {
      // A line to be run is taken as it stands.
      absl::StrAppend(&out, "- ", Escape(name), ": ",
                      name == "repeat" ? absl::StrCat("`", value, "`") : Escape(value), "\n");
    }
    absl::StrAppend(&out, "\n");
    if (!detail.code.empty()) (*this)(Code{detail.code});
    absl::StrAppend(&out, "</details>\n\n");
  }
};

}  // namespace

std::string ToMarkdown(const Document& document, const std::string& figures) {
  std::string out = absl::StrCat("# ", document.title, "\n\n", Escape(document.lead), "\n\n");
  for (const Section& section : document.sections) {
    absl::StrAppend(&out, "<a id=\"", section.id, "\"></a>\n\n## ", section.title, "\n\n");
    for (const Block& block : section.blocks) std::visit(MarkdownWriter{out, figures}, block);
  }
  return out;
}

}  // namespace kill9::report
