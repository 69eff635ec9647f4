// Small programs that are compiled to be explored: an interpreter of random ones, and algorithms
// with a bug that somebody really published, each beside its repaired form.
#ifndef KILL9_PROPERTY_EXPLORE_PROGRAMS_PROGRAMS_H_
#define KILL9_PROPERTY_EXPLORE_PROGRAMS_PROGRAMS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "harness/explore/scenes/program_scene.h"

namespace kill9::explore {

enum class Code : uint8_t {
  kLoad,   // tells word
  kStore,  // word = operand
  kStoreSeqCst,
  kPlainStore,
  kPlainLoad,
  kFetchAdd,        // tells what was there
  kCompareAndSwap,  // word 0 -> operand; tells what was there
  kFence,           // seq_cst
  kFenceOf,         // of the order that the instruction says
};
struct Instruction {
  Code code;
  uint8_t word;
  uint8_t operand;
  // Of kLoad, kStore, kFetchAdd, kCompareAndSwap (if it succeeds) and kFenceOf.
  std::memory_order order = std::memory_order_relaxed;
};
// Of a compare-and-swap that does not succeed.
constexpr std::memory_order FailureOrder(std::memory_order success) {
  if (success == std::memory_order_acq_rel) return std::memory_order_acquire;
  return success == std::memory_order_release ? std::memory_order_relaxed : success;
}
using Thread = std::vector<Instruction>;

// Runs a thread; what it tells goes to `results`, one for each instruction.
void Interpret(char* memory, const Thread& thread, uint64_t* results);

// A published bug: the program is wrong, or (`repaired`) right.
struct PublicBug {
  const char* name;
  const char* what;
  int deaths;
  MemoryModel model;  // the strongest that shows it
  Program (*make)(bool repaired);
};
const std::vector<PublicBug>& PublicBugs();
// The same of those who sleep until others wake them.
const std::vector<PublicBug>& WaitingBugs();

}  // namespace kill9::explore

#endif  // KILL9_PROPERTY_EXPLORE_PROGRAMS_PROGRAMS_H_
