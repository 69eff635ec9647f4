// Result files: JSON, one object, schema "kill9/1" (docs/design.md). Keys in snake_case, units
// last.
#ifndef KILL9_HARNESS_RESULT_RESULT_H_
#define KILL9_HARNESS_RESULT_RESULT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "harness/result/json_forward.h"
#include "harness/result/verdict.h"
#include "nlohmann/json.hpp"

namespace kill9 {

// The frame of a result file: schema, kind, command line, seed, start, host and build; "runs" is
// empty.
Json NewResult(std::string_view kind, uint64_t seed);

// Reading and writing are compiled once: every source that calls the library's own would cost
// seconds more to build. What is no JSON is_discarded().
Json ParseJson(std::string_view text);

// Remembers the command line that NewResult and repeat lines quote. Called once, by main.
void SetCommandLine(int argc, char** argv);
const std::string& CommandLineGiven();

// The text of a JSON value, whatever bytes its strings hold: what is no UTF-8 is replaced by
// U+FFFD.
std::string Dump(const Json& json, int indent = -1);

// Reads a JSON file that anybody may have made: a regular file of a sensible size, nested no deeper
// than kJsonNestingMost. NotFound: it cannot be read. InvalidArgument: it is not that.
inline constexpr int kJsonNestingMost = 200;
absl::StatusOr<Json> ReadJsonFile(const std::string& path);

// A field, if `object` is an object that has it as a string; else `otherwise`.
std::string TextField(const Json& object, std::string_view name, std::string_view otherwise = "");
// The verdict of a run; nothing if it has none that there is.
std::optional<Verdict> VerdictOf(const Json& run);

// Why a run was skipped whose scenario is of another kind of objects; and whether that is why.
std::string NoSuchScenario(std::string_view kind);
bool HasNoSuchScenario(const Json& run);

// Whether WriteResult will be able to write there, as far as can be known before: asked before work
// of hours.
absl::Status CanWriteResult(const std::string& path);

// Writes the file as a whole or not at all (a temporary beside it, renamed). "-" is standard
// output.
absl::Status WriteResult(const Json& result, const std::string& path);

// Ends standard output. An error: not all that was written to it has arrived.
absl::Status FinishStandardOutput();

}  // namespace kill9

#endif  // KILL9_HARNESS_RESULT_RESULT_H_
