// Summaries: result files small enough to commit, one run a line, in an order that does not depend
// on which run ended first.
//
// A summary has the frame of its result file (schema "kill9-summary/2"), then
//     "same"         the fields that have one value in all runs;
//     "fields"       the names of the others, those of nested objects as "kills.total";
//     "forms"        runs with the same fields have one form: "same", of each field that has one
//                    value in all of them its number among the fields and that value, and
//                    "columns", the numbers of the others;
//     "runs"         one array a run: the number of its form, then a value for each column;
//     "shapes_seen"  how many runs were of each class of shapes.
// Fractions keep five digits. What only one machine on one day can say of a run that passed (its
// seconds, its rate), what is long and derived (source lines, histograms, last kills) and what
// another field says, too (the line that repeats a run that passed: of it the shape) is left out.
#ifndef KILL9_HARNESS_REPORT_RESULTS_SUMMARY_H_
#define KILL9_HARNESS_REPORT_RESULTS_SUMMARY_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "harness/result/result.h"

namespace kill9::report {

inline constexpr std::string_view kSummarySchema = "kill9-summary/2";

// REQUIRES: a result (schema "kill9/1"). A run that is no object keeps nothing.
Json Summarise(const Json& result);

// One top-level field a line, and one run a line.
std::string SummaryText(const Json& summary);

// The result that a summary tells of, without what it left out. kInvalidArgument says what in it
// is not as above.
absl::StatusOr<Json> ExpandSummary(const Json& summary);

}  // namespace kill9::report

#endif  // KILL9_HARNESS_REPORT_RESULTS_SUMMARY_H_
