// What the register, the cas-register, the map and the cache have in common: the state of one key.
//
// V1  Versions of a key grow: a write whose version is known has one greater than every earlier
//     write's.
// V2  The version of a write may be unknown (it crashed, or none was recorded). It then is at least
//     the predecessor's plus one; `last` counts it so, and the first operation that shows the
//     version fixes it.
// V3  A value with a deadline may become absent from `fades` on, and then does not come back. That
//     nobody sees it later than that is the driver's to check, who reads the store's own clock.
#ifndef KILL9_HARNESS_CHECKER_SEARCH_VERSIONED_VALUE_H_
#define KILL9_HARNESS_CHECKER_SEARCH_VERSIONED_VALUE_H_

#include <algorithm>
#include <cstdint>
#include <string>

#include "harness/checker/search/shown.h"
#include "harness/history/history.h"

namespace kill9 {

inline constexpr uint64_t kUnknownVersion = ~0ull;
// `last` of a key none of whose operations carries a version: versions are not looked at.
inline constexpr uint64_t kNoVersions = ~0ull;

struct VersionedValue {
  uint64_t value = kNothing;
  uint64_t version = 0;  // 0: absent
  uint64_t last = 0;     // the least that the greatest version so far can be
  uint64_t fades = 0;    // V3, a time of the history; 0: it has no deadline
  uint64_t since = 0;  // V3: nothing takes effect before; the time at which a value may have faded
  bool operator==(const VersionedValue&) const = default;
};

// `lossy`: the key may be forgotten at any moment, and does not come back.
template <bool lossy>
struct VersionedSteps {
  using State = VersionedValue;
  static constexpr bool kLossy = lossy;

  static State Init(bool has_versions) {
    return {.value = kNothing, .version = 0, .last = has_versions ? 0 : kNoVersions};
  }

  // Whether the operation, with the results it reported, can take effect in *state; *state becomes
  // what it leaves. Of an operation without results (crashed): whether it can have an effect at
  // all.
  static bool Step(const Operation& operation, State* state) {
    if (operation.finish < state->since) return false;
    switch (operation.function) {
      case Function::kPut:
      case Function::kCommit:
        return Write(operation, state);
      case Function::kPutUntil:
        if (!Write(operation, state)) return false;
        if (state->value != kNothing) state->fades = operation.expected;
        return true;
      case Function::kGet:
      case Function::kPin:
        if (operation.result == kNothing) return BecomeAbsent(operation, state);
        return state->value == operation.result && Show(operation.result_version, state);
      case Function::kErase:
        return Erase(operation, state);
      case Function::kCompareAndSwap:
        return CompareAndSwap(operation, state);
      case Function::kCompareAndSwapValue:
        if (operation.expected == kNothing ? !BecomeAbsent(operation, state)
                                           : state->value != operation.expected) {
          return false;
        }
        return Write(operation, state);
      default:
        return false;
    }
  }

  // A successful step of an observer changes the state at most by what it tells of it.
  static bool IsObserver(const Operation& operation) {
    return operation.outcome == Outcome::kFail || Reads(operation) ||
           (RowOf(operation.function).effect == Effect::kRemoves && ShowsAbsence(operation));
  }

  // Whether no state that can follow `state` allows the (completed) operation: what makes the
  // search near linear where versions are known.
  static bool Doomed(const Operation& operation, const State& state) {
    if (state.last == kNoVersions) return false;
    uint64_t shown = ShownVersion(operation);
    if (shown != 0 && shown <= state.last) {
      if (!CanBe(shown, state)) return true;
      if (Reads(operation) && state.version == shown && state.value != operation.result)
        return true;
    }
    return WritesVersion(operation) && operation.result_version <= state.last;
  }

  // Whether whatever can follow b can follow a.
  static bool Dominates(const State& a, const State& b) {
    if (a.last > b.last || a.since > b.since) return false;
    if (a.value == b.value && a.version == b.version && FadesNoLater(a, b)) return true;
    return lossy && b.value == kNothing;
  }

  static bool Holds(const State& state, uint64_t value) { return state.value == value; }
  static bool MayHaveSeen(const Operation& seer, const Operation& crashed) {
    return MayHaveSeenValue(seer, crashed);
  }

  static uint64_t Hash(const State& state) {
    return (state.value * 0x9e3779b97f4a7c15u) ^ (state.version * 0xc2b2ae3d27d4eb4fu) ^
           (state.last * 0x165667b19e3779f9u) ^ (state.fades * 0x27d4eb2f165667c5u) ^
           (state.since * 0x85ebca77c2b2ae63u);
  }

  // Values as {id}: how they are shown is decided where the text is (Naming).
  static std::string DescribeState(const State& state) {
    if (state.value == kNothing) return "absent";
    std::string text = "{" + std::to_string(state.value) + "}";
    if (state.version != kUnknownVersion)
      text += " (version " + std::to_string(state.version) + ")";
    return text;
  }

 private:
  // Whether the operation can have met the key absent.
  static bool BecomeAbsent(const Operation& operation, State* state) {
    if (state->value == kNothing) return true;
    if (!lossy) {
      if (state->fades == 0 || operation.finish < state->fades) return false;
      state->since = std::max(state->since, state->fades);
    }
    Remove(state);
    return true;
  }
  static void Remove(State* state) {
    state->value = kNothing;
    state->version = 0;
    state->fades = 0;
  }
  static bool FadesNoLater(const State& a, const State& b) {
    if (lossy || a.fades == b.fades) return true;
    return a.fades != 0 && (b.fades == 0 || a.fades < b.fades);
  }

  // Whether the present value's version can be `version`, which is not 0.
  static bool CanBe(uint64_t version, const State& state) {
    if (state.value == kNothing) return false;
    return state.version == version || (state.version == kUnknownVersion && version >= state.last);
  }

  // The operation has shown the present value's version (0: not recorded).
  static bool Show(uint64_t version, State* state) {
    if (version == 0 || state->version == version) return true;
    if (!CanBe(version, *state)) return false;
    state->version = version;
    state->last = version;
    return true;
  }

  static bool Write(const Operation& operation, State* state) {
    uint64_t version = operation.result_version;
    if (version == 0) {
      version = kUnknownVersion;
      if (state->last != kNoVersions) ++state->last;
    } else {
      if (version <= state->last) return false;
      state->last = version;
    }
    state->fades = 0;
    state->value = operation.argument;
    state->version = operation.argument == kNothing ? 0 : version;
    return true;
  }

  static bool Erase(const Operation& operation, State* state) {
    bool told = operation.outcome == Outcome::kOk && operation.result != kErasedUntold;
    if (told && operation.result == 0) return BecomeAbsent(operation, state);
    if (told && state->value == kNothing) return false;
    Remove(state);
    return true;
  }

  static bool CompareAndSwap(const Operation& operation, State* state) {
    const uint64_t shown = ShownVersion(operation);
    if (operation.outcome == Outcome::kFail && shown == operation.expected) return false;
    if (shown == 0) {
      if (!BecomeAbsent(operation, state)) return false;
    } else if (state->value == kNothing || !Show(shown, state)) {
      return false;
    }
    return operation.outcome == Outcome::kFail || Write(operation, state);
  }

  static bool WritesVersion(const Operation& operation) {
    return operation.outcome == Outcome::kOk && operation.result_version != 0 && Writes(operation);
  }
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_SEARCH_VERSIONED_VALUE_H_
