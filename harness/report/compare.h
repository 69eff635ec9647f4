// What got slower or weaker from one set of results to another, beyond noise.
//
// Speed and costs have rounds. A single figure has changed if its two spreads (lowest to highest
// round) lie further apart than half the wider of them, and the medians differ by more than
// kMargin: of 360 figures that only wobble, by a tenth or a fifth, one in four to ten comparisons
// then shows a false one. All figures of a subject together (the geometric mean of their changes)
// have changed if they did by more than kMargin: what is too small to show in one figure shows
// there. Verdicts, kill coverage and the shares of a stall matrix have no noise of that kind: any
// step down counts.
#ifndef KILL9_HARNESS_REPORT_COMPARE_H_
#define KILL9_HARNESS_REPORT_COMPARE_H_

#include <string>
#include <vector>

#include "harness/report/results/results.h"

namespace kill9::report {

inline constexpr double kMargin = 1.15;
inline constexpr double kLeastGap = 0.5;  // of the wider spread

struct Change {
  enum class Kind { kSlower, kFaster, kWeaker, kStronger, kGone } kind;
  std::string what;  // "global_mutex, 95/5, uniform, 64 bytes, 2 processes"
  std::string from;
  std::string to;
  bool bad() const { return kind == Kind::kSlower || kind == Kind::kWeaker || kind == Kind::kGone; }
};

struct Comparison {
  std::vector<Change> changes;  // the bad ones first
  size_t compared = 0;          // figures that both sets have
  bool worse() const { return !changes.empty() && changes.front().bad(); }
};

Comparison Compare(const Results& before, const Results& after);
std::string Describe(const Comparison& comparison);

}  // namespace kill9::report

#endif  // KILL9_HARNESS_REPORT_COMPARE_H_
