// What every process of a cell did to its object, in memory that they share and that outlives them.
//
// Victims, interferers and survivors record their operations as histories have them. Times are
// ticks of one counter, so calls and returns are in their true order. A victim's operation is
// announced before the victim is traced; whoever kills it writes down its death.
#ifndef KILL9_HARNESS_SWEEP_DRIVER_CELL_HISTORY_H_
#define KILL9_HARNESS_SWEEP_DRIVER_CELL_HISTORY_H_

#include <atomic>
#include <cstdint>
#include <span>
#include <string>

#include "harness/history/history.h"

namespace kill9::sweep {

// Of the processes of a cell, as a history numbers them.
enum CellProcess : uint32_t {
  kMaker,                          // of the starting state
  kVictims,                        // the first victim; the others follow
  kSurvivorBefore = kVictims + 8,  // it was attached before the kill
  kSurvivorAfter,
  kNewcomer,
  kInterferer,
  kProber,
};

// "victim", "survivor", ...
std::string NameOf(uint32_t process);

// The operations of one process, or of several that take turns.
struct OperationLog {
  std::atomic<uint64_t>* time = nullptr;
  std::atomic<uint32_t>* count = nullptr;
  std::span<Operation> room;

  std::span<Operation> operations() const {
    return room.first(count->load(std::memory_order_acquire));
  }
  bool full() const { return operations().size() == room.size(); }
  uint64_t Tick() const { return time->fetch_add(1, std::memory_order_relaxed) + 1; }

  // Announces an operation that is about to be called.
  Operation& Begin(uint32_t process, Function function, uint64_t key, uint64_t argument = kNothing,
                   uint64_t expected = 0);
  void End(Operation& operation, Outcome outcome, uint64_t result = kNothing, uint64_t version = 0);
};

inline constexpr uint32_t kMostVictims = 5;
// The number of a victim that took the participant's slot of one that had died: it works elsewhere
// (Nearness::kElsewhere), where there is an elsewhere.
inline constexpr uint32_t kNewOwner = 3;

// What every victim touches is at the beginning: a page is dear.
struct CellHistory {
  static constexpr uint32_t kMostOfAVictim = 4097;
  static constexpr uint32_t kMostOfSurvivors = 64u << 10;

  std::atomic<uint64_t> time;
  std::atomic<uint32_t> victim_count[kMostVictims];
  std::atomic<uint32_t> survivor_count;
  Operation of_victim[kMostVictims][kMostOfAVictim];
  Operation of_survivors[kMostOfSurvivors];

  OperationLog VictimLog(uint32_t number) {
    return {&time, &victim_count[number], of_victim[number]};
  }
  OperationLog SurvivorLog() { return {&time, &survivor_count, of_survivors}; }
  // Of a victim that was killed: what it was in the middle of ended at its death, or (`completed`,
  // the record of a run without kills) had returned.
  void CloseVictim(uint32_t number, const Operation* completed);
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_DRIVER_CELL_HISTORY_H_
