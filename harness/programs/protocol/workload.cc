#include "harness/programs/protocol/workload.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "absl/algorithm/container.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace kill9::programs {
namespace {

constexpr uint64_t kForeign = uint64_t{1} << 48;  // the number of the first value nobody wrote
constexpr size_t kForeignMost = 16;
constexpr uint64_t kShortBytes = 100;
constexpr uint64_t kLongBytes = 3000;
static_assert(kLongBytes + 30 <= kLongestValueBytes);
constexpr uint64_t kMostTermNs = 20'000'000;
// A list stays short, and is read all over: else it is never known in which order items came that
// were appended at one time, and all these orders multiply.
constexpr uint64_t kItemsMost = 5;
constexpr uint64_t kRecentItems = 6;   // of which one is removed
constexpr uint64_t kOneOfIsEqual = 4;  // of the items that are appended: to one that was seen

}  // namespace

std::vector<Function> Workload::FunctionsOfModel(std::string_view model) {
  std::vector<Function> functions;
  for (const DrawnFunction& one : DrawnModelOf(model).functions) {
    if (one.expected) functions.push_back(one.function);
  }
  return functions;
}

Workload::Workload(const WorkloadOptions& options)
    : model_(DrawnModelOf(options.model)),
      keys_(options.keys != 0 && !HasSleepers() ? options.keys : model_.keys),
      numbers_(options.numbers),
      latest_(keys_, kNothing),
      length_(keys_, 0) {}

std::string Workload::KeyText(uint64_t key) { return absl::StrCat("k", key); }

absl::StatusOr<std::vector<WeighedFunction>> Workload::FunctionsOf(
    const std::vector<std::string>& names) const {
  std::vector<WeighedFunction> functions;
  std::vector<std::string> known;
  for (const DrawnFunction& one : model_.functions) {
    const std::string name(RowOf(one.function).name);
    known.push_back(name);
    if (names.empty() ? one.expected : absl::c_linear_search(names, name)) {
      functions.push_back({one.function, one.weight});
    }
  }
  for (const std::string& name : names) {
    if (absl::c_linear_search(known, name)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("its \"functions\" name '", name, "'; the workload of the ",
                     std::string(model_.name), " model has ", absl::StrJoin(known, ", ")));
  }
  return functions;
}

std::optional<Call> Workload::Draw(Random& random, const std::vector<WeighedFunction>& functions,
                                   std::optional<uint64_t> held, bool ending) {
  const auto has = [&functions](Function function) {
    return absl::c_any_of(functions,
                          [&](const WeighedFunction& one) { return one.function == function; });
  };
  if (held.has_value()) {
    const uint64_t what = has(Function::kAcquireFor) && !ending ? random.Below(8) : 8;
    if (what < 3 && has(Function::kRenew)) {
      return Call{Function::kRenew, *held, 1 + random.Below(kMostTermNs)};
    }
    if (what != 3) return Call{Function::kRelease, *held};
  }
  if (ending) return std::nullopt;
  const auto needs_a_hold = [](Function function) {
    return function == Function::kRelease || function == Function::kRenew;
  };
  uint64_t weights = 0;
  for (const WeighedFunction& one : functions) {
    if (!needs_a_hold(one.function)) weights += one.weight;
  }
  uint64_t draw = random.Below(weights);
  Call call;
  for (const WeighedFunction& one : functions) {
    if (needs_a_hold(one.function)) continue;
    call.function = one.function;
    if (draw < one.weight) break;
    draw -= one.weight;
  }
  call.key = random.Below(keys_);
  if (call.function == Function::kAppend && length_[call.key] >= kItemsMost) {
    call.function = Function::kRemoveItem;
  }
  const FunctionRow& row = RowOf(call.function);
  const uint64_t latest = latest_[call.key];
  const bool was_seen = latest != kNothing && latest < kForeign;
  if (row.effect == Effect::kWrites) {
    const bool is_equal =
        call.function == Function::kAppend && was_seen && random.Below(kOneOfIsEqual) == 0;
    call.argument = is_equal ? latest : ++values_;
  }
  if (row.argument == Field::kNumber) call.argument = 1;
  if (row.expected == Field::kValue) call.expected = latest;
  if (call.function == Function::kAcquireFor) call.argument += random.Below(kMostTermNs);
  if (call.function == Function::kBroadcast) call.argument += random.Below(4);
  if (call.function == Function::kAt) call.argument = random.Below(length_[call.key] + 2);
  if (call.function == Function::kRemoveItem) {
    // What was there of late; or one of the latest, that may be removed already, or the next one.
    const uint64_t recent = std::min(values_, kRecentItems);
    call.argument = values_ - recent + 1 + random.Below(recent + 1);
    if (was_seen && random.Below(4) != 0) call.argument = latest;
  }
  return call;
}

