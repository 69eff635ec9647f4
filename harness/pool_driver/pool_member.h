// A participant of a pool, and of the channel through which its buffers are passed on, as one
// object: they are attached, recovered and audited together.
#ifndef KILL9_HARNESS_POOL_DRIVER_POOL_MEMBER_H_
#define KILL9_HARNESS_POOL_DRIVER_POOL_MEMBER_H_

#include <memory>
#include <utility>

#include "variants/buffers/buffer_pool.h"
#include "variants/channel.h"
#include "variants/object.h"

namespace kill9 {

class PoolMember final : public SharedObject {
 public:
  static absl::StatusOr<std::unique_ptr<SharedObject>> Attach(
      std::shared_ptr<Segment> pool, const ChannelDesign& design,
      const std::shared_ptr<Segment>& channel);

  BufferPool& pool() { return *pool_; }
  Channel& channel() { return *channel_; }

 private:
  PoolMember(std::unique_ptr<BufferPool> pool, std::unique_ptr<Channel> channel)
      : SharedObject(ForkGuard()), pool_(std::move(pool)), channel_(std::move(channel)) {}

  absl::StatusOr<RecoveryReport> DoRecover() override;
  absl::StatusOr<AuditReport> DoAudit() override;

  std::unique_ptr<BufferPool> pool_;
  std::unique_ptr<Channel> channel_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_POOL_DRIVER_POOL_MEMBER_H_
