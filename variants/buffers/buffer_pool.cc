// A participant of a buffer pool: attaching, room, recovery. Passing on: passing.cc.
#include "variants/buffers/buffer_pool.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "variants/heaps/shared/waiting.h"

namespace kill9 {
namespace {

using buffers::Session;
using buffers::Space;

SegmentLayout PoolLayout() {
  return {.design = BufferPool::kDesignName,
          .layout_version = 1,
          .ledger_bytes = sizeof(buffers::Ledger)};
}

}  // namespace

absl::StatusOr<std::shared_ptr<Segment>> BufferPool::Create(const BufferPoolOptions& options) {
  if (options.buffers_most == 0 || options.buffers_most > UINT32_MAX || options.holds_most == 0 ||
      options.holds_most > buffers::HoldWord::kMostHolders) {
    return absl::InvalidArgumentError("a pool has at least one buffer, and one hold of each");
  }
  return Segment::Create(
      options.segment, PoolLayout(), [&](Segment& segment, SegmentHeader& header) {
        return Space::Format(segment, header, {options.buffers_most, options.holds_most});
      });
}
absl::StatusOr<std::shared_ptr<Segment>> BufferPool::Open(const SegmentLocation& location) {
  return Segment::Open(location, PoolLayout());
}
absl::StatusOr<std::shared_ptr<Segment>> BufferPool::FromFd(int fd) {
  return Segment::FromFd(fd, PoolLayout());
}

absl::StatusOr<std::unique_ptr<BufferPool>> BufferPool::Attach(std::shared_ptr<Segment> segment) {
  if (absl::Status status = Space::Check(*segment); !status.ok()) return status;
  Space space(segment);
  // Whatever was under way in a copy, the next one undoes.
  const auto reset = [&space] {
    buffers::PoolHeader& header = space.header();
    header.mutex.Reset(!header.mutex.LooksFree() || header.writer != 0);
  };
  // If there is damage, the participant's operations report it.
  absl::StatusOr<Participant> participant = ClaimAdmitted(
      space.participants(), segment->fd(), reset, [&space] { space.RecoverDead().IgnoreError(); });
  if (!participant.ok()) return participant.status();
  return std::unique_ptr<BufferPool>(new BufferPool(std::move(segment), *std::move(participant)));
}

BufferPool::BufferPool(std::shared_ptr<Segment> segment, Participant participant)
    : SharedObject(participant.guard()),
      space_(std::move(segment)),
      participant_(std::move(participant)),
      sleeper_(space_.segment(), space_.sleepers_page()) {
  for (buffers::SharedWord& word : space_.ledger(participant_.slot()).marks) {
    // Seq_cst: before whatever its user tells others of it.
    word.store(0, std::memory_order_seq_cst);
  }
}

BufferPool::~BufferPool() {
  if (!owns() || holds_ == 0) return;
  const auto is_mine = [this](buffers::HoldWord word) {
    return word.Is(buffers::HoldKind::kHeld, participant_.slot());
  };
  space_.DropAll(is_mine).IgnoreError();
  sleeper_.Wake(space_.header().for_room);
}

// ---- Room ---------------------------------------------------------------------------------------

absl::StatusOr<Buffer> BufferPool::Allocate(size_t bytes, Deadline deadline, Ends ends) {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  const uint64_t most = max_buffer_bytes();
  if (bytes > most || ends.headroom > most - bytes ||
      ends.tailroom > most - bytes - ends.headroom) {
    return absl::InvalidArgumentError(
        absl::StrCat("a buffer of ", bytes, " bytes and ", ends.headroom, " + ", ends.tailroom,
                     " bytes of room; this pool has room for ", most, " in one piece"));
  }
  const uint64_t block_bytes = ends.headroom + bytes + ends.tailroom;
  buffers::HoldRef hold;
  const auto attempt = [&](bool announce) -> absl::StatusOr<bool> {
    Session session(space_);
    if (!session.entered) return Damaged();
    const auto made = space_.Make(session, block_bytes, participant_.slot());
    if (!made.ok()) return made.status();
    // With the mutex, so nothing can have come in between: it is the second look (W1, sleepers.h).
    if (!made->has_value() && announce) sleeper_.Announce(space_.header().for_room);
    if (made->has_value()) hold = **made;
    return made->has_value();
  };
  absl::Status status = WaitForRoom(deadline, sleeper_, attempt, [this] {
    const absl::StatusOr<RecoveryReport> report = RecoverAndWake();
    return report.ok() && report->participants + report->blocks != 0;
  });
  if (!status.ok()) return status;
  absl::StatusOr<std::span<char>> block = space_.BlockOf(hold.buffer);
  if (!block.ok()) return block.status();
  ++holds_;
  return Buffer(this, hold, *block, ends.headroom, ends.headroom + bytes);
}

void BufferPool::LetGo(const buffers::HoldRef& hold) {
  --holds_;
  const absl::StatusOr<bool> freed = space_.DropHold(hold);
  // dies before -> its death wakes who sleeps
  if (freed.ok() && *freed) sleeper_.Wake(space_.header().for_room);
}

// ---- Recovery -----------------------------------------------------------------------------------

absl::StatusOr<RecoveryReport> BufferPool::RecoverAndWake() {
  absl::StatusOr<RecoveryReport> report = space_.RecoverDead();
  if (report.ok() && report->participants + report->blocks != 0) {
    sleeper_.Wake(space_.header().for_room);
  }
  return report;
}

absl::StatusOr<RecoveryReport> BufferPool::DoRecover() {
  if (absl::Status status = participants().CanTellTheDead(); !status.ok()) return status;
  return RecoverAndWake();
}

absl::StatusOr<uint64_t> BufferPool::DropSent(absl::FunctionRef<bool(uint32_t box)> wanted) {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  const absl::StatusOr<uint64_t> freed = space_.DropAll([&](buffers::HoldWord word) {
    return word.kind() == buffers::HoldKind::kSent && wanted(word.holder());
  });
  if (freed.ok() && *freed != 0) sleeper_.Wake(space_.header().for_room);
  return freed;
}

bool BufferPool::IsAlive(ParticipantId id) const {
  const ParticipantTable& table = participants();
  if (id.slot >= table.size()) return false;
  uint32_t generation = 0;
  if (table.MarkIfDead(id.slot, &generation)) return false;
  return table.state(id.slot) == ParticipantState::kInUse &&
         table.generation(id.slot) == id.generation;
}

ParticipantId BufferPool::SeatedAt(uint32_t seat) const {
  // Seq_cst: with the CAS of TakeSeat.
  const uint64_t word = space_.header().seats[seat].load(std::memory_order_seq_cst);
  return {static_cast<uint32_t>(word) - 1, static_cast<uint32_t>(word >> 32)};
}

absl::Status BufferPool::TakeSeat(uint32_t seat) {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  if (seat >= buffers::kSeats) return absl::InvalidArgumentError("there is no such seat");
  buffers::SharedWord& word = space_.header().seats[seat];
  const uint64_t mine = uint64_t{id().generation} << 32 | (id().slot + uint64_t{1});
  // Seq_cst: with the CAS of others. Relaxed, its failure: it looks again.
  for (uint64_t seen = word.load(std::memory_order_seq_cst); seen != mine;) {
    const ParticipantId seated{static_cast<uint32_t>(seen) - 1, static_cast<uint32_t>(seen >> 32)};
    if (seen != 0 && IsAlive(seated)) {
      return absl::AlreadyExistsError("another participant has this seat");
    }
    // dies before -> it is as it was;  dies after -> it is the dead one's, for anybody to take
    if (word.compare_exchange_strong(seen, mine, std::memory_order_seq_cst,
                                     std::memory_order_relaxed)) {
      break;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<BufferPoolAccount> BufferPool::Account() {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  return AccountOf();
}

absl::StatusOr<AuditReport> BufferPool::DoAudit() {
  absl::StatusOr<BufferPoolAccount> account = AccountOf();
  if (!account.ok()) return account.status();
  return std::move(account)->report;
}

}  // namespace kill9
