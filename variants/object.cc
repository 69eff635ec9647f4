#include "variants/object.h"

#include "absl/strings/str_cat.h"

namespace kill9 {

void AuditReport::AddViolation(std::string_view invariant, std::string_view what, uint64_t where) {
  constexpr size_t kEnough = 100;
  if (violations.size() >= kEnough) return;
  violations.push_back(
      absl::StrCat(std::string(invariant), ": ", std::string(what), " (", where, ")"));
}

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
