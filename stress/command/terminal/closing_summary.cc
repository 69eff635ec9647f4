#include "stress/command/terminal/closing_summary.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "harness/base/text/count_of.h"

namespace kill9 {

void ClosingSummary::Add(const std::string& name, Verdict verdict, const std::string& reason) {
  const auto index = static_cast<size_t>(verdict);
  verdicts_.resize(std::max(verdicts_.size(), index + 1));
  ++verdicts_[index];
  ++all_;
  if (ExitCode(verdict) == kExitPass) return;
  failures_.push_back({name, verdict, reason.substr(0, reason.find('\n'))});
}

std::string ClosingSummary::Failures(const Terminal& terminal) const {
  std::string text;
  for (const Failure& failure : failures_) {
    const std::string line =
        absl::StrCat(failure.name, ": ", std::string(VerdictName(failure.verdict)),
                     failure.reason.empty() ? "" : ": ", failure.reason);
    absl::StrAppend(&text, terminal.Broken(line, failure.verdict, failure.name.size()), "\n");
  }
  return text;
}

std::string ClosingSummary::Counts(const Terminal& terminal, const char* what) const {
  std::vector<std::string> counts;
  for (size_t n = 0; n < verdicts_.size(); ++n) {
    if (verdicts_[n] == 0) continue;
    counts.push_back(absl::StrCat(verdicts_[n], " ", terminal.Paint(static_cast<Verdict>(n))));
  }
  return absl::StrCat(CountOf(all_, what), ": ", absl::StrJoin(counts, ", "));
}

}  // namespace kill9
