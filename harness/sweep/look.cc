#include "harness/sweep/look.h"

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/base/children_of.h"
#include "harness/base/cpu_chance.h"
#include "harness/base/text/copy_text.h"
#include "harness/stepper/trace/waiting.h"
#include "harness/sweep/cell/cell_modes.h"

namespace kill9::sweep {
namespace {

// Processes of a cell have the same numbers each time, where that is allowed.
std::string NameOfThread(pid_t thread) {
  switch (thread) {
    case Runner::kVictimPid:
      return "the victim";
    case Runner::kOtherPid:
      return "the other victim";
    case Runner::kJudgePid:
      return "the survivor itself";
    case kRecovererPid:
      return "the recoverer";
    case kSecondRecovererPid:
      return "the second recoverer";
    default:
      return absl::StrCat("thread ", thread);
  }
}

}  // namespace

pid_t StandingProcess(pid_t worker) {
  for (pid_t cell : ChildrenOf(worker)) {
    for (pid_t child : ChildrenOf(cell)) {
      if (ReadProcessTimes(child).state == 'T') return child;
    }
  }
  return 0;
}

void AnswerLook(CellArea& area, pid_t worker) {
  // Acquire: pairs with NoteWaiting, as the release below with its acquire.
  if (area.look.load(std::memory_order_acquire) != Look::kAsked) return;
  const pid_t stuck = StandingProcess(worker);
  if (stuck == 0) return;  // its stop is on the way
  const stepper::WaitingFor waiting = stepper::LookAtWaiting(stuck, NameOfThread);
  CopyText(waiting.what, area.result.waiting_for);
  CopyText(waiting.stack, area.result.waiting_stack);
  area.look.store(Look::kDone, std::memory_order_release);
}

}  // namespace kill9::sweep
