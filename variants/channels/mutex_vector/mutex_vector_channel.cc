#include "variants/channels/mutex_vector/mutex_vector_channel.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "variants/segment/processor.h"

namespace kill9::mutex_vector {
namespace {

// Before it sleeps, a waiter looks so often whether something has changed: about 5 us in all.
constexpr int kGlances = 100;
// A batch is sent in sessions of about so many bytes, so that others get in between.
constexpr size_t kMostSessionBytes = 64 << 10;

absl::Status Closed() { return absl::OutOfRangeError("the channel is closed"); }
absl::Status NotHeld() {
  return absl::FailedPreconditionError(
      "the message is not this receiver's any more: it was taken for dead");
}

}  // namespace

MutexVectorChannel::MutexVectorChannel(std::shared_ptr<Segment> segment, Participant participant,
                                       MemberRole role, std::string damage)
    : Channel(participant.guard(), role),
      space_(std::move(segment)),
      participant_(std::move(participant)),
      ledger_(space_.ledger(participant_.slot())),
      sleeper_(space_.segment(), space_.sleepers_page()),
      damage_(std::move(damage)) {
  // Release: pairs with the acquire of OtherSideHasGone.
  ledger_.role.store(uint64_t{participant_.generation()} << 32 | static_cast<uint8_t>(role),
                     std::memory_order_release);
  // Who waits wants to know that there is somebody.
  TellOfMessages();
  sleeper_.Wake(header().for_room);
}

MutexVectorChannel::~MutexVectorChannel() {
  if (!guard().owns()) return;
  {
    const Session session(space_);
    if (session.entered) {
      for (std::atomic<uint64_t>& row : ledger_.rows) {
        // Relaxed: one's own row, under the mutex.
        if (row.load(std::memory_order_relaxed) != 0) space_.Drop(row);
      }
      if (holds_ != 0) {
        space_.PutBackAll([this](uint32_t slot, uint32_t generation) {
          return slot == participant_.slot() && generation == participant_.generation();
        });
      }
    }
  }
  // That this one is gone, the file's closing tells (sleepers.h).
  TellOfMessages();
  sleeper_.Wake(header().for_room);
}

void MutexVectorChannel::TellOfRoom() {
  sleeper_.Wake(header().for_room);
  // Who waits for the last message of a closed channel is told that there is none.
  if (closed()) TellOfMessages();
}

Record* MutexVectorChannel::Held(uint64_t offset) const {
  Record& record = space_.RecordAt(offset);
  return (record.word() & Record::kTakerMask) == TakenByMe() ? &record : nullptr;
}

// ---- Waiting ------------------------------------------------------------------------------------

absl::StatusOr<bool> MutexVectorChannel::Try(Attempt attempt, SleepersWord* announce) {
  const Session session(space_);
  if (!session.entered) return Damaged();
  absl::StatusOr<bool> done = attempt();
  if (!done.ok() || *done) return done;
  others_hold_ = header().taken > holds_;
  // Under the mutex, so nothing can have come in between: it is the second look (W1).
  if (announce != nullptr) sleeper_.Announce(*announce);
  return done;
}

absl::Status MutexVectorChannel::Until(Deadline deadline, WaitsFor what, Attempt attempt) {
  const uint64_t seen = Changes(what);
  absl::StatusOr<bool> done = Try(attempt, nullptr);
  if (!done.ok()) return done.status();
  if (*done) return absl::OkStatus();
  if (!deadline.waits()) return TryWithoutWaiting(what, attempt);
  if (ChangesSoon(what, seen)) {
    done = Try(attempt, nullptr);
    if (!done.ok()) return done.status();
    if (*done) return absl::OkStatus();
  }
  return WaitAsleep(deadline, what, attempt);
}

uint64_t MutexVectorChannel::Changes(WaitsFor what) const {
  // Acquire: pairs with the release of Publish; `freed` is a hint only.
  return what == WaitsFor::kMessage ? header().sent.load(std::memory_order_acquire)
                                    : header().freed.load(std::memory_order_acquire);
}

bool MutexVectorChannel::ChangesSoon(WaitsFor what, uint64_t seen) const {
  for (int i = 0; i < kGlances; ++i) {
    if (Changes(what) != seen) return true;
    CpuRelax();
  }
  return false;
}

absl::Status MutexVectorChannel::TryWithoutWaiting(WaitsFor what, Attempt attempt) {
  if (has_descriptor_) sleeper_.ForgetTold();
  // Only what somebody else holds can come back from the dead.
  const bool may_come_back = what == WaitsFor::kRoom || others_hold_ || sleeper_.death_is_near();
  const bool recovered = may_come_back && RecoverAndTell();
  if (recovered || has_descriptor_) {
    const absl::StatusOr<bool> done = Try(attempt, has_descriptor_ ? &WordOf(what) : nullptr);
    if (!done.ok()) return done.status();
    if (*done) return absl::OkStatus();
    if (has_descriptor_ && OtherSideHasGone(what)) {
      return absl::UnavailableError("the last member of the other side has gone");
    }
  }
  return absl::DeadlineExceededError(what == WaitsFor::kMessage ? "no message" : "no room");
}

absl::Status MutexVectorChannel::WaitAsleep(Deadline deadline, WaitsFor what, Attempt attempt) {
  // Who died before the watch was there is found here, who dies later is told of.
  for (bool first = true;; first = false) {
    // Each time: the system may have had no watch left before.
    const bool told = sleeper_.Watch();
    if (first || !told || sleeper_.death_is_near()) RecoverAndTell();
    const absl::StatusOr<bool> done = Try(attempt, &WordOf(what));
    if (!done.ok()) return done.status();
    if (*done) return absl::OkStatus();
    if (OtherSideHasGone(what)) {
      return absl::UnavailableError("the last member of the other side has gone");
    }
    if (!sleeper_.Sleep(deadline)) {
      return absl::DeadlineExceededError(what == WaitsFor::kMessage ? "no message" : "no room");
    }
  }
}

bool MutexVectorChannel::OtherSideHasGone(WaitsFor what) {
  const ParticipantTable& table = space_.participants();
  const auto is_other = what == WaitsFor::kMessage ? Sends : Receives;
  bool& had_others = had_others_[static_cast<size_t>(what)];
  for (uint32_t slot = 0; slot < table.size(); ++slot) {
    if (slot == participant_.slot() || table.state(slot) != ParticipantState::kInUse) continue;
    // Acquire: pairs with the release of the constructor.
    const uint64_t word = space_.ledger(slot).role.load(std::memory_order_acquire);
    const bool counts = static_cast<uint32_t>(word >> 32) == table.generation(slot) &&
                        is_other(static_cast<MemberRole>(static_cast<uint8_t>(word)));
    if (counts) {
      had_others = true;
      return false;
    }
  }
  return std::exchange(had_others, false);
}

bool MutexVectorChannel::RecoverAndTell() {
  const absl::StatusOr<RecoveryReport> report = mutex_vector::RecoverDead(space_);
  if (!report.ok() || report->participants == 0) return false;
  TellOfMessages();
  TellOfRoom();
  return true;
}

// ---- Sending ------------------------------------------------------------------------------------

absl::StatusOr<Sequence> MutexVectorChannel::DoSend(std::string_view message, Deadline deadline) {
  Sequence sequence = 0;
  if (message.size() > space_.most_inline_bytes()) {
    if (absl::Status status = SendLarge(message, deadline, &sequence); !status.ok()) return status;
  } else {
    absl::Status status = Until(deadline, WaitsFor::kRoom, [&]() -> absl::StatusOr<bool> {
      if (closed()) return Closed();
      absl::StatusOr<bool> room = space_.MakeRoomInLog(static_cast<uint32_t>(message.size()));
      if (room.ok() && *room) sequence = space_.Append(message).sequence;
      return room;
    });
    if (!status.ok()) return status;
  }
  // dies before -> its death wakes who sleeps
  TellOfMessages();
  return sequence;
}

absl::Status MutexVectorChannel::SendLarge(std::string_view message, Deadline deadline,
                                           Sequence* sequence) {
  std::atomic<uint64_t>& row = ledger_.rows[Ledger::kPublicRows];
  absl::Status status = Until(deadline, WaitsFor::kRoom, [&]() -> absl::StatusOr<bool> {
    if (closed()) return Closed();
    return space_.Reserve(static_cast<uint32_t>(message.size()), row);
  });
  if (!status.ok()) return status;
  // Relaxed: one's own row.
  char* const place = space_.At(Payload::Unpack(row.load(std::memory_order_relaxed)));
  // Without the mutex: nobody else uses the payload (V1).
  std::memcpy(place, message.data(), message.size());
  absl::StatusOr<Sequence> sent = CommitRow(Ledger::kPublicRows);
  if (!sent.ok()) return sent.status();
  *sequence = *sent;
  return absl::OkStatus();
}

absl::StatusOr<size_t> MutexVectorChannel::DoSendMany(std::span<const std::string_view> messages,
                                                      Deadline deadline) {
  size_t sent = 0;
  absl::Status status;
  while (sent < messages.size() && status.ok()) {
    if (messages[sent].size() > space_.most_inline_bytes()) {
      Sequence ignored = 0;
      status = SendLarge(messages[sent], deadline, &ignored);
      sent += status.ok() ? 1 : 0;
      continue;
    }
    status = Until(deadline, WaitsFor::kRoom, [&]() -> absl::StatusOr<bool> {
      if (closed()) return Closed();
      const size_t before = sent;
      for (size_t bytes = 0; sent < messages.size() && bytes < kMostSessionBytes; ++sent) {
        const std::string_view message = messages[sent];
        if (message.size() > space_.most_inline_bytes()) break;
        absl::StatusOr<bool> room = space_.MakeRoomInLog(static_cast<uint32_t>(message.size()));
        if (!room.ok() && sent == before) return room;
        if (!room.ok() || !*room) break;
        space_.Append(message);
        bytes += message.size() + sizeof(Record);
      }
      return sent != before;
    });
    TellOfMessages();
  }
  if (sent == 0 && !status.ok()) return status;
  return sent;
}

absl::StatusOr<MessageDraft> MutexVectorChannel::DoReserve(size_t size, Deadline deadline) {
  uint32_t index = 0;
  // Relaxed: one's own rows.
  while (index < Ledger::kPublicRows && ledger_.rows[index].load(std::memory_order_relaxed) != 0) {
    ++index;
  }
  if (index == Ledger::kPublicRows) {
    return absl::ResourceExhaustedError("this member holds as many drafts as it may");
  }
  absl::Status status = Until(deadline, WaitsFor::kRoom, [&]() -> absl::StatusOr<bool> {
    if (closed()) return Closed();
    return space_.Reserve(static_cast<uint32_t>(size), ledger_.rows[index]);
  });
  if (!status.ok()) return status;
  // Relaxed: one's own row.
  const Payload payload = Payload::Unpack(ledger_.rows[index].load(std::memory_order_relaxed));
  return MessageDraft(this, index, {space_.At(payload), size});
}

absl::StatusOr<Sequence> MutexVectorChannel::CommitRow(uint32_t index) {
  const Session session(space_);
  if (!session.entered) return Damaged();
  std::atomic<uint64_t>& row = ledger_.rows[index];
  // Relaxed: one's own row, under the mutex.
  if (row.load(std::memory_order_relaxed) == 0) return NotHeld();
  if (closed()) {
    space_.Drop(row);
    return Closed();
  }
  return space_.Commit(row).sequence;
}

absl::StatusOr<Sequence> MutexVectorChannel::DoCommit(uint64_t hold) {
  absl::StatusOr<Sequence> sequence = CommitRow(static_cast<uint32_t>(hold));
  if (sequence.ok()) TellOfMessages();
  return sequence;
}

void MutexVectorChannel::DoDropDraft(uint64_t hold) {
  {
    const Session session(space_);
    std::atomic<uint64_t>& row = ledger_.rows[hold];
    // Relaxed: one's own row, under the mutex.
    if (!session.entered || row.load(std::memory_order_relaxed) == 0) return;
    space_.Drop(row);
  }
  sleeper_.Wake(header().for_room);
}

// ---- Receiving ----------------------------------------------------------------------------------

absl::StatusOr<Record*> MutexVectorChannel::Oldest() {
  Record* record = space_.NextWaiting();
  if (record != nullptr) return record;
  if (header().waiting != 0) return Damaged();
  // What others hold may come again.
  if (closed() && header().taken == holds_) return Closed();
  return nullptr;
}

absl::StatusOr<MessageInfo> MutexVectorChannel::DoReceive(std::string* message, Deadline deadline) {
  MessageInfo info;
  Record* large = nullptr;
  absl::Status status = Until(deadline, WaitsFor::kMessage, [&]() -> absl::StatusOr<bool> {
    const absl::StatusOr<Record*> found = Oldest();
    if (!found.ok()) return found.status();
    if (*found == nullptr) return false;
    Record& record = **found;
    info = {record.sequence, record.redelivered(), 0};
    if (record.payload != 0) {
      space_.MarkTaken(record, TakenByMe());
      large = &record;
    } else {
      const std::string_view bytes = space_.BytesOf(record);
      message->assign(bytes.data(), bytes.size());
      space_.Acknowledge(record);
    }
    return true;
  });
  if (!status.ok()) return status;
  if (large != nullptr) {
    // Without the mutex: nobody writes to what is taken (V1).
    ++holds_;
    const std::string_view bytes = space_.BytesOf(*large);
    message->assign(bytes.data(), bytes.size());
    const uint64_t offset = space_.OffsetOf(*large);
    status = AcknowledgeOffsets({&offset, 1});
    if (!status.ok()) return status;
    return info;
  }
  TellOfRoom();
  return info;
}

absl::StatusOr<TakenMessage> MutexVectorChannel::DoTake(Deadline deadline) {
  Record* taken = nullptr;
  absl::Status status = Until(deadline, WaitsFor::kMessage, [&]() -> absl::StatusOr<bool> {
    const absl::StatusOr<Record*> found = Oldest();
    if (!found.ok()) return found.status();
    taken = *found;
    if (taken == nullptr) return false;
    space_.MarkTaken(*taken, TakenByMe());
    return true;
  });
  if (!status.ok()) return status;
  ++holds_;
  return TakenMessage(this, space_.OffsetOf(*taken), Show(*taken));
}

absl::StatusOr<MessageBatch> MutexVectorChannel::DoDrain(size_t most, Deadline deadline) {
  if (has_batch_) {
    return absl::ResourceExhaustedError("this member holds a batch; acknowledge or return it");
  }
  batch_offsets_.clear();
  batch_messages_.clear();
  absl::Status status = Until(deadline, WaitsFor::kMessage, [&]() -> absl::StatusOr<bool> {
    const absl::StatusOr<Record*> first = Oldest();
    if (!first.ok()) return first.status();
    for (Record* record = *first; record != nullptr; record = space_.NextWaiting()) {
      // Before the message is taken: what follows must not fail.
      batch_offsets_.push_back(space_.OffsetOf(*record));
      batch_messages_.push_back(Show(*record));
      space_.MarkTaken(*record, TakenByMe());
      if (batch_offsets_.size() == most) break;
    }
    return !batch_offsets_.empty();
  });
  if (!status.ok()) return status;
  holds_ += batch_offsets_.size();
  has_batch_ = true;
  return MessageBatch(this, 0, batch_messages_);
}

absl::Status MutexVectorChannel::GiveUp(std::span<const uint64_t> offsets,
                                        void (Space::*give_up)(Record&),
                                        void (MutexVectorChannel::*tell)()) {
  holds_ -= offsets.size();
  bool all = true;
  {
    const Session session(space_);
    if (!session.entered) return Damaged();
    for (const uint64_t offset : offsets) {
      Record* const record = Held(offset);
      if (record != nullptr) (space_.*give_up)(*record);
      all &= record != nullptr;
    }
  }
  (this->*tell)();
  return all ? absl::OkStatus() : NotHeld();
}

absl::Status MutexVectorChannel::AcknowledgeOffsets(std::span<const uint64_t> offsets) {
  return GiveUp(offsets, &Space::Acknowledge, &MutexVectorChannel::TellOfRoom);
}
absl::Status MutexVectorChannel::ReturnOffsets(std::span<const uint64_t> offsets) {
  return GiveUp(offsets, &Space::PutBack, &MutexVectorChannel::TellOfMessages);
}

absl::Status MutexVectorChannel::DoAcknowledge(uint64_t hold) {
  return AcknowledgeOffsets({&hold, 1});
}
absl::Status MutexVectorChannel::DoReturn(uint64_t hold) { return ReturnOffsets({&hold, 1}); }

absl::Status MutexVectorChannel::DoAcknowledgeBatch(uint64_t) {
  has_batch_ = false;
  return AcknowledgeOffsets(batch_offsets_);
}
absl::Status MutexVectorChannel::DoReturnBatch(uint64_t) {
  has_batch_ = false;
  return ReturnOffsets(batch_offsets_);
}

// ---- The whole ----------------------------------------------------------------------------------

absl::Status MutexVectorChannel::DoClose() {
  {
    const Session session(space_);
    if (!session.entered) return Damaged();
    // Commit point. Release: pairs with the mutex of who finds it.
    // dies before -> open;  dies after -> closed
    header().closed.store(1, std::memory_order_release);
  }
  TellOfMessages();
  sleeper_.Wake(header().for_room);
  return absl::OkStatus();
}

absl::StatusOr<Occupancy> MutexVectorChannel::DoLook() {
  Occupancy occupancy;
  const Session session(space_);
  if (!session.entered) return Damaged();
  occupancy.waiting = header().waiting;
  occupancy.taken = header().taken;
  occupancy.bytes = header().bytes;
  occupancy.capacity_bytes = space_.capacity_bytes();
  occupancy.closed = closed();
  const ParticipantTable& table = space_.participants();
  for (uint32_t slot = 0; slot < table.size(); ++slot) {
    const ParticipantState state = table.state(slot);
    if (state != ParticipantState::kInUse && state != ParticipantState::kDead) continue;
    // Acquire: pairs with the release of the constructor.
    const uint64_t word = space_.ledger(slot).role.load(std::memory_order_acquire);
    if (static_cast<uint32_t>(word >> 32) != table.generation(slot)) continue;
    const MemberRole role = static_cast<MemberRole>(static_cast<uint8_t>(word));
    occupancy.senders += Sends(role) ? 1 : 0;
    occupancy.receivers += Receives(role) ? 1 : 0;
  }
  return occupancy;
}

absl::StatusOr<int> MutexVectorChannel::DoReadinessDescriptor() {
  const int descriptor = sleeper_.descriptor();
  if (descriptor < 0) {
    return absl::ResourceExhaustedError("no inotify instance is left (fs.inotify)");
  }
  has_descriptor_ = true;
  // What is there already is news as well.
  sleeper_.Announce(header().for_messages);
  TellOfMessages();
  return descriptor;
}

absl::StatusOr<RecoveryReport> MutexVectorChannel::DoRecover() {
  if (absl::Status status = space_.participants().CanTellTheDead(); !status.ok()) return status;
  absl::StatusOr<RecoveryReport> report = mutex_vector::RecoverDead(space_);
  if (report.ok() && report->participants != 0) {
    TellOfMessages();
    TellOfRoom();
  }
  return report;
}

absl::StatusOr<AuditReport> MutexVectorChannel::DoAudit() {
  AuditReport report;
  const Session session(space_);
  if (!session.entered) return Damaged();
  space_.Audit(report);
  // Told once: it is mended.
  if (!damage_.empty()) {
    report.violations.push_back("found when this member attached: " + std::exchange(damage_, ""));
  }
  return report;
}

}  // namespace kill9::mutex_vector
