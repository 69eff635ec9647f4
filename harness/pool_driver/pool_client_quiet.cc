// The part of a pool's client that is for audits, while nobody else works: the account of holds,
// who is told to live, and what the contract promises of a pool and a channel in which nothing is.
// None of it is in the history, and nothing of it is left.
#include <array>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/pool_driver/pool_client.h"
#include "harness/torture/run_statistics.h"
#include "variants/buffers/layout.h"

namespace kill9 {
namespace {

constexpr Deadline kAtOnce = Deadline::None();

}  // namespace

void PoolClient::FailQuiet(const std::string& what) {
  Fail(Verdict::kViolation, absl::StrCat("in a quiet pool ", what));
}

void PoolClient::Visit() {
  CheckAccount();
  CheckWhoLives();
  const absl::StatusOr<Occupancy> before = channel().Look();
  const uint64_t received = ReceiveAll();
  if (before.ok() && before->waiting < received) {
    FailQuiet(absl::StrCat("Look told of ", before->waiting, " messages that wait, and ", received,
                           " came"));
  }
  Begin(Function::kCount, 0);
  const absl::StatusOr<Occupancy> left = channel().Look();
  if (!left.ok()) FailStatus("Look", left.status());
  End(Outcome::kOk, left->waiting + left->taken);
  CheckAccount();
  const absl::StatusOr<BufferPoolAccount> account = pool().Account();
  if (!account.ok()) FailStatus("Account", account.status());
  if (!account->of_messages.empty()) {
    Fail(
        Verdict::kLeak,
        absl::StrCat("all messages are received, and ", account->of_messages.front().holds,
                     " holds are still on their way to box ", account->of_messages.front().holder));
  }
  if (account->holds == 0 && left->waiting + left->taken == 0) TryAll();
}

// Of parked workers: each holds what it knows of, and nobody else holds anything.
void PoolClient::CheckAccount() {
  const absl::StatusOr<BufferPoolAccount> account = pool().Account();
  if (!account.ok()) FailStatus("Account", account.status());
  std::map<uint32_t, uint64_t> holds_of;
  for (const HoldsOf& one : account->of_participants) holds_of[one.holder] = one.holds;
  for (size_t slot = 0; slot < kSlots; ++slot) {
    const WorkerBoard& worker = context().control().boards[slot];
    const std::optional<ParticipantId> seated = boards_.seats[slot].now();
    // Relaxed, here and below: the workers are parked.
    if (!seated.has_value() || worker.attached.load(std::memory_order_relaxed) == 0) continue;
    const uint64_t known = worker.held.load(std::memory_order_relaxed);
    if (const uint64_t told = std::exchange(holds_of[seated->slot], 0); told != known) {
      Fail(told < known ? Verdict::kViolation : Verdict::kLeak,
           absl::StrCat("the participant in slot ", seated->slot, " has ", told,
                        " holds, and knows of ", known));
    }
  }
  for (const auto& [slot, holds] : holds_of) {
    if (holds == 0) continue;
    Fail(Verdict::kLeak, absl::StrCat("after recovery ", holds, " holds are a dead participant's, ",
                                      "in slot ", slot));
  }
}

void PoolClient::CheckWhoLives() {
  for (size_t slot = 0; slot < kSlots; ++slot) {
    const PoolSeat& seat = boards_.seats[slot];
    const bool attached =
        context().control().boards[slot].attached.load(std::memory_order_relaxed) != 0;
    if (seat.before().has_value() && pool().IsAlive(*seat.before())) {
      FailQuiet("somebody is told to live who has left or died");
    }
    if (seat.now().has_value() && pool().IsAlive(*seat.now()) != attached) {
      FailQuiet(attached ? "a living participant is told to be dead"
                         : "a dead participant is told to live");
    }
  }
  for (uint32_t seat = 0; seat < buffers::kSeats; ++seat) {
    const ParticipantId who = pool().SeatedAt(seat);
    const bool is_taken = !(who == pool().id()) && pool().IsAlive(who);
    const absl::Status status = pool().TakeSeat(seat);
    if (is_taken ? !absl::IsAlreadyExists(status) : !status.ok()) {
      FailQuiet(absl::StrCat("TakeSeat of a seat that ", is_taken ? "another has" : "is free", ": ",
                             status.ToString()));
    }
    if (!is_taken) seats_ |= 1u << seat;
  }
}

// Who asked for a few bytes was refused: there is no descriptor left, or no piece is as large.
void PoolClient::CheckFullPool() {
  constexpr uint64_t kMostPiece = 128;
  const absl::StatusOr<BufferPoolAccount> account = pool().Account();
  if (!account.ok()) FailStatus("Account", account.status());
  const uint64_t buffers_most = segment()->header().parameters[buffers::kDescriptorCount];
  const uint64_t live = account->report.live.blocks;
  // Between two free pieces there is a block that lives.
  if (live >= buffers_most || account->free_bytes <= (live + 1) * kMostPiece) return;
  FailQuiet(absl::StrCat("8 bytes are refused where ", account->free_bytes, " are free between ",
                         live, " buffers, of ", buffers_most, " that there can be"));
}

// ---- Nothing is in it ---------------------------------------------------------------------------

Buffer PoolClient::MakeQuiet(uint64_t bytes) {
  absl::StatusOr<Buffer> buffer = pool().Allocate(bytes, kAtOnce);
  if (!buffer.ok()) FailStatus("Allocate in a pool in which nothing is", buffer.status());
  return *std::move(buffer);
}

void PoolClient::TryAll() {
  Count(boards_.quiet_rounds);
  { const Buffer all = MakeQuiet(pool().max_buffer_bytes()); }
  if (!absl::IsInvalidArgument(pool().Allocate(pool().max_buffer_bytes() + 1, kAtOnce).status())) {
    FailQuiet("more is served than the largest buffer has");
  }
  TryHolds();
  TryMessages();
  TryBoxes();
  const absl::StatusOr<BufferPoolAccount> account = pool().Account();
  if (!account.ok()) FailStatus("Account", account.status());
  if (account->holds != 0 || account->report.live.blocks != 0) {
    Fail(Verdict::kLeak, absl::StrCat("all was let go of, and there are ", account->holds,
                                      " holds and ", account->report.live.blocks, " buffers"));
  }
}

// One buffer has as many holds as the pool was made for, and is free with the last one.
void PoolClient::TryHolds() {
  const uint64_t most = segment()->header().parameters[buffers::kHoldsOfEach];
  std::vector<Buffer> holds;
  holds.push_back(MakeQuiet(100));
  for (;;) {
    absl::StatusOr<Buffer> other = holds.front().Share();
    if (absl::IsResourceExhausted(other.status())) break;
    if (!other.ok()) FailStatus("Share in a quiet pool", other.status());
    holds.push_back(*std::move(other));
    if (holds.size() > most) break;
  }
  if (holds.size() != most) {
    FailQuiet(absl::StrCat("a buffer has ", holds.size(), " holds, of ", most));
  }
  if (!absl::IsInvalidArgument(holds.front().Slice(50, 51).status())) {
    FailQuiet("a part is given that is not in the buffer");
  }
  // The last one to stay has no other place than the first.
  std::swap(holds.front(), holds[visits_ % holds.size()]);
  ++visits_;
  while (holds.size() > 1) {
    if (!holds.front().IsShared()) FailQuiet("a buffer with several holds is not shared, it says");
    holds.pop_back();
  }
  if (holds.front().IsShared()) FailQuiet("a buffer with one hold is shared, it says");
}

// Those without a buffer, and those that no pool has sent.
void PoolClient::TryMessages() {
  Buffer none;
  if (absl::Status status = pool().Send(channel(), none, "header", kAtOnce).status();
      !status.ok()) {
    FailStatus("Send without a buffer", status);
  }
  absl::StatusOr<ReceivedBuffer> received = pool().Receive(channel(), kAtOnce);
  if (!received.ok()) FailStatus("Receive of a message without a buffer", received.status());
  if (received->buffer.has_block() || received->header != "header") {
    FailQuiet("a message without a buffer has one, or another header");
  }
  const std::string junk(visits_ % 100, 'j');
  if (absl::Status status = channel().Send(junk, kAtOnce).status(); !status.ok()) {
    FailStatus("Send to a quiet channel", status);
  }
  if (!absl::IsInvalidArgument(pool().Receive(channel(), kAtOnce).status())) {
    FailQuiet("a message that no pool has sent is not refused");
  }
  if (!absl::IsDeadlineExceeded(pool().Receive(channel(), kAtOnce).status())) {
    FailQuiet("a message that was refused comes again");
  }
}

// What was sent to one box is dropped, what was sent to others comes; a hold that its sender kept
// is its own.
void PoolClient::TryBoxes() {
  constexpr std::array<uint32_t, 4> kBoxesTried = {0, 1, 63, BufferPool::kMostBoxes - 1};
  const uint64_t most = segment()->header().parameters[buffers::kDescriptorCount];
  if (most < kBoxesTried.size() + 1) return;
  const uint32_t dropped = kBoxesTried[visits_ % kBoxesTried.size()];
  const Buffer kept = MakeQuiet(33);
  for (const uint32_t box : kBoxesTried) {
    Buffer sent = MakeQuiet(17 + box % 7);
    const std::string header = absl::StrCat("to ", box);
    absl::StatusOr<Sequence> first = pool().Send(channel(), sent, header, kAtOnce, box);
    if (!first.ok()) FailStatus("Send to a box", first.status());
    if (box != dropped) continue;
    first = pool().SendShared(channel(), kept, header, kAtOnce, box);
    if (!first.ok()) FailStatus("SendShared to a box", first.status());
  }
  Buffer too_far = MakeQuiet(1);
  if (!absl::IsInvalidArgument(
          pool().Send(channel(), too_far, "", kAtOnce, BufferPool::kMostBoxes).status()) ||
      !too_far.has_block()) {
    FailQuiet("there is a box too many");
  }
  const absl::StatusOr<uint64_t> freed = pool().DropSent(dropped);
  if (!freed.ok()) FailStatus("DropSent", freed.status());
  if (*freed != 1) FailQuiet(absl::StrCat("DropSent of one buffer freed ", *freed));
  for (const uint32_t box : kBoxesTried) {
    if (box == dropped) continue;
    absl::StatusOr<ReceivedBuffer> received = pool().Receive(channel(), kAtOnce);
    if (!received.ok()) FailStatus("Receive beside a box that was dropped", received.status());
    if (received->header != absl::StrCat("to ", box) || received->buffer.size() != 17 + box % 7) {
      FailQuiet(absl::StrCat("what came is not what was sent to box ", box));
    }
  }
  if (!absl::IsDeadlineExceeded(pool().Receive(channel(), kAtOnce).status())) {
    FailQuiet("what was dropped is received");
  }
  if (kept.IsShared()) FailQuiet("a buffer is shared with a message that was dropped");
}

}  // namespace kill9
