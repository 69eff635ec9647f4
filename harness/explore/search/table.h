// A schedule for people: one column for each participant, one line for each step.
#ifndef KILL9_HARNESS_EXPLORE_SEARCH_TABLE_H_
#define KILL9_HARNESS_EXPLORE_SEARCH_TABLE_H_

#include <span>
#include <string>

#include "harness/explore/runtime/machine.h"

namespace kill9::explore {

// Shows calls, returns, deaths, and the accesses to words that two participants touch; the others
// are counted. Each access with its source line and what it read or wrote.
std::string RenderTable(std::span<const Step> steps, int participants);

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SEARCH_TABLE_H_
