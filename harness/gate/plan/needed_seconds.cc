#include "harness/gate/plan/needed_seconds.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace kill9::gate {
namespace {

// Of one answer in each tier, where this machine has not given any yet: measured on two cores.
constexpr std::array<double, kTiers> kUsualSeconds = {6, 5, 15, 4, 15, 5, 2, 6};

// What was cut off may have been at its beginning or near its end.
constexpr double kOfWhatWasCutOff = 2;
// A machine is never as busy as it was before.
constexpr double kMargin = 1.25;
constexpr double kStep = 10;

bool RunsSideBySide(Tier tier) {
  return tier == Tier::kChecker || tier == Tier::kProperty || tier == Tier::kTsan;
}

double MeanSeconds(const std::vector<StepResult>& answers, Tier tier) {
  double sum = 0;
  double count = 0;
  for (const StepResult& answer : answers) {
    if (answer.tier != tier || answer.lacked_time || answer.verdict == Verdict::kSkipped) continue;
    sum += answer.seconds;
    ++count;
  }
  return count == 0 ? kUsualSeconds[static_cast<size_t>(tier)] : sum / count;
}

}  // namespace

double NeededSeconds(const std::vector<StepResult>& answers, double seconds, size_t cores) {
  double more = 0;
  bool any = false;
  for (const StepResult& answer : answers) {
    if (!answer.lacked_time) continue;
    any = true;
    const double whole =
        std::max(MeanSeconds(answers, answer.tier), kOfWhatWasCutOff * answer.seconds);
    more += (whole - answer.seconds) /
            static_cast<double>(RunsSideBySide(answer.tier) ? std::max<size_t>(cores, 1) : 1);
  }
  return any ? std::ceil(kMargin * (seconds + more) / kStep) * kStep : 0;
}

}  // namespace kill9::gate
