// The part of a channel's client that is for audits, while nobody else works: messages of sizes
// that have no room for a name, none at all among them; batches of several, of fewer messages than
// there are and of more; what comes back, and comes back again; counters against the truth. None of
// it is in the history, and nothing of it is left.
#include <poll.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/channel_driver/channel_client.h"

namespace kill9 {
namespace {

constexpr uint64_t kQuietKey = 1;
// Without a name and with one; about granules and lines, and far from them.
constexpr std::array<uint32_t, 16> kQuietSizes = {0,  1,  7,   8,   9,   24,  63,  64,
                                                  65, 71, 127, 128, 129, 135, 197, 257};

}  // namespace

void ChannelClient::FailQuiet(const std::string& what) {
  Fail(Verdict::kViolation, absl::StrCat("in a quiet channel ", what));
}

// Each who is attached sends, receives, or does both, and nobody else does.
void ChannelClient::CheckMembers(const Occupancy& occupancy) {
  // Acquire: pairs with the supervisor's release.
  const uint32_t all = context().control().expected_participants.load(std::memory_order_acquire);
  if (occupancy.senders <= all && occupancy.receivers <= all &&
      occupancy.senders + occupancy.receivers >= all) {
    return;
  }
  FailQuiet(absl::StrCat("Look tells of ", occupancy.senders, " senders and ", occupancy.receivers,
                         " receivers, and ", all, " members are attached"));
}

// Of messages that are `sent`, so many are taken.
void ChannelClient::CheckCounts(const std::vector<std::string>& sent, uint64_t taken,
                                const char* when) {
  const absl::StatusOr<Occupancy> occupancy = channel().Look();
  if (!occupancy.ok()) FailStatus("Look", occupancy.status());
  uint64_t bytes = 0;
  for (const std::string& message : sent) bytes += message.size();
  const uint64_t waiting = sent.size() - std::min<uint64_t>(taken, sent.size());
  if (occupancy->waiting != waiting || occupancy->taken != taken) {
    FailQuiet(absl::StrCat(when, " Look tells of ", occupancy->waiting, " messages that wait (",
                           waiting, " do) and ", occupancy->taken, " taken (", taken, ")"));
  }
  if (occupancy->bytes != bytes || occupancy->bytes > occupancy->capacity_bytes) {
    FailQuiet(absl::StrCat(when, " Look tells of ", occupancy->bytes, " bytes of ",
                           occupancy->capacity_bytes, "; the messages have ", bytes));
  }
}

// REQUIRES: nothing waits, nobody holds anything, and nobody works.
void ChannelClient::TryAll() {
  ++visits_;
  // As many as the run's batches have, and none too few.
  std::vector<std::string> sent(std::max<size_t>(3, workload_.most_batch) + visits_ % 3);
  for (size_t i = 0; i < sent.size(); ++i) {
    const uint32_t size = kQuietSizes[(i + visits_) % kQuietSizes.size()];
    sent[i].resize(std::min(size, workload_.largest_bytes));
    FillValue(MakeValueId(process(), static_cast<uint32_t>(i) + 1), kQuietKey, sent[i]);
  }
  const std::vector<std::string_view> messages(sent.begin(), sent.end());
  const absl::StatusOr<size_t> count = channel().SendMany(messages, Deadline::None());
  if (!count.ok()) FailStatus("SendMany to an empty channel", count.status());
  if (*count == 0 || *count > sent.size()) {
    FailQuiet(absl::StrCat("SendMany of ", sent.size(), " messages sent ", *count));
  }
  sent.resize(*count);
  SendDraftOfNothing(&sent);
  CheckCounts(sent, 0, "after SendMany");
  const size_t returned = traits_.has_take ? TakeAndReturn(sent) : 0;
  for (size_t i = 0; i < sent.size(); ++i) {
    const absl::StatusOr<MessageInfo> info = channel().Receive(&buffer_, Deadline::None());
    if (!info.ok()) FailStatus("Receive of what waits in a quiet channel", info.status());
    CheckQuiet(sent, i, buffer_, *info, i < returned);
  }
  if (channel().Receive(&buffer_, Deadline::None()).ok()) FailQuiet("more is there than was sent");
  CheckCounts({}, 0, "after all was received");
  if (traits_.has_readiness) TryDescriptor();
}

void ChannelClient::RequireReadable(int descriptor, const char* when) {
  pollfd told{descriptor, POLLIN, 0};
  if (poll(&told, 1, 0) != 1) FailQuiet(absl::StrCat("no descriptor tells ", when));
  if (!channel().Receive(&buffer_, Deadline::None()).ok()) {
    FailQuiet(absl::StrCat("nothing is there ", when));
  }
}

// Its descriptor tells of what waits, and of what others do once it has been told that nothing
// waits. The others are another handle of this process.
void ChannelClient::TryDescriptor() {
  const absl::StatusOr<int> descriptor = channel().ReadinessDescriptor();
  if (absl::IsResourceExhausted(descriptor.status())) return;  // the machine's
  if (!descriptor.ok()) FailStatus("ReadinessDescriptor", descriptor.status());
  const auto& design = static_cast<const ChannelDesign&>(context().design);
  const auto other = design.Attach(segment(), {});
  if (!other.ok()) return;  // no place is left
  const auto send = [&] {
    const absl::StatusOr<Sequence> sent = (*other)->Send("told", Deadline::None());
    if (!sent.ok()) FailStatus("Send to a quiet channel", sent.status());
  };
  constexpr int kTimes = 3;
  for (int i = 0; i < kTimes; ++i) {
    if (channel().Receive(&buffer_, Deadline::None()).ok()) FailQuiet("something is there");
    send();
    RequireReadable(*descriptor, "of a message");
  }
  if (!traits_.has_take) return;
  send();
  absl::StatusOr<TakenMessage> taken = (*other)->Take(Deadline::None());
  if (!taken.ok()) FailStatus("Take of what waits in a quiet channel", taken.status());
  if (channel().Receive(&buffer_, Deadline::None()).ok()) FailQuiet("what is taken is there");
  const absl::Status returned = (*other)->Return(*std::move(taken));
  if (!returned.ok()) FailStatus("Return", returned);
  RequireReadable(*descriptor, "of a message that came back");
}

// Which has a place all the same.
void ChannelClient::SendDraftOfNothing(std::vector<std::string>* sent) {
  if (!traits_.has_draft) return;
  absl::StatusOr<MessageDraft> draft = channel().Reserve(0, Deadline::None());
  if (!draft.ok()) return;  // the messages before it are in the way
  if (!draft->bytes().empty()) FailQuiet("a draft of no bytes has some");
  const absl::StatusOr<Sequence> committed = channel().Commit(*std::move(draft));
  if (!committed.ok()) FailStatus("Commit of a draft of nothing", committed.status());
  sent->emplace_back();
}

// As batches; how many messages have come back.
size_t ChannelClient::TakeAndReturn(const std::vector<std::string>& sent) {
  size_t returned = 0;
  for (const size_t most : {sent.size() / 2 + 1, sent.size() + 1}) {
    absl::StatusOr<MessageBatch> batch = channel().Drain(most, Deadline::None());
    if (!batch.ok()) FailStatus("Drain of a quiet channel", batch.status());
    const size_t got = batch->size();
    if (got > most) FailQuiet(absl::StrCat("a batch of at most ", most, " messages has ", got));
    for (size_t i = 0; i < got; ++i) {
      CheckQuiet(sent, i, (*batch)[i].bytes, (*batch)[i].info, i < returned);
    }
    returned = std::max(returned, got);
    CheckCounts(sent, got, "beside a batch");
    if (absl::Status status = channel().Return(*std::move(batch)); !status.ok()) {
      FailStatus("Return of a batch", status);
    }
    CheckCounts(sent, 0, "after the return of a batch");
  }
  // One comes again as often as it is returned: a count of it would begin anew.
  constexpr int kReturns = 40;
  for (int i = 0; i < kReturns; ++i) {
    absl::StatusOr<TakenMessage> taken = channel().Take(Deadline::None());
    if (!taken.ok()) FailStatus("Take of what waits in a quiet channel", taken.status());
    CheckQuiet(sent, 0, taken->bytes(), taken->info(), returned != 0 || i > 0);
    if (absl::Status status = channel().Return(*std::move(taken)); !status.ok()) {
      FailStatus("Return", status);
    }
  }
  CheckCounts(sent, 0, "after many returns");
  return std::max<size_t>(returned, 1);
}

void ChannelClient::CheckQuiet(const std::vector<std::string>& sent, size_t index,
                               std::string_view bytes, const MessageInfo& info, bool returned) {
  if (index < sent.size() && bytes == sent[index] && info.redelivered == returned) return;
  FailQuiet(absl::StrCat("message ", index, " of ", sent.size(), ", of ", bytes.size(), " bytes, ",
                         info.redelivered == returned ? "is not the one that was sent"
                         : returned                   ? "comes again, and is not marked"
                                                      : "is marked as if it came again"));
}

}  // namespace kill9
