// The kill coverage of a sweep for people and for result files.
#ifndef KILL9_HARNESS_SWEEP_COVERAGE_PAGES_H_
#define KILL9_HARNESS_SWEEP_COVERAGE_PAGES_H_

#include <string>

#include "absl/status/status.h"
#include "harness/result/result.h"
#include "harness/stepper/trace/kill_coverage.h"

namespace kill9::sweep {

// A file belongs to a variant if it lies in a folder of its name, or if the variant ran any of it.
bool BelongsTo(const std::string& variant, const stepper::KillCoverage::Group& counts,
               const std::string& file);

// For each variant: shares by executed instruction and by address, lines, lines never reached.
Json CoverageFigures(const stepper::KillCoverage& coverage);
// Adds to figures of a shard the "line_sets" from which those of all shards are put together: of
// each file that belongs to the variant the lines "with_code", "reached", "killed_at" and
// "covered".
void AddLineSets(const stepper::KillCoverage& coverage, Json* figures);
// A variant's figures as a sentence: how much was killed at, and how much only spoken for.
std::string CoverageLine(const Json& figures);
// An index of variants, for each of them one of its files, a page of annotated source for each file
// of a variant, and coverage.json.
absl::Status WriteCoverage(const stepper::KillCoverage& coverage, const std::string& directory,
                           const Json& result);

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_COVERAGE_PAGES_H_
