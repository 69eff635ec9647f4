// Buffer pools (variants/buffers/), as inspect tells of them.
#ifndef KILL9_HARNESS_INSPECT_POOL_H_
#define KILL9_HARNESS_INSPECT_POOL_H_

#include <memory>

#include "absl/status/statusor.h"
#include "harness/result/result.h"
#include "variants/object.h"
#include "variants/segment.h"

namespace kill9::inspect {

// Fields: buffers, holds; the room's account in bytes; holds_of_participants, by slot, and
// holds_of_messages, by box: those on their way in channels.
absl::StatusOr<Json> PoolOf(SharedObject& pool);
// The same of a copy that nobody works on, and to which nobody attaches.
absl::StatusOr<Json> PoolOfCopy(std::shared_ptr<Segment> copy);

}  // namespace kill9::inspect

#endif  // KILL9_HARNESS_INSPECT_POOL_H_
