// The processes that cells are swept in: this program started anew (harness/stepper/zygote.h).
#ifndef KILL9_HARNESS_SWEEP_WORKER_H_
#define KILL9_HARNESS_SWEEP_WORKER_H_

#include <optional>

#include "harness/sweep/cell/cell.h"

namespace kill9::sweep {

// To be called first in main: if this process was started to sweep cells, it does, and the exit
// code is returned. `find` knows the designs that requests may name.
std::optional<int> RunIfWorker(int argc, char** argv, DesignFinder find = DesignFinder());

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_WORKER_H_
