#include "harness/edn/edn.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "harness/edn/edn_form.h"
#include "harness/edn/edn_value.h"

namespace kill9 {
namespace {

using Kind = EdnForm::Kind;

// Numbers for values, from `first` on: one for all that are equal.
class Names {
 public:
  explicit Names(uint64_t first) : texts_(first) {}
  absl::StatusOr<uint64_t> Number(const EdnForm& form) {
    absl::StatusOr<std::string_view> text = CanonicalText(form, &room_);
    if (!text.ok()) return text.status();
    return Number(*text);
  }
  uint64_t Number(std::string_view text) {
    const auto found = numbers_.find(text);
    if (found != numbers_.end()) return found->second;
    texts_.emplace_back(text);
    return numbers_[texts_.back()] = texts_.size() - 1;
  }
  std::vector<std::string> Take() {
    return {std::move_iterator(texts_.begin()), std::move_iterator(texts_.end())};
  }

 private:
  std::deque<std::string> texts_;
  absl::flat_hash_map<std::string_view, uint64_t> numbers_;  // views of texts_
  std::string room_;
};

class HistoryReader {
 public:
  HistoryReader(std::string_view text, std::string_view name,
                absl::FunctionRef<bool(Function)> accepts)
      : reader_(text, name), accepts_(accepts), keys_(0), values_(1) {}

  absl::StatusOr<EdnHistory> Read() {
    EdnForm form;
    for (;;) {
      absl::StatusOr<bool> more = reader_.EnterMap(&form);
      if (!more.ok()) return more.status();
      if (!*more) break;
      absl::Status status = ReadFields();
      if (status.ok()) status = ReadEvent(form, event_);
      if (!status.ok()) return status;
    }
    for (auto& [process, open] : open_) {
      if (open == kNone) continue;
      history_.operations[open].outcome = Outcome::kUnknown;
      history_.operations[open].finish = kNever;
    }
    history_.keys = keys_.Take();
    history_.values = values_.Take();
    if (has_times_) {
      NumberTimes();
    } else {
      history_.times_ns.clear();
    }
    return std::move(history_);
  }

 private:
  static constexpr size_t kNone = ~size_t{0};

  // A time that an operation names becomes the number of the first event that is not before it.
  void NumberTimes() {
    const std::vector<uint64_t>& times = history_.times_ns;
    for (Operation& operation : history_.operations) {
      if (RowOf(operation.function).expected != Field::kTime || operation.expected == 0) continue;
      const auto event = std::lower_bound(times.begin() + 1, times.end(), operation.expected);
      operation.expected = static_cast<uint64_t>(event - times.begin());
    }
  }

  // The fields of an event; null: it has none such.
  struct Event {
    const EdnForm* process = nullptr;
    const EdnForm* type = nullptr;
    const EdnForm* function = nullptr;
    const EdnForm* key = nullptr;
    const EdnForm* value = nullptr;
    const EdnForm* version = nullptr;
    const EdnForm* missed = nullptr;
    const EdnForm* result = nullptr;  // of a function whose :value is its argument
    const EdnForm* time = nullptr;
    const EdnForm* index = nullptr;
  };

  static const EdnForm** FieldNamed(std::string_view name, Event* event) {
    if (name == ":process") return &event->process;
    if (name == ":type") return &event->type;
    if (name == ":f") return &event->function;
    if (name == ":key") return &event->key;
    if (name == ":value") return &event->value;
    if (name == ":version") return &event->version;
    if (name == ":missed") return &event->missed;
    if (name == ":result") return &event->result;
    if (name == ":time") return &event->time;
    if (name == ":index") return &event->index;
    return nullptr;
  }

  // The next event's fields, held by forms_; others are passed over.
  absl::Status ReadFields() {
    event_ = Event{};
    size_t held = 0;
    for (;;) {
      absl::StatusOr<bool> more = reader_.NextKey(&name_);
      if (!more.ok() || !*more) return more.status();
      const EdnForm** field = FieldNamed(name_.text, &event_);
      if (field != nullptr && *field != nullptr) {
        return reader_.Error(name_, "the key is there twice");
      }
      EdnForm* form = field == nullptr ? &passed_over_ : &forms_[held++];
      absl::Status status = reader_.ReadValue(form);
      if (!status.ok()) return status;
      if (field != nullptr) *field = form;
    }
  }

