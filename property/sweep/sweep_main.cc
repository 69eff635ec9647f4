// The sweep runs the tests' own program again as its workers, which so know the designs and kinds
// of tests, too.
#include <optional>
#include <string_view>

#include "harness/kinds/kinds.h"
#include "harness/kinds/sweep_kinds.h"
#include "harness/sweep/worker.h"
#include "property/first_in_main.h"
#include "property/kinds/counter/counter_kind.h"
#include "property/sweep/sweep_array_store.h"
#include "property/sweep/sweep_designs.h"
#include "property/sweep/sweep_register.h"

namespace kill9::sweep {

const Design* FindDesignOfTests(std::string_view name) {
  if (const Design* design = FindArrayVariant(name); design != nullptr) return design;
  if (const Design* design = FindRegister(name); design != nullptr) return design;
  return FindDesign(name);
}

namespace {

std::optional<int> RunIfWorkerOfTests(int argc, char** argv) {
  static const RegisterSweep driver;
  static const SweepDriver* const drivers[] = {&driver};
  // A report's columns are in the order in which drivers name operations: the counter's come first.
  if (!RegisterOwn(CounterKind()).ok() || !AddSweepDrivers(drivers).ok()) return 1;
  return RunIfWorker(argc, argv, DesignFinder(FindDesignOfTests));
}

const FirstInMain kWorker(RunIfWorkerOfTests);

}  // namespace
}  // namespace kill9::sweep
