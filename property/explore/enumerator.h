// All outcomes of a small program, by brute force: one state at a time, nothing left out, nothing
// shared with the explorer.
//
// TSO as x86 has it (Sewell et al. 2010): a store goes to the end of its thread's buffer; a load
// looks there first, the newest first; a buffer's oldest store may reach memory at any time; a
// locked instruction, a seq_cst store and a fence wait until the own buffer is empty. A thread that
// dies does nothing any more; what is in its buffer still reaches memory.
#ifndef KILL9_PROPERTY_EXPLORE_ENUMERATOR_H_
#define KILL9_PROPERTY_EXPLORE_ENUMERATOR_H_

#include <array>
#include <cstdint>
#include <deque>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "property/explore/programs/programs.h"

namespace kill9::explore {

class Enumerator {
 public:
  struct State {
    std::array<uint64_t, 4> words = {};
    std::vector<size_t> next;
    std::vector<std::deque<std::pair<uint8_t, uint64_t>>> buffers;
    std::vector<std::vector<uint64_t>> told;
    std::vector<bool> dead;
    auto operator<=>(const State&) const = default;
  };

  Enumerator(const std::vector<Thread>& threads, bool tso, int deaths)
      : threads_(threads), tso_(tso), deaths_(deaths) {}

  std::set<State> Run() {
    State first;
    first.next.resize(threads_.size());
    first.buffers.resize(threads_.size());
    first.told.resize(threads_.size());
    first.dead.resize(threads_.size());
    Visit(first);
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
        next.told[i].clear();  // nobody hears what it has found out
        Visit(next);
      }
      State next = state;
      if (Step(next, i)) Visit(next);
    }
    if (ended) {
      State end = state;
      end.next.clear();
      ends_.insert(end);
    }
  }
  static void Drain(State& state, size_t i) {
    const auto [word, value] = state.buffers[i].front();
    state.buffers[i].pop_front();
    state.words[word] = value;
  }
  uint64_t Look(const State& state, size_t i, uint8_t word) const {
    for (size_t n = state.buffers[i].size(); n-- > 0;) {
      if (state.buffers[i][n].first == word) return state.buffers[i][n].second;
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
          state.buffers[i].emplace_back(instruction.word, instruction.operand);
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
    state.told[i].push_back(told);
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