  absl::Status ReadEvent(const EdnForm& form, const Event& event) {
    if (event.process == nullptr) return reader_.Error(form, "an event needs :process");
    if (event.type == nullptr) return reader_.Error(form, "an event needs :type");
    absl::Status status = ReadOrder(event);
    if (!status.ok() || event.process->kind == Kind::kKeyword) return status;
    int64_t process = 0;
    if (!event.process->ToInteger(&process) || process < 0 || process > 0xffffffffll) {
      return reader_.Error(*event.process, ":process must be a number from 0 on, or a keyword");
    }
    std::string_view type = event.type->text;
    if (type == ":invoke") return Invoke(form, event, static_cast<uint32_t>(process));
    if (type == ":ok") return Complete(form, event, process, Outcome::kOk);
    if (type == ":fail") return Complete(form, event, process, Outcome::kFail);
    if (type == ":info") return Complete(form, event, process, Outcome::kCrashed);
    return reader_.Error(*event.type, ":type must be :invoke, :ok, :fail or :info");
  }

  // The order of events is that of the lines; :index and :time must agree.
  absl::Status ReadOrder(const Event& event) {
    ++events_;
    uint64_t time = history_.times_ns.empty() ? 0 : history_.times_ns.back();
    if (history_.times_ns.empty()) history_.times_ns.push_back(0);
    if (event.time != nullptr && !event.time->IsNil()) {
      int64_t value = 0;
      if (!event.time->ToInteger(&value))
        return reader_.Error(*event.time, ":time must be a number");
      if (has_times_ && value < last_time_) {
        return reader_.Error(*event.time, "the time is before that of an earlier line");
      }
      if (!has_times_) first_time_ = value;
      has_times_ = true;
      last_time_ = value;
      // Jepsen's times may begin below zero.
      time =
          static_cast<uint64_t>(value) - static_cast<uint64_t>(std::min<int64_t>(0, first_time_));
    }
    history_.times_ns.push_back(time);
    if (event.index != nullptr && !event.index->IsNil()) {
      int64_t index = 0;
      if (!event.index->ToInteger(&index)) {
        return reader_.Error(*event.index, ":index must be a number");
      }
      if (has_index_ && index <= last_index_) {
        return reader_.Error(*event.index, "the index is not greater than that of an earlier line");
      }
      has_index_ = true;
      last_index_ = index;
    }
    return absl::OkStatus();
  }

  absl::Status Invoke(const EdnForm& form, const Event& event, uint32_t process) {
    absl::StatusOr<Function> function = ReadFunction(form, event);
    if (!function.ok()) return function.status();
    auto [entry, inserted] = open_.try_emplace({process, IsDeath(event)}, kNone);
    if (entry->second != kNone) {
      return reader_.Error(form,
                           absl::StrCat("process ", process, " has an operation open already"));
    }
    Operation operation{};  // open
    operation.function = *function;
    operation.invoke = events_;
    operation.process = process;
    entry->second = history_.operations.size();
    history_.operations.push_back(operation);
    if (RowOf(*function).target == Target::kObject) return absl::OkStatus();
    return ReadArguments(form, event, &history_.operations.back());
  }

  // It is no call of the process: it may come before the answer to its last one was read.
  static bool IsDeath(const Event& event) {
    return event.function != nullptr && event.function->text == ":die";
  }

  absl::StatusOr<Function> ReadFunction(const EdnForm& form, const Event& event) {
    if (event.function == nullptr) return reader_.Error(form, "an event needs :f");
    std::string_view name = event.function->text;
    if (!name.empty() && name.front() == ':') {
      name.remove_prefix(1);
      for (const FunctionRow& row : kFunctions) {
        if (!IsNameOf(row, name)) continue;
        // Objects of two kinds may give one name to operations of their own.
        if (row.target == Target::kObject || accepts_(row.function)) return row.function;
      }
    }
    return reader_.Error(*event.function,
                         absl::StrCat("the model has no operation ",
                                      std::string(event.function->text), "; it has ", Accepted()));
  }

