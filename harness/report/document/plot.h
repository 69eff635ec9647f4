// Plots by gnuplot (its svg terminal) as small multiples: one panel a curve, all with the same
// axes, the other curves grey behind it. Each is SVG that stands in an HTML page: no names from
// anywhere, ids of its own, and the page's own ink.
#ifndef KILL9_HARNESS_REPORT_DOCUMENT_PLOT_H_
#define KILL9_HARNESS_REPORT_DOCUMENT_PLOT_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "harness/report/document/document.h"

namespace kill9::report {

struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;
  bool is_dashed = false;  // what is no design: peers, limits
};

struct Plot {
  std::string name;  // of letters, digits and '-'
  std::string x_label;
  std::string y_label;
  bool logarithmic_x = false;
  bool logarithmic_y = false;
  std::vector<std::string> x_names{};  // not empty: points' x are 0, 1, ... and have these names
  std::vector<Curve> curves{};
};

// In the order of the curves. kUnavailable: gnuplot is missing (package gnuplot-nox). kInternal: it
// failed; its words are in the message.
absl::StatusOr<std::vector<Panel>> Draw(const Plot& plot);

// All panels as one file of its own, on white.
std::string AsFile(const std::vector<Panel>& panels);

}  // namespace kill9::report

#endif  // KILL9_HARNESS_REPORT_DOCUMENT_PLOT_H_
