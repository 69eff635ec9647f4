// Clear, now and at a moment to come, and what participants counted.
//
// An order (SharedWords::order) is of the era in which it was given. It is carried out by raising
// that era, which makes the order void in the same step; who dies before it has put the word back
// to 0 leaves that to whoever sees it next.
#include "variants/terms/handle.h"

namespace kill9 {

using terms::Handle;

uint64_t Store::CurrentEra() {
  terms::SharedWords& words = terms_->words;
  while (true) {
    // Acquire, here and below: an entry of this era, or the order, was there before.
    uint64_t order = words.order.load(std::memory_order_acquire);
    uint64_t era = words.era.load(std::memory_order_acquire);
    if (order == 0) [[likely]]
      return era;
    if (terms::OrderedEra(order) == terms::OrderedEra(era)) {
      if (Expiry::Now().unix_ns() < terms::OrderedUnixMs(order) * 1'000'000) return era;
      // The commit point of the clear. Dies before -> it is still to come; dies after -> all is
      // cleared, and the order is void; a successor sees -> one of them.
      words.era.compare_exchange_strong(era, era + 1, std::memory_order_acq_rel,
                                        std::memory_order_acquire);
      WakeWaiters();
    }
    // Void. Relaxed on failure: there is another order.
    words.order.compare_exchange_strong(order, 0, std::memory_order_acq_rel,
                                        std::memory_order_relaxed);
  }
}

absl::Status Store::Clear() {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  if (!keeps_terms()) return LacksTerms();
  // The commit point. Release: with the loads of the era. Dies before -> nothing; dies after -> all
  // is cleared; a successor sees -> one of them.
  terms_->words.era.fetch_add(1, std::memory_order_acq_rel);
  WakeWaiters();
  return absl::OkStatus();
}

absl::Status Store::ClearAt(Expiry when) {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  if (!keeps_terms()) return LacksTerms();
  if (when <= Expiry::Now()) return Clear();
  constexpr int64_t kMostMs = int64_t{1} << (63 - terms::kOrderEraBits);
  const int64_t ms = when.unix_ns() / 1'000'000 + (when.unix_ns() % 1'000'000 != 0 ? 1 : 0);
  if (ms >= kMostMs) return absl::InvalidArgumentError("no clock gets as far as that");
  const uint64_t order = terms::OrderOf(ms, CurrentEra());
  // The commit point; if somebody clears meanwhile, this came before and is void. Release: with the
  // load in CurrentEra.
  terms_->words.order.store(order, std::memory_order_release);
  // Who waits for a lease wakes by itself at that moment, once it knows of it (L3).
  terms_->sleeper.WakeAfterStores(terms_->sleepers);
  return absl::OkStatus();
}

absl::StatusOr<StoreCounters> Store::Counted() {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  if (!keeps_terms()) return LacksTerms();
  StoreCounters sum;
  const uint32_t slots = terms_->table.size() - ParticipantTable::kRecovererSlots;
  for (uint32_t slot = 0; slot < slots; ++slot) {
    const terms::CounterLine& line = terms_->counters(slot);
    // Relaxed: as Count.
    sum.hits += line.hits.load(std::memory_order_relaxed);
    sum.misses += line.misses.load(std::memory_order_relaxed);
    sum.expired += line.expired.load(std::memory_order_relaxed);
    sum.cleared += line.cleared.load(std::memory_order_relaxed);
    sum.leases += line.leases.load(std::memory_order_relaxed);
    sum.waits += line.waits.load(std::memory_order_relaxed);
  }
  sum.evictions = DoCountEvictions();
  return sum;
}

}  // namespace kill9
