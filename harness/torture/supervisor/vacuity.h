// What a run did not prove: a kill that always lands between operations tests nothing (class 49
// of docs/bug_classes.md).
#ifndef KILL9_HARNESS_TORTURE_SUPERVISOR_VACUITY_H_
#define KILL9_HARNESS_TORTURE_SUPERVISOR_VACUITY_H_

#include <string>

#include "harness/torture/supervisor/supervisor.h"

namespace kill9 {

// Why a design without some capability cannot be put through the scenario; empty if it can.
std::string WhyNotApplicable(const Scenario& scenario, const ObjectTraits& traits);

// Empty if everything that the scenario needs to have happened did happen.
std::string WhatIsMissing(const RunContext& context, const SupervisorReport& report,
                          uint64_t overlapping_operations);

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_SUPERVISOR_VACUITY_H_
