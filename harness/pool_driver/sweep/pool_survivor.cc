// Survivors of the sweep of pools.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "harness/pool_driver/sweep/pool_scene.h"

namespace kill9::sweep {
namespace {

constexpr uint32_t kSeatOfSurvivors = 1;  // another than a victim's

uint64_t CountOf(const std::vector<HoldsOf>& all, uint32_t holder) {
  const auto found = std::find_if(all.begin(), all.end(),
                                  [holder](const HoldsOf& one) { return one.holder == holder; });
  return found == all.end() ? 0 : found->holds;
}

}  // namespace

PoolSurvivor::PoolSurvivor(const PoolScene& scene, CellProcess process, BoxedPool seat,
                           Findings& findings, OperationLog log)
    : scene_(scene), process_(process), findings_(findings), log_(log), seat_(std::move(seat)) {}

PoolSurvivor::~PoolSurvivor() { held_.clear(); }

// No room, or nothing there: all else that a call may say is no answer.
void PoolSurvivor::Allow(const char* what, const absl::Status& status) {
  findings_.Check(status.ok() || IsRefusal(status), Verdict::kAuditFailed, what, ": ", status);
}

// ---- Buffers ------------------------------------------------------------------------------------

bool PoolSurvivor::Allocate(uint32_t bytes) {
  absl::StatusOr<HeldBuffer> made =
      MakeBuffer(*seat_.pool, MakeValueId(process_, ++sequence_), bytes);
  Allow("allocate", made.status());
  if (made.ok()) held_.push_back(*std::move(made));
  return made.ok();
}

void PoolSurvivor::Release() {
  findings_.Check(IsWhole(held_.back()), Verdict::kViolation,
                  "a buffer has not its own content any more");
  held_.pop_back();
}

void PoolSurvivor::ReleaseAll() {
  while (!held_.empty()) Release();
}

void PoolSurvivor::Share() {
  absl::StatusOr<Buffer> other = held_.back().buffer.Share();
  Allow("share", other.status());
  if (!other.ok()) return;
  const ValueId id = held_.back().id;
  held_.push_back({*std::move(other), id});
  findings_.Check(held_.back().buffer.IsShared(), Verdict::kViolation,
                  "a buffer of which there is another hold is not shared, it says");
}

void PoolSurvivor::WriteTo(HeldBuffer& held) {
  const char* const before = held.buffer.bytes().data();
  const bool is_shared = held.buffer.IsShared();
  absl::StatusOr<std::span<char>> bytes = held.buffer.Write(Deadline::None());
  Allow("write", bytes.status());
  if (!bytes.ok()) return;
  findings_.Check(!is_shared || bytes->data() != before, Verdict::kViolation,
                  "a buffer that others hold is written to in place");
  findings_.Check(IsWhole(held), Verdict::kViolation, "a copy of a buffer has other bytes");
  held.id = MakeValueId(process_, ++sequence_);
  FillValue(held.id, 0, *bytes);
}

void PoolSurvivor::Grow(HeldBuffer& held) {
  const char* const before = held.buffer.bytes().data();
  const bool is_shared = held.buffer.IsShared();
  const absl::StatusOr<std::span<char>> more = held.buffer.GrowBack(kMoreBytes, Deadline::None());
  Allow("grow", more.status());
  if (!more.ok()) return;
  findings_.Check(!is_shared || held.buffer.bytes().data() != before, Verdict::kViolation,
                  "a buffer that others hold grows in place");
  held.buffer.DropBack(kMoreBytes);
  findings_.Check(IsWhole(held), Verdict::kViolation, "a buffer that has grown has other bytes");
}

void PoolSurvivor::Send(bool shares) {
  HeldBuffer& held = held_.back();
  Operation& send = log_.Begin(process_, Function::kSend, 0, held.id);
  const absl::StatusOr<Sequence> sent = shares ? seat_.SendShared(held) : seat_.Send(held);
  Allow("send", sent.status());
  log_.End(send, sent.ok() ? Outcome::kOk : Outcome::kRefused, kNothing, sent.ok() ? *sent * 2 : 0);
  if (!sent.ok() || shares) return;
  findings_.Check(!held.buffer.has_block(), Verdict::kViolation,
                  "who has sent a buffer holds it still");
  held_.pop_back();
}

bool PoolSurvivor::Receive() {
  Operation& receive = log_.Begin(process_, Function::kReceive, 0);
  absl::StatusOr<ReceivedBuffer> received = seat_.Receive();
  if (!received.ok()) {
    Allow("receive", received.status());
    log_.End(receive, Outcome::kOk);
    return false;
  }
  if (!received->buffer.has_block()) {
    log_.End(receive, Outcome::kRefused);  // a prober's
    return true;
  }
  const MessageInfo info = received->info;
  absl::StatusOr<HeldBuffer> taken = TakeOut(*std::move(received));
  EndReceive(log_, receive, taken, info);
  findings_.Check(taken.ok(), Verdict::kViolation, "receive: ", taken.status());
  held_.push_back(*std::move(taken));
  return true;
}

// ---- What a judge asks --------------------------------------------------------------------------

BufferPoolAccount PoolSurvivor::Account() {
  absl::StatusOr<BufferPoolAccount> account = seat_.pool->Account();
  findings_.Check(account.ok(), Verdict::kAuditFailed, "account: ", account.status());
  return *std::move(account);
}

// A seat is its owner's as long as that one lives, whoever has its slot afterwards.
void PoolSurvivor::CheckSeat() {
  const ParticipantTable& table = seat_.pool->participants();
  const ParticipantId owner = seat_.pool->SeatedAt(kSeatOfVictims);
  const bool is_taken = owner.slot < table.size() && !(owner == seat_.pool->id()) &&
                        table.state(owner.slot) == ParticipantState::kInUse &&
                        table.generation(owner.slot) == owner.generation;
  const absl::Status status = seat_.pool->TakeSeat(kSeatOfVictims);
  findings_.Check(is_taken ? absl::IsAlreadyExists(status) : status.ok(), Verdict::kViolation,
                  "a seat that is ", is_taken ? "another's" : "free", ": ", status);
}

void PoolSurvivor::Look() {
  for (const HeldBuffer& held : held_) {
    findings_.Check(IsWhole(held), Verdict::kViolation, "a buffer has another one's content");
  }
  const BufferPoolAccount account = Account();
  const uint64_t mine = CountOf(account.of_participants, seat_.pool->id().slot);
  findings_.Check(mine == held_.size(), Verdict::kViolation, "who has ", held_.size(),
                  " holds has, by the pool's account, ", mine);
  if (!scene_.making().live_holder) return;
  const uint64_t of_holder = CountOf(account.of_participants, scene_.slot_of_holder());
  findings_.Check(of_holder == scene_.holds_of_holder(), Verdict::kViolation, "a participant has ",
                  of_holder, " of its ", scene_.holds_of_holder(), " holds, and lives");
}

void PoolSurvivor::Work(Nearness) {
  if (Allocate(kSmallBufferBytes)) {
    Share();
    Grow(held_.back());
    Share();
    WriteTo(held_.back());
    Send(/*shares=*/true);
  }
  if (Allocate(kLargeBufferBytes)) {
    Grow(held_.back());
    Send(/*shares=*/false);
  }
  Receive();
  const absl::Status seat = seat_.pool->TakeSeat(kSeatOfSurvivors);
  findings_.Check(seat.ok() || absl::IsAlreadyExists(seat), Verdict::kAuditFailed, "seat: ", seat);
  Look();
  ReleaseAll();
}

void PoolSurvivor::Write(Nearness) {
  if (Allocate(kSmallBufferBytes)) Release();
}

uint32_t PoolSurvivor::FillWith() {
  uint32_t count = 0;
  for (const uint32_t bytes : {scene_.fill_bytes(), kSmallBufferBytes}) {
    while (count < kMostFills && Allocate(bytes)) ++count;
  }
  return count;
}

uint32_t PoolSurvivor::Fill() {
  const uint32_t count = FillWith();
  ReleaseAll();
  return count;
}

void PoolSurvivor::Empty(uint32_t) {
  while (Receive()) {
  }
  ReleaseAll();
}

// After a recovery: who is dead holds nothing; and a message's hold has its message.
void PoolSurvivor::CheckContents(const AuditReport&) {
  const BufferPoolAccount account = Account();
  const uint32_t holder = scene_.making().live_holder ? scene_.slot_of_holder() : ~uint32_t{0};
  const ParticipantTable& table = seat_.pool->participants();
  for (const HoldsOf& one : account.of_participants) {
    uint32_t generation = 0;
    const bool lives =
        one.holder == holder || (!table.MarkIfDead(one.holder, &generation) &&
                                 table.state(one.holder) == ParticipantState::kInUse);
    findings_.Check(lives, Verdict::kLeak, "the participant in slot ", one.holder,
                    " is dead and has ", one.holds, " holds");
  }
  uint64_t sent = 0;
  for (const HoldsOf& box : account.of_messages) sent += box.holds;
  findings_.Check(sent <= (IsBoxFull(*seat_.pool) ? 1 : 0), Verdict::kLeak, sent,
                  " holds are messages', and no message comes");
  CheckSeat();
  Look();
}

// ---- Beside a victim that stands still ----------------------------------------------------------

void PoolSurvivor::Interfere(uint32_t way) {
  if (way == 0) return Work(Nearness::kSame);
  Write(Nearness::kSame);
  Receive();
  ReleaseAll();
}

void PoolSurvivor::Churn() {
  FillWith();
  ReleaseAll();
}

void PoolSurvivor::Probe(uint32_t probe, Nearness) {
  switch (probe) {
    case kAskForAllocate:
      return Write(Nearness::kSame);
    case kAskForSend: {
      Buffer none;
      seat_.pool->Send(*seat_.box, none, "", Deadline::None()).IgnoreError();
      return;
    }
    case kAskForReceive:
      Receive();
      return ReleaseAll();
    case kAskForSeat:
      seat_.pool->TakeSeat(kSeatOfSurvivors).IgnoreError();
      return;
    case kAskForRecover:
      seat_.pool->Recover().IgnoreError();
      return;
    default: {
      const absl::StatusOr<BoxedPool> other = scene_.AttachAs(kProber);
      findings_.Check(other.ok() || absl::IsResourceExhausted(other.status()),
                      Verdict::kAuditFailed, "attach: ", other.status());
      return;
    }
  }
}

}  // namespace kill9::sweep
