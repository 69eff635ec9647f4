// Which shapes the runs of torture had, and the scenes of the sweep.
#include "absl/strings/str_cat.h"
#include "harness/report/results/shape_coverage.h"
#include "harness/report/sections/sections.h"

namespace kill9::report {

MaybeSection Shapes(const Results& results) {
  std::vector<const Json*> with_shapes;
  for (const ResultFile& file : results.files()) {
    const std::string kind = Text(file.json, "kind");
    if (kind == "torture" || kind == "sweep") with_shapes.push_back(&file.json);
  }
  const std::vector<ShapeCoverage> coverage = CoverageOfShapes(with_shapes);
  if (coverage.empty()) return std::nullopt;
  Table table{.head = {"kind", "dimension", "class", "runs"},
              .caption = "Runs of torture, and cells of the sweep, by class of shape"};
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
