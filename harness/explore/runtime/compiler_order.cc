// The machine where a compiler may reorder stores: what counts after SIGKILL is the order of the
// machine's stores, not that in which they are written.
//
// Whoever is alive runs as it is written. Of one that dies, a store may be missing, and with it
// later ones of the same word and later ones that release: any other may come before it. All that
// comes before an update, a fence (a signal fence, too), a call, or the return is there. One
// missing store at a time shows every two stores that rely on an order which nothing keeps.
#include <algorithm>
#include <bit>

#include "harness/explore/runtime/machine.h"

namespace kill9::explore {

void Machine::NoteStore(uint64_t word, uint64_t old_value, bool releases) {
  Fiber& fiber = fibers_[running_];
  if (fiber.unordered == kMostUnordered) {
    forgot_stores_ = true;
    std::move(fiber.since_barrier.begin() + 1, fiber.since_barrier.end(),
              fiber.since_barrier.begin());
    --fiber.unordered;
  }
  fiber.since_barrier[static_cast<size_t>(fiber.unordered++)] = {word, old_value, releases, false};
}

// Another participant is about to read or write the word.
void Machine::NoteReached(uint64_t word) {
  for (int i = 0; i < participants_; ++i) {
    Fiber& fiber = fibers_[i];
    if (i == running_ || fiber.dead) continue;
    bool is_before_release = false;
    for (int n = fiber.unordered; n-- > 0;) {
      Unordered& store = fiber.since_barrier[static_cast<size_t>(n)];
      store.reached |= store.word == word || is_before_release;
      is_before_release |= store.reached && store.releases;
    }
  }
}

// Asks which store of a participant that dies is missing, and takes it back with all that come
// after it.
void Machine::LoseStores(int number) {
  Fiber& fiber = fibers_[number];
  const auto count = static_cast<size_t>(fiber.unordered);
  uint32_t missing[kMostUnordered] = {};
  Ages ages = {0};
  int choices = 1;
  for (size_t first = 0; first < count; ++first) {
    const Unordered& store = fiber.since_barrier[first];
    if (store.reached) continue;
    uint32_t bits = uint32_t{1} << first;
    for (size_t later = first + 1; later < count; ++later) {
      const Unordered& one = fiber.since_barrier[later];
      bool follows = one.releases;
      for (size_t n = first; n < later; ++n) {
        follows |= (bits >> n & 1) != 0 && fiber.since_barrier[n].word == one.word;
      }
      if (follows) bits |= uint32_t{1} << later;
    }
    // As if it had died before: that is another schedule.
    if (std::popcount(bits) == static_cast<int>(count - first)) continue;
    if (choices == static_cast<int>(ages.size())) {
      forgot_stores_ = true;
      break;
    }
    missing[first] = bits;
    ages[static_cast<size_t>(choices++)] = static_cast<uint8_t>(first + 1);
  }
  const int picked = Pick(number, ages, choices);
  if (picked == 0) return;
  for (size_t i = count; i-- > 0;) {
    if ((missing[picked - 1] >> i & 1) == 0) continue;
    const Unordered& store = fiber.since_barrier[i];
    const uint64_t value = *At(store.word);
    *At(store.word) = store.old_value;
    Change(store.word, value, store.old_value);
    if (limits_.trace) {
      TraceOf(number, AccessKind::kDrain, "was still to come", store.word * 8, value);
    }
  }
}

}  // namespace kill9::explore
