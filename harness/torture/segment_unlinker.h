// Removes a named segment when everybody who needs the name is gone, however they ended: a tiny
// process in a group of its own that waits for the end of a pipe. Whoever holds the pipe's other
// end keeps the name: the supervisor and its caller. (Anonymous segments need none: the kernel
// frees them with their last user.)
#ifndef KILL9_HARNESS_TORTURE_SEGMENT_UNLINKER_H_
#define KILL9_HARNESS_TORTURE_SEGMENT_UNLINKER_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "variants/segment.h"

namespace kill9 {

class SegmentUnlinker {
 public:
  SegmentUnlinker() = default;
  SegmentUnlinker(const SegmentUnlinker&) = delete;
  SegmentUnlinker& operator=(const SegmentUnlinker&) = delete;
  // Lets go of the pipe and waits some seconds for the unlinker: the name is gone afterwards, if
  // nobody else holds the pipe.
  ~SegmentUnlinker();

  // REQUIRES: called once, before the segment is created.
  absl::Status Watch(const SegmentLocation& location);

 private:
  pid_t pid_ = 0;
  int keep_ = -1;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_SEGMENT_UNLINKER_H_
