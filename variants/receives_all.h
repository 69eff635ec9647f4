// What a channel can do beyond the contract: hand over all that waits at once, as copies, without a
// hold. Who dies with them takes them along.
#ifndef KILL9_VARIANTS_RECEIVES_ALL_H_
#define KILL9_VARIANTS_RECEIVES_ALL_H_

#include <span>

#include "absl/status/statusor.h"
#include "variants/channel.h"

namespace kill9 {

class ReceivesAll {
 public:
  virtual ~ReceivesAll() = default;
  // At least one, the oldest first: until then it waits. They stay valid until the next call.
  // Errors as of Channel::Receive. ON CRASH: all stay, or all are gone.
  virtual absl::StatusOr<std::span<const Message>> ReceiveAll(Deadline deadline) = 0;
};

}  // namespace kill9

#endif  // KILL9_VARIANTS_RECEIVES_ALL_H_
