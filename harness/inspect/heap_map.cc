#include "harness/inspect/heap_map.h"

#include <algorithm>
#include <iterator>

namespace kill9::inspect {

BlockUse HeapMap::Cell::most() const {
  const uint64_t* const largest = std::max_element(std::begin(bytes), std::end(bytes));
  return static_cast<BlockUse>(largest - std::begin(bytes));
}

HeapMap::HeapMap(uint64_t begin, uint64_t end)
    : begin_(begin),
      cell_bytes_(std::max<uint64_t>(1, (end - begin + kCells - 1) / kCells)),
      cells_((end - begin + cell_bytes_ - 1) / cell_bytes_) {}

void HeapMap::Add(uint64_t offset, uint64_t bytes, BlockUse use, uint32_t owner) {
  if (offset < begin_) return;  // of a copy that is of several moments, anything may be told
  for (uint64_t at = offset - begin_, left = bytes; left > 0;) {
    const uint64_t cell = at / cell_bytes_;
    if (cell >= cells_.size()) return;
    const uint64_t here = std::min(left, (cell + 1) * cell_bytes_ - at);
    cells_[cell].bytes[static_cast<size_t>(use)] += here;
    cells_[cell].owner = owner;
    at += here;
    left -= here;
  }
}

HeapMap HeapMap::Coarsened(size_t per_cell) const {
  HeapMap coarse;
  coarse.begin_ = begin_;
  coarse.cell_bytes_ = cell_bytes_ * per_cell;
  coarse.cells_.resize((cells_.size() + per_cell - 1) / per_cell);
  for (size_t n = 0; n < cells_.size(); ++n) {
    Cell& cell = coarse.cells_[n / per_cell];
    for (size_t use = 0; use < kBlockUses; ++use) cell.bytes[use] += cells_[n].bytes[use];
    if (cells_[n].used() > 0) cell.owner = cells_[n].owner;
  }
  return coarse;
}

std::string HeapMap::Letters() const {
  constexpr char kSmall[] = "asrd", kCapital[] = "ASRD";
  std::string letters;
  for (const Cell& cell : cells_) {
    if (cell.used() == 0) {
      letters += '.';
      continue;
    }
    const size_t use = static_cast<size_t>(cell.most());
    letters += cell.used() * 2 >= cell_bytes_ ? kCapital[use] : kSmall[use];
  }
  return letters;
}

Json HeapMap::AsJson() const {
  Json used = Json::array();
  for (size_t n = 0; n < cells_.size(); ++n) {
    const Cell& cell = cells_[n];
    if (cell.used() == 0) continue;
    used.push_back(
        {n, cell.bytes[0], cell.bytes[1], cell.bytes[2], cell.bytes[3], uint64_t{cell.owner}});
  }
  return {{"begin", begin_},
          {"cell_bytes", cell_bytes_},
          {"cells", cells_.size()},
          {"used", std::move(used)}};
}

std::optional<HeapMap> HeapMap::FromJson(const Json& json) {
  if (!json.is_object() || json.value("cells", size_t{0}) > kCells) return std::nullopt;
  HeapMap map;
  map.begin_ = json.value("begin", uint64_t{0});
  map.cell_bytes_ = json.value("cell_bytes", uint64_t{1});
  map.cells_.resize(json.value("cells", size_t{0}));
  const auto used = json.find("used");
  if (used == json.end()) return std::nullopt;
  for (const Json& one : *used) {
    const size_t n = one[0].get<size_t>();
    if (n >= map.cells_.size()) return std::nullopt;
    for (size_t use = 0; use < kBlockUses; ++use) {
      map.cells_[n].bytes[use] = one[use + 1].get<uint64_t>();
    }
    map.cells_[n].owner = one[kBlockUses + 1].get<uint32_t>();
  }
  return map;
}

}  // namespace kill9::inspect
