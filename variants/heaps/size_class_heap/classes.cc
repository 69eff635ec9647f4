#include "variants/heaps/size_class_heap/classes.h"

#include <algorithm>
#include <bit>

#include "variants/heaps/size_class_heap/layout.h"
#include "variants/segment/round_up.h"

namespace kill9::size_class_heap {
namespace {

constexpr uint64_t kSpansWanted = 64;  // fewer than so many usual spans only in small segments
constexpr uint64_t kLargestSpanBytes = 256 << 10;
constexpr uint64_t kSmallestSpanBytes = 16 << 10;
// A span has at least so many blocks: what a size just above a class loses by it is one in so many.
constexpr uint64_t kFewestBlocks = 10;
constexpr uint64_t kLine = 64;
constexpr uint64_t kAlignment = 16;

}  // namespace

uint64_t Classes::DataBegin(uint64_t blocks) { return RoundUp(blocks * sizeof(BlockWords), kLine); }

uint64_t Classes::BlocksIn(uint64_t slot_bytes, uint64_t span_bytes) {
  uint64_t blocks = span_bytes / (slot_bytes + sizeof(BlockWords));
  while (blocks > 0 && DataBegin(blocks) + blocks * slot_bytes > span_bytes) --blocks;
  return blocks;
}

uint64_t Classes::LargestSlot(uint64_t blocks, uint64_t span_bytes) {
  return (span_bytes - DataBegin(blocks)) / blocks / kAlignment * kAlignment;
}

Classes::Shape Classes::Cut(uint32_t size_class, uint64_t units) const {
  if (units == 0 || (size_class >= slots_.size() && size_class != kLarge)) return {};
  const uint64_t span_bytes = units * unit_bytes_;
  if (size_class == kLarge) return {1, span_bytes - LargeOverhead(), LargeOverhead(), 0};
  const uint64_t slot_bytes = slots_[size_class];
  const uint64_t blocks = BlocksIn(slot_bytes, span_bytes);
  return {blocks, slot_bytes, DataBegin(blocks), 0};
}

Classes::Classes(uint64_t room_bytes, uint64_t unit_bytes) : unit_bytes_(unit_bytes) {
  const uint64_t span_bytes =
      std::max(unit_bytes, std::clamp<uint64_t>(std::bit_floor(room_bytes / kSpansWanted),
                                                kSmallestSpanBytes, kLargestSpanBytes));
  usual_units_ = static_cast<uint32_t>(span_bytes / unit_bytes);
  for (uint64_t slot = 8; slots_.size() + 1 < kLarge;) {
    const uint64_t blocks = BlocksIn(slot, span_bytes);
    if (blocks < kFewestBlocks) break;
    // The largest of which a span has as many.
    while (BlocksIn(slot + kAlignment, span_bytes) == blocks && slot % kAlignment == 0) {
      slot += kAlignment;
    }
    slots_.push_back(slot);
    // A size just above this class gets a twelfth fewer blocks from a span, or one fewer.
    const uint64_t fewer = std::min(blocks - 1, (blocks * 12 + 12) / 13);
    slot = std::max(slot / kAlignment * kAlignment + kAlignment, LargestSlot(fewer, span_bytes));
  }
  constexpr uint64_t kMostForInverse = 2 << 20;  // its square, over kFewestBlocks, is an inverse's
  static_assert(kMostForInverse / kFewestBlocks * kMostForInverse < kInverseUnit);
  for (uint32_t size_class = 0; size_class < slots_.size(); ++size_class) {
    Shape& shape = shapes_[size_class];
    shape = Cut(size_class, usual_units_);
    if (span_bytes > kMostForInverse) continue;
    shape.inverse = (kInverseUnit + slots_[size_class] - 1) / slots_[size_class];
  }
  for (uint64_t bytes = 0; bytes <= slots_.back(); bytes += 8) {
    class_of_.push_back(static_cast<uint8_t>(std::lower_bound(slots_.begin(), slots_.end(), bytes) -
                                             slots_.begin()));
  }
}

}  // namespace kill9::size_class_heap
