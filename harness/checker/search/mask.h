// Sets of open operations, by slot: one word for the usual case, four where more are open at once.
#ifndef KILL9_HARNESS_CHECKER_SEARCH_MASK_H_
#define KILL9_HARNESS_CHECKER_SEARCH_MASK_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace kill9 {

struct WideMask {
  static constexpr size_t kWords = 4;
  std::array<uint64_t, kWords> words{};
  bool operator==(const WideMask&) const = default;
};

template <typename Mask>
struct MaskTraits;

template <>
struct MaskTraits<uint64_t> {
  static int FirstZero(uint64_t mask) { return mask == ~0ull ? -1 : std::countr_one(mask); }
  static void Set(uint64_t* mask, int bit) { *mask |= 1ull << bit; }
  static void Clear(uint64_t* mask, int bit) { *mask &= ~(1ull << bit); }
  static bool Test(uint64_t mask, int bit) { return (mask >> bit & 1) != 0; }
  static bool IsOnly(uint64_t mask, int bit) { return mask == 1ull << bit; }
  static uint64_t Without(uint64_t mask, uint64_t other) { return mask & ~other; }
  static bool Contains(uint64_t mask, uint64_t other) { return (other & ~mask) == 0; }
  static uint64_t Hash(uint64_t mask) { return mask; }
  template <typename Visit>
  static void ForEach(uint64_t mask, Visit visit) {
    for (; mask != 0; mask &= mask - 1) visit(std::countr_zero(mask));
  }
};

template <>
struct MaskTraits<WideMask> {
  static int FirstZero(const WideMask& mask) {
    for (size_t i = 0; i < WideMask::kWords; ++i) {
      int bit = MaskTraits<uint64_t>::FirstZero(mask.words[i]);
      if (bit >= 0) return static_cast<int>(i * 64) + bit;
    }
    return -1;
  }
  static void Set(WideMask* mask, int bit) { mask->words[Word(bit)] |= 1ull << (bit % 64); }
  static void Clear(WideMask* mask, int bit) { mask->words[Word(bit)] &= ~(1ull << (bit % 64)); }
  static bool Test(const WideMask& mask, int bit) {
    return (mask.words[Word(bit)] >> (bit % 64) & 1) != 0;
  }
  static bool IsOnly(const WideMask& mask, int bit) {
    WideMask only;
    Set(&only, bit);
    return mask == only;
  }
  static WideMask Without(const WideMask& mask, const WideMask& other) {
    WideMask result;
    for (size_t i = 0; i < WideMask::kWords; ++i) result.words[i] = mask.words[i] & ~other.words[i];
    return result;
  }
  static bool Contains(const WideMask& mask, const WideMask& other) {
    return Without(other, mask) == WideMask{};
  }
  static uint64_t Hash(const WideMask& mask) {
    uint64_t hash = 0;
    for (uint64_t word : mask.words) hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash;
  }
  template <typename Visit>
  static void ForEach(const WideMask& mask, Visit visit) {
    for (size_t i = 0; i < WideMask::kWords; ++i) {
      MaskTraits<uint64_t>::ForEach(mask.words[i],
                                    [&](int bit) { visit(static_cast<int>(i * 64) + bit); });
    }
  }

 private:
  static size_t Word(int bit) { return static_cast<size_t>(bit) / 64; }
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_SEARCH_MASK_H_
