#include "harness/sweep/worker.h"

#include <cstdio>

#include "harness/stepper/zygote.h"

namespace kill9::sweep {
namespace {

DesignFinder finder;  // of this program

void Ended(void* area, const char* how) {
  CellResult& result = static_cast<CellArea*>(area)->result;
  if (result.finished) return;
  std::snprintf(
      result.error, sizeof result.error,
      "the process that works on this cell ended by %s, in the object's code or in the sweep's",
      how);
  result.verdict = Verdict::kUndecided;
}

}  // namespace

std::optional<int> RunIfWorker(int argc, char** argv, DesignFinder find) {
  finder = find;
  return stepper::RunIfZygote(
      argc, argv,
      {.run = [](void* area) { RunCell(*static_cast<CellArea*>(area), finder); }, .ended = Ended});
}

}  // namespace kill9::sweep
