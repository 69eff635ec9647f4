// Answers a cell that asks what a survivor waits for (Look, cell.h).
#ifndef KILL9_HARNESS_SWEEP_LOOK_H_
#define KILL9_HARNESS_SWEEP_LOOK_H_

#include <sys/types.h>

#include "harness/sweep/cell/cell.h"

namespace kill9::sweep {

// The process of a worker's cell that stands still, as this process numbers it: a victim that was
// left to a debugger, or a survivor. 0: there is none.
pid_t StandingProcess(pid_t worker);

// If the worker's cell asks, writes what its survivor waits for into the result.
void AnswerLook(CellArea& area, pid_t worker);

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_LOOK_H_
