// The random numbers of workloads: splitmix64 (Steele, Lea and Flood, 2014). Small enough to live
// in a worker's registers, and every stream follows from the run's seed.
#ifndef KILL9_HARNESS_BASE_RANDOM_H_
#define KILL9_HARNESS_BASE_RANDOM_H_

#include <cstddef>
#include <cstdint>
#include <utility>

namespace kill9 {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  // A stream of its own for the `number`-th part of what `seed` decides.
  Random(uint64_t seed, uint64_t number) : state_(seed) {
    state_ = Next() ^ (number * 0xD1342543DE82EF95u);
    Next();
  }
  uint64_t Next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  // Uniform in [0, bound); REQUIRES: bound > 0. The bias is below 2^-32 for bounds below 2^32.
  uint64_t Below(uint64_t bound) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * bound) >> 64);
  }
  // Exchanges items until the first `wanted` are a uniform sample of all `size`, in a drawn order.
  // REQUIRES: wanted <= size.
  template <typename Item>
  void DrawFirst(Item* items, size_t size, size_t wanted) {
    for (size_t n = 0; n < wanted; ++n) std::swap(items[n], items[n + Below(size - n)]);
  }
  bool Chance(uint64_t per_mille) { return Below(1000) < per_mille; }
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

 private:
  uint64_t state_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_RANDOM_H_
