// Histories in EDN, read and judged, for tests.
#ifndef KILL9_HARNESS_EDN_EDN_FOR_TESTS_H_
#define KILL9_HARNESS_EDN_EDN_FOR_TESTS_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "harness/checker/checker.h"
#include "harness/edn/edn.h"

namespace kill9 {

inline absl::StatusOr<EdnHistory> Read(std::string_view text, std::string_view model = "map") {
  const ModelChecker* checker = FindModel(model);
  return ReadEdn(text, "h.edn",
                 [checker](Function function) { return checker->Accepts(function); });
}

inline Verdict VerdictOf(std::string_view text, std::string_view model,
                         Condition condition = Condition::kStrict) {
  const absl::StatusOr<EdnHistory> history = Read(text, model);
  EXPECT_TRUE(history.ok()) << history.status();
  if (!history.ok()) return Verdict::kUndecided;
  return CheckHistory(*FindModel(model), history->operations, {.condition = condition})->verdict;
}

}  // namespace kill9

#endif  // KILL9_HARNESS_EDN_EDN_FOR_TESTS_H_
