// Calls of an object's functions (include/kill9/kill9.h), by the functions of a history: what the
// store, the sweep and the worker of an object have in common.
#ifndef KILL9_HARNESS_PLUGIN_OBJECT_CALLS_H_
#define KILL9_HARNESS_PLUGIN_OBJECT_CALLS_H_

#include <kill9/kill9.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "harness/history/history.h"
#include "variants/object.h"

namespace kill9 {

// An outcome that is no answer of a model's.
absl::Status StatusOf(const char* name, int outcome);

// What an object's own functions tell. `object.audit` may not be null.
absl::StatusOr<RecoveryReport> RecoverObject(const kill9_object& object, void* handle);
absl::StatusOr<AuditReport> AuditObject(const kill9_object& object, void* handle);

// The models that an object can have beside those of stores: those whose functions all have a
// number in kill9.h.
std::vector<std::string> ModelsOfObjects();

struct ObjectCall {
  Function function = Function::kAdd;
  std::string_view key = {}, value = {};
  uint64_t number = 0;
};
struct ObjectAnswer {
  int outcome = KILL9_OK;
  std::optional<std::string> value = std::nullopt;  // that it gave
  uint64_t number = 0;
};
// REQUIRES: the function is one of such a model.
ObjectAnswer CallObject(const kill9_object& object, void* handle, const ObjectCall& call);

// The call's end in a history, but for the number of a value: its outcome, and its result, where
// that is none. kDataLoss: the answer is none of such a call's.
struct ObjectEnd {
  Outcome outcome = Outcome::kOk;
  uint64_t result = kNothing;
};
absl::StatusOr<ObjectEnd> EndOf(const kill9_object& object, Function function,
                                const ObjectAnswer& answer);

}  // namespace kill9

#endif  // KILL9_HARNESS_PLUGIN_OBJECT_CALLS_H_
