#include "harness/plugin/object_calls.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/programs/models/drawn_models.h"
#include "harness/programs/protocol/workload.h"

namespace kill9 {
namespace {

// By the names of functions, which the worker protocol has, too.
constexpr std::pair<std::string_view, uint32_t> kNumbers[] = {
    {"add", KILL9_ADD},
    {"read", KILL9_READ},
    {"remove", KILL9_REMOVE},
    {"contains", KILL9_CONTAINS},
    {"enqueue", KILL9_ENQUEUE},
    {"dequeue", KILL9_DEQUEUE},
    {"append", KILL9_APPEND},
    {"acquire", KILL9_ACQUIRE},
    {"release", KILL9_RELEASE},
    {"renew", KILL9_RENEW},
    {"wait", KILL9_WAIT},
    {"signal", KILL9_SIGNAL},
    {"broadcast", KILL9_BROADCAST},
};

// 0: it has none.
uint32_t NumberOf(Function function) {
  for (const auto& [name, number] : kNumbers) {
    if (name == RowOf(function).name) return number;
  }
  return 0;
}

absl::Status NoSuchAnswer(const kill9_object& object, Function function,
                          const ObjectAnswer& answer) {
  const std::string call(RowOf(function).name);
  if (answer.outcome == KILL9_OK) {
    return absl::DataLossError(
        absl::StrCat(object.name, " answered \"", call, "\" with KILL9_OK, and gave no value"));
  }
  absl::Status status = StatusOf(object.name, answer.outcome);
  return absl::Status(status.code(), absl::StrCat("\"", call, "\": ", std::string(status.message()),
                                                  " (outcome ", answer.outcome, ")"));
}

}  // namespace

absl::Status StatusOf(const char* name, int outcome) {
  switch (outcome) {
    case KILL9_OK:
      return absl::OkStatus();
    case KILL9_ABSENT:
      return absl::NotFoundError("");
    case KILL9_FULL:
      return absl::ResourceExhaustedError(absl::StrCat(name, " has no room"));
    case KILL9_DAMAGED:
      return absl::DataLossError(absl::StrCat(name, " says that it is damaged"));
    case KILL9_UNKNOWN:
      return absl::UnimplementedError(absl::StrCat(name, " does not have the operation"));
    default:
      return absl::DataLossError(absl::StrCat(name, " answered with the outcome ", outcome));
  }
}

absl::StatusOr<RecoveryReport> RecoverObject(const kill9_object& object, void* handle) {
  if (object.recover == nullptr) return RecoveryReport{};
  kill9_recovered recovered{};
  recovered.struct_size = sizeof recovered;
  if (absl::Status status = StatusOf(object.name, object.recover(handle, &recovered));
      !status.ok()) {
    return status;
  }
  return RecoveryReport{.participants = recovered.participants,
                        .rolled_back = recovered.rolled_back,
                        .rolled_forward = recovered.rolled_forward};
}

absl::StatusOr<AuditReport> AuditObject(const kill9_object& object, void* handle) {
  kill9_audit audit{};
  audit.struct_size = sizeof audit;
  if (absl::Status status = StatusOf(object.name, object.audit(handle, &audit)); !status.ok()) {
    return status;
  }
  AuditReport report;
  report.entries = audit.entries;
  report.leaked.blocks = audit.leaked_blocks;
  report.doubly_owned = audit.doubly_owned_blocks;
  audit.violation[sizeof audit.violation - 1] = 0;
  if (audit.violation[0] != 0) report.violations.emplace_back(audit.violation);
  return report;
}

std::vector<std::string> ModelsOfObjects() {
  std::vector<std::string> models;
  for (std::string& model : programs::ModelsOfPrograms()) {
    const std::vector<Function> functions = programs::Workload::FunctionsOfModel(model);
    const bool all = std::all_of(functions.begin(), functions.end(),
                                 [](Function function) { return NumberOf(function) != 0; });
    if (all) models.push_back(std::move(model));
  }
  return models;
}

ObjectAnswer CallObject(const kill9_object& object, void* handle, const ObjectCall& call) {
  ObjectAnswer answer;
  kill9_call raw{};
  raw.struct_size = sizeof raw;
  raw.operation = NumberOf(call.function);
  raw.key = call.key.data();
  raw.key_bytes = call.key.size();
  raw.value = call.value.data();
  raw.value_bytes = call.value.size();
  raw.number = call.number;
  raw.receiver = &answer;
  raw.give = [](kill9_call* by, const char*, size_t, const char* value, size_t bytes, uint64_t) {
    static_cast<ObjectAnswer*>(by->receiver)->value.emplace(value, bytes);
  };
  answer.outcome = object.call(handle, &raw);
  answer.number = raw.number;
  return answer;
}

absl::StatusOr<ObjectEnd> EndOf(const kill9_object& object, Function function,
                                const ObjectAnswer& answer) {
  const Field field = RowOf(function).result;
  const bool ok = answer.outcome == KILL9_OK;
  const bool gives = field == Field::kValue;
  if (answer.outcome == KILL9_FULL && RowOf(function).effect == Effect::kWrites) {
    return ObjectEnd{Outcome::kRefused};
  }
  if (ok && (!gives || answer.value.has_value())) {
    const bool tells = field == Field::kWasThere || field == Field::kWasNew;
    if (field == Field::kNumber) return ObjectEnd{Outcome::kOk, answer.number};
    if (field == Field::kAcquired) return ObjectEnd{Outcome::kOk, kAcquired};
    return ObjectEnd{Outcome::kOk, tells ? uint64_t{1} : kNothing};
  }
  const bool absent = answer.outcome == KILL9_ABSENT && (gives || field == Field::kWasThere);
  const bool present = answer.outcome == KILL9_PRESENT && field == Field::kWasNew;
  if (absent || present) return ObjectEnd{};
  if (field == Field::kAcquired && answer.outcome == KILL9_BUSY) {
    return ObjectEnd{Outcome::kOk, kHeldByOther};
  }
  if (field == Field::kAcquired && answer.outcome == KILL9_OWNER_DIED) {
    return ObjectEnd{Outcome::kOk, kAcquiredOfDead};
  }
  return NoSuchAnswer(object, function, answer);
}

}  // namespace kill9