bool Workload::HasSleepers() const {
  return absl::c_any_of(model_.functions,
                        [](const DrawnFunction& one) { return one.function == Function::kWait; });
}

bool Workload::IsLent() const { return model_.closing == Function::kAcquireFor; }

std::vector<Call> Workload::Closing() const {
  std::vector<Call> calls;
  for (uint64_t key = 0; key < keys_; ++key) {
    calls.push_back({model_.closing, key});
    if (model_.closing == Function::kAcquireFor) calls.back().argument = kMostTermNs;
    if (model_.closing == Function::kAcquire || model_.closing == Function::kAcquireFor) {
      calls.push_back({Function::kRelease, key});
    }
  }
  return calls;
}

bool Workload::ClosesUntilNothing() const {
  return model_.closing == Function::kDequeue || model_.closing == Function::kAt;
}

std::string ValueText(uint64_t number, uint64_t most_bytes) {
  Random random(number);
  const uint64_t kind = random.Below(8);
  const std::string head = absl::StrCat("v", number, ".");
  const uint64_t room = most_bytes > head.size() ? most_bytes - head.size() - 1 : 0;
  const uint64_t filler =
      kind < 4 ? 0 : std::min(room, random.Below(kind < 7 ? kShortBytes : kLongBytes));
  std::string text = head;
  for (uint64_t i = 0; i < filler; ++i) {
    text.push_back(static_cast<char>('a' + (number + i) % 26));
  }
  return text + (filler > 0 ? "." : "");
}

std::optional<uint64_t> NumberOfValue(std::string_view text, uint64_t most_bytes) {
  uint64_t number = 0;
  if (!text.starts_with("v")) return std::nullopt;
  if (!absl::SimpleAtoi(std::string(text.substr(1, text.find('.') - 1)), &number)) {
    return std::nullopt;
  }
  if (ValueText(number, most_bytes) != text) return std::nullopt;
  return number;
}

Json Workload::ValueOf(uint64_t number) const {
  if (number == kNothing) return nullptr;
  if (numbers_) return number;
  return ValueText(number);
}

uint64_t Workload::NumberOf(const Json& value) {
  if (value.is_null()) return kNothing;
  uint64_t number = 0;
  if (numbers_ && value.is_number_unsigned()) number = value.get<uint64_t>();
  if (!numbers_ && value.is_string()) {
    number = NumberOfValue(value.get_ref<const std::string&>()).value_or(0);
  }
  if (number != 0 && number <= values_) return number;
  const std::string text = Dump(value);
  const auto known = absl::c_find(foreign_, text);
  if (known == foreign_.end() && foreign_.size() < kForeignMost) foreign_.push_back(text);
  return kForeign + static_cast<uint64_t>(known - foreign_.begin());
}

std::string Workload::Request(uint64_t id, const Call& call) const {
  const FunctionRow& row = RowOf(call.function);
  Json request = {{"id", id}, {"f", row.name}, {"key", KeyText(call.key)}};
  if (row.expected == Field::kValue) request["expected"] = ValueOf(call.expected);
  if (row.argument == Field::kValue || row.argument == Field::kRequiredValue) {
    request["value"] = ValueOf(call.argument);
  } else if (row.argument == Field::kNumber) {
    request[std::string(row.number)] = call.argument;
  }
  return Dump(request);
}

