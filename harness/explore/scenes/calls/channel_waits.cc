// Calls of channels that wait; requests and answers.
#include <poll.h>

#include <ctime>
#include <optional>
#include <string>
#include <utility>

#include "harness/explore/scenes/channel_scene.h"

namespace kill9::explore {
namespace {

// Of a request and of an answer: which of its sender's it is, beside the numbers of other sends.
constexpr int kAnswerShift = 18;
constexpr uint64_t kMostAnswers = 7;
ValueId AnswerOf(ValueId send, uint64_t number) { return send + (number << kAnswerShift); }
bool IsAnswer(ValueId id) { return (id >> kAnswerShift & kMostAnswers) != 0; }

}  // namespace

void ChannelScene::EndWait(Operation& operation, const absl::Status& status) {
  if (absl::IsDeadlineExceeded(status)) operation.expected = kInVain;
  EndNothing(operation, status);
}

// Both: a wait of an hour, which is over where nobody can go on; or of a second.
void ChannelScene::WaitAndReceive(int participant, bool briefly) {
  std::string message;
  Operation& operation = BeginOne(participant, briefly ? "soon_receive" : "wait_receive",
                                  Function::kReceive, Progress::kBlocking, kNothing);
  const Deadline deadline = Until(briefly);
  const absl::StatusOr<MessageInfo> info = channel(participant).Receive(&message, deadline);
  CheckWait(info.status(), deadline, briefly);
  if (!info.ok()) {
    return briefly ? EndNothing(operation, info.status()) : EndWait(operation, info.status());
  }
  EndTaken(operation, {message, *info});
}

// It is told at the latest of what has come since it looked in vain: an hour of sleep beside a
// message is a wake-up that was lost.
void ChannelScene::ReceiveAsTold(int participant) {
  std::string message;
  Operation& operation =
      BeginOne(participant, "told_receive", Function::kReceive, Progress::kBlocking, kNothing);
  const absl::StatusOr<int> descriptor = channel(participant).ReadinessDescriptor();
  if (!descriptor.ok()) FailStatus(descriptor.status());
  const Deadline deadline = AnHour();
  for (;;) {
    const bool is_over = Stage::Get().now_ns() >= deadline.monotonic_ns();
    const absl::StatusOr<MessageInfo> info =
        channel(participant).Receive(&message, Deadline::None());
    if (info.ok()) {
      CheckWoken(deadline);
      return EndTaken(operation, {message, *info});
    }
    if (is_over || !absl::IsDeadlineExceeded(info.status()))
      return EndWait(operation, info.status());
    pollfd told{*descriptor, POLLIN, 0};
    const timespec hour{3600, 0};
    ppoll(&told, 1, &hour, nullptr);
  }
}

void ChannelScene::WaitAndSend(int participant, ValueId id, bool briefly) {
  const std::string message = MessageOf(id);
  Operation& operation = BeginOne(participant, briefly ? "soon_send" : "wait_send", Function::kSend,
                                  Progress::kBlocking, id);
  const Deadline deadline = Until(briefly);
  const absl::StatusOr<Sequence> sent = channel(participant).Send(message, deadline);
  CheckWait(sent.status(), deadline, briefly);
  EndSend(operation, sent);
}

// A request is answered as often as it is taken and nobody has lived to acknowledge it.
void ChannelScene::Ask(int participant, size_t number) {
  const ValueId request = IdOfWrite(participant, number);
  if (!Send(participant, request, /*as_draft=*/false)) return;
  for (uint64_t taken = 1; taken <= kMostAnswers; ++taken) {
    std::optional<Taken> one = WaitAndTake(participant);
    if (!one.has_value()) return;
    const bool is_answer = IsAnswer(one->id);
    const bool is_done = is_answer || Send(participant, AnswerOf(request, taken), false);
    GiveUp(participant, *std::move(one), /*acknowledge=*/is_done);
    if (is_answer || !is_done) return;
  }
}

void ChannelScene::Serve(int participant, size_t number) {
  std::optional<Taken> one = WaitAndTake(participant);
  if (!one.has_value()) return;
  const ValueId answer = AnswerOf(IdOfWrite(participant, number), 1);
  const bool is_done = !IsAnswer(one->id) && Send(participant, answer, /*as_draft=*/false);
  GiveUp(participant, *std::move(one), /*acknowledge=*/is_done);
}

}  // namespace kill9::explore
