// The part of a channel's client that closes channels, and checks what calls are told of it:
// nothing is sent to a channel after a Close of it has returned; nothing is received after its end
// was told; nobody is told of a Close that nobody called; who waits without a deadline is told.
// That all is received that was sent before is the history's to show.
#include "absl/strings/str_cat.h"
#include "harness/channel_driver/channel_client.h"
#include "harness/torture/run_statistics.h"

namespace kill9 {
// Asked before a worker parks (LetOthersGo) and before an audit replaces the channel (Visit): so it
// is the number of the one that this client is attached to.
uint64_t ChannelClient::Number() {
  if (numbered_attachment_ != attachments()) {
    numbered_attachment_ = attachments();
    // Acquire: pairs with ReplaceChannel.
    number_ = closing_->replaced.load(std::memory_order_acquire) + 1;
  }
  return number_;
}

ChannelClient::Known ChannelClient::KnowBefore(Deadline deadline) {
  Known known{.deadline = deadline};
  if (closing_ == nullptr) return known;
  // Acquire: pairs with Raise, by whoever was told before.
  known.closed = closing_->closed.load(std::memory_order_acquire) >= Number();
  // In a broadcast each subscriber comes to an end of its own.
  const uint64_t ended =
      broadcast_ != nullptr ? ended_ : closing_->ended.load(std::memory_order_acquire);
  known.ended = ended >= Number();
  return known;
}

void ChannelClient::Close() {
  Raise(closing_->close_called, Number());
  Count(closing_->closes_called);
  BeginUnrecorded(Function::kSend, kCloseSubject);
  const absl::Status status = channel().Close();
  EndUnrecorded();
  if (!status.ok()) FailStatus("Close", status);
  Raise(closing_->closed, Number());
  Count(closing_->closes);
}

// Who waits for the end waits for what others hold, too. Of a channel that is closed already no
// second Close tells: what is given up here must.
void ChannelClient::LetOthersGo() {
  if (workload_.last_message || boards_.requests != nullptr) {
    Send(workload_.smallest_bytes, Deadline::None());
  }
  if (workload_.all_wait && closing_ == nullptr) {
    ReleaseAll();
    for (auto others = last_to_wait_.WhoWaits(); others.any && !AllWaitForRoom();
         others = last_to_wait_.WhoWaits()) {
      if (Send(workload_.smallest_bytes, Deadline::None())) Gave(others, WhoIsWoken());
    }
  }
  if (closing_ == nullptr) return;
  ReleaseAll();
  if (!KnowBefore(Deadline::None()).closed) Close();
}

bool ChannelClient::ObjectWasReplaced() {
  // Acquire: pairs with ReplaceChannel.
  return closing_ != nullptr && Number() <= closing_->replaced.load(std::memory_order_acquire);
}

void ChannelClient::CheckEnd(const char* operation, const Known& known,
                             const absl::Status& status) {
  if (known.deadline.forever() && absl::IsDeadlineExceeded(status)) {
    FailStatus("a wait without a deadline", status);
  }
  if (known.deadline.waits() && absl::IsDeadlineExceeded(status) &&
      context().design.role() == Design::Role::kDesign &&
      static_cast<int64_t>(MonotonicNs()) < known.deadline.monotonic_ns()) {
    FailStatus("a wait that ended before its deadline", status);
  }
  if (!absl::IsOutOfRange(status)) return;
  // Acquire: pairs with Raise in Close.
  if (closing_ == nullptr || closing_->close_called.load(std::memory_order_acquire) < Number()) {
    Fail(Verdict::kViolation, absl::StrCat(operation, " was told of a Close that nobody called"));
  }
  if (known.deadline.waits() && !known.closed) Count(closing_->waiters_told);
}

void ChannelClient::CheckSent(const char* operation, const Known& known,
                              const absl::Status& status) {
  CheckEnd(operation, known, status);
  if (absl::IsOutOfRange(status)) Count(closing_->sends_refused);
  if (!known.closed || absl::IsOutOfRange(status)) return;
  Fail(
      Verdict::kViolation,
      absl::StrCat(operation, ", called after a Close had returned, was told ", status.ToString()));
}

void ChannelClient::CheckTaken(const char* operation, const Known& known,
                               const absl::Status& status) {
  CheckEnd(operation, known, status);
  // What the receiver itself holds may come again after its end: it knows of that.
  if (absl::IsOutOfRange(status) && held_.empty()) {
    Raise(closing_->ended, Number());
    ended_ = Number();
  }
  if (status.ok() && known.closed) Count(closing_->received_afterwards);
  if (!known.ended || absl::IsOutOfRange(status)) return;
  Fail(Verdict::kViolation,
       absl::StrCat(operation, ", called after a receiver had been told the end", ", was told ",
                    status.ToString()));
}

// REQUIRES: the channel is closed and empty, and nobody holds anything of it.
void ChannelClient::ReplaceChannel() {
  // Acquire: pairs with Raise in CheckTaken. (Visit has received until there was nothing.)
  if (closing_->ended.load(std::memory_order_acquire) < Number()) {
    Fail(Verdict::kViolation, "a closed channel is empty, and a receiver was not told its end");
  }
  const absl::Status unlinked = Segment::Unlink(context().location);
  if (!unlinked.ok()) FailMachine(absl::StrCat("cannot unlink: ", unlinked.ToString()));
  const auto created = context().design.Create(context().segment_options);
  if (!created.ok()) {
    FailMachine(absl::StrCat("cannot create a new channel: ", created.status().ToString()));
  }
  // Release: pairs with the acquires in Number and ObjectWasReplaced.
  closing_->replaced.store(Number(), std::memory_order_release);
}

}  // namespace kill9
