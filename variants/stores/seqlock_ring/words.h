// Bytes that one process copies while another may overwrite them: as words, and with their sum.
#ifndef KILL9_VARIANTS_STORES_SEQLOCK_RING_WORDS_H_
#define KILL9_VARIANTS_STORES_SEQLOCK_RING_WORDS_H_

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "variants/segment/thread_sanitizer.h"

namespace kill9::ring {

inline constexpr size_t kWord = sizeof(uint64_t);
constexpr size_t PaddedBytes(size_t bytes) { return (bytes + kWord - 1) / kWord * kWord; }

inline std::atomic_ref<uint64_t> WordAt(const char* address) {
  return std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t*>(const_cast<char*>(address)));
}
// Acquire, Release: R1 (record.h), with one another.
inline uint64_t LoadWord(const char* address) {
  // [spare acquire: what it would let through the checksum tells, but for one in 2^64]
  return WordAt(address).load(std::memory_order_acquire);
}
inline void StoreWord(char* address, uint64_t word) {
  // [spare release under c11: as in LoadWord; at a death it matters]
  WordAt(address).store(word, std::memory_order_release);
}

// Two words, which one instruction moves where there are 16-byte registers. Each is loaded and
// stored as one; which of the two first, nobody may rely on.
typedef uint64_t WordPair [[gnu::vector_size(2 * sizeof(uint64_t))]];
inline constexpr size_t kPairBytes = sizeof(WordPair);
typedef WordPair UnalignedPair [[gnu::aligned(kWord), gnu::may_alias]];

// As LoadWord twice.
[[gnu::always_inline]] inline WordPair LoadPair(const char* address) {
#if defined(__x86_64__)
  if constexpr (!kThreadSanitizer) {
    WordPair pair;
    // All loads of this processor acquire; "memory" keeps the compiler from moving others before
    // it.
    asm volatile("movdqu %1, %0"
                 : "=x"(pair)
                 : "m"(*reinterpret_cast<const UnalignedPair*>(address))
                 : "memory");
    return pair;
  }
#endif
  return WordPair{LoadWord(address), LoadWord(address + kWord)};
}
// As StoreWord twice.
[[gnu::always_inline]] inline void StorePair(char* address, WordPair pair) {
#if defined(__x86_64__)
  if constexpr (!kThreadSanitizer) {
    // All stores of this processor release; "memory" keeps the compiler from moving others after
    // it.
    asm volatile("movdqu %1, %0"
                 : "=m"(*reinterpret_cast<UnalignedPair*>(address))
                 : "x"(pair)
                 : "memory");
    return;
  }
#endif
  StoreWord(address, pair[0]);
  StoreWord(address + kWord, pair[1]);
}

// A checksum of whole words, taken while they are copied: of random damage it misses one in 2^64,
// and none that is confined to one word. Flips of the highest bit of two words of a lane it does
// not see: what is added up modulo 2^64 has no place above that bit, and a sum that had (of halves,
// in three more instructions a pair) would make the copy of a value half as long again. The words
// of each lane have the weights 3, 5, 7... from the last one back (John G. Fletcher, An arithmetic
// checksum for serial transmissions, 1982: a sum of sums): odd, so that no change of a word is
// lost. Two instructions a pair: a library's hash (XXH3) would need the bytes once more, and every
// instruction of a Get keeps the next one's fetches out of the processor's window.
class PairSum {
 public:
  [[gnu::always_inline]] void Add(WordPair pair) {
    sum_ += pair;
    sum_of_sums_ += sum_;
  }
  [[gnu::always_inline]] uint64_t Total() const {
    const WordPair lanes = sum_ + sum_of_sums_ + sum_of_sums_;
    return lanes[0] + std::rotl(lanes[1], 29);
  }

 private:
  WordPair sum_{};
  WordPair sum_of_sums_{};
};

// Fewer than kPairBytes: in line, as two moves that may overlap.
[[gnu::always_inline]] inline void CopyFewBytes(char* to, const char* from, size_t bytes) {
  const auto ends = [&](auto part) __attribute__((always_inline)) {
    decltype(part) first, last;
    std::memcpy(&first, from, sizeof part);
    std::memcpy(&last, from + bytes - sizeof part, sizeof part);
    std::memcpy(to, &first, sizeof part);
    std::memcpy(to + bytes - sizeof part, &last, sizeof part);
  };
  if (bytes >= sizeof(uint64_t)) return ends(uint64_t{});
  if (bytes >= sizeof(uint32_t)) return ends(uint32_t{});
  if (bytes >= sizeof(uint16_t)) return ends(uint16_t{});
  if (bytes != 0) *to = *from;
}

// The first `bytes` bytes of a word, the others zero. REQUIRES: 1 to 8.
constexpr uint64_t FirstBytes(uint64_t word, size_t bytes) {
  return bytes == kWord ? word : word & ((uint64_t{1} << bytes * 8) - 1);
}

