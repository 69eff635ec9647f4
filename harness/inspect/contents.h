// What is in a segment, and who holds how much of it, told of a copy that is nobody else's.
//
// All participants of a copy are dead (S6 in variants/segment.h). So the copy is attached to, and
// what one participant holds is what comes back when it alone is recovered: true of every design.
#ifndef KILL9_HARNESS_INSPECT_CONTENTS_H_
#define KILL9_HARNESS_INSPECT_CONTENTS_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "harness/inspect/segment_copy.h"
#include "harness/result/result.h"
#include "variants/object.h"

namespace kill9::inspect {

// `copy` is changed. `attached`: of the original. May crash, or never return, where the copy is of
// several moments: called in a child.
//
// Fields: account, violations, leaked and doubly owned blocks; holds, by slot; and of a store its
// keys, of a channel its occupancy, of a heap its account, its holdings and its map, of a pool of
// buffers its account and its holds.
absl::StatusOr<Json> DescribeContents(const Design& design, std::shared_ptr<Segment> copy,
                                      const std::vector<Attached>& attached);

}  // namespace kill9::inspect

#endif  // KILL9_HARNESS_INSPECT_CONTENTS_H_
