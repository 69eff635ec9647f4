// A report as data, and its two forms: one HTML file that needs nothing from anywhere, and its
// Markdown twin. Sections are filled by sections.h; this knows nothing of what they say.
#ifndef KILL9_HARNESS_REPORT_DOCUMENT_DOCUMENT_H_
#define KILL9_HARNESS_REPORT_DOCUMENT_DOCUMENT_H_

#include <cstddef>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace kill9::report {

// How a cell looks: a verdict's colours, or a shade from 0 (none) to 1 (full). Good, bad and open
// have a sign of their own beside the colour.
enum class Mark { kPlain, kGood, kBad, kOpen, kMuted };

struct Cell {
  Cell(std::string words = "") : text(std::move(words)) {}
  Cell(const char* words) : text(words) {}
  Cell(std::string words, Mark how) : text(std::move(words)), mark(how) {}

  std::string text;
  Mark mark = Mark::kPlain;
  double shade = -1;   // from 0 on: a heat map's cell
  std::string link{};  // the id of a part of this document
  std::string hover{};
};

// Rows from `first_row` on, up to the next group, stand under a title.
struct RowGroup {
  size_t first_row;
  std::string title;
};

// A row's first cell is its heading.
struct Table {
  std::vector<std::string> head{};
  std::vector<std::vector<Cell>> rows{};
  std::string caption{};
  bool is_folded = false;  // shown folded in, under its caption
  std::vector<RowGroup> groups{};
};
struct Paragraph {
  std::string text;
};
struct Code {
  std::string text;
};
// Words of a sentence.
struct Span {
  Span(std::string words) : text(std::move(words)) {}
  Span(const char* words) : text(words) {}
  Span(std::string words, std::string id) : text(std::move(words)), link(std::move(id)) {}

  std::string text;
  std::string link{};  // the id of a part of this document
  bool is_strong = false;
};
struct List {
  std::vector<std::vector<Span>> items;
};
// A small picture of its own: an <svg> that stands in a page.
struct Panel {
  std::string title;
  std::string svg;
};
// Small multiples: panels with the same axes.
struct Figure {
  std::string name;  // a file's name without its ending
  std::vector<Panel> panels;
  std::string caption;
};
// Something that other parts link to: folded in, with a title.
struct Detail {
  std::string id;
  std::string title;
  std::vector<std::pair<std::string, std::string>> facts;
  std::string code;
};

using Block = std::variant<Paragraph, Table, Code, List, Figure, Detail>;

struct Section {
  std::string id;
  std::string title;
  std::vector<Block> blocks{};
};

struct Document {
  std::string title;
  std::string lead;
  std::vector<Section> sections{};
};

std::string ToHtml(const Document& document);
// Figures are linked as `<figures>/<name>.svg`; with an empty `figures`, their captions stand
// alone, and so do those of long folded tables.
std::string ToMarkdown(const Document& document, const std::string& figures);

}  // namespace kill9::report

#endif  // KILL9_HARNESS_REPORT_DOCUMENT_DOCUMENT_H_
