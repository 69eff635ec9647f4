// Included before all else in what is compiled to be explored (explore.cmake): instructions that no
// hook would see.
#ifndef KILL9_HARNESS_EXPLORE_BASE_EXPLORED_CODE_H_
#define KILL9_HARNESS_EXPLORE_BASE_EXPLORED_CODE_H_

// Between two looks at what somebody else will change.
extern "C" void kill9_explored_pause();
#define __builtin_ia32_pause kill9_explored_pause

#endif  // KILL9_HARNESS_EXPLORE_BASE_EXPLORED_CODE_H_
