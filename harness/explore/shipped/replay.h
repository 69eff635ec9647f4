// An explored schedule, done again by processes of the shipped program.
#ifndef KILL9_HARNESS_EXPLORE_SHIPPED_REPLAY_H_
#define KILL9_HARNESS_EXPLORE_SHIPPED_REPLAY_H_

#include "harness/explore/shipped/steps.h"
#include "variants/object.h"

namespace kill9::explore {

// REQUIRES: `steps` are of a scene of this design; this process has one thread.
ShippedAnswer ReplayInShipped(const Design& design, const Steps& steps);

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SHIPPED_REPLAY_H_
