#include "variants/object.h"

namespace kill9 {

absl::Status SharedObject::CheckHandle() const {
  if (!guard_.mine()) {
    return absl::FailedPreconditionError(
        "this handle was inherited through fork and belongs to the parent process: attach a new "
        "one");
  }
  if (guard_.owns()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "the program has closed the descriptor that proved this participant's life (closefrom?): "
      "what it held may be given back by others; attach a new handle");
}

absl::StatusOr<RecoveryReport> SharedObject::Recover() {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  return DoRecover();
}

absl::StatusOr<AuditReport> SharedObject::Audit() {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  return DoAudit();
}

}  // namespace kill9
