// Small random histories for comparisons with the brute force.
#ifndef KILL9_PROPERTY_TORTURE_SMALL_RUN_H_
#define KILL9_PROPERTY_TORTURE_SMALL_RUN_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "harness/history/history.h"
#include "property/checker/brute_force_search.h"

namespace kill9 {

using History = std::vector<Operation>;

// Of a test with a model's name as its parameter.
inline constexpr auto kModelTestName = [](const auto& model) {
  std::string name = model.param;
  std::erase(name, '-');
  return name;
};

class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed * 2 + 1) {}
  uint64_t Below(uint64_t n) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return (state_ >> 33) % n;
  }
  bool OneIn(uint64_t n) { return Below(n) == 0; }

 private:
  uint64_t state_;
};

// A run of a few processes on one object, mostly legal under some condition; then, half the time,
// something in it is changed.
class SmallRun {
 public:
  // Of `least` to `least` + `more` operations.
  SmallRun(std::string_view model, uint64_t seed, uint64_t least = 3, uint64_t more = 3)
      : model_(model), dice_(seed), least_(least), more_(more) {}

  // `spoil`: until it is illegal, most of the time.
  History Make(bool spoil = true) {
    processes_.resize(2 + dice_.Below(2));
    for (size_t i = 0; i < processes_.size(); ++i) processes_[i].process = next_process_++;
    versions_ = model_ != "register" && model_ != "queue" && !dice_.OneIn(4);
    distinct_ = model_ == "queue" ? !dice_.OneIn(5) : !dice_.OneIn(3);
    const size_t size = least_ + dice_.Below(more_ + 1);
    size_t called = 0;
    bool busy = true;
    while (called < size || busy) {
      if (!dice_.OneIn(6)) ++now_;  // ties, sometimes
      std::erase_if(late_, [&](size_t i) { return dice_.OneIn(3) && (Apply(history_[i]), true); });
      Process& process = processes_[dice_.Below(processes_.size())];
      if (process.stage == 0) {
        if (called < size) Call(&process), ++called;
      } else if (dice_.OneIn(5)) {
        Die(&process);
      } else if (process.stage == 1) {
        History::value_type& operation = history_[process.operation];
        Operation done = Apply(operation);
        operation = done;
        process.stage = 2;
      } else {
        history_[process.operation].finish = now_;
        process.stage = 0;
      }
      busy = std::any_of(processes_.begin(), processes_.end(),
                         [](const Process& one) { return one.stage != 0; });
    }
    if (!spoil || (model_ != "cache" && dice_.OneIn(6))) return Sorted(history_);
    // One change after the other until it is illegal, most of the time.
    for (int change = 0; change < 20; ++change) {
      Spoil();
      if (!BruteForceLinearizable(model_, Condition::kStrict, history_)) break;
    }
    return Sorted(history_);
  }

 private:
  struct Process {
    int stage = 0;  // idle, called, took effect
    uint32_t process = 0;
    size_t operation = 0;
  };

  static History Sorted(History history) {
    SortByInvocation(&history);
    return history;
  }

  Function Choose() {
    if (dice_.OneIn(12)) return Function::kRecover;
    uint64_t draw = dice_.Below(8);
    if (model_ == "queue") return draw < 4 ? Function::kEnqueue : Function::kDequeue;
    if (model_ == "register") return draw < 4 ? Function::kPut : Function::kGet;
    if (model_ == "cas-register") {
      return draw < 2   ? Function::kPut
             : draw < 5 ? Function::kGet
             : draw < 6 ? Function::kCompareAndSwapValue
                        : Function::kCompareAndSwap;
    }
    constexpr Function kOfMap[] = {Function::kPut,   Function::kPut,           Function::kCommit,
                                   Function::kGet,   Function::kPin,           Function::kErase,
                                   Function::kErase, Function::kCompareAndSwap};
    return kOfMap[draw];
  }

  void Call(Process* process) {
    Operation operation{};
    operation.process = process->process;
    operation.invoke = now_;
    operation.function = Choose();
    if (!versions_ && operation.function == Function::kCompareAndSwap) {
      operation.function = Function::kPut;
    }
    const bool has_deadlines = model_ == "map" || model_ == "cache";
    if (has_deadlines && operation.function == Function::kPut && dice_.OneIn(3)) {
      operation.function = Function::kPutUntil;
      operation.expected = now_ + dice_.Below(6);
    }
    switch (operation.function) {
      case Function::kPut:
      case Function::kPutUntil:
      case Function::kCommit:
      case Function::kEnqueue:
      case Function::kCompareAndSwap:
      case Function::kCompareAndSwapValue:
        operation.argument = distinct_ ? ++last_value_ : 1 + dice_.Below(2);
        if (model_ != "queue" && dice_.OneIn(15)) operation.argument = kNothing;
        break;
      default:
        break;
    }
    if (operation.function == Function::kCompareAndSwap) {
      operation.expected = dice_.OneIn(3) ? dice_.Below(4) : version_;
    }
    if (operation.function == Function::kCompareAndSwapValue) {
      operation.expected = dice_.OneIn(3) ? dice_.Below(3) : value_;
    }
    process->operation = history_.size();
    process->stage = 1;
    history_.push_back(operation);
  }

