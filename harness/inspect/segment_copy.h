// A copy of a segment, made by read(2) of its file: nothing of it is mapped, locked or written, so
// nobody who uses it notices.
#ifndef KILL9_HARNESS_INSPECT_SEGMENT_COPY_H_
#define KILL9_HARNESS_INSPECT_SEGMENT_COPY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "harness/inspect/processes.h"
#include "variants/registry.h"
#include "variants/segment.h"

namespace kill9::inspect {

// A slot of the participants' table that somebody has, or has had and nobody has recovered.
struct Attached {
  uint32_t slot = 0;
  uint32_t generation = 0;
  bool lives = false;
  bool recovers = false;  // one of the places from which the dead are recovered
  ProcessOfSlot process;  // of who lives; its pid is 0 where it cannot be told
};

// A segment's file, open for reading.
class SegmentFile {
 public:
  // `place`: a path if it has a slash (/proc/PID/fd/N for a segment without a name), else the name
  // of shared memory. The errors of Segment::Open; kUnimplemented: its design is none of this
  // program's.
  static absl::StatusOr<SegmentFile> Open(const std::string& place);
  SegmentFile(SegmentFile&& other) noexcept;
  SegmentFile& operator=(SegmentFile&&) = delete;
  ~SegmentFile();

  const Design& design() const { return *design_; }
  const SegmentHeader& header() const { return header_; }
  // Who is attached now.
  absl::StatusOr<std::vector<Attached>> WhoIsAttached(const SegmentUsers& users) const;
  SegmentUsers Users() const { return FindUsers(fd_); }

  struct Copy {
    int fd = -1;  // of nameless memory, the caller's
    // Two readings one after the other found the same bytes.
    bool of_one_moment = false;
  };
  // Reads until two readings agree, at most `tries` times. kResourceExhausted: no memory for it.
  absl::StatusOr<Copy> MakeCopy(int tries) const;

 private:
  SegmentFile(int fd, const Design* design, const SegmentHeader& header)
      : fd_(fd), design_(design), header_(header) {}

  int fd_;
  const Design* design_;
  SegmentHeader header_;
};

}  // namespace kill9::inspect

#endif  // KILL9_HARNESS_INSPECT_SEGMENT_COPY_H_
