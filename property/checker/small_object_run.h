// Small random histories of a counter, a set's member, a lock or a semaphore, for comparisons with
// the brute force.
#ifndef KILL9_PROPERTY_CHECKER_SMALL_OBJECT_RUN_H_
#define KILL9_PROPERTY_CHECKER_SMALL_OBJECT_RUN_H_

#include <cstdint>
#include <string_view>

#include "harness/history/history.h"
#include "property/checker/small_history.h"

namespace kill9 {

// A run of three processes on one object, mostly legal; then, mostly, results are changed.
class SmallObjectRun final : private SmallHistory {
 public:
  SmallObjectRun(std::string_view model, uint64_t seed) : SmallHistory(model, seed) {}

  History Make() {
    Live(60, permits() > 1 ? 9 : 7);
    if (dice_.OneIn(4)) return history_;
    for (uint64_t change = 1 + dice_.Below(4); change > 0; --change) Spoil();
    return history_;
  }

 private:
  bool IsLock() const {
    return model_ == "mutex" || model_ == "robust-mutex" || model_ == "semaphore";
  }
  uint64_t permits() const { return model_ == "semaphore" ? 2 : 1; }

  void Advance(Process* process) override {
    if (dice_.OneIn(permits() > 1 ? 30 : 9) || (IsReleasingOneOfAll(*process) && dice_.OneIn(2)))
      return Die(process);
    if (late_ > 0 && dice_.OneIn(40)) {
      --late_;
      --taken_;
    }
    if (process->stage == Stage::kIdle) {
      const bool waits = permits() > 1 && process->holds && taken_ < permits() && !dice_.OneIn(4);
      return waits ? void() : Call(process);
    }
    Operation& open = history_[process->operation];
    if (process->stage == Stage::kCalled) {
      if (!Apply(process, &open)) return;  // a lock that another one has
      process->stage = Stage::kDone;
      return;
    }
    open.finish = now_;
    process->stage = Stage::kIdle;
  }

  void Call(Process* process) {
    Operation operation = NewCall(*process);
    if (dice_.OneIn(12)) {
      operation.function = Function::kRecover;
    } else if (IsLock()) {
      operation.function = process->holds ? Function::kRelease : Function::kAcquire;
      operation.argument = uint64_t{process->number} + 1;
    } else if (model_ == "counter") {
      operation.function = dice_.OneIn(2) ? Function::kAdd : Function::kRead;
      if (operation.function == Function::kAdd) operation.argument = 1 + dice_.Below(2);
    } else {
      constexpr Function kOfSet[] = {Function::kAddMember, Function::kRemoveMember,
                                     Function::kContains};
      operation.function = kOfSet[dice_.Below(3)];
    }
    Record(process, operation);
  }

  bool Apply(Process* process, Operation* operation) {
    operation->outcome = Outcome::kOk;
    switch (operation->function) {
      case Function::kAdd:
        sum_ += operation->argument;
        return true;
      case Function::kRead:
        operation->result = sum_;
        return true;
      case Function::kAddMember:
        operation->result = dice_.OneIn(8) ? kErasedUntold : !member_;
        member_ = true;
        return true;
      case Function::kRemoveMember:
        operation->result = dice_.OneIn(8) ? kErasedUntold : member_;
        member_ = false;
        return true;
      case Function::kContains:
        operation->result = member_;
        return true;
      case Function::kRelease:
        --taken_;
        died_ = false;
        process->holds = false;
        return true;
      case Function::kAcquire:
        if (taken_ == permits()) return late_ > 0 || dice_.OneIn(3);  // it tells so
        ++taken_;
        process->holds = true;
        operation->result = dice_.OneIn(8) ? kAcquiredUntold : died_ ? kAcquiredOfDead : kAcquired;
        died_ = false;
        return true;
      default:
        return true;
    }
  }

  void Die(Process* process) override {
    const bool was_answered = process->stage == Stage::kDone && process->holds &&
                              history_[process->operation].function == Function::kAcquire;
    if (was_answered && dice_.OneIn(2)) {  // and that is read after it was killed
      RecordDeath(*process);
      history_[process->operation].finish = now_;
    } else if (process->stage != Stage::kIdle) {
      CutOff(&history_[process->operation]);
    } else if (process->holds) {
      RecordDeath(*process);
    }
    if (process->holds && IsReleasingOneOfAll(*process) && !dice_.OneIn(4)) {
      ++late_;
    } else if (process->holds) {
      --taken_;
      died_ = permits() == 1;  // nobody is told of a permit's past
    }
    *process = {next_process_++};
  }

  // The death of who gives back one of several permits, all of them taken, is what tells conditions
  // apart: the permit may come back later.
  bool IsReleasingOneOfAll(const Process& process) const {
    return permits() > 1 && taken_ == permits() && process.stage == Stage::kCalled &&
           history_[process.operation].function == Function::kRelease;
  }

  void Spoil() {
    Operation& one = history_[dice_.Below(history_.size())];
    if (dice_.OneIn(4)) return ReturnEarlier(&one);
    if (one.outcome != Outcome::kOk) return;
    switch (RowOf(one.function).result) {
      case Field::kNumber:
        one.result = dice_.Below(5);
        break;
      case Field::kWasThere:
      case Field::kWasNew:
        one.result = dice_.Below(2);
        break;
      case Field::kAcquired:
        one.result = dice_.Below(4);
        break;
      default:
        break;
    }
  }

  uint64_t sum_ = 0;
  bool member_ = false;
  uint64_t taken_ = 0;
  uint64_t late_ = 0;
  bool died_ = false;
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_CHECKER_SMALL_OBJECT_RUN_H_
