#include "harness/sweep/driver/cell_history.h"

#include <algorithm>

#include "harness/history/reads_clock.h"

namespace kill9::sweep {

std::string NameOf(uint32_t process) {
  switch (process) {
    case kMaker:
      return "start";
    case kVictims:
      return "victim";
    case kSurvivorBefore:
      return "survivor";
    case kSurvivorAfter:
      return "newcomer";
    case kNewcomer:
      return "last comer";
    case kInterferer:
      return "interferer";
    case kProber:
      return "prober";
    default:
      return "victim " + std::to_string(process - kVictims + 1);
  }
}

Operation& OperationLog::Begin(uint32_t process, Function function, uint64_t key, uint64_t argument,
                               uint64_t expected) {
  const uint32_t number = count->load(std::memory_order_relaxed);  // this process's own
  // Where there is no room, the last one is written over: full() tells.
  Operation& operation = room[std::min<size_t>(number, room.size() - 1)];
  operation = {.invoke = Tick(),
               .finish = kNever,
               .process = process,
               .function = function,
               .outcome = Outcome::kOpen,
               .reserved = 0,
               .key = key,
               .argument = argument,
               .expected = expected,
               .result = kNothing,
               .result_version = 0};
  // release: pairs with the acquire in operations(), of whoever looks after this process's death.
  count->store(std::min(number + 1, static_cast<uint32_t>(room.size())), std::memory_order_release);
  return operation;
}

void OperationLog::End(Operation& operation, Outcome outcome, uint64_t result, uint64_t version) {
  operation.result = result;
  operation.result_version = version;
  operation.outcome = outcome;
  operation.finish = Tick();
}

void CellHistory::CloseVictim(uint32_t number, const Operation* completed) {
  OperationLog log = VictimLog(number);
  for (Operation& operation : log.operations()) {
    if (operation.outcome != Outcome::kOpen) continue;
    if (completed != nullptr) {
      operation.result = completed->result;
      operation.result_version = completed->result_version;
      operation.outcome = completed->outcome;
    } else {
      operation.outcome = Outcome::kCrashed;
    }
    operation.finish = log.Tick();
    if (ReadsClock(operation.function)) operation.result_version = operation.finish;
  }
}

}  // namespace kill9::sweep