  void Die(Process* process) {
    Operation& operation = history_[process->operation];
    operation.outcome = dice_.OneIn(6) ? Outcome::kUnknown : Outcome::kCrashed;
    operation.finish = now_;
    operation.result = operation.result_version = 0;
    if (process->stage == 1 && dice_.OneIn(2)) late_.push_back(process->operation);
    process->stage = 0;
    process->process = next_process_++;
  }

  Operation Write(Operation operation) {
    value_ = operation.argument;
    fades_ = operation.function == Function::kPutUntil ? operation.expected : 0;
    last_version_ += 1 + dice_.Below(2);
    version_ = value_ == kNothing ? 0 : last_version_;
    bool told = versions_ && !dice_.OneIn(8);
    operation.result_version = told ? last_version_ : 0;
    return operation;
  }

  Operation Apply(Operation operation) {
    operation.outcome = Outcome::kOk;
    if (model_ == "cache" && dice_.OneIn(6)) value_ = version_ = 0;
    if (fades_ != 0 && now_ >= fades_ && !dice_.OneIn(3)) value_ = version_ = 0;
    switch (operation.function) {
      case Function::kPut:
      case Function::kPutUntil:
      case Function::kCommit:
        return Write(operation);
      case Function::kErase:
        operation.result = dice_.OneIn(8) ? 2 : value_ != kNothing;
        value_ = version_ = 0;
        return operation;
      case Function::kCompareAndSwap:
        if (version_ == operation.expected) return Write(operation);
        operation.outcome = dice_.OneIn(6) ? Outcome::kRefused : Outcome::kFail;
        operation.result_version = operation.outcome == Outcome::kFail ? version_ : 0;
        return operation;
      case Function::kCompareAndSwapValue:
        if (value_ == operation.expected) return Write(operation);
        operation.outcome = Outcome::kFail;
        return operation;
      case Function::kEnqueue:
        queue_.push_back(operation.argument);
        return operation;
      case Function::kDequeue:
        if (queue_.empty()) return operation;
        operation.result = queue_.front();
        queue_.erase(queue_.begin());
        return operation;
      case Function::kRecover:
        return operation;
      default:
        operation.result = value_;
        operation.result_version = versions_ && !dice_.OneIn(8) ? version_ : 0;
        return operation;
    }
  }

  // One change that often makes the history illegal.
  void Spoil() {
    Operation& one = history_[dice_.Below(history_.size())];
    Operation& other = history_[dice_.Below(history_.size())];
    switch (dice_.Below(6)) {
      case 0:
        std::swap(one.result, other.result);
        break;
      case 1:
        if (one.outcome == Outcome::kOk && one.function != Function::kRecover) {
          one.result = one.function == Function::kErase ? !one.result : dice_.Below(4);
        }
        break;
      case 2:
        std::swap(one.result, other.result);
        std::swap(one.result_version, other.result_version);
        break;
      case 3:
        one.finish = one.invoke + dice_.Below(2);
        break;
      case 4:
        one.invoke = one.finish;
        break;
      case 5:
        if (versions_ && one.outcome != Outcome::kCrashed && one.outcome != Outcome::kUnknown) {
          one.result_version = dice_.Below(6);
        }
        break;
    }
    // Only reads and dequeues have a value as result.
    for (Operation& operation : history_) {
      bool reads = operation.function == Function::kGet || operation.function == Function::kPin ||
                   operation.function == Function::kDequeue;
      bool optional =
          operation.outcome == Outcome::kCrashed || operation.outcome == Outcome::kUnknown;
      if (optional || (!reads && operation.function != Function::kErase)) operation.result = 0;
      if (optional || !versions_) operation.result_version = 0;
      if (operation.function == Function::kErase) {
        operation.result = std::min<uint64_t>(operation.result, 2);
        operation.result_version = 0;
      }
      if (reads && operation.result == kNothing) operation.result_version = 0;
    }
  }

  std::string_view model_;
  Dice dice_;
  uint64_t least_;
  uint64_t more_;
  bool versions_ = false;
  bool distinct_ = false;
  std::vector<Process> processes_;
  std::vector<size_t> late_;
  History history_;
  std::vector<uint64_t> queue_;
  uint64_t now_ = 1;
  uint64_t value_ = kNothing;
  uint64_t version_ = 0;
  uint64_t fades_ = 0;
  uint64_t last_value_ = 0;
  uint64_t last_version_ = 0;
  uint32_t next_process_ = 0;
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_TORTURE_SMALL_RUN_H_
