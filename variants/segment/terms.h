// What an entry carries besides its value, in a segment that keeps terms
// (SegmentOptions::keeps_terms): until when it lives, a number of the program's own, and who
// computes it anew. And the words that all participants of such a segment share.
//
// The terms lie behind the value's bytes, so that a value is copied out where it belongs:
//
//     value | of a leased entry: LeaseFields | Trailer
//
// So each design stores them with the value, in the one step in which it stores the value; what a
// death can do to them is what it can do to a value.
#ifndef KILL9_VARIANTS_SEGMENT_TERMS_H_
#define KILL9_VARIANTS_SEGMENT_TERMS_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>

namespace kill9 {

// Until when an entry lives, of CLOCK_REALTIME: it holds after a restart of the machine, too.
class Expiry {
 public:
  constexpr Expiry() = default;  // never
  static constexpr Expiry Never() { return Expiry(); }
  static constexpr Expiry AtNs(int64_t unix_ns) { return Expiry(unix_ns); }
  static Expiry After(std::chrono::nanoseconds life);
  static Expiry Now();
  // For tests of whole programs: from now on this process's Now is so many milliseconds later.
  static void MoveClock(const std::atomic<int64_t>* ms);

  constexpr bool never() const { return unix_ns_ == std::numeric_limits<int64_t>::max(); }
  constexpr int64_t unix_ns() const { return unix_ns_; }
  constexpr auto operator<=>(const Expiry&) const = default;

 private:
  explicit constexpr Expiry(int64_t unix_ns) : unix_ns_(unix_ns) {}
  int64_t unix_ns_ = std::numeric_limits<int64_t>::max();
};

struct Terms {
  Expiry expires;     // from this moment on the entry is absent
  uint64_t mark = 0;  // the program's own: flags, a kind, a hash
  bool operator==(const Terms&) const = default;
};

namespace terms {

// A participant, as a lease names its holder: slot plus 1, and generation. 0: nobody.
using Holder = uint64_t;
constexpr Holder HolderOf(uint32_t slot, uint32_t generation) {
  return (uint64_t{slot} + 1) << 32 | generation;
}
constexpr uint32_t SlotOf(Holder holder) { return static_cast<uint32_t>(holder >> 32) - 1; }
constexpr uint32_t GenerationOf(Holder holder) { return static_cast<uint32_t>(holder); }

struct LeaseFields {
  Holder holder = 0;
  int64_t until_unix_ns = 0;  // then the lease passes on, as if the holder had died
};

inline constexpr uint64_t kHasNoValue = 1;  // somebody computes it; there was none
inline constexpr uint64_t kIsLeased = 2;    // LeaseFields come before the trailer
inline constexpr int kEraShift = 8;

struct Trailer {
  int64_t expires_unix_ns = 0;
  uint64_t era_and_flags = 0;  // the era in which it was set; entries of past eras are absent
  uint64_t mark = 0;
};
static_assert(sizeof(Trailer) == 24 && sizeof(LeaseFields) == 16 &&
              std::has_unique_object_representations_v<Trailer> &&
              std::has_unique_object_representations_v<LeaseFields>);

inline constexpr size_t kMostBytes = sizeof(Trailer) + sizeof(LeaseFields);

// An entry's bytes, taken apart.
struct Carried {
  size_t value_bytes = 0;
  Terms terms;
  uint64_t era = 0;
  bool has_value = true;
  LeaseFields lease;  // holder 0: not leased
};

// False: the bytes are no entry's.
inline bool TakeApart(std::string_view bytes, Carried* carried) {
  if (bytes.size() < sizeof(Trailer)) return false;
  Trailer trailer;
  size_t left = bytes.size() - sizeof trailer;
  std::memcpy(&trailer, bytes.data() + left, sizeof trailer);
  carried->lease = {};
  if ((trailer.era_and_flags & kIsLeased) != 0) {
    if (left < sizeof carried->lease) return false;
    left -= sizeof carried->lease;
    std::memcpy(&carried->lease, bytes.data() + left, sizeof carried->lease);
  }
  carried->value_bytes = left;
  carried->terms = {Expiry::AtNs(trailer.expires_unix_ns), trailer.mark};
  carried->era = trailer.era_and_flags >> kEraShift;
  carried->has_value = (trailer.era_and_flags & kHasNoValue) == 0;
  return true;
}

inline Trailer TrailerOf(const Terms& terms, uint64_t era, uint64_t flags) {
  return {terms.expires.unix_ns(), era << kEraShift | flags, terms.mark};
}

// Behind the value, which *bytes holds already.
inline void Append(std::string* bytes, const Terms& terms, uint64_t era) {
  const Trailer trailer = TrailerOf(terms, era, 0);
  bytes->append(reinterpret_cast<const char*>(&trailer), sizeof trailer);
}
inline void AppendLeased(std::string* bytes, const Terms& terms, uint64_t era, bool has_value,
                         const LeaseFields& lease) {
  bytes->append(reinterpret_cast<const char*>(&lease), sizeof lease);
  const Trailer trailer = TrailerOf(terms, era, kIsLeased | (has_value ? 0 : kHasNoValue));
  bytes->append(reinterpret_cast<const char*>(&trailer), sizeof trailer);
}

// ---- What the participants share ----------------------------------------------------------------

inline constexpr size_t kPageBytes = 4096;

// A clear that is to come: the millisecond of the Unix time, and of which era it was ordered. One
// of another era than the present means nothing.
inline constexpr int kOrderEraBits = 16;
constexpr uint64_t OrderedEra(uint64_t order) { return order & ((1u << kOrderEraBits) - 1); }
constexpr int64_t OrderedUnixMs(uint64_t order) {
  return static_cast<int64_t>(order >> kOrderEraBits);
}
constexpr uint64_t OrderOf(int64_t unix_ms, uint64_t era) {
  return static_cast<uint64_t>(unix_ms) << kOrderEraBits | OrderedEra(era);
}

struct SharedWords {
  // Raised by Clear, read by all. Entries that carry a lower one are absent.
  alignas(64) std::atomic<uint64_t> era;
  // 0, or a clear that is to come (OrderOf). Written by ClearAt and whoever carries it out; read by
  // all.
  std::atomic<uint64_t> order;
  // Who waits for somebody's lease (SleepersWord).
  alignas(64) std::atomic<uint64_t> sleepers[2];
};
static_assert(sizeof(SharedWords) == 128 && std::is_standard_layout_v<SharedWords>);

// What one participant counted, and those that had its slot before. Written by it, read by all.
struct alignas(64) CounterLine {
  std::atomic<uint64_t> hits;
  std::atomic<uint64_t> misses;
  std::atomic<uint64_t> expired;
  std::atomic<uint64_t> leases;
  std::atomic<uint64_t> waits;
  std::atomic<uint64_t> cleared;
  uint64_t reserved[2];
};
static_assert(sizeof(CounterLine) == 64 && std::is_standard_layout_v<CounterLine> &&
              std::atomic<uint64_t>::is_always_lock_free);

// Relaxed: only the participant of the line adds, and nothing is ordered by it.
inline void Count(std::atomic<uint64_t>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

// The area: a page of shared words, one for sleepers, a line for each participant.
constexpr uint64_t AreaBytes(uint32_t max_participants) {
  const uint64_t lines = uint64_t{max_participants} * sizeof(CounterLine);
  return 2 * kPageBytes + (lines + kPageBytes - 1) / kPageBytes * kPageBytes;
}

}  // namespace terms
}  // namespace kill9

#endif  // KILL9_VARIANTS_SEGMENT_TERMS_H_
