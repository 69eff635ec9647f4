// What the processes of a run share beside their heap: who takes part, and news of blocks that were
// handed over. Any worker may be killed at any moment: what it was about to write is then not
// there, and whoever was to read it finds the block by going through the heap.
#ifndef KILL9_HARNESS_HEAP_DRIVER_HEAP_BOARDS_H_
#define KILL9_HARNESS_HEAP_DRIVER_HEAP_BOARDS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "harness/result/json_forward.h"
#include "harness/store_driver/value.h"
#include "harness/torture/control.h"
#include "variants/heap.h"

namespace kill9 {

// A block as its owners know it.
struct KnownBlock {
  BlockHandle handle;
  ValueId id = kNothing;  // its name in the history, and its content
  uint64_t bytes = 0;
};

// A participant, and its name in the history.
struct Seated {
  ParticipantId participant;
  uint64_t owner = 0;  // HeapOwner (harness/history/heap_call.h)
};

// Who works in a slot. Written by the worker in it.
class alignas(64) HeapSeat {
 public:
  void Sit(const Seated& who);
  std::optional<Seated> Look() const;  // nothing: nobody, or it is just changing

 private:
  std::atomic<uint64_t> participant_;  // 0: nobody
  std::atomic<uint64_t> owner_;
};

// News of one worker for another one: the last block that it handed over. Written by the first.
class alignas(64) HeapLetter {
 public:
  void Write(const KnownBlock& block);
  // Nothing: there is no news since `*seen`, which becomes up to date.
  std::optional<KnownBlock> Read(uint64_t* seen) const;

 private:
  std::atomic<uint64_t> version_;  // odd: it is being written
  std::atomic<uint64_t> offset_, generation_, id_, bytes_;
};

struct HeapBoards {
  // Statistics (harness/torture/run_statistics.h).
  std::atomic<uint64_t> shares, transfers, taken_over, found;
  std::atomic<uint64_t> refused_misuses, from_reserves, at_a_place, served_after_waiting;

  std::array<HeapSeat, kSlots> seats;
  alignas(64) std::array<std::atomic<uint64_t>, kSlots> news;  // how many letters came, by slot
  std::array<std::array<HeapLetter, kSlots>, kSlots> letters;  // [from][to]
};

Json CountsOf(const HeapBoards& boards);

}  // namespace kill9

#endif  // KILL9_HARNESS_HEAP_DRIVER_HEAP_BOARDS_H_
