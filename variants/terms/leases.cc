// Leases: one participant computes a key's value, the others wait asleep or take the old one.
//
// The lease stands in the entry: a compare-and-swap gives it, and everything that sets or removes
// the entry ends it, since the version that the token names is gone then. Its holder is a
// participant, of whom the kernel tells whether it lives (participants.h).
//
// L1  Who waits has announced itself (sleepers.h) before it looks at the entry. Who changes an
//     entry looks for an announcement afterwards. A death wakes all who sleep.
// L2  Who finds the holder dead, or the lease over, takes the lease by a compare-and-swap with the
//     entry that said so: one of those who wait has it, and the others wait for that one.
// L3  Whenever a lease stops being the key's, who waits for the key is woken, or looks again by
//     itself. By itself: when the lease's time is over, at the deadline of the value that is being
//     renewed, at the moment of a clear that is to come. Who sets, erases, clears or removes what
//     is dead wakes after it. So does who forgets entries that it was not asked for, whatever
//     becomes of its own call (TellForgotten): a lease may have been among them.
#include <algorithm>
#include <utility>

#include "variants/terms/handle.h"

namespace kill9 {

using terms::Handle;

bool Store::IsHolderGone(const terms::LeaseFields& lease) const {
  return lease.until_unix_ns <= Expiry::Now().unix_ns() || HasEnded(lease.holder);
}

Expiry Store::LeaseEndsBy(const Seen& seen) const {
  const Expiry ends =
      std::min(Expiry::AtNs(seen.carried.lease.until_unix_ns), seen.carried.terms.expires);
  // Acquire: as in CurrentEra. An order of another era is void.
  const uint64_t order = terms_->words.order.load(std::memory_order_acquire);
  if (order == 0 || terms::OrderedEra(order) != terms::OrderedEra(seen.era)) return ends;
  return std::min(ends, Expiry::AtNs(terms::OrderedUnixMs(order) * 1'000'000));
}

terms::Holder Store::Name() const { return terms_->me; }

bool Store::HasEnded(terms::Holder name) const {
  if (name == terms_->me) return false;
  const uint32_t slot = terms::SlotOf(name);
  if (slot >= terms_->table.size()) return true;  // damaged
  const auto is_another = [&] {
    return terms_->table.generation(slot) != terms::GenerationOf(name) ||
           terms_->table.state(slot) != ParticipantState::kInUse;
  };
  if (is_another()) return true;
  uint32_t generation = 0;
  return terms_->table.MarkIfDead(slot, &generation) || is_another();
}

absl::StatusOr<CasResult> Store::TakeLease(std::string_view key, const Seen& seen,
                                           std::string* bytes, const LeaseOptions& options) {
  const terms::LeaseFields lease{terms_->me, Expiry::After(options.lease_for).unix_ns()};
  const bool has_value = seen.present;
  bytes->resize(has_value ? seen.carried.value_bytes : 0);
  terms_->written.assign(*bytes);
  terms::AppendLeased(&terms_->written, has_value ? seen.carried.terms : Terms{}, seen.era,
                      has_value, lease);
  absl::StatusOr<CasResult> taken = SetSeen(key, seen, terms_->written);
  if (taken.ok() && taken->swapped) terms::Count(terms_->mine().leases);
  return taken;
}

absl::StatusOr<LeaseAnswer> Store::GetOrLease(std::string_view key, std::string* value,
                                              const LeaseOptions& options) {
  if (absl::Status status = CheckKey(key); !status.ok()) return status;
  if (!keeps_terms()) return LacksTerms();
  std::string* const bytes = value == nullptr ? &terms_->read : value;
  bool announced = false;
  bool counted = false;
  bool waited = false;
  while (true) {
    const absl::StatusOr<Seen> seen = Look(key, bytes);
    if (!seen.ok()) return seen.status();
    if (!std::exchange(counted, true)) {
      terms::Count(seen->present ? terms_->mine().hits : terms_->mine().misses);
    }
    LeaseAnswer answer;
    answer.has_value = seen->present;
    if (seen->present) {
      answer.version = seen->stored;
      answer.terms = seen->carried.terms;
    }
    const terms::LeaseFields& lease = seen->carried.lease;
    const bool leased = seen->stored != kAbsent && lease.holder != 0;
    const bool wanted = !seen->present || leased ||
                        (options.renew_before.count() > 0 && !answer.terms.expires.never() &&
                         answer.terms.expires <= Expiry::After(options.renew_before));
    if (!wanted || (leased && !IsHolderGone(lease))) {
      if (seen->present) bytes->resize(seen->carried.value_bytes);
      if (!wanted || (seen->present && options.takes_old)) {
        answer.kind = wanted ? LeaseAnswer::Kind::kOld : LeaseAnswer::Kind::kHit;
        return answer;
      }
      if (!announced) {
        // For who sleeps here, and for who waits for the descriptor. Then one more look (L1).
        terms_->sleeper.Watch();
        terms_->sleeper.Announce(terms_->sleepers);
        announced = true;
        if (options.wait.waits() && !std::exchange(waited, true)) {
          terms::Count(terms_->mine().waits);
        }
        continue;
      }
      answer.until = LeaseEndsBy(*seen);
      const int64_t left_ns = answer.until.unix_ns() - Expiry::Now().unix_ns();
      const Deadline over =
          Deadline::After(std::chrono::nanoseconds(std::max<int64_t>(left_ns, 1)));
      const bool lease_ends_first = over.monotonic_ns() < options.wait.monotonic_ns();
      if (!options.wait.waits() ||
          (!terms_->sleeper.Sleep(lease_ends_first ? over : options.wait) && !lease_ends_first)) {
        return answer;
      }
      announced = false;  // whoever woke this one has taken its announcement back
      continue;
    }
    const absl::StatusOr<CasResult> taken = TakeLease(key, *seen, bytes, options);
    if (!taken.ok()) return taken.status();
    if (!taken->swapped) continue;
    answer.kind = LeaseAnswer::Kind::kLease;
    answer.lease = {std::string(key), taken->version};
    if (seen->present) answer.version = taken->version;
    return answer;
  }
}

absl::StatusOr<CasResult> Store::PutLeased(const LeaseToken& lease, std::string_view value,
                                           const Terms& terms) {
  if (absl::Status status = CheckKey(lease.key); !status.ok()) return status;
  if (!keeps_terms()) return LacksTerms();
  if (absl::Status status = CheckValue(value.size()); !status.ok()) return status;
  const absl::StatusOr<Seen> seen = Look(lease.key, &terms_->read);
  if (!seen.ok()) return seen.status();
  CasResult refused{false, seen->present ? seen->stored : kAbsent};
  if (seen->stored == kAbsent || seen->stored != lease.version) return refused;
  terms_->written.assign(value);
  terms::Append(&terms_->written, terms, seen->era);
  absl::StatusOr<CasResult> put = SetSeen(lease.key, *seen, terms_->written);
  return put;
}

absl::StatusOr<bool> Store::DropLease(const LeaseToken& lease) {
  if (absl::Status status = CheckKey(lease.key); !status.ok()) return status;
  if (!keeps_terms()) return LacksTerms();
  const absl::StatusOr<Seen> seen = Look(lease.key, &terms_->read);
  if (!seen.ok()) return seen.status();
  if (seen->stored == kAbsent || seen->stored != lease.version) return false;
  if (!seen->present) {
    const absl::StatusOr<bool> erased = DoEraseVersion(lease.key, seen->stored);
    if (erased.ok() && *erased) WakeWaiters();
    return erased;
  }
  terms_->written.assign(terms_->read, 0, seen->carried.value_bytes);
  terms::Append(&terms_->written, seen->carried.terms, seen->era);
  const absl::StatusOr<CasResult> put = SetSeen(lease.key, *seen, terms_->written);
  if (!put.ok()) return put.status();
  return put->swapped;
}

absl::StatusOr<int> Store::LeaseDescriptor() {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  if (!keeps_terms()) return LacksTerms();
  const int descriptor = terms_->sleeper.descriptor();
  if (descriptor < 0) return absl::UnimplementedError("the system has no inotify left");
  return descriptor;
}

bool Store::ForgetTold() {
  if (!keeps_terms()) return false;
  terms_->sleeper.ForgetTold();
  return terms_->sleeper.death_is_near();
}

}  // namespace kill9
