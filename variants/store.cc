#include "variants/store.h"

#include "absl/strings/str_cat.h"

namespace kill9 {

PinnedValue& PinnedValue::operator=(PinnedValue&& other) noexcept {
  if (this != &other) {
    Release();
    store_ = std::exchange(other.store_, nullptr);
    hold_ = other.hold_;
    value_ = std::exchange(other.value_, {});
    version_ = std::exchange(other.version_, kAbsent);
    terms_ = std::exchange(other.terms_, Terms{});
  }
  return *this;
}

void PinnedValue::Release() {
  value_ = {};  // what it showed may belong to somebody else from here on
  version_ = kAbsent;
  terms_ = {};
  if (Store* store = std::exchange(store_, nullptr); store != nullptr && store->guard().owns()) {
    store->DoReleasePin(hold_);
  }
}

Draft& Draft::operator=(Draft&& other) noexcept {
  if (this != &other) {
    Drop();
    store_ = std::exchange(other.store_, nullptr);
    hold_ = other.hold_;
    bytes_ = std::exchange(other.bytes_, {});
  }
  return *this;
}

void Draft::Drop() {
  bytes_ = {};
  if (Store* store = std::exchange(store_, nullptr); store != nullptr && store->guard().owns()) {
    store->DoDropDraft(hold_);
  }
}

absl::Status Store::CheckKey(std::string_view key) const {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  if (key.empty()) return absl::InvalidArgumentError("the key is empty; keys have at least 1 byte");
  if (key.size() > max_key_bytes()) {
    return absl::InvalidArgumentError(absl::StrCat("the key has ", key.size(), " bytes; at most ",
                                                   max_key_bytes(), " are allowed"));
  }
  return absl::OkStatus();
}

absl::Status Store::CheckValue(size_t size) const {
  if (size > max_value_bytes()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the value has ", size, " bytes; this segment takes at most ", max_value_bytes()));
  }
  return absl::OkStatus();
}

absl::StatusOr<Version> Store::Put(std::string_view key, std::string_view value) {
  if (guard().mine() && Fits(key) && value.size() <= known_max_value_bytes_) [[likely]] {
    return DoPut(key, value);
  }
  return PutChecked(key, value);
}

absl::StatusOr<Version> Store::PutChecked(std::string_view key, std::string_view value) {
  if (absl::Status status = CheckKey(key); !status.ok()) return status;
  if (keeps_terms()) return PutWithTerms(key, value, {});
  if (absl::Status status = CheckValue(value.size()); !status.ok()) return status;
  LearnLimits();
  return DoPut(key, value);
}

absl::StatusOr<Version> Store::Put(std::string_view key, std::string_view value,
                                   const Terms& terms) {
  if (absl::Status status = CheckKey(key); !status.ok()) return status;
  return keeps_terms() ? PutWithTerms(key, value, terms) : LacksTerms();
}

absl::StatusOr<Version> Store::Get(std::string_view key, std::string* value, Terms* terms) {
  if (guard().mine() && FitsWithTerms(key)) [[likely]]
    return DoGetWithTerms(key, value, terms);
  if (absl::Status status = CheckKey(key); !status.ok()) return status;
  if (!keeps_terms()) return LacksTerms();
  LearnLimits();
  return DoGetWithTerms(key, value, terms);
}

absl::StatusOr<Version> Store::Get(std::string_view key, std::string* value) {
  if (guard().mine()) [[likely]] {
    if (Fits(key)) return DoGet(key, value);
    if (FitsWithTerms(key)) return DoGetWithTerms(key, value, nullptr);
  }
  return GetChecked(key, value);
}

absl::StatusOr<Version> Store::GetChecked(std::string_view key, std::string* value) {
  if (keeps_terms()) return Get(key, value, nullptr);
  if (absl::Status status = CheckKey(key); !status.ok()) return status;
  LearnLimits();
  return DoGet(key, value);
}

absl::StatusOr<bool> Store::Erase(std::string_view key) {
  if (absl::Status status = CheckKey(key); !status.ok()) return status;
  return keeps_terms() ? EraseWithTerms(key) : DoErase(key);
}

absl::StatusOr<CasResult> Store::CompareAndSwap(std::string_view key, Version expected,
                                                std::string_view value, const Terms& terms) {
  if (!keeps_terms()) {
    if (absl::Status status = CheckKey(key); !status.ok()) return status;
    if (absl::Status status = CheckValue(value.size()); !status.ok()) return status;
    return terms == Terms{} ? DoCompareAndSwap(key, expected, value) : LacksTerms();
  }
  const absl::StatusOr<Modified> modified = Modify(key, [&](const EntryView* present) {
    const Version version = present == nullptr ? kAbsent : present->version;
    return version == expected ? Change::Set(value, terms) : Change::Keep();
  });
  if (!modified.ok()) return modified.status();
  return CasResult{modified->changed, modified->version};
}

absl::StatusOr<PinnedValue> Store::Pin(std::string_view key) {
  if (absl::Status status = CheckKey(key); !status.ok()) return status;
  return keeps_terms() ? PinWithTerms(key) : DoPin(key);
}

absl::StatusOr<Draft> Store::Reserve(std::string_view key, size_t size) {
  if (absl::Status status = CheckKey(key); !status.ok()) return status;
  if (absl::Status status = CheckValue(size); !status.ok()) return status;
  if (!keeps_terms()) return DoReserve(key, size);
  absl::StatusOr<Draft> draft = DoReserve(key, size + sizeof(terms::Trailer));
  if (draft.ok()) draft->bytes_ = draft->bytes_.first(size);
  return draft;
}

absl::StatusOr<Version> Store::Commit(Draft draft, const Terms& terms) {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  if (draft.store_ != this) {
    return absl::InvalidArgumentError("the draft is spent, or another store's");
  }
  if (!keeps_terms() && terms != Terms{}) return LacksTerms();  // the draft is dropped
  draft.store_ = nullptr;
  return keeps_terms() ? CommitWithTerms(draft.hold_, draft.bytes_, terms) : DoCommit(draft.hold_);
}

absl::Status Store::ForEach(absl::FunctionRef<bool(const EntryView&)> visit) {
  if (absl::Status status = CheckHandle(); !status.ok()) return status;
  return keeps_terms() ? ForEachWithTerms(visit) : DoForEach(visit);
}

}  // namespace kill9
