#include "apps/memcached/items/items.h"

namespace kill9::memcached {
namespace {

constexpr int64_t kRelativeSecondsMost = 60 * 60 * 24 * 30;
constexpr int64_t kSweepEveryMs = 1000;
constexpr size_t kDraftedBytes = 16 << 10;  // longer values are written in place

}  // namespace

int64_t Items::ExpiryOf(int64_t exptime) const {
  if (exptime == 0) return Envelope::kNever;
  if (exptime < 0) return now_ms_;
  if (exptime <= kRelativeSecondsMost) return now_ms_ + exptime * 1000;
  return exptime > INT64_MAX / 1000 ? INT64_MAX : exptime * 1000;
}

Absence Items::AbsenceOf(const Envelope& envelope, uint32_t generation) const {
  if (envelope.generation != generation) return Absence::kFlushed;
  if (envelope.expires_ms != Envelope::kNever && envelope.expires_ms <= now_ms_) {
    return Absence::kExpired;
  }
  return Absence::kNone;
}

// Frees what is dead and takes room. Rarely: in a store that is full of the living it would look at
// all of them for nothing.
bool Items::MadeRoom(const absl::Status& status) {
  if (!absl::IsResourceExhausted(status) || now_ms_ - swept_ms_ < kSweepEveryMs) return false;
  swept_ms_ = now_ms_;
  uint64_t freed = 0;
  const uint32_t generation = control_.Generation(now_ms_);
  const absl::Status swept = store_.ForEach([&](const EntryView& entry) {
    if (IsAlive(entry.value, generation)) return true;
    const absl::StatusOr<Modified> erased = store_.Modify(entry.key, [&](const EntryView* present) {
      const bool dead = present != nullptr && !IsAlive(present->value, generation);
      return dead ? kill9::Change::Erase() : kill9::Change::Keep();
    });
    freed += erased.ok() && erased->changed ? 1 : 0;
    return true;
  });
  return swept.ok() && freed > 0;
}

bool Items::IsAlive(std::string_view value, uint32_t generation) const {
  Item item;
  return ReadItem(value, &item) && AbsenceOf(item.envelope, generation) == Absence::kNone;
}

Stored Items::FailureOf(const absl::Status& status) {
  if (absl::IsResourceExhausted(status)) return Stored::kNoRoom;
  if (absl::IsInvalidArgument(status)) return Stored::kTooLarge;
  error_ = status;
  return Stored::kFailed;
}

Absence Items::Get(std::string_view key, Item* item) {
  const uint32_t generation = control_.Generation(now_ms_);
  const absl::StatusOr<Version> version = store_.Get(key, &present_);
  if (!version.ok() || !ReadItem(present_, item)) return Absence::kMissing;
  return AbsenceOf(item->envelope, generation);
}

void Items::GetMany(std::span<const std::string_view> keys,
                    absl::FunctionRef<void(size_t index, Absence, const Item&)> visit) {
  const uint32_t generation = control_.Generation(now_ms_);
  error_ = store_.GetMany(keys, [&](size_t index, const EntryView* entry) {
    Item item;
    const bool there = entry != nullptr && ReadItem(entry->value, &item);
    visit(index, there ? AbsenceOf(item.envelope, generation) : Absence::kMissing, item);
  });
}

Stored Items::Pin(std::string_view key, Item* item, PinnedValue* pin, Absence* absence) {
  const uint32_t generation = control_.Generation(now_ms_);
  absl::StatusOr<PinnedValue> pinned = store_.Pin(key);
  *absence = Absence::kMissing;
  if (absl::IsNotFound(pinned.status())) return Stored::kStored;
  if (!pinned.ok()) return FailureOf(pinned.status());
  if (ReadItem(pinned->value(), item)) *absence = AbsenceOf(item->envelope, generation);
  *pin = *std::move(pinned);
  return Stored::kStored;
}

Stored Items::Set(std::string_view key, uint32_t client_flags, int64_t expires_ms,
                  std::string_view data, uint64_t* cas) {
  Envelope envelope = NewEnvelope(client_flags, expires_ms);
  envelope.generation = control_.Generation(now_ms_);
  envelope.cas = *cas = uses_cas_ ? control_.NextCas() : 0;
  absl::StatusOr<Version> version = Put(key, envelope, data);
  if (!version.ok() && MadeRoom(version.status())) version = Put(key, envelope, data);
  return version.ok() ? Stored::kStored : FailureOf(version.status());
}

absl::StatusOr<Version> Items::Put(std::string_view key, const Envelope& envelope,
                                   std::string_view data) {
  if (data.size() < kDraftedBytes) {
    WriteItem(envelope, data, &next_);
    return store_.Put(key, next_);
  }
  absl::StatusOr<Draft> draft = store_.Reserve(key, sizeof envelope + data.size());
  if (!draft.ok()) return draft.status();
  std::memcpy(draft->bytes().data(), &envelope, sizeof envelope);
  std::memcpy(draft->bytes().data() + sizeof envelope, data.data(), data.size());
  return store_.Commit(*std::move(draft));
}

Stored Items::Update(std::string_view key, Decide decide, uint64_t* cas) {
  for (;;) {
    Change change;
    const absl::StatusOr<Modified> modified = store_.Modify(key, [&](const EntryView* entry) {
      // After the look: who flushed before it has flushed what is seen.
      const uint32_t generation = control_.Generation(now_ms_);
      Item item;
      present_.assign(entry == nullptr ? std::string_view() : entry->value);
      const bool present =
          ReadItem(present_, &item) && AbsenceOf(item.envelope, generation) == Absence::kNone;
      change = decide(present ? &item : nullptr);
      if (change.kind == Change::Kind::kLeave) return kill9::Change::Keep();
      if (change.kind == Change::Kind::kRemove) return kill9::Change::Erase();
      Envelope& envelope = change.envelope;
      envelope.generation = generation;
      envelope.cas = change.keeps_cas ? item.envelope.cas : uses_cas_ ? control_.NextCas() : 0;
      WriteItem(envelope, change.data, &next_);
      return kill9::Change::Set(next_);
    });
    if (!modified.ok() && MadeRoom(modified.status())) continue;
    if (!modified.ok()) return FailureOf(modified.status());
    if (change.kind == Change::Kind::kLeave) return change.answer;
    if (change.kind == Change::Kind::kWrite) *cas = change.envelope.cas;
    return Stored::kStored;
  }
}

bool Items::Remove(std::string_view key) {
  uint64_t cas = 0;
  return Update(
             key,
             [](const Item* present) -> Change {
               if (present == nullptr) return {.answer = Stored::kNotFound};
               return {.kind = Change::Kind::kRemove};
             },
             &cas) == Stored::kStored;
}

void Items::ForEach(absl::FunctionRef<bool(std::string_view key, const Item&)> visit) {
  const uint32_t generation = control_.Generation(now_ms_);
  error_ = store_.ForEach([&](const EntryView& entry) {
    Item item;
    const bool alive =
        ReadItem(entry.value, &item) && AbsenceOf(item.envelope, generation) == Absence::kNone;
    return !alive || visit(entry.key, item);
  });
}

Items::Census Items::Count() {
  Census census;
  ForEach([&](std::string_view key, const Item& item) {
    ++census.items;
    census.bytes += key.size() + sizeof(Envelope) + item.data.size();
    return true;
  });
  return census;
}

}  // namespace kill9::memcached
