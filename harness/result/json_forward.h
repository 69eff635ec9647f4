// JSON values by name, for headers: whoever makes or reads one includes harness/result/result.h,
// which costs a second of each source.
#ifndef KILL9_HARNESS_RESULT_JSON_FORWARD_H_
#define KILL9_HARNESS_RESULT_JSON_FORWARD_H_

#include "nlohmann/json_fwd.hpp"

namespace kill9 {

using Json = nlohmann::ordered_json;

}  // namespace kill9

#endif  // KILL9_HARNESS_RESULT_JSON_FORWARD_H_
