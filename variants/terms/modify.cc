// Modify, and what is made of it: a look, and a compare-and-swap with what was seen. In a segment
// without terms, too.
#include <charconv>

#include "absl/status/status.h"
#include "variants/terms/handle.h"

namespace kill9 {
namespace {

absl::Status Absent() { return absl::Status(absl::StatusCode::kNotFound, ""); }

}  // namespace

absl::StatusOr<Modified> Store::ModifyOnce(std::string_view key,
                                           absl::FunctionRef<Change(const EntryView*)> change,
                                           bool* again) {
  *again = false;
  std::string plain;
  std::string& bytes = keeps_terms() ? terms_->read : plain;
  Seen seen;
  if (keeps_terms()) {
    absl::StatusOr<Seen> looked = Look(key, &bytes);
    if (!looked.ok()) return looked.status();
    seen = *looked;
  } else {
    const absl::StatusOr<Version> version = DoGet(key, &bytes);
    if (!version.ok() && !absl::IsNotFound(version.status())) return version.status();
    seen.present = version.ok();
    seen.stored = version.ok() ? *version : kAbsent;
    seen.carried.value_bytes = bytes.size();
  }
  const EntryView present{key, std::string_view(bytes).substr(0, seen.carried.value_bytes),
                          seen.stored, seen.carried.terms};
  const Change wanted = change(seen.present ? &present : nullptr);
  const Version now = seen.present ? seen.stored : kAbsent;
  if (wanted.kind == Change::Kind::kKeep) return Modified{false, now};
  if (wanted.kind == Change::Kind::kErase) {
    if (!seen.present) return Modified{false, kAbsent};
    const absl::StatusOr<bool> erased = DoEraseVersion(key, seen.stored);
    if (!erased.ok()) return erased.status();
    *again = !*erased;
    if (*erased && keeps_terms()) WakeWaiters();
    return Modified{*erased, kAbsent};
  }
  if (absl::Status status = CheckValue(wanted.value.size()); !status.ok()) return status;
  if (!keeps_terms() && wanted.terms != Terms{}) return LacksTerms();
  absl::StatusOr<CasResult> result;
  if (keeps_terms()) {
    terms_->written.assign(wanted.value);
    terms::Append(&terms_->written, wanted.terms, seen.era);
    result = SetSeen(key, seen, terms_->written);
  } else {
    result = DoCompareAndSwap(key, seen.stored, wanted.value);
  }
  if (!result.ok()) return result.status();
  *again = !result->swapped;
  return Modified{true, result->version};
}

absl::StatusOr<Modified> Store::Modify(std::string_view key,
                                       absl::FunctionRef<Change(const EntryView*)> change) {
  if (absl::Status status = CheckKey(key); !status.ok()) return status;
  while (true) {
    bool again = false;
    absl::StatusOr<Modified> modified = ModifyOnce(key, change, &again);
    if (!again) return modified;
  }
}

absl::StatusOr<CasResult> Store::Add(std::string_view key, std::string_view value,
                                     const Terms& terms) {
  const absl::StatusOr<Modified> modified = Modify(key, [&](const EntryView* present) {
    return present == nullptr ? Change::Set(value, terms) : Change::Keep();
  });
  if (!modified.ok()) return modified.status();
  return CasResult{modified->changed, modified->version};
}

absl::StatusOr<CasResult> Store::Replace(std::string_view key, std::string_view value,
                                         const Terms& terms) {
  const absl::StatusOr<Modified> modified = Modify(key, [&](const EntryView* present) {
    return present != nullptr ? Change::Set(value, terms) : Change::Keep();
  });
  if (!modified.ok()) return modified.status();
  return CasResult{modified->changed, modified->version};
}

absl::StatusOr<Version> Store::ChangePresent(
    std::string_view key, absl::FunctionRef<absl::Status(const EntryView&, std::string*)> change) {
  std::string value;
  absl::Status status;
  const absl::StatusOr<Modified> modified = Modify(key, [&](const EntryView* present) {
    status = present == nullptr ? Absent() : change(*present, &value);
    return status.ok() ? Change::Set(value, present->terms) : Change::Keep();
  });
  if (!modified.ok()) return modified.status();
  if (!status.ok()) return status;
  return modified->version;
}

absl::StatusOr<Version> Store::Append(std::string_view key, std::string_view bytes) {
  return ChangePresent(key, [&](const EntryView& present, std::string* value) {
    value->assign(present.value).append(bytes);
    return absl::OkStatus();
  });
}

absl::StatusOr<Version> Store::Prepend(std::string_view key, std::string_view bytes) {
  return ChangePresent(key, [&](const EntryView& present, std::string* value) {
    value->assign(bytes).append(present.value);
    return absl::OkStatus();
  });
}

absl::StatusOr<Incremented> Store::Increment(std::string_view key, int64_t by) {
  uint64_t number = 0;
  const absl::StatusOr<Version> version =
      ChangePresent(key, [&](const EntryView& present, std::string* value) -> absl::Status {
        const char* const end = present.value.data() + present.value.size();
        const auto [stopped, error] = std::from_chars(present.value.data(), end, number);
        if (error != std::errc() || stopped != end) {
          return absl::OutOfRangeError("the value is no decimal number of 64 bits");
        }
        // As unsigned numbers: also of the least one, which has no positive counterpart.
        const uint64_t amount = by < 0 ? 0 - static_cast<uint64_t>(by) : static_cast<uint64_t>(by);
        number = by >= 0 ? number + amount : number - std::min(number, amount);
        *value = std::to_string(number);
        return absl::OkStatus();
      });
  if (!version.ok()) return version.status();
  return Incremented{number, *version};
}

absl::StatusOr<Version> Store::Touch(std::string_view key, Expiry expires) {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  if (!keeps_terms()) return LacksTerms();
  std::string value;
  const absl::StatusOr<Modified> modified = Modify(key, [&](const EntryView* present) {
    if (present == nullptr) return Change::Keep();
    value.assign(present->value);
    return Change::Set(value, {expires, present->terms.mark});
  });
  if (!modified.ok()) return modified.status();
  if (!modified->changed) return Absent();
  return modified->version;
}

}  // namespace kill9
