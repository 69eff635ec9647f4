// The index: one bucket, one cache line, one CAS to publish.
//
// D1  A tag enters a bucket only by a CAS of control from an idle word c, by a writer that loaded
//     c, then did not find the tag, and found c unchanged. Idle words never repeat, so the tag is
//     in a bucket once.
// D2  An entry is changed only by a writer that saw control idle (or with another tag staged) after
//     it had seen the entry in its slot. So while a tag is staged, its entry is the staged one,
//     moved or not.
// D3  A moved entry stays in its slot until control is idle again.
//
// PROGRESS: Find is wait-free, the rest lock-free.
#ifndef KILL9_VARIANTS_STORES_SEQLOCK_RING_INDEX_H_
#define KILL9_VARIANTS_STORES_SEQLOCK_RING_INDEX_H_

#include <atomic>
#include <bit>
#include <cstdint>

#include "variants/store.h"
#include "variants/stores/seqlock_ring/layout.h"

namespace kill9::ring {

// A word of a bucket as it was seen, and where.
struct Found {
  std::atomic<uint64_t>* place = nullptr;  // null: the tag is not in the bucket
  uint64_t word = 0;

  explicit operator bool() const { return place != nullptr; }
  // Acquire: what the reader does next must see at least what this load saw. [spare acquire: what
  // is unchanged was acquired when it was found, and what has changed is looked for once more]
  bool Unchanged() const { return place->load(std::memory_order_acquire) == word; }
};

// One bit for each slot that holds an entry of the tag. No branch depends on which slot it is: such
// a branch is mispredicted five times in six, after a cache miss, and then nothing of the next
// operation overlaps with this one's wait for the record.
[[gnu::always_inline]] inline uint32_t SlotsOf(const Bucket& bucket, uint64_t tag) {
  uint32_t slots = 0;
#pragma GCC unroll 6
  for (int i = 0; i < kSlotsPerBucket; ++i) {
    // Acquire: pairs with the CAS that put the word there; its record is visible. [spare acquire:
    // who finds the tag loads its slot once more; where it is not, a Put has not returned yet]
    const uint64_t word = bucket.slots[i].load(std::memory_order_acquire);
    slots |= uint32_t{IsEntryOf(word, tag)} << i;
  }
  return slots;
}

// The entry of a tag as it is at one moment during the call; or the tag was absent at one.
inline Found Find(Bucket& bucket, uint64_t tag) {
  while (true) {
    // Acquire, here and below: pairs with the CAS that published the word; the record is visible.
    // Control first: an entry that leaves it for a slot is then found in the slot.
    const uint64_t control = bucket.control.load(std::memory_order_acquire);
    if (const uint32_t slots = SlotsOf(bucket, tag); slots != 0) {
      std::atomic<uint64_t>& slot = bucket.slots[std::countr_zero(slots)];
      // Loaded again, which costs less than to keep all six. If the slot is another tag's now, the
      // entry may be anywhere.
      const uint64_t word = slot.load(std::memory_order_acquire);
      if (IsEntryOf(word, tag)) return {&slot, word};
      continue;
    }
    if (IsStaged(control) && TagOf(control) == tag) return {&bucket.control, control};
    return {};
  }
}

// Moves the staged entry to its slot, and makes control idle. It completes nothing: the entry has
// been visible since it was staged. Returns how many entries of other keys gave way.
uint64_t Settle(Bucket& bucket, uint64_t staged);

// What a writer saw of a bucket, from which a single CAS publishes (D1, D2). `found` is never in
// control.
struct View {
  uint64_t control = 0;
  Found found;
};
// Settles what is staged, and looks again until nothing is. *evictions is added to.
View ViewForWriting(Bucket& bucket, uint64_t tag, uint64_t* evictions);

// A version for the record that is about to replace what `view` shows. REQUIRES: taken after the
// view (so that it is greater than every version published for the tag before).
uint64_t NextVersion(Bucket& bucket);

// Publishes `entry` if the tag is still as the view shows it. False: nothing happened.
bool Publish(Bucket& bucket, const View& view, uint64_t entry, uint64_t* evictions);

// Removes the entry if it is still there.
bool Remove(const Found& found);

}  // namespace kill9::ring

#endif  // KILL9_VARIANTS_STORES_SEQLOCK_RING_INDEX_H_
