// Which shapes the runs of torture had.
#include "absl/strings/str_cat.h"
#include "harness/report/results/shape_coverage.h"
#include "harness/report/sections/sections.h"

namespace kill9::report {

MaybeSection Shapes(const Results& results) {
  std::vector<const Json*> of_torture;
  for (const ResultFile& file : results.files()) {
    if (Text(file.json, "kind") == "torture") of_torture.push_back(&file.json);
  }
  const std::vector<ShapeCoverage> coverage = CoverageOfShapes(of_torture);
  if (coverage.empty()) return std::nullopt;
  Table table{.head = {"kind", "dimension", "class", "runs"},
              .caption = "Runs of torture by class of shape"};
  for (const ShapeCoverage& one : coverage) {
    for (const auto& [name, runs] : one.classes) {
      table.rows.push_back(
          {one.kind, one.dimension, name,
           runs == 0 ? Cell("no run", Mark::kOpen) : Cell(Short(static_cast<double>(runs)))});
    }
  }
  const std::string unseen = UnseenIn(coverage);
  Section section{"shapes", "Shapes"};
  section.blocks = {
      Paragraph{absl::StrCat(
          "A pass speaks for the shapes that were run: how large the segment was and how it was "
          "cut up, which keys and values or blocks there were, which operations were absent. ",
          unseen.empty() ? "Every class was seen."
                         : absl::StrCat("Seen by no run: ", unseen, "."))},
      std::move(table)};
  return section;
}

}  // namespace kill9::report
