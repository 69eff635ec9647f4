// Signals that say that explored code has crashed.
#ifndef KILL9_HARNESS_EXPLORE_RUNTIME_CRASH_H_
#define KILL9_HARNESS_EXPLORE_RUNTIME_CRASH_H_

namespace kill9::explore {

// From now on, a crash of explored code ends the schedule with a finding. Idempotent.
void CatchCrashes();

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_RUNTIME_CRASH_H_
