// News of the segment's file: who watches it by inotify is told of changes, and of descriptions
// that were closed.
#ifndef KILL9_HARNESS_EXPLORE_RUNTIME_CALLS_NEWS_H_
#define KILL9_HARNESS_EXPLORE_RUNTIME_CALLS_NEWS_H_

#include <cstdint>

#include "harness/explore/runtime/kernel.h"

namespace kill9::explore {

// By the running participant, as the first thing of this system call; 0: as a later one.
void TellWatchers(Kernel::News news, uintptr_t code, uint64_t call);

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_RUNTIME_CALLS_NEWS_H_
