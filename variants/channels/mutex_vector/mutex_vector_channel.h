// One member of a mutex_vector.
#ifndef KILL9_VARIANTS_CHANNELS_MUTEX_VECTOR_MUTEX_VECTOR_CHANNEL_H_
#define KILL9_VARIANTS_CHANNELS_MUTEX_VECTOR_MUTEX_VECTOR_CHANNEL_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/channel.h"
#include "variants/channels/mutex_vector/space.h"
#include "variants/channels/shared/sleepers.h"

namespace kill9::mutex_vector {

class MutexVectorChannel final : public Channel {
 public:
  // `damage`: what the segment was found to have, and was made anew; "": nothing.
  MutexVectorChannel(std::shared_ptr<Segment> segment, Participant participant, MemberRole role,
                     std::string damage);
  ~MutexVectorChannel() override;

  size_t max_message_bytes() const override { return space_.max_message_bytes(); }

 private:
  // What the call waits for, in a segment and from the other side.
  enum class WaitsFor : uint8_t { kMessage, kRoom };
  // Tries once, with the mutex. True: it is done.
  using Attempt = absl::FunctionRef<absl::StatusOr<bool>()>;

  absl::StatusOr<Sequence> DoSend(std::string_view message, Deadline deadline) override;
  absl::StatusOr<size_t> DoSendMany(std::span<const std::string_view> messages,
                                    Deadline deadline) override;
  absl::StatusOr<MessageDraft> DoReserve(size_t size, Deadline deadline) override;
  absl::StatusOr<Sequence> DoCommit(uint64_t hold) override;
  absl::StatusOr<MessageInfo> DoReceive(std::string* message, Deadline deadline) override;
  absl::StatusOr<TakenMessage> DoTake(Deadline deadline) override;
  absl::StatusOr<MessageBatch> DoDrain(size_t most, Deadline deadline) override;
  absl::Status DoAcknowledge(uint64_t hold) override;
  absl::Status DoAcknowledgeBatch(uint64_t hold) override;
  absl::Status DoReturn(uint64_t hold) override;
  absl::Status DoReturnBatch(uint64_t hold) override;
  void DoDropDraft(uint64_t hold) override;
  absl::Status DoClose() override;
  absl::StatusOr<Occupancy> DoLook() override;
  absl::StatusOr<int> DoReadinessDescriptor() override;
  absl::StatusOr<RecoveryReport> DoRecover() override;
  absl::StatusOr<AuditReport> DoAudit() override;

  ChannelHeader& header() const { return space_.header(); }
  // Relaxed: under the mutex, or where the next look is under it.
  bool closed() const { return header().closed.load(std::memory_order_relaxed) != 0; }
  uint64_t TakenByMe() const {
    return Record::TakenBy(participant_.slot(), participant_.generation());
  }
  // A message that this one holds. Null: it does not, any more.
  Record* Held(uint64_t offset) const;
  Message Show(const Record& record) const {
    return {space_.BytesOf(record), {record.sequence, record.redelivered(), 0}};
  }

  // Tries until it is done, an error, or the deadline.
  absl::Status Until(Deadline deadline, WaitsFor what, Attempt attempt);
  absl::StatusOr<bool> Try(Attempt attempt, SleepersWord* announce);
  // The same, after the deadline of a call that does not wait.
  absl::Status TryWithoutWaiting(WaitsFor what, Attempt attempt);
  absl::Status WaitAsleep(Deadline deadline, WaitsFor what, Attempt attempt);
  bool ChangesSoon(WaitsFor what, uint64_t seen) const;
  // How often what is waited for has changed; a hint.
  uint64_t Changes(WaitsFor what) const;
  SleepersWord& WordOf(WaitsFor what) const {
    return what == WaitsFor::kMessage ? header().for_messages : header().for_room;
  }
  // Whether the last member of the other side has gone since this was asked last.
  bool OtherSideHasGone(WaitsFor what);
  // Recovers the dead, and tells those whom it concerns. Whether there were any.
  bool RecoverAndTell();

  // In sessions: the oldest message, or what there is instead of one.
  absl::StatusOr<Record*> Oldest();
  absl::Status SendLarge(std::string_view message, Deadline deadline, Sequence* sequence);
  absl::StatusOr<Sequence> CommitRow(uint32_t row);
  // Gives up what is held, and tells who may wait for that.
  absl::Status GiveUp(std::span<const uint64_t> offsets, void (Space::*give_up)(Record&),
                      void (MutexVectorChannel::*tell)());
  absl::Status AcknowledgeOffsets(std::span<const uint64_t> offsets);
  absl::Status ReturnOffsets(std::span<const uint64_t> offsets);
  void TellOfMessages() { sleeper_.Wake(header().for_messages); }
  void TellOfRoom();

  Space space_;
  Participant participant_;
  Ledger& ledger_;
  Sleeper sleeper_;
  std::string damage_;        // not told yet
  uint64_t holds_ = 0;        // messages taken and held
  bool others_hold_ = false;  // at the last attempt that failed
  // The batch: where its messages are, and what is shown of them.
  std::vector<uint64_t> batch_offsets_;
  std::vector<Message> batch_messages_;
  bool has_batch_ = false;
  bool has_descriptor_ = false;
  bool had_others_[2] = {false, false};  // by WaitsFor: a member of the other side was seen alive
};

}  // namespace kill9::mutex_vector

#endif  // KILL9_VARIANTS_CHANNELS_MUTEX_VECTOR_MUTEX_VECTOR_CHANNEL_H_
