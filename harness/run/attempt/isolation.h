// What surrounds one run of a program, so that each begins alike and none touches anything else.
//
// Where the machine allows namespaces: process numbers that begin at 1, no System V objects, an
// empty /dev/shm, an empty /tmp, and, in place of the directory that it works on, a copy, under the
// same path, in memory. Nothing else can be written to. All of it is gone with the first process.
// Elsewhere there is only the copy, in a folder of its own.
#ifndef KILL9_HARNESS_RUN_ATTEMPT_ISOLATION_H_
#define KILL9_HARNESS_RUN_ATTEMPT_ISOLATION_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kill9::run {

struct AttemptSurroundings {
  std::string state;              // the directory that is copied; absolute, without links
  uint64_t state_bytes = 0;       // that each copy of it has
  std::string start;              // the current directory of the program; absolute
  std::string kept;               // a directory that can be written to, for whoever runs it
  std::vector<std::string> seen;  // paths that stay visible, though they lie below /tmp
  bool namespaces = true;
  std::string copy;  // without namespaces: the directory for the copy, which does not exist yet
};

// Forks. With `namespaces` the child is the first process of its own.
pid_t ForkIsolated(bool namespaces);

// In that child, once. The current directory is the program's then. Returns the directories that
// the program works on: the copy first. kFailedPrecondition: the machine forbids it.
absl::StatusOr<std::vector<std::string>> Isolate(const AttemptSurroundings& surroundings);

}  // namespace kill9::run

#endif  // KILL9_HARNESS_RUN_ATTEMPT_ISOLATION_H_
