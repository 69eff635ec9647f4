// Cleans up when everybody who needs something is gone, however they ended: a tiny process in a
// group of its own that waits for the end of a pipe. Whoever holds the pipe's other end keeps it
// waiting: its maker, and whom that one forks.
#ifndef KILL9_HARNESS_BASE_PROCESS_END_CLEANER_H_
#define KILL9_HARNESS_BASE_PROCESS_END_CLEANER_H_

#include <sys/types.h>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace kill9 {

class Cleaner {
 public:
  Cleaner() = default;
  Cleaner(const Cleaner&) = delete;
  Cleaner& operator=(const Cleaner&) = delete;
  // Lets go of the pipe and waits some seconds for the cleaner: it has cleaned up afterwards, if
  // nobody else holds the pipe.
  ~Cleaner();

  // `clean` runs in the cleaner, on the memory as it is now. REQUIRES: called once, before there is
  // anything to clean up.
  absl::Status Watch(absl::FunctionRef<void()> clean);

 private:
  pid_t pid_ = 0;
  int keep_ = -1;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_PROCESS_END_CLEANER_H_