absl::Status Workload::Decode(const Answer& answer, Operation* operation) {
  if (ReadsClock(operation->function)) {
    const auto found = answer.fields.find("uncertainty_ns");
    uint64_t uncertainty = 0;
    if (found != answer.fields.end()) {
      if (!found->is_number_unsigned()) {
        return absl::InvalidArgumentError(
            absl::StrCat("an answer whose \"uncertainty_ns\" is not a number from 0 on: ",
                         Quoted(Dump(answer.fields))));
      }
      uncertainty = found->get<uint64_t>();
      uncertainty_ns_ = std::max(uncertainty_ns_, uncertainty);
    }
    Widen(uncertainty, operation);
  }
  switch (answer.type) {
    case Answer::Type::kInfo:
      operation->outcome = Outcome::kUnknown;
      return absl::OkStatus();
    case Answer::Type::kFail:
      operation->outcome = Outcome::kRefused;
      if (RowOf(operation->function).result == Field::kAcquired) {
        operation->outcome = Outcome::kOk;
        operation->result = kHeldByOther;
      }
      return absl::OkStatus();
    case Answer::Type::kOk:
      operation->outcome = Outcome::kOk;
      return DecodeResult(answer, operation);
  }
  std::abort();
}

void Workload::Widen(uint64_t uncertainty_ns, Operation* operation) {
  operation->expected -= std::min(operation->expected, uncertainty_ns);
  operation->result_version = operation->finish + uncertainty_ns;
}

void Workload::EndReadings(Operation* cut_off) const { Widen(uncertainty_ns_, cut_off); }

absl::Status Workload::DecodeResult(const Answer& answer, Operation* operation) {
  const Field field = RowOf(operation->function).result;
  uint64_t& length = length_[operation->key];
  if (operation->function == Function::kAppend) ++length;
  const auto found = answer.fields.find("value");
  const bool told = found != answer.fields.end();
  const auto wrong = [&](std::string_view needs) {
    return absl::InvalidArgumentError(absl::StrCat(
        "an answer to \"", std::string(RowOf(operation->function).name),
        "\" whose \"value\" is not ", std::string(needs), ": ", Quoted(Dump(answer.fields))));
  };
  if (field == Field::kValue) {
    if (!told) return wrong("there (null: nothing is there)");
    operation->result = NumberOf(*found);
    latest_[operation->key] = operation->result;
    if (operation->function == Function::kAt) {
      const uint64_t shown = operation->argument + (operation->result == kNothing ? 0 : 1);
      length = operation->result == kNothing ? std::min(length, shown) : std::max(length, shown);
    }
  } else if (field == Field::kNumber) {
    if (!told || !found->is_number_unsigned()) return wrong("a number from 0 on");
    operation->result = found->get<uint64_t>();
  } else if (field == Field::kWasThere || field == Field::kWasNew) {
    if (!told || found->is_null()) {
      if (operation->function == Function::kContains) return wrong("true or false");
      operation->result = kErasedUntold;
    } else if (found->is_boolean()) {
      operation->result = found->get<bool>() ? 1 : 0;
      if (operation->function == Function::kRemoveItem && length > 0) length -= operation->result;
    } else {
      return wrong("true, false or null");
    }
  } else if (field == Field::kAcquired) {
    if (!told || found->is_null()) {
      operation->result = model_.name == "robust-mutex" ? kAcquired : kAcquiredUntold;
    } else if (*found == "owner-died") {
      operation->result = kAcquiredOfDead;
    } else if (found->is_boolean()) {
      operation->result = found->get<bool>() ? kAcquired : kHeldByOther;
    } else {
      return wrong("true, false, null or \"owner-died\"");
    }
  }
  return absl::OkStatus();
}

}  // namespace kill9::programs