  // The names of the operations that the model has.
  std::string Accepted() const {
    std::set<std::string> names;
    for (const FunctionRow& row : kFunctions) {
      if (accepts_(row.function)) names.insert(absl::StrCat(":", std::string(row.name)));
    }
    return absl::StrJoin(names, ", ");
  }

  // The number of a key or value; the error says where it is.
  absl::StatusOr<uint64_t> NumberOf(const EdnForm& form, Names* names) const {
    absl::StatusOr<uint64_t> number = names->Number(form);
    if (!number.ok()) return reader_.Error(form, std::string(number.status().message()));
    return number;
  }

  // Splits the event's value into key and payload. A key is either named, or the first of a pair.
  absl::Status Split(const Event& event, Function function, uint64_t* key,
                     const EdnForm** payload) {
    *payload = event.value;
    const bool is_cas = RowOf(function).expected != Field::kUnused;
    const EdnForm* named = event.key;
    if (named == nullptr && event.value != nullptr && event.value->IsPair() &&
        (!is_cas || event.value->items[1].IsPair())) {
      named = &event.value->items[0];
      *payload = &event.value->items[1];
    }
    absl::StatusOr<uint64_t> number =
        named != nullptr ? NumberOf(*named, &keys_) : keys_.Number(std::string_view());
    if (number.ok()) *key = *number;
    return number.status();
  }

  // What an event says of an operation's field; null: nothing.
  absl::Status ReadField(const EdnForm* payload, Field field, uint64_t* value) {
    switch (field) {
      case Field::kUnused:
        return absl::OkStatus();
      case Field::kValue:
      case Field::kRequiredValue: {
        *value = kNothing;
        if (payload == nullptr || payload->IsNil()) return absl::OkStatus();
        absl::StatusOr<uint64_t> number = NumberOf(*payload, &values_);
        if (number.ok()) *value = *number;
        return number.status();
      }
      case Field::kVersion:
      case Field::kNumber:
      case Field::kTime:
        if (payload == nullptr) return absl::OkStatus();
        return ReadNumber(*payload, field == Field::kVersion ? "a version" : "a sum", value);
      case Field::kCaller:  // the event's process (ReadArguments)
        return absl::OkStatus();
      case Field::kAcquired: {
        const std::string_view told = payload == nullptr ? std::string_view() : payload->text;
        *value = told == "false"         ? kHeldByOther
                 : told == ":owner-died" ? kAcquiredOfDead
                 : told == "true"        ? kAcquired
                                         : kAcquiredUntold;
        return absl::OkStatus();
      }
      case Field::kWasNew:
      case Field::kWasThere: {
        const std::string_view told = payload == nullptr ? std::string_view() : payload->text;
        *value = told == "true" ? 1 : told == "false" ? 0 : kErasedUntold;
        return absl::OkStatus();
      }
    }
    std::abort();
  }

  absl::Status ReadArguments(const EdnForm& form, const Event& event, Operation* operation) {
    const FunctionRow& row = RowOf(operation->function);
    const EdnForm* payload = nullptr;
    absl::Status status = Split(event, operation->function, &operation->key, &payload);
    if (!status.ok()) return status;
    if (row.expected != Field::kUnused) {
      if (payload == nullptr || !payload->IsPair()) {
        return reader_.Error(payload == nullptr ? form : *payload,
                             absl::StrCat(":", std::string(row.name), " needs a :value of two"));
      }
      status = ReadField(&payload->items[0], row.expected, &operation->expected);
      if (!status.ok()) return status;
      payload = &payload->items[1];
    }
    status = ReadField(payload, row.argument, &operation->argument);
    if (row.argument == Field::kCaller) operation->argument = uint64_t{operation->process} + 1;
    if (status.ok() && row.argument == Field::kRequiredValue && operation->argument == kNothing) {
      return reader_.Error(form, absl::StrCat(":", std::string(row.name), " needs a :value"));
    }
    return status;
  }

  absl::Status ReadNumber(const EdnForm& form, const char* what, uint64_t* number) {
    int64_t value = 0;
    if (!form.ToInteger(&value) || value < 0) {
      return reader_.Error(form, absl::StrCat(what, " must be a number from 0 on"));
    }
    *number = static_cast<uint64_t>(value);
    return absl::OkStatus();
  }

