// Gives the stops of a followed program their names, and says which of them is a marker.
#ifndef KILL9_HARNESS_RUN_FOLLOW_RECORDER_H_
#define KILL9_HARNESS_RUN_FOLLOW_RECORDER_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "harness/run/follow/follower.h"
#include "harness/run/follow/point.h"

namespace kill9::run {

// A program in any language marks where its instructions are to be tried: by a look at these paths,
// which do not exist, with access(2), stat(2) or open(2).
inline constexpr char kBeginMarker[] = "/kill9/begin";
inline constexpr char kEndMarker[] = "/kill9/end";

struct NamedCall {
  Point point;
  std::string path;     // absolute, and in full
  bool writes = false;  // it makes, changes or removes the file of this path
  // The path has a `..`: behind a symbolic link it may lead to another file than `path` says.
  bool climbs = false;
};

class Recorder {
 public:
  // `roots`: the directories that the program works on; paths are told from the first on. `shown`:
  // directories that may lie in one of the others, and are not the program's. `folder`: has the
  // files behind its standard output and error.
  Recorder(std::vector<std::string> roots, std::vector<std::string> shown,
           const std::string& folder);

  // REQUIRES: the stop is of a call. Each call is asked once.
  NamedCall Name(const FollowedStop& stop);
  // Whether a path is the program's: below one of the roots, or a device.
  bool IsInside(const std::string& path) const;

 private:
  std::string PathOf(const FollowedStop& stop, bool* climbs) const;
  std::string Told(const std::string& path) const;

  std::vector<std::string> roots_, shown_;
  std::string output_, error_;
  std::map<std::string, uint32_t> occurrences_;  // by process, call and path
};

}  // namespace kill9::run

#endif  // KILL9_HARNESS_RUN_FOLLOW_RECORDER_H_
