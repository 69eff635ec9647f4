// What a process has mapped, as /proc/PID/maps tells it.
#ifndef KILL9_HARNESS_BASE_MAPPINGS_MAPPINGS_H_
#define KILL9_HARNESS_BASE_MAPPINGS_MAPPINGS_H_

#include <sys/types.h>

#include <cstdint>
#include <string_view>

#include "absl/functional/function_ref.h"

namespace kill9 {

struct Mapping {
  uint64_t begin = 0, end = 0;
  std::string_view rights;  // as "rw-s"
  uint64_t offset = 0;      // in the file
  dev_t device = 0;
  ino_t inode = 0;
  std::string_view path;  // of the file, or "[heap]" and the like; empty: anonymous memory

  bool IsShared() const { return rights.ends_with('s'); }
  bool IsSharedToWrite() const { return IsShared() && rights[1] == 'w'; }
};

// Visits all of them, by their addresses, while `visit` says true. `pid` 0: of this process. What
// `visit` is given is there until it returns. Returns 0, or the number of what forbids it.
//
// Allocates nothing. REQUIRES: one thread at a time, and not in `visit`.
int VisitMappings(pid_t pid, absl::FunctionRef<bool(const Mapping&)> visit);

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_MAPPINGS_MAPPINGS_H_
