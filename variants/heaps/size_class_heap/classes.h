// The size classes of a size_class_heap: how large blocks are, and how many a span has.
#ifndef KILL9_VARIANTS_HEAPS_SIZE_CLASS_HEAP_CLASSES_H_
#define KILL9_VARIANTS_HEAPS_SIZE_CLASS_HEAP_CLASSES_H_

#include <cstdint>
#include <vector>

namespace kill9::size_class_heap {

class Classes {
 public:
  static constexpr uint32_t kLarge = 127;  // one block, in as many units as it needs

  // How the room of so many bytes is cut. The same in every process.
  Classes(uint64_t room_bytes, uint64_t unit_bytes);

  uint32_t count() const { return static_cast<uint32_t>(slots_.size()); }
  // Of so many bytes; kLarge: none is large enough.
  uint32_t ClassOf(uint64_t bytes) const {
    const uint64_t at = (bytes + 7) / 8;
    return at < class_of_.size() ? class_of_[at] : kLarge;
  }
  uint32_t usual_units() const { return usual_units_; }

  // How a span is cut.
  struct Shape {
    uint64_t blocks = 0;
    uint64_t slot_bytes = 0;  // that each block has
    uint64_t data_begin = 0;  // where the first one's bytes begin, from the span's begin
    uint64_t inverse = 0;     // kInverseUnit / slot_bytes, rounded up; 0: not for such a span

    // The block whose bytes begin so far behind the first one's; `blocks`: none does.
    uint64_t IndexAt(uint64_t distance) const {
      // Exact while distance * slot_bytes < kInverseUnit.
      const uint64_t index =
          inverse != 0 ? distance * inverse / kInverseUnit : distance / slot_bytes;
      return index < blocks && index * slot_bytes == distance ? index : blocks;
    }
  };
  // Of a span of so many units. `size_class` is below kLarge, or kLarge: one block; of one that is
  // none, no block.
  Shape ShapeOf(uint32_t size_class, uint64_t units) const {
    const Shape* const usual = UsualShape(size_class, units);
    return usual != nullptr ? *usual : Cut(size_class, units);
  }
  // The same, where a table has it; else null.
  const Shape* UsualShape(uint32_t size_class, uint64_t units) const {
    // A shape of no block is of a class that is in no table.
    return units == usual_units_ && shapes_[size_class].blocks != 0 ? &shapes_[size_class]
                                                                    : nullptr;
  }
  // Where the blocks' bytes begin, from the span's begin.
  static uint64_t DataBegin(uint64_t blocks);
  static uint64_t LargeOverhead() { return DataBegin(1); }

 private:
  static constexpr uint64_t kInverseUnit = uint64_t{1} << 40;

  static uint64_t BlocksIn(uint64_t slot_bytes, uint64_t span_bytes);
  // The most that each of so many blocks can have.
  static uint64_t LargestSlot(uint64_t blocks, uint64_t span_bytes);
  Shape Cut(uint32_t size_class, uint64_t units) const;

  uint64_t unit_bytes_;
  uint32_t usual_units_;           // of a span of small blocks
  std::vector<uint64_t> slots_;    // by class, growing
  Shape shapes_[kLarge + 1];       // by class, of a usual span
  std::vector<uint8_t> class_of_;  // by bytes / 8, rounded up, below kTabled
};

}  // namespace kill9::size_class_heap

#endif  // KILL9_VARIANTS_HEAPS_SIZE_CLASS_HEAP_CLASSES_H_
