#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "harness/report/document/document.h"

namespace kill9::report {
namespace {

std::string Escape(const std::string& text) {
  return absl::StrReplaceAll(text, {{"|", "\\|"}, {"\n", " "}, {"<", "&lt;"}, {"_", "\\_"}});
}

struct Writer {
  std::string& out;
  const std::string& figures;

  void operator()(const Paragraph& paragraph) const {
    absl::StrAppend(&out, Escape(paragraph.text), "\n\n");
  }
  void operator()(const Code& code) const {
    absl::StrAppend(&out, "```\n", code.text, code.text.ends_with('\n') ? "" : "\n", "```\n\n");
  }
  void operator()(const Table& table) const {
    if (!table.folded.empty()) {
      absl::StrAppend(&out, "<details><summary>", Escape(table.folded), "</summary>\n\n");
    }
    std::string rule;
    for (const std::string& name : table.head) {
      absl::StrAppend(&out, "| ", Escape(name), " ");
      absl::StrAppend(&rule, "|---");
    }
    absl::StrAppend(&out, "|\n", rule, "|\n");
    for (const auto& row : table.rows) {
      for (const Cell& cell : row) {
        const std::string text = Escape(cell.text);
        if (cell.link.empty()) {
          absl::StrAppend(&out, "| ", cell.mark == Mark::kBad ? "**" : "", text,
                          cell.mark == Mark::kBad ? "**" : "", " ");
        } else {
          absl::StrAppend(&out, "| [", text, "](#", cell.link, ") ");
        }
      }
      absl::StrAppend(&out, "|\n");
    }
    absl::StrAppend(&out, "\n", table.folded.empty() ? "" : "</details>\n\n");
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
    for (const Block& block : section.blocks) std::visit(Writer{out, figures}, block);
  }
  return out;
}

}  // namespace kill9::report
