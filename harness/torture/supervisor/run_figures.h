// A run's figures, as fields of its result.
#ifndef KILL9_HARNESS_TORTURE_SUPERVISOR_RUN_FIGURES_H_
#define KILL9_HARNESS_TORTURE_SUPERVISOR_RUN_FIGURES_H_

#include <cstdint>

#include "harness/base/clock.h"
#include "harness/edn/kept_history.h"
#include "harness/result/result.h"
#include "harness/torture/control.h"
#include "harness/torture/supervisor/supervisor.h"

namespace kill9 {

uint64_t OperationsSoFar(const Control& control);

Json FiguresOf(const Control& control, const SupervisorReport& report, const Clock& clock);

// Where a failed run's history is, and how much of it; nothing if none was to be kept.
Json FieldsOf(const HistoryFile& history);

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_SUPERVISOR_RUN_FIGURES_H_
