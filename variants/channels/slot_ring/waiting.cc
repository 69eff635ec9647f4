// slot_ring: waiting for a message or for room, and who is there.
#include <ctime>

#include "variants/channels/slot_ring/recovery.h"
#include "variants/channels/slot_ring/slot_ring.h"

namespace kill9::slot_ring {
namespace {

// Before a waiter sleeps it looks so often whether the other side, often in the middle of its next
// call, has come: to sleep and be woken takes several microseconds. About 20 us in all.
constexpr int kGlances = 1000;

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

}  // namespace

absl::Status SlotRing::Wait(Deadline deadline, MemberRole opposite, Attempt attempt) {
  for (int i = 0; deadline.waits() && i < kGlances; ++i) {
    Pause();
    if (std::optional<absl::Status> done = attempt(/*glance=*/true)) return *std::move(done);
  }
  // What the dead held may be what is waited for.
  RecoverAndWake();
  if (std::optional<absl::Status> done = attempt(/*glance=*/false)) return *std::move(done);
  if (deadline.waits()) return SleepAndTry(deadline, opposite, attempt);
  return absl::DeadlineExceededError("nothing to be had now");
}

absl::Status SlotRing::SleepAndTry(Deadline deadline, MemberRole opposite, Attempt attempt) {
  for (;;) {
    sleeper_.Watch();
    sleeper_.Announce(AwaitedFrom(opposite));
    const bool announced_end = waits_for_end_;
    if (announced_end) sleeper_.Announce(context_.header().for_end);
    // After the announcement (sleepers.h), of deaths too: who dies from now on is news.
    RecoverAndWake();
    if (std::optional<absl::Status> done = attempt(/*glance=*/false)) return *std::move(done);
    if (HaveAllLeft(opposite)) {
      return absl::UnavailableError(opposite == MemberRole::kReceiver
                                        ? "the last receiver has left or died"
                                        : "the last sender has left or died");
    }
    if (waits_for_end_ && !announced_end) continue;
    const bool in_time = sleeper_.Sleep(deadline);
    if (std::optional<absl::Status> done = attempt(/*glance=*/false)) return *std::move(done);
    if (!in_time) return absl::DeadlineExceededError("nothing came until the deadline");
  }
}

// Nothing waits, and nothing will be sent. What is taken at this moment is named in a ledger; if
// nothing has come back during the look, then all that the look does not find has been
// acknowledged. What this member itself has taken does not count: it knows of it, and would wait
// for itself.
std::optional<absl::Status> SlotRing::AtTheEnd() {
  waits_for_end_ = true;
  if (IsAnythingTaken() || ring_.HasReturns()) return std::nullopt;
  return absl::OutOfRangeError("the channel is closed, and empty");
}

bool SlotRing::IsAnythingTaken() const {
  // Acquire, all: pairs with Note.
  const auto named = [](const SharedWord& word) {
    return uint64_t{Context::Named(word.load(std::memory_order_acquire))};
  };
  for (uint32_t i = 0; i < context_.participants().size(); ++i) {
    if (i == context_.index()) continue;
    if (context_.participants().state(i) == ParticipantState::kFree) continue;
    const Ledger& ledger = context_.ledger_of(i);
    if (HasTaken(i, named(ledger.receiving) - 1)) return true;
    for (const SharedWord& name : ledger.taken) {
      if (HasTaken(i, named(name) - 1)) return true;
    }
    const uint64_t count = std::min(named(ledger.batch_count), context_.slot_count());
    const uint64_t first = named(ledger.batch_first);
    for (uint64_t at = 0; first != 0 && at < count; ++at) {
      if (HasTaken(i, (first - 1 + at) % context_.slot_count())) return true;
    }
  }
  return false;
}

bool SlotRing::HasTaken(uint32_t participant, uint64_t number) const {
  if (number >= context_.slot_count()) return false;
  // Acquire: pairs with the acknowledgement, or the return, which is counted after it.
  const Slot slot = context_.codec().Unpack(context_.slot(number).load(std::memory_order_acquire));
  return slot.kind == SlotKind::kTaken && slot.owner == participant;
}

// Members are counted after the dead have been recovered, and after the announcement.
bool SlotRing::HaveAllLeft(MemberRole opposite) {
  const size_t side = opposite == MemberRole::kReceiver ? 1 : 0;
  // Relaxed: as in the constructor.
  const uint64_t arrivals =
      context_.header().arrivals[side].load(std::memory_order_relaxed) -
      ((static_cast<uint8_t>(role()) & static_cast<uint8_t>(opposite)) != 0 ? 1 : 0);
  if (arrivals == told_arrivals_[side] || Count(opposite) > 0) return false;
  told_arrivals_[side] = arrivals;
  return true;
}

// Other members that send, or that receive.
uint32_t SlotRing::Count(MemberRole wanted) const {
  const ParticipantTable& table = context_.participants();
  uint32_t count = 0;
  for (uint32_t i = 0; i < table.size(); ++i) {
    const ParticipantState state = table.state(i);
    if (i == context_.index() ||
        (state != ParticipantState::kInUse && state != ParticipantState::kDead)) {
      continue;
    }
    // Acquire: pairs with Note.
    const uint64_t named = context_.ledger_of(i).role.load(std::memory_order_acquire);
    if (Context::GenerationIn(named) != table.generation(i)) continue;
    count += (Context::Named(named) & static_cast<uint32_t>(wanted)) != 0 ? 1 : 0;
  }
  return count;
}

RecoveryReport SlotRing::RecoverAndWake() {
  const RecoveryReport report = RecoverAll(context_);
  if (report.participants != 0) {
    WakeReceivers();
    WakeSenders();
  }
  return report;
}

absl::StatusOr<int> SlotRing::DoReadinessDescriptor() {
  const int descriptor = sleeper_.descriptor();
  if (descriptor < 0) {
    return absl::ResourceExhaustedError("no inotify instance is left for a descriptor");
  }
  if (!has_descriptor_) {
    has_descriptor_ = true;
    // It begins readable: something may be there already.
    sleeper_.Announce(context_.header().for_message);
    WakeReceivers();
  }
  return descriptor;
}

}  // namespace kill9::slot_ring
