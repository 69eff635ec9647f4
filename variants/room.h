// What a store's design can tell of its room, beyond the contract: by it the harness knows whether
// a refusal was justified.
#ifndef KILL9_VARIANTS_ROOM_H_
#define KILL9_VARIANTS_ROOM_H_

#include <cstddef>
#include <string_view>

#include "absl/status/statusor.h"

namespace kill9 {

class TellsRoom {
 public:
  virtual ~TellsRoom() = default;
  // Whether there is room to put such a value under the key. It is told by the space itself, not by
  // what an allocator would find of it. True: a Put now must not be refused. False: it may be.
  // REQUIRES: no operation is under way (participants may be attached, and hold things).
  virtual absl::StatusOr<bool> HasRoom(std::string_view key, size_t value_bytes) = 0;
};

}  // namespace kill9

#endif  // KILL9_VARIANTS_ROOM_H_
