#include <atomic>

#include "property/explore/programs/programs.h"

namespace kill9::explore {

// The results are the thread's own memory: only the words are shared.
void Interpret(char* memory, const Thread& thread, uint64_t* results) {
  for (const Instruction& instruction : thread) {
    uint64_t& plain = reinterpret_cast<uint64_t*>(memory)[instruction.word];
    std::atomic_ref<uint64_t> word(plain);
    uint64_t told = 0;
    switch (instruction.code) {
      case Code::kLoad:
        told = word.load(instruction.order);
        break;
      case Code::kStore:
        word.store(instruction.operand, instruction.order);
        break;
      case Code::kStoreSeqCst:
        word.store(instruction.operand, std::memory_order_seq_cst);
        break;
      case Code::kPlainStore:
        plain = instruction.operand;
        break;
      case Code::kPlainLoad:
        told = plain;
        break;
      case Code::kFetchAdd:
        told = word.fetch_add(instruction.operand, instruction.order);
        break;
      case Code::kCompareAndSwap:
        word.compare_exchange_strong(told, instruction.operand, instruction.order,
                                     FailureOrder(instruction.order));
        break;
      case Code::kFence:
        std::atomic_thread_fence(std::memory_order_seq_cst);
        break;
      case Code::kFenceOf:
        std::atomic_thread_fence(instruction.order);
        break;
    }
    *results++ = told;
  }
}

}  // namespace kill9::explore
