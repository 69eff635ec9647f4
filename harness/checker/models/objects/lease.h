// A lock that is lent for a term: its holder gives it back, has the term renewed, or loses it when
// the term ends. Who dies keeps it until then at most.
//
// When a term began is known by two readings of a clock only: it was asked for after the first, and
// granted before the second. So the lease surely lasts until the first reading and the term, and
// surely has ended after the second one and the term; what lies between may be either.
#ifndef KILL9_HARNESS_CHECKER_MODELS_OBJECTS_LEASE_H_
#define KILL9_HARNESS_CHECKER_MODELS_OBJECTS_LEASE_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "harness/checker/models/objects/usual_rules.h"
#include "harness/history/history.h"

namespace kill9 {

struct LeaseModel : UsualRules {
  struct State {
    uint64_t holder = 0;  // as Field::kCaller; 0: nobody
    uint64_t lasts = 0;   // surely until then; 0: its holder is dead, and it may be free
    uint64_t ends = 0;    // surely by then
    bool operator==(const State&) const = default;
  };
  static constexpr std::string_view kName = "lease";
  static constexpr std::string_view kSummary =
      "acquire for a term, renew, release, die; one holder at a time, until the term ends";

  static bool Accepts(Function function) {
    return function == Function::kAcquireFor || function == Function::kRenew ||
           function == Function::kRelease || function == Function::kDie;
  }
  static State Init(bool) { return {}; }

  static bool Step(const Operation& operation, State* state) {
    const bool gives_back =
        operation.function == Function::kRelease || operation.function == Function::kDie;
    // Others may tell of a release or a death; who asks for a term asks for itself.
    const uint64_t caller = gives_back ? operation.argument : uint64_t{operation.process} + 1;
    const bool is_mine = state->holder == caller;
    const bool ok = operation.outcome == Outcome::kOk;
    if (gives_back) {
      // Who gives back what it has lost changes nothing. Who dies in it may have it until the end.
      if (is_mine && operation.function == Function::kRelease && ok) *state = {};
      if (is_mine) state->lasts = 0;
      return true;
    }
    const bool may_have_ended = LastReading(operation) >= state->lasts;
    if (operation.function == Function::kRenew) {
      if (ok && operation.result == kHeldByOther) return !is_mine || may_have_ended;
      return is_mine && Lend(operation, caller, state);
    }
    if (ok && operation.result == kHeldByOther) {
      return state->holder != 0 && operation.expected <= state->ends;
    }
    if (state->holder != 0 && !is_mine && !may_have_ended) return false;
    return Lend(operation, caller, state);
  }

  static bool IsObserver(const Operation& operation) {
    const bool asks =
        operation.function == Function::kAcquireFor || operation.function == Function::kRenew;
    return asks && operation.result == kHeldByOther;
  }
  // Whoever may be refused, or may have lost it, with b may be so with a.
  static bool Dominates(const State& a, const State& b) {
    return a.holder == b.holder && a.lasts <= b.lasts && a.ends >= b.ends;
  }
  static uint64_t Hash(const State& state) {
    return ((state.holder * 0x9e3779b97f4a7c15u ^ state.lasts) * 0x9e3779b97f4a7c15u ^ state.ends) *
           0x9e3779b97f4a7c15u;
  }
  static std::string DescribeState(const State& state) {
    if (state.holder == 0) return "free";
    const std::string holder = "P" + std::to_string(state.holder - 1);
    const std::string ends = state.ends == kNever ? "" : ", at most to " + Text(state.ends);
    if (state.lasts == 0) return "may be left over by " + holder + ends;
    return "lent to " + holder + " to " + Text(state.lasts) + ends;
  }

 private:
  static std::string Text(uint64_t reading) { return std::to_string(reading); }
  // What is not known to have happened may still do so.
  static uint64_t LastReading(const Operation& operation) {
    const bool is_known = operation.outcome != Outcome::kUnknown && operation.result_version != 0;
    return is_known ? operation.result_version : kNever;
  }
  static bool Lend(const Operation& operation, uint64_t caller, State* state) {
    const uint64_t term = operation.argument;
    const uint64_t last = LastReading(operation);
    const uint64_t ends = last >= kNever - term ? kNever : last + term;
    if (operation.outcome == Outcome::kOk) {
      *state = {caller, operation.expected + term, ends};
    } else {
      // Its caller is dead, or goes on under another name.
      *state = {caller, 0, state->holder == caller ? std::max(state->ends, ends) : ends};
    }
    return true;
  }
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_OBJECTS_LEASE_H_
