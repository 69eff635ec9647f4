// The machine under TSO: each participant's stores wait in a buffer, first in, first out.
#include <utility>

#include "harness/explore/runtime/machine.h"

namespace kill9::explore {

void Machine::Push(uint64_t word, uint64_t mask, uint64_t value, uint64_t under) {
  Fiber& fiber = fibers_[running_];
  if (fiber.buffered == kMostBuffered) {
    // More than a processor's buffer holds: the oldest must have left it.
    HideBuffer(fiber);
    DrainOne(fiber);
    ShowBuffer(fiber);
  }
  fiber.buffer[fiber.buffered++] = {word, mask, value, under};
  fiber.buffer_shown = true;
  fiber.changed = true;
  ++fiber.changes;
}

void Machine::HideBuffer(Fiber& fiber) {
  if (!fiber.buffer_shown) return;
  fiber.buffer_shown = false;
  for (int i = fiber.buffered; i-- > 0;) *At(fiber.buffer[i].word) = fiber.buffer[i].under;
}

void Machine::ShowBuffer(Fiber& fiber) {
  if (fiber.buffer_shown || fiber.buffered == 0) return;
  fiber.buffer_shown = true;
  for (int i = 0; i < fiber.buffered; ++i) {
    Buffered& store = fiber.buffer[i];
    store.under = *At(store.word);
    *At(store.word) = (store.under & ~store.mask) | (store.value & store.mask);
  }
}

// REQUIRES: the buffer is hidden, and not empty.
void Machine::DrainOne(Fiber& fiber) {
  const Buffered store = fiber.buffer[0];
  --fiber.buffered;
  for (int i = 0; i < fiber.buffered; ++i) fiber.buffer[i] = fiber.buffer[i + 1];
  const uint64_t old_value = *At(store.word);
  const uint64_t value = (old_value & ~store.mask) | (store.value & store.mask);
  *At(store.word) = value;
  ChangeBy(static_cast<int>(&fiber - fibers_.data()), store.word, old_value, value);
  // What nobody else looks at can follow at once.
  while (fiber.buffered > 0 && contended_[fiber.buffer[0].word] == 0) {
    DrainOne(fiber);
    return;
  }
}

void Machine::DrainAll(Fiber& fiber) {
  if (fiber.buffered == 0) return;
  HideBuffer(fiber);
  while (fiber.buffered > 0) DrainOne(fiber);
}

// Before an access that empties the buffer: others may act before its stores reach the segment. Of
// a contended word it is asked for the access itself.
void Machine::AskBeforeDrain(uint64_t word) {
  if (!buffers()) return;
  Settle();
  Fiber& fiber = fibers_[running_];
  if (fiber.buffered == 0 || contended_[word] != 0) return;
  if (!std::exchange(fiber.granted, false) || limits_.ask_everywhere) AskForTurn();
}

}  // namespace kill9::explore
