// What a command line says of files, and how it is written.
#ifndef KILL9_HARNESS_RUN_COMMAND_LINE_H_
#define KILL9_HARNESS_RUN_COMMAND_LINE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "harness/run/attempt/isolation.h"
#include "harness/run/attempt/program_options.h"

namespace kill9::run {

// A line of the shell whose first word, where it is a path from `start` on, is absolute.
std::string FoundFrom(const std::string& start, const std::string& line);
std::string ReadText(const std::string& path);  // empty: it cannot be read
// The last line that is not empty.
std::string LastLine(const std::string& text);

// What the options say of directories.
absl::StatusOr<AttemptSurroundings> Surround(const RunOptions& options);

size_t WorkersOf(uint32_t asked);  // 0: as many as there are CPUs

}  // namespace kill9::run

#endif  // KILL9_HARNESS_RUN_COMMAND_LINE_H_
