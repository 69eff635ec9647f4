// Loops that look again and again until something changes. A round of such a loop, from one pause
// of the processor to the next, that reads the same words at the same places as the round before,
// while nothing has changed, tells nothing new: its participant is asked in two rounds, and not in
// those that follow. What another one does between two later rounds it can do between these two as
// well. Once something has changed, it is asked anew.
#include <algorithm>

#include "harness/explore/runtime/machine.h"

namespace kill9::explore {
namespace {

// After so many rounds the loop is taken for one without end, which must let others go on.
constexpr uint32_t kMostRounds = 4096;

}  // namespace

void Machine::Pause() {
  if (phase_ != Phase::kTurns) return;
  Settle();
  Fiber& fiber = fibers_[running_];
  Spin& spin = fiber.spin;
  const uint8_t present = spin.present;
  const int count = spin.count[present];
  const uint64_t now = writes_ + fiber.changes;
  const bool same = spin.unchanged == now && count > 0 && count == spin.count[present ^ 1] &&
                    std::equal(spin.reads[present].begin(), spin.reads[present].begin() + count,
                               spin.reads[present ^ 1].begin());
  spin.rounds = same ? spin.rounds + 1 : 0;
  spin.unchanged = now;
  spin.present ^= 1;
  spin.count[spin.present] = 0;
  if (spin.rounds < kMostRounds) return;
  spin.rounds = 0;
  Sleep();
}

bool Machine::IsLookingAgain(uint64_t word, bool write, uintptr_t code) {
  Fiber& fiber = fibers_[running_];
  Spin& spin = fiber.spin;
  int& count = spin.count[spin.present];
  if (count < 0) return false;
  if (count == Spin::kMostReads) {
    count = -1;
    spin.rounds = 0;
    return false;
  }
  const uint64_t read = Mix(word + 1, code);
  const bool again = spin.rounds > 0 && !write && spin.unchanged == writes_ + fiber.changes &&
                     count < spin.count[spin.present ^ 1] &&
                     spin.reads[spin.present ^ 1][static_cast<size_t>(count)] == read;
  if (!again) spin.rounds = 0;
  spin.reads[spin.present][static_cast<size_t>(count++)] = read;
  return again;
}

}  // namespace kill9::explore
