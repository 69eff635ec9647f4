// The forms in which a gate's answers leave it, besides its result file.
#ifndef KILL9_HARNESS_GATE_REPORT_H_
#define KILL9_HARNESS_GATE_REPORT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "harness/gate/run/step_result.h"

namespace kill9::gate {

// JUnit XML: a test suite each tier, a test case each answer. What is undecided or vacuous is an
// <error>, what failed a <failure>; a skipped one gives its reason.
absl::Status WriteJunit(const std::vector<StepResult>& answers, const std::string& path);

// One workflow command of GitHub for an answer that is no pass: "::error file=…,line=…::…"; empty
// for a pass.
std::string GithubAnnotation(const StepResult& answer);

// A Markdown table of the tiers and the answers that are no pass, as GitHub shows it with a job.
std::string Markdown(const std::vector<StepResult>& answers);

// A table of the tiers for a terminal.
std::string Table(const std::vector<StepResult>& answers);

}  // namespace kill9::gate

#endif  // KILL9_HARNESS_GATE_REPORT_H_
