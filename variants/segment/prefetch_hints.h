// Guesses, in a participant's private memory, where a key's record lies: so that an operation can
// fetch the record at the same time as the index line that names it, instead of after it. Two
// cache misses that depend on one another become two that overlap.
//
// Nothing is ever believed of a guess. One that is wrong, because another participant has moved the
// record or because two keys share a place here, costs a useless fetch.
#ifndef KILL9_VARIANTS_SEGMENT_PREFETCH_HINTS_H_
#define KILL9_VARIANTS_SEGMENT_PREFETCH_HINTS_H_

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace kill9 {

// One word for each of about twice as many keys as are expected; pages that nobody has come to are
// never resident. Used by one thread at a time. Records are named by numbers below `records`.
class PrefetchHints {
 public:
  PrefetchHints(uint64_t keys, uint64_t records) {
    const int bits = std::bit_width(records);
    if (bits < 32) record_bits_ = bits;
    const uint64_t words =
        std::bit_ceil(std::clamp<uint64_t>(bits < 32 ? keys : 0, kFewest, kMost));
    mask_ = words - 1;
    words_.reset(static_cast<uint32_t*>(std::calloc(words, sizeof(uint32_t))));
    if (words_ == nullptr) std::abort();
  }

  // The record that the hash led to last, or nullopt's stand-in `none`. No branch depends on it.
  uint64_t Recall(uint64_t hash, uint64_t none) const {
    const uint32_t word = words_[PlaceOf(hash)];
    const uint32_t record = word & ((uint32_t{1} << record_bits_) - 1);
    return record != 0 && word - record == TagOf(hash) ? record - 1 : none;
  }
  // REQUIRES: record < records.
  void Remember(uint64_t hash, uint64_t record) {
    words_[PlaceOf(hash)] =
        record_bits_ == 0 ? 0 : TagOf(hash) | (static_cast<uint32_t>(record) + 1);
  }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  static constexpr uint64_t kFewest = 1 << 8;
  static constexpr uint64_t kMost = 1 << 17;  // 512 KiB: a quarter of a core's own cache
  static constexpr int kPlaceShift = 20;      // designs take their buckets from other bits

  uint64_t PlaceOf(uint64_t hash) const { return hash >> kPlaceShift & mask_; }
  // The bits that a record's number leaves free tell keys of one place apart.
  uint32_t TagOf(uint64_t hash) const { return static_cast<uint32_t>(hash << record_bits_); }

  std::unique_ptr<uint32_t[], Free> words_;
  uint64_t mask_ = 0;
  int record_bits_ = 0;  // 0: too many records for a word, nothing is remembered
};

}  // namespace kill9

#endif  // KILL9_VARIANTS_SEGMENT_PREFETCH_HINTS_H_
