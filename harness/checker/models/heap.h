// One block of a heap: who owns it. It is allocated once, shared and passed on by its owners, and
// gone when nobody owns it any more.
//
// An owner is a participant: one attachment of one process. What it owns may be taken from it at
// any moment at which it is dead. This model lets that happen when somebody sees it, and so asks no
// further: an owner that lives is told so by its next operation, which then has no place.
#ifndef KILL9_HARNESS_CHECKER_MODELS_HEAP_H_
#define KILL9_HARNESS_CHECKER_MODELS_HEAP_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/container/inlined_vector.h"
#include "harness/checker/search/shown.h"
#include "harness/history/heap_call.h"
#include "harness/history/history.h"

namespace kill9 {

struct HeapModel {
  struct State {
    using Owners = absl::InlinedVector<uint64_t, 3>;
    bool born = false;
    Owners owners;
    bool operator==(const State&) const = default;
  };
  static constexpr std::string_view kName = "heap";
  static constexpr std::string_view kSummary =
      "blocks that never overlap, each with its owners: allocate, free, share, transfer, owners";

  static bool Accepts(Function function) {
    return function >= Function::kAllocate && function <= Function::kOwners;
  }

  // A recorded operation as Step wants it: the caller in `argument`, where the block's name was,
  // and to whom in `expected`. (Operations that differ in their callers are not alike.)
  static Operation OfBlock(const Operation& recorded) {
    Operation operation = recorded;
    operation.argument = CallerOf(recorded);
    operation.expected = SizeOrOwnerOf(recorded);
    return operation;
  }
  // That the block's room was given to another one, by an operation that has returned.
  static Operation RoomGivenAway(const Operation& allocation) {
    Operation operation = allocation;
    operation.invoke = allocation.finish;
    operation.function = Function::kOwners;
    operation.result = 0;
    return operation;
  }

  static bool Step(const Operation& operation, State* state) {
    const uint64_t caller = operation.argument;
    switch (operation.function) {
      case Function::kAllocate:
        if (state->born) return false;
        state->born = true;
        state->owners.push_back(caller);
        return true;
      case Function::kFree:
      case Function::kShare:
      case Function::kTransfer: {
        if (WasRefused(operation)) return !Owns(*state, caller);
        if (!Owns(*state, caller)) return false;
        if (operation.function != Function::kShare) Remove(caller, state);
        if (operation.function != Function::kFree) Add(operation.expected, state);
        return true;
      }
      case Function::kOwners:
        return Show(operation.result, caller, state);
      default:
        return false;
    }
  }

  static bool IsObserver(const Operation& operation) {
    return operation.function == Function::kOwners || WasRefused(operation);
  }
  static bool Doomed(const Operation&, const State&) { return false; }
  static bool Dominates(const State& a, const State& b) { return a == b; }
  static uint64_t Hash(const State& state) {
    uint64_t hash = state.born ? 1 : 0;
    for (const uint64_t owner : state.owners) hash = (hash ^ owner) * 0x9e3779b97f4a7c15u;
    return hash;
  }

  static bool Owns(const State& state, uint64_t owner) {
    return std::find(state.owners.begin(), state.owners.end(), owner) != state.owners.end();
  }
  static bool WasRefused(const Operation& operation) {
    return operation.outcome == Outcome::kOk && operation.result == 0 &&
           RowOf(operation.function).result == Field::kWasThere;
  }

 private:
  // Sorted: states with the same owners are equal.
  static void Add(uint64_t owner, State* state) {
    const auto place = std::lower_bound(state->owners.begin(), state->owners.end(), owner);
    if (place == state->owners.end() || *place != owner) state->owners.insert(place, owner);
  }
  static void Remove(uint64_t owner, State* state) {
    state->owners.erase(std::find(state->owners.begin(), state->owners.end(), owner));
  }
  // Those whose bits are missing are dead; who asks is not.
  static bool Show(uint64_t bits, uint64_t caller, State* state) {
    uint64_t left = bits;
    for (const uint64_t owner : state->owners) left &= ~OwnerBit(owner);
    if (left != 0 || ((bits & OwnerBit(caller)) == 0 && Owns(*state, caller))) return false;
    const auto is_missing = [bits](uint64_t owner) { return (bits & OwnerBit(owner)) == 0; };
    state->owners.erase(std::remove_if(state->owners.begin(), state->owners.end(), is_missing),
                        state->owners.end());
    return true;
  }
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_HEAP_H_
