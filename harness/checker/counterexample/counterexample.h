// A violation in a form that people can read: the smallest window of the history that shows it.
#ifndef KILL9_HARNESS_CHECKER_COUNTEREXAMPLE_COUNTEREXAMPLE_H_
#define KILL9_HARNESS_CHECKER_COUNTEREXAMPLE_COUNTEREXAMPLE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "harness/checker/search/condition.h"
#include "harness/history/history.h"
#include "harness/history/naming.h"

namespace kill9 {

struct Counterexample {
  std::string model;
  Condition condition = Condition::kStrict;
  uint64_t key = 0;
  std::vector<std::string> initial_states;  // what the object may hold where the window begins
  std::vector<Operation> operations;  // by invoke; as recorded (a death is a crashed one's finish)
  // The longest linearizable prefix, in the order of its linearization, and the states it passes
  // through.
  std::vector<size_t> placed;
  std::vector<std::string> states;
  // Those that had returned by the failure and are not in the prefix: at least the one that failed.
  std::vector<size_t> unplaceable;
  size_t failed = 0;  // the operation for which no place is left
};

// "put v7 -> version 3", "get -> nil", "put v9 (crashed)".
std::string DescribeOperation(const Operation& operation, const Naming& naming);
// "put v7".
std::string DescribeCall(const Operation& operation, const Naming& naming);

// For the terminal: what the processes did, then what could be placed and what not. Where it fits
// into so many columns a story (story.h); else a row for each process, deaths marked, and a list of
// the operations.
inline constexpr size_t kStoryColumns = 80;
std::string RenderText(const Counterexample& counterexample, const Naming& naming,
                       size_t columns = kStoryColumns);

// What the page tells beside the counterexample.
struct PageFacts {
  std::optional<Condition> strongest;  // the strongest condition that was shown to hold
  std::string repeat;                  // the line that shows it again
};

// One self-contained page.
std::string RenderHtml(const Counterexample& counterexample, const Naming& naming,
                       const PageFacts& facts);
// Chrome trace-event JSON; opens in Perfetto (ui.perfetto.dev) and chrome://tracing.
std::string RenderTrace(const Counterexample& counterexample, const Naming& naming);

// Writes <stem>.html, <stem>.trace.json and <stem>.window.edn, and makes the folder if it is not
// there; returns their names. Without a line that repeats it the page has one that checks the
// window.
absl::StatusOr<std::vector<std::string>> WriteCounterexample(const Counterexample& counterexample,
                                                             const Naming& naming,
                                                             const std::string& stem,
                                                             PageFacts facts);

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_COUNTEREXAMPLE_COUNTEREXAMPLE_H_
