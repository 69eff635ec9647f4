#include "harness/pool_driver/pool_member.h"

#include "absl/strings/str_cat.h"

namespace kill9 {

absl::StatusOr<std::unique_ptr<SharedObject>> PoolMember::Attach(
    std::shared_ptr<Segment> pool, const ChannelDesign& design,
    const std::shared_ptr<Segment>& channel) {
  absl::StatusOr<std::unique_ptr<BufferPool>> participant = BufferPool::Attach(std::move(pool));
  if (!participant.ok()) return participant.status();
  absl::StatusOr<std::unique_ptr<Channel>> member = design.Attach(channel, {});
  if (!member.ok()) return member.status();
  return std::unique_ptr<SharedObject>(new PoolMember(*std::move(participant), *std::move(member)));
}

// The participants are the pool's; who is recovered in the channel counts as half-done work.
absl::StatusOr<RecoveryReport> PoolMember::DoRecover() {
  const absl::StatusOr<RecoveryReport> of_channel = channel_->Recover();
  if (!of_channel.ok()) return of_channel.status();
  absl::StatusOr<RecoveryReport> report = pool_->Recover();
  if (!report.ok()) return report.status();
  report->rolled_back += of_channel->participants + of_channel->blocks + of_channel->rolled_back;
  report->rolled_forward += of_channel->rolled_forward;
  return report;
}

absl::StatusOr<AuditReport> PoolMember::DoAudit() {
  const absl::StatusOr<AuditReport> of_channel = channel_->Audit();
  if (!of_channel.ok()) return of_channel.status();
  absl::StatusOr<AuditReport> report = pool_->Audit();
  if (!report.ok()) return report.status();
  for (const std::string& violation : of_channel->violations) {
    report->violations.push_back(absl::StrCat("of the channel: ", violation));
  }
  return report;
}

}  // namespace kill9
