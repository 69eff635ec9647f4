// Removes a named segment when everybody who needs the name is gone, however they ended: a tiny
// process in a group of its own that waits for the end of a pipe. Whoever holds the pipe's other
// end keeps the name: the supervisor and its caller. (Anonymous segments need none: the kernel
// frees them with their last user.)
#ifndef KILL9_HARNESS_SEGMENT_JANITOR_H_
#define KILL9_HARNESS_SEGMENT_JANITOR_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "variants/segment.h"

namespace kill9 {

class SegmentJanitor {
 public:
  SegmentJanitor() = default;
  SegmentJanitor(const SegmentJanitor&) = delete;
  SegmentJanitor& operator=(const SegmentJanitor&) = delete;
  // Lets go of the pipe and waits some seconds for the janitor: the name is gone afterwards, if
  // nobody else holds the pipe.
  ~SegmentJanitor();

  // REQUIRES: called once, before the segment is created.
  absl::Status Watch(const SegmentLocation& location);

 private:
  pid_t pid_ = 0;
  int keep_ = -1;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_SEGMENT_JANITOR_H_
