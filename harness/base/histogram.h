// A histogram of durations in shared memory: any number of processes add, and any of them may be
// killed meanwhile (an addition is one atomic step). Eight buckets to each doubling: an error of at
// most 1/8.
#ifndef KILL9_HARNESS_BASE_HISTOGRAM_H_
#define KILL9_HARNESS_BASE_HISTOGRAM_H_

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace kill9 {

class Histogram {
 public:
  void Add(uint64_t value) {
    // Relaxed: counts that order nothing; they are read after the processes have been reaped.
    buckets_[BucketOf(value)].fetch_add(1, std::memory_order_relaxed);
    uint64_t largest = largest_.load(std::memory_order_relaxed);
    while (value > largest &&
           !largest_.compare_exchange_weak(largest, value, std::memory_order_relaxed,
                                           std::memory_order_relaxed)) {
    }
  }
  // All that `other` holds. REQUIRES: nobody adds to it meanwhile.
  void Add(const Histogram& other) {
    for (size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
      buckets_[bucket].fetch_add(other.count_in(bucket), std::memory_order_relaxed);
    }
    const uint64_t theirs = other.largest();
    if (theirs > largest()) largest_.store(theirs, std::memory_order_relaxed);
  }

  static constexpr size_t kBuckets = 62 * 8;
  uint64_t count_in(size_t bucket) const {
    return buckets_[bucket].load(std::memory_order_relaxed);
  }
  uint64_t count() const {
    uint64_t sum = 0;
    for (const auto& bucket : buckets_) sum += bucket.load(std::memory_order_relaxed);
    return sum;
  }
  // The smallest value that at least `share` of the values do not exceed, as its bucket's middle; 0
  // if empty.
  uint64_t Quantile(double share) const {
    const uint64_t total = count();
    uint64_t seen = 0;
    for (size_t bucket = 0; total > 0 && bucket < buckets_.size(); ++bucket) {
      seen += buckets_[bucket].load(std::memory_order_relaxed);
      if (static_cast<double>(seen) >= share * static_cast<double>(total)) return MiddleOf(bucket);
    }
    return 0;
  }
  uint64_t largest() const { return largest_.load(std::memory_order_relaxed); }

  static constexpr size_t BucketOf(uint64_t value) {
    if (value < 8) return value;
    const int doubling = std::bit_width(value) - 1;  // at least 3
    return static_cast<size_t>(doubling - 2) * 8 + ((value >> (doubling - 3)) & 7);
  }
  static constexpr uint64_t MiddleOf(size_t bucket) {
    if (bucket < 8) return bucket;
    const int doubling = static_cast<int>(bucket / 8) + 2;
    const uint64_t width = uint64_t{1} << (doubling - 3);
    return (uint64_t{1} << doubling) + (bucket % 8) * width + width / 2;
  }

 private:
  std::array<std::atomic<uint64_t>, kBuckets> buckets_;
  std::atomic<uint64_t> largest_;
};
static_assert(std::atomic<uint64_t>::is_always_lock_free);

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_HISTOGRAM_H_
