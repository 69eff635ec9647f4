// The places at which a program is killed, by names that are the same in each of its runs.
#ifndef KILL9_HARNESS_RUN_FOLLOW_POINT_H_
#define KILL9_HARNESS_RUN_FOLLOW_POINT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace kill9::run {

// Right before a system call; or before an instruction, counted from a marker (recorder.h).
struct Point {
  // Which process of the program: empty, the first; "2", the second that this one started; "2.1".
  std::string process;
  std::string call;  // "write"; "begin" is the marker
  std::string path;  // of the file that the call is about, from the state directory on; or empty
  uint32_t occurrence = 1;  // of this call with this path in this process
  uint64_t instruction = 0;
};

// write("metrics.tmp") #2; of another process 2.1:write("metrics.tmp") #2; begin #1 + 4711.
std::string NameOf(const Point& point);
// kInvalidArgument says how a point is written.
absl::StatusOr<Point> ParsePoint(std::string_view name);

// Whether a path is one that `pattern` stands for: a * in it is any text (names drawn by chance).
bool PathFits(std::string_view pattern, std::string_view path);
// The pattern of both, with a * for what differs between a common beginning and a common end, and
// for the whole words in which that lies.
std::string PatternOf(std::string_view a, std::string_view b);

}  // namespace kill9::run

#endif  // KILL9_HARNESS_RUN_FOLLOW_POINT_H_
