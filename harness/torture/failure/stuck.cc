#include "harness/torture/failure/stuck.h"

#include "harness/base/text/copy_text.h"
#include "harness/result/waiting.h"
#include "harness/stepper/trace/waiting.h"

namespace kill9 {
namespace {}  // namespace

void Stuck::Look(uint32_t number, pid_t pid, absl::FunctionRef<std::string(pid_t thread)> who) {
  const stepper::WaitingFor waiting = stepper::LookAtWaiting(pid, who);
  process = number;
  CopyText(waiting.what, what);
  CopyText(waiting.stack, stack);
}

Json Stuck::ToJson() const {
  Json field = process == 0 ? Json() : WaitingField(what, stack);
  if (field.is_object()) field["process"] = process;
  return field;
}

}  // namespace kill9