  absl::Status Complete(const EdnForm& form, const Event& event, int64_t process, Outcome outcome) {
    auto entry = open_.find({static_cast<uint32_t>(process), IsDeath(event)});
    if (entry == open_.end() || entry->second == kNone) {
      return reader_.Error(form, absl::StrCat("process ", process, " has no operation open"));
    }
    Operation& operation = history_.operations[entry->second];
    entry->second = kNone;
    operation.finish = events_;
    operation.outcome = outcome;
    if (event.function != nullptr) {
      absl::StatusOr<Function> function = ReadFunction(form, event);
      if (!function.ok()) return function.status();
      if (*function != operation.function) {
        return reader_.Error(*event.function, "completes another operation than was invoked");
      }
    }
    if (RowOf(operation.function).target == Target::kObject) return absl::OkStatus();
    if (outcome == Outcome::kFail && RowOf(operation.function).expected == Field::kVersion &&
        event.version == nullptr) {
      operation.outcome = Outcome::kRefused;  // without a version it does not say what it met
    }
    // Of a lease it is a clock's reading, of the death as well.
    const bool tells_version =
        outcome != Outcome::kCrashed || RowOf(operation.function).target == Target::kLock;
    if (event.version != nullptr && tells_version && !event.version->IsNil()) {
      absl::Status status = ReadNumber(*event.version, "a version", &operation.result_version);
      if (!status.ok()) return status;
    }
    if (event.missed != nullptr && RowOf(operation.function).tells_missed) {
      absl::Status status = ReadNumber(*event.missed, "what was missed", &operation.expected);
      if (!status.ok()) return status;
    }
    return outcome == Outcome::kOk ? ReadResult(form, event, &operation) : absl::OkStatus();
  }

  absl::Status ReadResult(const EdnForm& form, const Event& event, Operation* operation) {
    const EdnForm* payload = nullptr;
    uint64_t key = operation->key;
    bool names_key = event.key != nullptr || (event.value != nullptr && event.value->IsPair());
    if (names_key) {
      absl::Status status = Split(event, operation->function, &key, &payload);
      if (!status.ok()) return status;
      if (key != operation->key && event.value != nullptr) {
        return reader_.Error(*event.value, "completes an operation on another key");
      }
    } else {
      payload = event.value;
    }
    const FunctionRow& row = RowOf(operation->function);
    if (TakesValue(row)) return ReadField(event.result, row.result, &operation->result);
    const bool needs_value = row.result == Field::kValue || row.result == Field::kNumber;
    if (needs_value && event.value == nullptr) {
      return reader_.Error(form, "a read that is :ok needs a :value");
    }
    return ReadField(payload, row.result, &operation->result);
  }

  EdnReader reader_;
  absl::FunctionRef<bool(Function)> accepts_;
  Names keys_;
  Names values_;
  Event event_;
  EdnForm name_;
  EdnForm passed_over_;
  std::array<EdnForm, 10> forms_;  // one for each field of an event
  EdnHistory history_;
  absl::flat_hash_map<std::pair<uint32_t, bool>, size_t> open_;  // by process and IsDeath
  uint64_t events_ = 0;
  int64_t last_time_ = 0;
  int64_t first_time_ = 0;
  int64_t last_index_ = 0;
  bool has_times_ = false;
  bool has_index_ = false;
};

}  // namespace

Naming EdnHistory::naming() const {
  Naming naming;
  naming.key = [this](uint64_t id) { return id < keys.size() ? keys[id] : absl::StrCat(id); };
  naming.value = [this](uint64_t id) { return id < values.size() ? values[id] : absl::StrCat(id); };
  if (!times_ns.empty()) {
    naming.nanoseconds = [this](uint64_t tick) {
      return tick < times_ns.size() ? times_ns[tick] : times_ns.back();
    };
  }
  return naming;
}

absl::StatusOr<EdnHistory> ReadEdn(std::string_view text, std::string_view name,
                                   absl::FunctionRef<bool(Function)> accepts) {
  return HistoryReader(text, name, accepts).Read();
}

}  // namespace kill9
