#include "variants/stores/seqlock_ring/index.h"

namespace kill9::ring {
namespace {

// The slot for a new entry: an empty one, or the oldest entry's.
uint64_t ChooseSlot(Bucket& bucket, uint64_t entry) {
  uint64_t chosen = 0;
  uint64_t oldest = 0;
  for (uint64_t i = 0; i < kSlotsPerBucket; ++i) {
    // Relaxed: a choice, not a claim; Settle deals with whatever it finds there.
    const uint64_t word = bucket.slots[i].load(std::memory_order_relaxed);
    if (KindOf(word) != kEntry) return i;
    const uint64_t age = (ShortPosition(entry) - ShortPosition(word)) & kPositionMask;
    if (age >= oldest) {
      oldest = age;
      chosen = i;
    }
  }
  return chosen;
}

}  // namespace

uint64_t Settle(Bucket& bucket, uint64_t staged) {
  std::atomic<uint64_t>& slot = bucket.slots[(KindOf(staged) - kStaged) % kSlotsPerBucket];
  const uint64_t entry = WithKind(staged, kEntry);
  uint64_t evictions = 0;
  // Acquire: the word seen here is older than the load of control below.
  uint64_t seen = slot.load(std::memory_order_acquire);
  while (true) {
    // Acquire: pairs with the CAS that made control idle. Still staged: so `seen` was in the slot
    // before the entry was, or is the entry (D3), and the CAS below cannot put it there twice (I1).
    if (bucket.control.load(std::memory_order_acquire) != staged) return evictions;
    if (seen == entry) break;
    // Release: pairs with Find. Acquire on failure: as the load above.
    // Dies before -> staged, visible in control; dies after -> visible in both; a successor sees ->
    // one. [spare release: as that of an insertion]
    if (slot.compare_exchange_strong(seen, entry, std::memory_order_acq_rel,
                                     std::memory_order_acquire)) {
      if (KindOf(seen) == kEntry) ++evictions;
      break;
    }
  }
  // Release: who finds control idle finds the entry in its slot. Relaxed on failure: somebody did
  // it.
  bucket.control.compare_exchange_strong(staged, WithKind(staged, kVacant),
                                         std::memory_order_acq_rel, std::memory_order_relaxed);
  return evictions;
}

View ViewForWriting(Bucket& bucket, uint64_t tag, uint64_t* evictions) {
  while (true) {
    View view;
    // Acquire: pairs with the CAS in Settle and in Publish: everything published for the tag before
    // control was idle with this word is visible to the scan, and to NextVersion.
    view.control = bucket.control.load(std::memory_order_acquire);
    if (IsStaged(view.control)) {
      *evictions += Settle(bucket, view.control);
      continue;
    }
    if (const uint32_t slots = SlotsOf(bucket, tag); slots != 0) {
      std::atomic<uint64_t>& slot = bucket.slots[std::countr_zero(slots)];
      view.found = {&slot, slot.load(std::memory_order_acquire)};
      if (!IsEntryOf(view.found.word, tag)) continue;
    }
    // Acquire: D2. Unchanged since before the scan: the entry was not staged when it was seen.
    if (!view.found || bucket.control.load(std::memory_order_acquire) == view.control) return view;
  }
}

uint64_t NextVersion(Bucket& bucket) {
  // Relaxed: versions published before the view were taken from the stamp before it (the acquire
  // loads of the view), so this addition comes later in the stamp's own order.
  uint64_t version = 0;
  do {
    version = bucket.stamp.fetch_add(1, std::memory_order_relaxed) + 1;
  } while (version == kAbsent);  // the stamp was damaged
  return version;
}

bool Publish(Bucket& bucket, const View& view, uint64_t entry, uint64_t* evictions) {
  if (view.found) {
    uint64_t expected = view.found.word;
    // The commit point of an update. Release: pairs with Find. Relaxed on failure: the caller looks
    // again. Dies before -> the old value; dies after -> the new one; a successor sees -> one of
    // them.
    return view.found.place->compare_exchange_strong(expected, entry, std::memory_order_acq_rel,
                                                     std::memory_order_relaxed);
  }
  uint64_t expected = view.control;
  const uint64_t staged = WithKind(entry, kStaged + ChooseSlot(bucket, entry));
  // The commit point of an insertion (D1). Release: pairs with Find. Relaxed on failure: as above.
  // Dies before -> absent; dies after -> present in control; a successor sees -> a staged entry,
  // and settles it. [spare release: who finds the entry and not its record takes the key for absent
  // as it was before the insertion, which has not returned; no swap expects what it puts there]
  if (!bucket.control.compare_exchange_strong(expected, staged, std::memory_order_acq_rel,
                                              std::memory_order_relaxed)) {
    return false;
  }
  *evictions += Settle(bucket, staged);
  return true;
}

bool Remove(const Found& found) {
  uint64_t expected = found.word;
  // The commit point of an erase. Release: pairs with the acquires of ViewForWriting; a later
  // insertion's version must follow ours (NextVersion). Relaxed on failure: as above. Dies before
  // -> present;
  // dies after -> absent; a successor sees -> a slot that nobody owns.
  return found.place->compare_exchange_strong(expected, WithKind(found.word, kVacant),
                                              std::memory_order_acq_rel, std::memory_order_relaxed);
}

}  // namespace kill9::ring
