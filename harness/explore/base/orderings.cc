#include "harness/explore/base/orderings.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace kill9::explore {

constinit Orderings Orderings::the_;

std::vector<Order> OneStepWeaker(Ordering::Of of, Order order) {
  if (of == Ordering::Of::kSignalFence) return {Order::kRelaxed};
  const bool only_reads = of == Ordering::Of::kLoad || of == Ordering::Of::kFailedUpdate;
  switch (order) {
    case Order::kSeqCst:
      if (only_reads) return {Order::kAcquire};
      return {of == Ordering::Of::kStore ? Order::kRelease : Order::kAcqRel};
    case Order::kAcqRel:
      return {Order::kAcquire, Order::kRelease};
    case Order::kAcquire:
    case Order::kConsume:
    case Order::kRelease:
      return {Order::kRelaxed};
    case Order::kRelaxed:
      return {};
  }
  return {};
}

void Orderings::Record() {
  recorded_count_ = 0;
  active_ = recording_ = true;
}

std::vector<Ordering> Orderings::StopRecording() {
  active_ = recording_ = false;
  return {recorded_.begin(), recorded_.begin() + static_cast<ptrdiff_t>(recorded_count_)};
}

void Orderings::Weaken(std::span<const Ordering> orderings, Order to) {
  if (orderings.size() > kMost) std::abort();
  std::copy(orderings.begin(), orderings.end(), weakened_.begin());
  weakened_count_ = orderings.size();
  to_ = to;
  active_ = weakened_count_ > 0;
}

Order Orderings::Look(const Ordering& ordering) {
  if (recording_) {
    Ordering* const end = recorded_.data() + recorded_count_;
    if (std::find(recorded_.data(), end, ordering) == end) {
      if (recorded_count_ == kMost) {
        std::fputs("kill9-explore: more atomic operations than it keeps account of\n", stderr);
        std::abort();
      }
      recorded_[recorded_count_++] = ordering;
    }
    return ordering.order;
  }
  const auto end = weakened_.cbegin() + static_cast<ptrdiff_t>(weakened_count_);
  return std::find(weakened_.cbegin(), end, ordering) == end ? ordering.order : to_;
}

}  // namespace kill9::explore
