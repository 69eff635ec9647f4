// A lock, which one process has at a time. Who dies frees what it holds, by the moment of its
// death; so who dies while it acquires may have it until then, and others are refused. The next one
// who takes it may be told that its owner died (pthread's EOWNERDEAD), and then it must be true; of
// a robust mutex it must be told.
#ifndef KILL9_HARNESS_CHECKER_MODELS_OBJECTS_MUTEX_H_
#define KILL9_HARNESS_CHECKER_MODELS_OBJECTS_MUTEX_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "harness/checker/models/objects/usual_rules.h"
#include "harness/checker/search/shown.h"
#include "harness/history/history.h"

namespace kill9 {

template <bool must_tell>
struct LockSteps : UsualRules {
  // Whether the last holder died while it had the lock.
  enum class Died : uint64_t { kNo, kYes, kMaybe };
  struct State {
    uint64_t holder = 0;  // as Field::kCaller; 0: nobody
    Died died = Died::kNo;
    uint64_t left_until = 0;  // its holder died in the acquisition, by then; 0: it did not
    TheDead dead = {};
    bool operator==(const State&) const = default;
  };

  static bool Accepts(Function function) {
    return function == Function::kAcquire || function == Function::kRelease ||
           function == Function::kDie;
  }
  static State Init(bool) { return {}; }

  static bool Step(const Operation& operation, State* state) {
    if (operation.function == Function::kAcquire) return Acquire(operation, state);
    const bool died = operation.function == Function::kDie;
    if (died) state->dead.Add(operation.argument);
    if (state->holder != operation.argument || state->left_until != 0) return died;
    // Who dies in a release may have had it, or not any more.
    *state = {.died = died                    ? Died::kYes
                      : IsOptional(operation) ? Died::kMaybe
                                              : Died::kNo,
              .dead = state->dead};
    return true;
  }

  static bool IsObserver(const Operation& operation) {
    return operation.function == Function::kAcquire && operation.result == kHeldByOther;
  }
  static uint64_t Hash(const State& state) {
    const uint64_t hash =
        (state.holder * 4 + static_cast<uint64_t>(state.died)) * 0x9e3779b97f4a7c15u;
    return (hash ^ state.left_until ^ state.dead.Hash()) * 0x9e3779b97f4a7c15u;
  }
  static std::string DescribeState(const State& state) {
    const std::string holder = "P" + std::to_string(state.holder - 1);
    if (state.left_until != 0) return "may be left over by " + holder;
    if (state.holder != 0) return "held by " + holder;
    return state.died == Died::kNo    ? "free"
           : state.died == Died::kYes ? "free, owner died"
                                      : "free, owner may have died";
  }

 private:
  static bool Acquire(const Operation& operation, State* state) {
    const bool ok = operation.outcome == Outcome::kOk;
    if (ok && operation.result == kHeldByOther) {
      const bool is_gone = state->left_until != 0 && state->left_until < operation.invoke;
      return state->holder != 0 && state->holder != operation.argument && !is_gone;
    }
    if (state->holder != 0 && state->left_until == 0) return false;
    if (state->dead.Has(operation.argument)) return false;
    if (ok && operation.result == kAcquiredOfDead && state->died == Died::kNo) return false;
    if (ok && operation.result == kAcquired && must_tell && state->died == Died::kYes) return false;
    const bool is_optional = IsOptional(operation);
    *state = {.holder = operation.argument,
              .died = is_optional ? Died::kMaybe : Died::kNo,
              .left_until = is_optional ? MayHaveItUntil(operation) : 0,
              .dead = state->dead};
    return true;
  }
};

struct MutexModel : LockSteps</*must_tell=*/false> {
  static constexpr std::string_view kName = "mutex";
  static constexpr std::string_view kSummary =
      "acquire, release, die; one holder at a time, a death frees it";
};

struct RobustMutexModel : LockSteps</*must_tell=*/true> {
  static constexpr std::string_view kName = "robust-mutex";
  static constexpr std::string_view kSummary =
      "the mutex, where the next holder is told that the last one died";
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_OBJECTS_MUTEX_H_
