// What a run did not prove: a kill that always lands between operations tests nothing (class 49
// of docs/bug_classes.md).
#ifndef KILL9_HARNESS_TORTURE_SUPERVISOR_VACUITY_H_
#define KILL9_HARNESS_TORTURE_SUPERVISOR_VACUITY_H_

#include <cstdint>
#include <string>

#include "harness/torture/supervisor/supervisor.h"

namespace kill9 {

// Why a design without some capability cannot be put through the scenario; empty if it can.
std::string WhyNotApplicable(const Scenario& scenario, const ObjectTraits& traits);

// At least so many of the dead were recovered, whoever did it and whether it was told: a dead
// participant keeps its place among `places` until it is recovered. Who attaches to a full table
// recovers by itself, and tells nobody.
uint64_t AtLeastRecovered(const SupervisorReport& report, uint64_t places);

// Empty if everything that the scenario needs to have happened did happen.
std::string WhatIsMissing(const RunContext& context, const SupervisorReport& report,
                          uint64_t overlapping_operations);

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_SUPERVISOR_VACUITY_H_
