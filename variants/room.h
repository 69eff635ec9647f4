// What a store's design can tell of its room, beyond the contract: by it the harness knows whether
// a refusal was justified, and gets to what a design does with room now and then only.
#ifndef KILL9_VARIANTS_ROOM_H_
#define KILL9_VARIANTS_ROOM_H_

#include <cstddef>
#include <cstdint>
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

// A cache that moves an entry away from where the next writes will be, if it is read there.
class MovesHot {
 public:
  virtual ~MovesHot() = default;
  // The chance (0 to 1) with which a Get does so, by this participant. 0 at first: Get writes
  // nothing.
  virtual void SetPromotionChance(double chance) = 0;
  // Whether a Get of the key would now, at a chance of 1.
  virtual bool WouldMove(std::string_view key) = 0;
  // How many this participant has moved.
  virtual uint64_t Moved() const = 0;
};

}  // namespace kill9

#endif  // KILL9_VARIANTS_ROOM_H_
