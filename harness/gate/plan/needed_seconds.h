// How long a gate that ran out of time would have needed, from what it measured of this machine.
#ifndef KILL9_HARNESS_GATE_PLAN_NEEDED_SECONDS_H_
#define KILL9_HARNESS_GATE_PLAN_NEEDED_SECONDS_H_

#include <string>
#include <vector>

#include "harness/gate/run/step_result.h"

namespace kill9::gate {

// 0 if no answer lacked time. `seconds`: the gate's own, `cores`: how many tests ran side by side.
double NeededSeconds(const std::vector<StepResult>& answers, double seconds, size_t cores);

}  // namespace kill9::gate

#endif  // KILL9_HARNESS_GATE_PLAN_NEEDED_SECONDS_H_
