#include "harness/checker/simulated_history.h"

#include <algorithm>

#include "harness/base/random.h"
#include "harness/checker/search/versioned_value.h"

namespace kill9 {
namespace {

class Simulation {
 public:
  explicit Simulation(const SimulationOptions& options)
      : options_(options),
        random_(options.seed),
        cells_(options.keys),
        workers_(options.processes) {
    for (Worker& worker : workers_) worker.process = next_process_++;
  }

  std::vector<Operation> Run() {
    history_.reserve(options_.operations);
    uint64_t idle = workers_.size();
    while (history_.size() < options_.operations || idle != workers_.size()) {
      ++now_;
      LetLateOnesHappen();
      Worker& worker = workers_[random_.Below(workers_.size())];
      switch (worker.stage) {
        case Stage::kIdle:
          if (history_.size() == options_.operations) break;
          Call(&worker);
          --idle;
          break;
        case Stage::kCalled:
          if (Chance(options_.crash_share / 2)) {
            Die(&worker);
            ++idle;
            break;
          }
          TakeEffect(&history_[worker.operation]);
          worker.stage = Stage::kDone;
          break;
        case Stage::kDone:
          if (Chance(options_.crash_share / 2)) {
            Die(&worker);
          } else {
            history_[worker.operation].finish = now_;
            worker.stage = Stage::kIdle;
          }
          ++idle;
          break;
      }
    }
    return std::move(history_);
  }

 private:
  enum class Stage : uint8_t { kIdle, kCalled, kDone };
  struct Worker {
    Stage stage = Stage::kIdle;
    uint32_t process = 0;
    size_t operation = 0;
  };
  struct Cell {
    uint64_t value = kNothing;
    uint64_t version = 0;
  };
  struct Late {
    uint64_t time;
    size_t operation;
  };

  void Call(Worker* worker) {
    Operation operation{};
    operation.process = worker->process;
    operation.invoke = now_;
    operation.outcome = Outcome::kOpen;
    operation.key = random_.Below(cells_.size());
    operation.function = ChooseFunction();
    if (RowOf(operation.function).effect == Effect::kWrites) {
      operation.argument = options_.distinct_values == 0
                               ? ++last_value_
                               : 1 + random_.Below(options_.distinct_values);
    }
    if (operation.function == Function::kCompareAndSwap) {
      const Cell& cell = cells_[operation.key];
      operation.expected = Chance(0.2) ? 0 : cell.version;
    }
    worker->operation = history_.size();
    worker->stage = Stage::kCalled;
    history_.push_back(operation);
  }

  Function ChooseFunction() {
    bool read = Chance(options_.read_share);
    if (!options_.map_functions) return read ? Function::kGet : Function::kPut;
    if (read) return Chance(0.25) ? Function::kPin : Function::kGet;
    uint64_t draw = random_.Below(10);
    if (draw < 5) return Function::kPut;
    if (draw < 6) return Function::kCommit;
    if (draw < 7) return Function::kErase;
    return options_.versions ? Function::kCompareAndSwap : Function::kErase;
  }

  void Write(Operation* operation, Cell* cell) {
    cell->value = operation->argument;
    cell->version = ++last_version_;
    operation->result_version = options_.versions ? cell->version : 0;
  }

  void TakeEffect(Operation* operation) {
    Cell& cell = cells_[operation->key];
    if (options_.lossy && Chance(0.05)) cell = Cell{};
    operation->outcome = Outcome::kOk;
    switch (operation->function) {
      case Function::kPut:
      case Function::kCommit:
        Write(operation, &cell);
        break;
      case Function::kErase:
        operation->result = cell.value != kNothing;
        cell = Cell{};
        break;
      case Function::kCompareAndSwap:
        if (cell.version == operation->expected) {
          Write(operation, &cell);
        } else {
          operation->outcome = Outcome::kFail;
          operation->result_version = cell.version;
        }
        break;
      default:
        operation->result = cell.value;
        operation->result_version = options_.versions ? cell.version : 0;
    }
  }

  void Die(Worker* worker) {
    Operation& operation = history_[worker->operation];
    if (worker->stage == Stage::kCalled && Chance(options_.late_share)) {
      late_.push_back({now_ + 1 + random_.Below(20), worker->operation});
    }
    operation.outcome = Outcome::kCrashed;
    operation.finish = now_;
    operation.result = kNothing;
    operation.result_version = 0;
    worker->stage = Stage::kIdle;
    worker->process = next_process_++;
  }

  void LetLateOnesHappen() {
    std::erase_if(late_, [&](const Late& late) {
      if (late.time > now_) return false;
      Operation effect = history_[late.operation];
      TakeEffect(&effect);
      return true;
    });
  }

  SimulationOptions options_;
  bool Chance(double share) { return random_.Unit() < share; }

  Random random_;
  std::vector<Cell> cells_;
  std::vector<Worker> workers_;
  std::vector<Late> late_;
  std::vector<Operation> history_;
  uint64_t now_ = 0;
  uint64_t last_value_ = 0;
  uint64_t last_version_ = 0;
  uint32_t next_process_ = 0;
};

}  // namespace

std::vector<Operation> SimulateHistory(const SimulationOptions& options) {
  return Simulation(options).Run();
}

}  // namespace kill9
