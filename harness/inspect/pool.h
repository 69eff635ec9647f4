// Buffer pools (variants/buffers/), as inspect tells of them.
#ifndef KILL9_HARNESS_INSPECT_POOL_H_
#define KILL9_HARNESS_INSPECT_POOL_H_

#include "absl/status/statusor.h"
#include "harness/result/result.h"
#include "variants/object.h"

namespace kill9::inspect {

// Fields: buffers, holds; the room's account in bytes; holds_of_participants, by slot, and
// holds_of_messages, by box: those on their way in channels.
absl::StatusOr<Json> PoolOf(SharedObject& pool);

}  // namespace kill9::inspect

#endif  // KILL9_HARNESS_INSPECT_POOL_H_
