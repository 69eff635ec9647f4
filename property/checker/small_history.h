// What small random histories have in common: three processes on one object, that come and go.
#ifndef KILL9_PROPERTY_CHECKER_SMALL_HISTORY_H_
#define KILL9_PROPERTY_CHECKER_SMALL_HISTORY_H_

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "harness/history/history.h"
#include "property/torture/small_run.h"

namespace kill9 {

class SmallHistory {
 protected:
  enum class Stage { kIdle, kCalled, kDone };
  struct Process {
    uint32_t number = 0;
    Stage stage = Stage::kIdle;
    size_t operation = 0;
    bool holds = false;
  };

  SmallHistory(std::string_view model, uint64_t seed) : model_(model), dice_(seed) {}
  virtual ~SmallHistory() = default;

  // One step of a process, and its death.
  virtual void Advance(Process* process) = 0;
  virtual void Die(Process* process) = 0;

  // Until there are so many operations, or for so many steps; then everybody dies.
  void Live(int steps, size_t operations) {
    for (size_t i = 0; i < 3; ++i) processes_.push_back({next_process_++});
    for (int step = 0; step < steps && history_.size() < operations; ++step) {
      if (!dice_.OneIn(6)) ++now_;
      Advance(&processes_[dice_.Below(processes_.size())]);
    }
    for (Process& process : processes_) {
      ++now_;
      if (process.stage != Stage::kIdle) Die(&process);
    }
    SortByInvocation(&history_);
  }

  Operation NewCall(const Process& process) {
    Operation operation{};
    operation.process = process.number;
    operation.invoke = ++now_;
    return operation;
  }
  void Record(Process* process, const Operation& operation) {
    process->operation = history_.size();
    process->stage = Stage::kCalled;
    history_.push_back(operation);
  }
  void CutOff(Operation* open) {
    open->outcome = dice_.OneIn(8) ? Outcome::kUnknown : Outcome::kCrashed;
    open->result = 0;
    open->finish = now_;
  }
  // Of who holds something.
  void RecordDeath(const Process& process) {
    Operation death{};
    death.process = process.number;
    death.function = Function::kDie;
    death.outcome = Outcome::kOk;
    death.argument = uint64_t{process.number} + 1;
    death.invoke = now_;
    death.finish = ++now_;
    history_.push_back(death);
  }
  void ReturnEarlier(Operation* one) {
    one->finish = std::max(one->invoke, one->finish - std::min<uint64_t>(one->finish, 2));
  }

  std::string_view model_;
  Dice dice_;
  History history_;
  uint64_t now_ = 1;
  uint32_t next_process_ = 0;

 private:
  std::vector<Process> processes_;
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_CHECKER_SMALL_HISTORY_H_
