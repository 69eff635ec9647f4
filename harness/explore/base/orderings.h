// The memory orders that explored code asks for, one by one: which there are, and what happens
// where one of them is weaker than it is written.
#ifndef KILL9_HARNESS_EXPLORE_BASE_ORDERINGS_H_
#define KILL9_HARNESS_EXPLORE_BASE_ORDERINGS_H_

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "harness/explore/base/twin_memory.h"

namespace kill9::explore {

// As it is written at one place of the program.
struct Ordering {
  enum class Of : uint8_t { kLoad, kStore, kUpdate, kFailedUpdate, kFence, kSignalFence };
  uintptr_t code = 0;
  uintptr_t caller = 0;  // of the function that the code is in: it may be a library's
  Of of = Of::kLoad;
  Order order = Order::kRelaxed;
  auto operator<=>(const Ordering&) const = default;
};

// What the order is weakened to, by one step; none: it is the weakest. An update that acquires and
// releases can lose either; a signal fence is left out.
std::vector<Order> OneStepWeaker(Ordering::Of of, Order order);

class Orderings {
 public:
  static Orderings& Get() { return the_; }

  // Before an access: who called the function that makes it.
  void NoteCaller(uintptr_t caller) { caller_ = caller; }
  // The order in which the access is to be made.
  TakenOrder Take(uintptr_t code, Ordering::Of of, Order written) {
    if (!active_) return written;
    return {Look({code, caller_, of, written}), written};
  }

  // From now on notes which orderings come up.
  void Record();
  std::vector<Ordering> StopRecording();
  // From now on these are weaker. Empty: none is.
  void Weaken(std::span<const Ordering> orderings, Order to);
  bool weakens() const { return weakened_count_ > 0; }

 private:
  Order Look(const Ordering& ordering);

  static constinit Orderings the_;
  uintptr_t caller_ = 0;
  bool active_ = false, recording_ = false;
  Order to_ = Order::kRelaxed;
  // Explored code runs while they are used: they do not grow.
  static constexpr size_t kMost = 4096;
  std::array<Ordering, kMost> recorded_ = {};
  size_t recorded_count_ = 0;
  std::array<Ordering, kMost> weakened_ = {};
  size_t weakened_count_ = 0;
};

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_BASE_ORDERINGS_H_
