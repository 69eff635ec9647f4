// What an operation writes, and what it shows of the effects of others, apart from any model's
// state. Of what crashed: what it would.
#ifndef KILL9_HARNESS_CHECKER_SEARCH_SHOWN_H_
#define KILL9_HARNESS_CHECKER_SEARCH_SHOWN_H_

#include <cstdint>

#include "harness/history/history.h"

namespace kill9 {

// Whether the operation concerns keys at all (a recovery or an attachment does not).
constexpr bool IsKeyed(Function function) { return RowOf(function).target != Target::kObject; }

inline bool IsOptional(const Operation& operation) {
  return operation.outcome == Outcome::kCrashed || operation.outcome == Outcome::kUnknown;
}

// A failed compare-and-swap by version shows the present version; other failures show nothing.
inline bool ShowsMismatch(const Operation& operation) {
  return operation.outcome == Outcome::kFail &&
         RowOf(operation.function).expected == Field::kVersion;
}

// Whether nothing can be learnt from the operation: it had no effect and tells nothing.
inline bool TellsNothing(const Operation& operation) {
  if (operation.outcome == Outcome::kRefused) return true;
  if (operation.outcome == Outcome::kFail) return !ShowsMismatch(operation);
  return IsOptional(operation) && RowOf(operation.function).effect == Effect::kNone;
}

inline bool Reads(const Operation& operation) {
  const FunctionRow& row = RowOf(operation.function);
  return row.effect == Effect::kNone && row.result == Field::kValue;
}

inline bool Writes(const Operation& operation) {
  return RowOf(operation.function).effect == Effect::kWrites && operation.outcome != Outcome::kFail;
}

// kNothing: it writes none, or makes the key absent.
inline uint64_t WrittenValue(const Operation& operation) {
  return Writes(operation) ? operation.argument : kNothing;
}

// The value that the operation names as having been there; kNothing: none.
inline uint64_t SeenValue(const Operation& operation) {
  const FunctionRow& row = RowOf(operation.function);
  if (row.result == Field::kValue) return operation.result;
  return row.expected == Field::kValue ? operation.expected : kNothing;
}

// The version that the operation shows of the value that it met; 0: none.
inline uint64_t ShownVersion(const Operation& operation) {
  const FunctionRow& row = RowOf(operation.function);
  if (row.result == Field::kValue) {
    return operation.result == kNothing ? 0 : operation.result_version;
  }
  if (row.expected != Field::kVersion) return 0;
  return operation.outcome == Outcome::kFail ? operation.result_version : operation.expected;
}

inline bool HasVersion(const Operation& operation) {
  return operation.result_version != 0 ||
         (RowOf(operation.function).expected == Field::kVersion && operation.expected != 0);
}

inline bool ShowsAbsence(const Operation& operation) {
  const FunctionRow& row = RowOf(operation.function);
  if (row.result == Field::kValue) return operation.result == kNothing;
  if (row.result == Field::kWasThere) {
    return operation.outcome == Outcome::kOk && operation.result == 0;
  }
  if (row.result == Field::kWasNew) {
    return operation.outcome == Outcome::kOk && operation.result == 1;
  }
  if (row.expected == Field::kValue) return operation.expected == kNothing;
  return row.expected == Field::kVersion && ShownVersion(operation) == 0;
}

// Whether it shows that a value was there which it does not name.
inline bool ShowsSomeValue(const Operation& operation) {
  const FunctionRow& row = RowOf(operation.function);
  if (row.result == Field::kWasThere) {
    return operation.outcome == Outcome::kOk && operation.result == 1;
  }
  if (row.result == Field::kWasNew) {
    return operation.outcome == Outcome::kOk && operation.result == 0;
  }
  return row.expected == Field::kVersion && ShownVersion(operation) != 0;
}

// Whether `seer` may have seen what `crashed` wrote: a value by its name, or by its presence alone.
inline bool MayHaveSeenValue(const Operation& seer, const Operation& crashed) {
  if (ShowsSomeValue(seer) || RowOf(seer.function).expected != Field::kUnused) {
    return crashed.invoke <= seer.finish;
  }
  return crashed.argument == seer.result;
}

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_SEARCH_SHOWN_H_
