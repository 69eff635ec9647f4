// What a survivor that is stuck waits for, as a field of a run: "waiting".
#ifndef KILL9_HARNESS_RESULT_WAITING_H_
#define KILL9_HARNESS_RESULT_WAITING_H_

#include <string>
#include <string_view>

#include "harness/result/result.h"

namespace kill9 {

// `stack`: a line for each call. Null if nothing is known.
Json WaitingField(std::string_view what, std::string_view stack);

// For people, with an end of line after each; empty if the run has no such field.
std::string DescribeWaiting(const Json& run);

}  // namespace kill9

#endif  // KILL9_HARNESS_RESULT_WAITING_H_
