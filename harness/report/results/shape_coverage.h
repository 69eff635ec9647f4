// Which classes of shapes runs were of, and which no run has seen.
#ifndef KILL9_HARNESS_REPORT_RESULTS_SHAPE_COVERAGE_H_
#define KILL9_HARNESS_REPORT_RESULTS_SHAPE_COVERAGE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "harness/result/result.h"

namespace kill9::report {

// How many runs were of each class of one dimension, in the order in which a kind tells them.
struct ShapeCoverage {
  std::string kind;
  std::string dimension;
  std::vector<std::pair<std::string, uint64_t>> classes;
};

// Of results that have `shape_classes`; the classes of several are taken together.
std::vector<ShapeCoverage> CoverageOfShapes(const std::vector<const Json*>& results);
// Without the kinds of which there is no run.
std::vector<ShapeCoverage> OfKindsThatRan(std::vector<ShapeCoverage> coverage);
// "family: zeros; keys: 1, to 16"; empty if all were seen. Of several kinds each dimension is told
// with its kind: "heap held: 1".
std::string UnseenIn(const std::vector<ShapeCoverage>& coverage);

// What a command says of its shapes at the end; empty if it had none.
std::string ShapesSeenIn(const Json& result);

}  // namespace kill9::report

#endif  // KILL9_HARNESS_REPORT_RESULTS_SHAPE_COVERAGE_H_
