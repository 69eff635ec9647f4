// Small random histories of a condition, a lease or a list, for comparisons with the brute force.
#ifndef KILL9_PROPERTY_CHECKER_SMALL_MODEL_RUN_H_
#define KILL9_PROPERTY_CHECKER_SMALL_MODEL_RUN_H_

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "harness/checker/model_checker.h"
#include "harness/history/history.h"
#include "property/checker/small_history.h"

namespace kill9 {

// A run of three processes on one object, each call applied at one moment within it by the model's
// own idea of it, mostly; some of those that a death cut off come late. Then, mostly, results are
// changed.
class SmallModelRun final : private SmallHistory {
 public:
  SmallModelRun(std::string_view model, uint64_t seed) : SmallHistory(model, seed) {}

  History Make() {
    Live(80, 8);
    if (dice_.OneIn(model_ == "lease" ? 20 : 6)) return history_;
    for (uint64_t change = 2 + dice_.Below(4); change > 0; --change) Spoil();
    return history_;
  }

 private:
  static constexpr uint64_t kMostTerm = 24;

  void Advance(Process* process) override {
    if (dice_.OneIn(16) || (IsRefused(*process) && dice_.OneIn(2))) return Die(process);
    const bool can_be_late = model_ != "lease" || lent_to_ == kNobody || now_ >= until_;
    if (!late_.empty() && can_be_late && dice_.OneIn(2)) {
      Operation late = late_.back();
      late_.pop_back();
      Apply(&late);
    }
    if (process->stage == Stage::kIdle) return Call(process);
    Operation& open = history_[process->operation];
    if (process->stage == Stage::kCalled) {
      open.outcome = Outcome::kOk;
      if (Apply(&open)) process->stage = Stage::kDone;
      return;
    }
    open.finish = now_;
    if (IsOfLease(open)) open.result_version = dice_.OneIn(20) ? 0 : now_;
    process->stage = Stage::kIdle;
  }

  // The death of who asks for a lease that another one has is what tells conditions apart: it may
  // be granted later.
  bool IsRefused(const Process& process) const {
    return model_ == "lease" && process.stage == Stage::kCalled && lent_to_ != kNobody &&
           lent_to_ != process.number && now_ < until_;
  }

  static bool IsOfLease(const Operation& operation) {
    return operation.function == Function::kAcquireFor || operation.function == Function::kRenew;
  }

  void Call(Process* process) {
    Operation operation = NewCall(*process);
    if (dice_.OneIn(12)) {
      operation.function = Function::kRecover;
    } else if (model_ == "condition") {
      constexpr Function kOf[] = {Function::kWait, Function::kWait, Function::kSignal,
                                  Function::kBroadcast, Function::kWakeUps};
      operation.function = kOf[dice_.Below(5)];
      if (operation.function == Function::kSignal) operation.argument = 1;
      if (operation.function == Function::kBroadcast) operation.argument = 1 + dice_.Below(2);
    } else if (model_ == "list") {
      constexpr Function kOf[] = {Function::kAppend, Function::kAt, Function::kAt,
                                  Function::kRemoveItem};
      operation.function = kOf[dice_.Below(4)];
      if (operation.function == Function::kAppend) {
        const bool is_equal = values_ > 0 && dice_.OneIn(4);
        operation.argument = is_equal ? 1 + dice_.Below(values_) : 1 + values_++;
      }
      if (operation.function == Function::kAt) operation.argument = dice_.Below(3);
      if (operation.function == Function::kRemoveItem) {
        operation.argument = 1 + dice_.Below(values_ + 1);
      }
    } else {
      const bool holds = lent_to_ == process->number;
      operation.function = !holds           ? Function::kAcquireFor
                           : dice_.OneIn(2) ? Function::kRelease
                                            : Function::kRenew;
      if (IsOfLease(operation)) {
        operation.argument = 1 + dice_.Below(kMostTerm);
        operation.expected = operation.invoke;
      } else {
        operation.argument = uint64_t{process->number} + 1;
      }
    }
    Record(process, operation);
  }

  // False: it waits.
  bool Apply(Operation* operation) {
    switch (operation->function) {
      case Function::kWait:
        if (wake_ups_ == 0) return false;
        --wake_ups_;
        return true;
      case Function::kSignal:
      case Function::kBroadcast:
        wake_ups_ += operation->argument;
        return true;
      case Function::kWakeUps:
        operation->result = wake_ups_;
        return true;
      case Function::kAppend:
        list_.push_back(operation->argument);
        return true;
      case Function::kAt:
        operation->result =
            operation->argument < list_.size() ? list_[operation->argument] : kNothing;
        return true;
      case Function::kRemoveItem: {
        const auto found = std::find(list_.begin(), list_.end(), operation->argument);
        operation->result = dice_.OneIn(8) ? kErasedUntold : found != list_.end();
        if (found != list_.end()) list_.erase(found);
        return true;
      }
      case Function::kRelease:
        if (lent_to_ == operation->process) lent_to_ = kNobody;
        return true;
      case Function::kAcquireFor:
      case Function::kRenew: {
        const bool mine = lent_to_ == operation->process;
        const bool free = lent_to_ == kNobody || now_ >= until_;
        const bool granted = operation->function == Function::kRenew ? mine : mine || free;
        operation->result = granted ? kAcquired : kHeldByOther;
        if (!granted) return true;
        lent_to_ = operation->process;
        until_ = now_ + operation->argument;
        return true;
      }
      default:
        return true;
    }
  }

  void Die(Process* process) override {
    if (process->stage != Stage::kIdle) {
      Operation& open = history_[process->operation];
      if (process->stage == Stage::kCalled && !dice_.OneIn(4)) late_.push_back(open);
      CutOff(&open);
      if (IsOfLease(open) && open.outcome == Outcome::kCrashed) open.result_version = now_;
    } else if (lent_to_ == process->number) {
      RecordDeath(*process);
      if (dice_.OneIn(2)) lent_to_ = kNobody;  // it may be told of the death, or wait for the term
    }
    *process = {next_process_++};
  }

  void Spoil() {
    size_t place = dice_.Below(history_.size());
    for (int look = 0; look < 4 && RowOf(history_[place].function).result == Field::kUnused;
         ++look) {
      place = dice_.Below(history_.size());
    }
    Operation& one = history_[place];
    if (!IsOfLease(one) && dice_.OneIn(3)) return ReturnEarlier(&one);
    if (IsOfLease(one) && dice_.OneIn(2)) {
      one.argument = dice_.OneIn(2) ? 1 : one.argument + 2 * kMostTerm;
      return;
    }
    if (one.outcome != Outcome::kOk) return;
    switch (RowOf(one.function).result) {
      case Field::kNumber:
      case Field::kValue:
        one.result = dice_.Below(4);
        break;
      case Field::kWasThere:
        one.result = dice_.Below(2);
        break;
      case Field::kAcquired:
        one.result = dice_.OneIn(2) ? kHeldByOther : kAcquired;
        break;
      default:
        break;
    }
  }

  static constexpr uint32_t kNobody = ~0u;
  std::vector<Operation> late_;
  uint64_t wake_ups_ = 0;
  uint64_t values_ = 0;
  std::vector<uint64_t> list_;
  uint32_t lent_to_ = kNobody;
  uint64_t until_ = 0;
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_CHECKER_SMALL_MODEL_RUN_H_
