// Histories as EDN: the way back from edn.cc.
#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "harness/edn/edn.h"

namespace kill9 {
namespace {

std::string FieldText(Field field, uint64_t value, const Naming& naming) {
  if (field == Field::kTime) return absl::StrCat(naming.Nanoseconds(value));
  if (field == Field::kVersion || field == Field::kNumber) return absl::StrCat(value);
  if (field == Field::kAcquired) {
    return value == kHeldByOther      ? "false"
           : value == kAcquired       ? "true"
           : value == kAcquiredOfDead ? ":owner-died"
                                      : "nil";
  }
  if (field == Field::kUnused) return "nil";
  if (field != Field::kWasThere && field != Field::kWasNew) return naming.Value(value);
  return value == kErasedUntold ? "nil" : value == 1 ? "true" : "false";
}

void AppendValue(const Operation& operation, bool completed, const Naming& naming,
                 std::string* line) {
  const FunctionRow& row = RowOf(operation.function);
  if (row.target == Target::kObject) return;
  std::string value = "nil";
  if (TakesValue(row)) {
    value = FieldText(row.argument, operation.argument, naming);
    if (row.expected != Field::kUnused) {
      value =
          absl::StrCat("[", FieldText(row.expected, operation.expected, naming), " ", value, "]");
    }
  } else if (completed) {
    value = FieldText(row.result, operation.result, naming);
  }
  const std::string key = naming.Key(operation.key);
  if (!key.empty()) absl::StrAppend(line, ", :key ", key);  // a history of one object has no keys
  absl::StrAppend(line, ", :value ", value);
  const bool told = completed && operation.outcome == Outcome::kOk;
  if (!told || !TakesValue(row) || row.result == Field::kUnused) return;
  absl::StrAppend(line, ", :result ", FieldText(row.result, operation.result, naming));
}

std::string_view TypeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOk:
      return ":ok";
    case Outcome::kFail:
    case Outcome::kRefused:
      return ":fail";
    default:
      return ":info";
  }
}

}  // namespace

std::string WriteEdn(std::span<const Operation> operations, const Naming& naming) {
  // At one time calls come first: what is not known to be apart overlaps. Only a call of a process
  // that finished its last operation at the same time has to wait.
  enum Phase : uint8_t { kCalls, kReturns, kNextCalls };
  struct Event {
    uint64_t time;
    Phase phase;
    size_t operation;
  };
  absl::flat_hash_map<std::pair<uint32_t, uint64_t>, uint64_t> called_by_return;
  for (const Operation& operation : operations) {
    called_by_return[{operation.process, operation.finish}] = operation.invoke;
  }
  std::vector<Event> events;
  for (size_t i = 0; i < operations.size(); ++i) {
    const Operation& operation = operations[i];
    auto last = called_by_return.find({operation.process, operation.invoke});
    bool next = last != called_by_return.end() && last->second < operation.invoke;
    events.push_back({operation.invoke, next ? kNextCalls : kCalls, i});
    if (operation.outcome != Outcome::kUnknown && operation.outcome != Outcome::kOpen) {
      events.push_back({operation.finish, kReturns, i});
    }
  }
  std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
    return std::tie(a.time, a.phase, a.operation) < std::tie(b.time, b.phase, b.operation);
  });
  std::string text;
  for (const Event& event : events) {
    const Operation& operation = operations[event.operation];
    const bool completes = event.phase == kReturns;
    absl::StrAppend(&text, "{:process ", operation.process, ", :type ",
                    std::string(completes ? TypeName(operation.outcome) : ":invoke"),
                    ", :f :", std::string(RowOf(operation.function).name));
    AppendValue(operation, completes, naming, &text);
    bool shows_version = completes && (operation.result_version != 0 ||
                                       (operation.outcome == Outcome::kFail &&
                                        RowOf(operation.function).expected == Field::kVersion));
    if (shows_version) absl::StrAppend(&text, ", :version ", operation.result_version);
    if (completes && RowOf(operation.function).tells_missed && operation.expected != 0) {
      absl::StrAppend(&text, ", :missed ", operation.expected);
    }
    if (completes && operation.outcome == Outcome::kCrashed) text += ", :error :died";
    absl::StrAppend(&text, ", :time ", naming.Nanoseconds(event.time), "}\n");
  }
  return text;
}

}  // namespace kill9