// Moves `bytes` bytes in pairs, and adds them to the sum. load(offset, bytes) gives a pair that has
// so many bytes, then zeros; store(offset, pair, bytes).
template <typename Load, typename Store>
[[gnu::always_inline]] inline void MovePairs(size_t bytes, PairSum& sum, Load load, Store store) {
  const auto move = [&](size_t at, size_t of_pair) __attribute__((always_inline)) {
    // [spare acquire: as in LoadWord] [spare release under c11: as in StoreWord]
    const WordPair pair = load(at, of_pair);
    // [spare acquire: as in LoadWord] [spare release under c11: as in StoreWord]
    store(at, pair, of_pair);
    sum.Add(pair);
  };
  size_t at = 0;
  for (; at + 4 * kPairBytes <= bytes; at += 4 * kPairBytes) {
#pragma GCC unroll 4
    for (size_t pair = 0; pair < 4; ++pair) move(at + pair * kPairBytes, kPairBytes);
  }
  for (; at + kPairBytes <= bytes; at += kPairBytes) move(at, kPairBytes);
  if (at < bytes) move(at, bytes - at);
}
// Moves `bytes` bytes, and returns the sum of their number and of them.
template <typename Load, typename Store>
[[gnu::always_inline]] inline uint64_t MovePairs(size_t bytes, Load load, Store store) {
  PairSum sum;
  MovePairs(bytes, sum, load, store);
  return sum.Total() + bytes;
}

// From bytes that nobody else changes.
struct LoadPrivate {
  const char* source;

  [[gnu::always_inline]] WordPair operator()(size_t at, size_t bytes) const {
    WordPair pair{};
    std::memcpy(&pair, source + at, bytes);
    return pair;
  }
};

// Copies into the ring; the last word is padded with zeros. Returns the sum, as those below.
[[gnu::always_inline]] inline uint64_t CopyIn(char* to, std::string_view from) {
  return MovePairs(from.size(), LoadPrivate{from.data()},
                   [to](size_t at, WordPair pair, size_t bytes) {
                     if (bytes > kWord) return StorePair(to + at, pair);
                     StoreWord(to + at, pair[0]);
                   });
}

// From bytes that others may change.
struct LoadShared {
  const char* source;

  [[gnu::always_inline]] WordPair operator()(size_t at, size_t bytes) const {
    if (bytes == kPairBytes) return LoadPair(source + at);
    const uint64_t word = LoadWord(source + at);
    if (bytes <= kWord) return WordPair{FirstBytes(word, bytes), 0};
    return WordPair{word, FirstBytes(LoadWord(source + at + kWord), bytes - kWord)};
  }
};
struct StorePrivate {
  char* to;

  [[gnu::always_inline]] void operator()(size_t at, WordPair pair, size_t bytes) const {
    std::memcpy(to + at, &pair, bytes);
  }
};

[[gnu::always_inline]] inline uint64_t CopyOut(char* to, const char* from, size_t size) {
  return MovePairs(size, LoadShared{from}, StorePrivate{to});
}

// The same of `size` bytes and a trailer behind them. The pairs that belong to both, or to the
// trailer, go by way of a few words of our own.
template <typename Trailer>
[[gnu::always_inline]] inline uint64_t CopyOutApart(char* to, const char* from, size_t size,
                                                    Trailer* trailer) {
  const size_t whole = size / kPairBytes * kPairBytes;
  PairSum sum;
  MovePairs(whole, sum, LoadShared{from}, StorePrivate{to});
  char last[(sizeof *trailer / kPairBytes + 2) * kPairBytes];
  const size_t left = size - whole;
  MovePairs(
      left + sizeof *trailer, sum, LoadShared{from + whole},
      [&last](size_t at, WordPair pair, size_t) { std::memcpy(last + at, &pair, kPairBytes); });
  CopyFewBytes(to + whole, last, left);
  std::memcpy(trailer, last + left, sizeof *trailer);
  return sum.Total() + size + sizeof *trailer;
}

// Of a value that nobody else changes.
inline uint64_t SumOfValue(std::string_view value) {
  return MovePairs(value.size(), LoadPrivate{value.data()}, [](size_t, WordPair, size_t) {});
}

inline bool SameBytes(std::string_view bytes, const char* from) {
  const char* mine = bytes.data();
  size_t left = bytes.size();
  for (; left >= kWord; left -= kWord, mine += kWord, from += kWord) {
    uint64_t word;
    std::memcpy(&word, mine, kWord);
    if (word != LoadWord(from)) return false;
  }
  if (left == 0) return true;
  uint64_t word = 0;
  std::memcpy(&word, mine, left);
  return word == LoadWord(from);
}

}  // namespace kill9::ring

#endif  // KILL9_VARIANTS_STORES_SEQLOCK_RING_WORDS_H_
