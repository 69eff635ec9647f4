// A program that is the kill9 command with an object of its own: the example's class, by the other
// macro.
#include <kill9/object.h>

#undef KILL9_PLUGIN
#define KILL9_PLUGIN KILL9_MAIN
#include "apps/examples/plugin/cells_map.cc"
