// What lies where in a heap, coarsened to so many cells, as a picture is drawn of it.
#ifndef KILL9_HARNESS_INSPECT_HEAP_MAP_H_
#define KILL9_HARNESS_INSPECT_HEAP_MAP_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/result/result.h"

namespace kill9::inspect {

enum class BlockUse : uint8_t { kAlone, kShared, kReserved, kOfTheDead };
inline constexpr size_t kBlockUses = 4;

// `begin` to `end`: offsets in the segment.
class HeapMap {
 public:
  static constexpr size_t kCells = 1 << 14;

  struct Cell {
    uint64_t bytes[kBlockUses] = {};  // by BlockUse
    uint32_t owner = 0;               // the slot of the last block's first owner
    uint64_t used() const { return bytes[0] + bytes[1] + bytes[2] + bytes[3]; }
    BlockUse most() const;
  };

  HeapMap(uint64_t begin, uint64_t end);
  void Add(uint64_t offset, uint64_t bytes, BlockUse use, uint32_t owner);

  uint64_t begin() const { return begin_; }
  uint64_t cell_bytes() const { return cell_bytes_; }
  const std::vector<Cell>& cells() const { return cells_; }
  // The same in fewer cells: `per_cell` become one.
  HeapMap Coarsened(size_t per_cell) const;
  // One letter a cell: what most of its blocks' bytes are (a alone, s shared, r reserved, d of the
  // dead), in capitals where at least half of the cell is in blocks; '.' where there are none.
  std::string Letters() const;

  Json AsJson() const;
  static std::optional<HeapMap> FromJson(const Json& json);

 private:
  HeapMap() = default;

  uint64_t begin_ = 0;
  uint64_t cell_bytes_ = 1;
  std::vector<Cell> cells_;
};

}  // namespace kill9::inspect

#endif  // KILL9_HARNESS_INSPECT_HEAP_MAP_H_
