// All outcomes of a small program, by brute force: one state at a time, nothing left out, nothing
// shared with the explorer.
//
// TSO as x86 has it (Sewell et al. 2010): a store goes to the end of its thread's buffer; a load
// looks there first, the newest first; a buffer's oldest store may reach memory at any time; a
// locked instruction, a seq_cst store and a fence wait until the own buffer is empty. A thread that
// dies does nothing any more; what is in its buffer still reaches memory.
#ifndef KILL9_PROPERTY_EXPLORE_ENUMERATOR_H_
#define KILL9_PROPERTY_EXPLORE_ENUMERATOR_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "property/explore/programs/programs.h"

namespace kill9::explore {

class Enumerator {
 public:
  static constexpr size_t kMostThreads = 4, kMostSteps = 12;
  // A few in a row, in no memory of their own: there are millions of states.
  template <typename T>
  struct Few {
    std::array<T, kMostSteps> all = {};
    size_t count = 0;
    auto operator<=>(const Few&) const = default;
    bool empty() const { return count == 0; }
    void Add(const T& one) { all[count++] = one; }
    void Clear() { *this = {}; }
    void DropFirst() {
      std::copy(all.begin() + 1, all.begin() + static_cast<ptrdiff_t>(count), all.begin());
      all[--count] = {};
    }
  };
  // What a thread has stored, and nobody else sees yet.
  struct Buffered {
    uint8_t word = 0, value = 0;
    auto operator<=>(const Buffered&) const = default;
  };
  struct State {
    std::array<uint64_t, 4> words = {};
    std::array<uint8_t, kMostThreads> next = {};
    std::array<bool, kMostThreads> dead = {};
    std::array<Few<Buffered>, kMostThreads> buffers = {};
    std::array<Few<uint64_t>, kMostThreads> told = {};
    auto operator<=>(const State&) const = default;
  };

  // REQUIRES: no more threads, and steps of each, than that.
  Enumerator(const std::vector<Thread>& threads, bool tso, int deaths)
      : threads_(threads), tso_(tso), deaths_(deaths) {}

  std::set<State> Run() {
    Visit({});
    return ends_;
  }

 private:
  void Visit(const State& state) {
    if (!seen_.insert(state).second) return;
    bool ended = true;
    int died = 0;
    for (const bool dead : state.dead) died += dead;
    for (size_t i = 0; i < threads_.size(); ++i) {
      if (!state.buffers[i].empty()) {
        ended = false;
        State next = state;
        Drain(next, i);
        Visit(next);
      }
      // The last step is the return: from there on its death changes nothing.
      if (state.dead[i] || state.next[i] > threads_[i].size()) continue;
      ended = false;
      if (died < deaths_) {
        State next = state;
        next.dead[i] = true;
        next.told[i].Clear();  // nobody hears what it has found out
        Visit(next);
      }
      State next = state;
      if (Step(next, i)) Visit(next);
    }
    if (ended) {
      State end = state;
      end.next = {};
      ends_.insert(end);
    }
  }
  static void Drain(State& state, size_t i) {
    const Buffered first = state.buffers[i].all[0];
    state.buffers[i].DropFirst();
    state.words[first.word] = first.value;
  }
  uint64_t Look(const State& state, size_t i, uint8_t word) const {
    const Few<Buffered>& buffer = state.buffers[i];
    for (size_t n = buffer.count; n-- > 0;) {
      if (buffer.all[n].word == word) return buffer.all[n].value;
    }
    return state.words[word];
  }
  bool Step(State& state, size_t i) const {
    if (state.next[i] == threads_[i].size()) {
      ++state.next[i];
      return true;
    }
    const Instruction& instruction = threads_[i][state.next[i]];
    const bool drained = state.buffers[i].empty();
    uint64_t& memory = state.words[instruction.word];
    uint64_t told = 0;
    switch (instruction.code) {
      case Code::kLoad:
      case Code::kPlainLoad:
        told = Look(state, i, instruction.word);
        break;
      case Code::kStore:
      case Code::kPlainStore:
        if (tso_) {
          state.buffers[i].Add({instruction.word, instruction.operand});
        } else {
          memory = instruction.operand;
        }
        break;
      case Code::kStoreSeqCst:
        if (!drained) return false;
        memory = instruction.operand;
        break;
      case Code::kFetchAdd:
        if (!drained) return false;
        told = memory;
        memory += instruction.operand;
        break;
      case Code::kCompareAndSwap:
        if (!drained) return false;
        told = memory;
        if (memory == 0) memory = instruction.operand;
        break;
      case Code::kFence:
        if (!drained) return false;
        break;
      case Code::kFenceOf:
        if (!drained && instruction.order == std::memory_order_seq_cst) return false;
        break;
    }
    state.told[i].Add(told);
    ++state.next[i];
    return true;
  }

  const std::vector<Thread>& threads_;
  const bool tso_;
  const int deaths_;
  std::set<State> seen_, ends_;
};

}  // namespace kill9::explore

#endif  // KILL9_PROPERTY_EXPLORE_ENUMERATOR_H_
