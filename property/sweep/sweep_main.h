// What main() of a sweep's test does: the sweep runs the test's own program again as its workers,
// which so know the stores of tests, too.
#ifndef KILL9_PROPERTY_SWEEP_SWEEP_MAIN_H_
#define KILL9_PROPERTY_SWEEP_SWEEP_MAIN_H_

#include <optional>

#include "gtest/gtest.h"
#include "harness/sweep/worker.h"
#include "property/sweep/sweep_array_store.h"

namespace kill9::sweep {

inline const Design* FindDesignOfTests(std::string_view name) {
  const Design* variant = FindArrayVariant(name);
  return variant != nullptr ? variant : FindDesign(name);
}

inline int RunTestsOrWorker(int argc, char** argv) {
  if (const std::optional<int> done = RunIfWorker(argc, argv, DesignFinder(FindDesignOfTests))) {
    return *done;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

}  // namespace kill9::sweep

#endif  // KILL9_PROPERTY_SWEEP_SWEEP_MAIN_H_
