// Result files: JSON, one object, schema "kill9/1" (DESIGN section 7). Keys in snake_case, units
// last.
#ifndef KILL9_HARNESS_RESULT_H_
#define KILL9_HARNESS_RESULT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"

namespace kill9 {

using Json = nlohmann::ordered_json;

// The frame of a result file: schema, kind, command line, seed, start, host and build; "runs" is
// empty.
Json NewResult(std::string_view kind, uint64_t seed);

// Reading and writing, compiled once: every source that calls the library's own would cost seconds
// more to build. What is no JSON is_discarded(), and so is a file that cannot be read.
Json ParseJson(std::string_view text);
Json ReadJson(const std::string& path);
std::string JsonText(const Json& json, int indent = -1);

// Remembers the command line that NewResult and repeat lines quote. Called once, by main.
void SetCommandLine(int argc, char** argv);

// Writes the file as a whole or not at all (a temporary beside it, renamed). "-" is standard
// output.
absl::Status WriteResult(const Json& result, const std::string& path);

}  // namespace kill9

#endif  // KILL9_HARNESS_RESULT_H_
