// A map for kill9, right at every instruction: a cell has two entries (and one that stays empty),
// and one store says which of them is there.
//   g++ -std=c++20 -O1 -g -shared -fPIC -o libcells_map.so cells_map.cc
//   kill9 try ./libcells_map.so
#include <kill9/object.h>

struct Cell {
  std::atomic<int> now;  // 0: none; the key of that entry is empty
  kill9::Entry<256, 4096> entry[3];
  std::string_view key() const { return entry[now].key.view(); }
  std::string_view value() const { return entry[now].value.view(); }
};

struct CellsMap : kill9::ArrayMap<Cell> {  // which has Create, Get and ForEach
  static constexpr const char* kName = "cells_map";
  using ArrayMap::ArrayMap;

  bool Put(std::string_view key, std::string_view value) {
    std::lock_guard lock(*this);
    Cell* cell = FindOrFree(key);
    if (cell == nullptr) return false;
    // With the fault who dies while it writes leaves the entry that is there torn.
    const int next = cell->now == 1 && !kill9::kFaulty ? 2 : 1;
    cell->entry[next].Set(key, value);
    cell->now = next;  // before: the old value; behind it: the new one
    return true;
  }
  bool Erase(std::string_view key) {
    std::lock_guard lock(*this);
    Cell* cell = Find(key);
    if (cell != nullptr) cell->now = 0;
    return cell != nullptr;
  }
};
KILL9_PLUGIN(CellsMap)
