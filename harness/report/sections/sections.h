// The sections of the comparison, each made from the result files alone; what designs claim comes
// from the registry. A section without results is left out, but for Choose and Repeat.
#ifndef KILL9_HARNESS_REPORT_SECTIONS_SECTIONS_H_
#define KILL9_HARNESS_REPORT_SECTIONS_SECTIONS_H_

#include <optional>

#include "absl/status/statusor.h"
#include "harness/report/document/document.h"
#include "harness/report/results/results.h"

namespace kill9::report {

using MaybeSection = absl::StatusOr<std::optional<Section>>;

MaybeSection Choose(const Results& results);
MaybeSection Verdicts(const Results& results);  // torture and sweep, by variant, scenario and tier
MaybeSection Shapes(const Results& results);    // of torture
MaybeSection Failures(const Results& results);  // what the verdicts link to
MaybeSection ProgressGuarantees(const Results& results);
MaybeSection Stalls(const Results& results);
MaybeSection Explored(const Results& results);  // by design, and each finding
MaybeSection KillCoverage(const Results& results);
MaybeSection Planted(const Results& results);
MaybeSection Mutants(const Results& results);
MaybeSection Speed(const Results& results);
MaybeSection Latency(const Results& results);
MaybeSection GrowthAndRoom(const Results& results);
MaybeSection Channels(const Results& results);  // throughput, round trips, what kills do
MaybeSection Applications(const Results& results);
MaybeSection Recovery(const Results& results);
MaybeSection Others(const Results& results);  // every run of a kind that has no section
MaybeSection Repeat(const Results& results);

absl::StatusOr<Document> Compose(const Results& results);

// The largest share of instructions at which a stopped process blocks `probe` ("get", ...), at the
// same key or elsewhere, in any sweep of the variant; less than 0: not measured.
double BlockedShare(const Results& results, const std::string& variant, std::string_view probe,
                    std::string_view where);
// The same, whoever is stopped wherever: the largest of all places.
double BlockedAnywhere(const Results& results, const std::string& variant, std::string_view probe);
// The case that summaries quote: 95 % reads, uniform, 64 bytes, 2 processes; null: not measured.
const Json* SpeedOf(const Results& results, const std::string& subject, int reads = 95,
                    int processes = 2);

// Of the benchmark of channels: the run of a measure, of a subject, in which `field` has the value;
// null: not measured.
const Json* ChannelRunOf(const Results& results, std::string_view measure,
                         const std::string& subject, std::string_view field,
                         std::string_view value);

}  // namespace kill9::report

#endif  // KILL9_HARNESS_REPORT_SECTIONS_SECTIONS_H_
