// Removes a named segment when everybody who needs the name is gone, however they ended: the
// supervisor and its caller. (Anonymous segments need none: the kernel frees them with their last
// user.)
#ifndef KILL9_HARNESS_TORTURE_SEGMENT_UNLINKER_H_
#define KILL9_HARNESS_TORTURE_SEGMENT_UNLINKER_H_

#include "absl/status/status.h"
#include "harness/base/process_end/cleaner.h"
#include "variants/segment.h"

namespace kill9 {

class SegmentUnlinker {
 public:
  // REQUIRES: called once, before the segment is created.
  absl::Status Watch(const SegmentLocation& location) {
    return cleaner_.Watch([&location] {
      Segment::Unlink(location).IgnoreError();  // not there: never created
    });
  }

 private:
  Cleaner cleaner_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_SEGMENT_UNLINKER_H_
