#include "apps/memcached/items/items.h"

#include <sys/mman.h>

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

bool Items::Read(std::string_view key, std::string_view value, Version version, const Terms& terms,
                 Item* item) const {
  if (!ReadItem(key, value, version, terms, item)) return false;
  if (!uses_cas_) item->envelope.cas = 0;
  return true;
}

// Frees what is dead and takes room. Rarely: in a store that is full of the living it would look at
// all of them for nothing.
bool Items::MadeRoom(const absl::Status& status) {
  if (!absl::IsResourceExhausted(status) || now_ms_ - swept_ms_ < kSweepEveryMs) return false;
  swept_ms_ = now_ms_;
  const absl::StatusOr<uint64_t> dropped = stores_.DropExpired();
  return dropped.ok() && *dropped > 0;
}

Stored Items::FailureOf(const absl::Status& status) {
  if (absl::IsResourceExhausted(status)) return Stored::kNoRoom;
  if (absl::IsInvalidArgument(status)) return Stored::kTooLarge;
  error_ = status;
  return Stored::kFailed;
}

bool Items::Get(std::string_view key, Item* item) {
  Terms terms;
  const absl::StatusOr<Version> version = stores_.Of(key).Get(key, &present_, &terms);
  return version.ok() && Read(key, present_, *version, terms, item);
}

void Items::GetMany(std::span<const std::string_view> keys,
                    absl::FunctionRef<void(size_t index, const Item*)> visit) {
  error_ = stores_.GetMany(keys, [&](size_t index, const EntryView* entry) {
    Item item;
    const bool there =
        entry != nullptr && Read(keys[index], entry->value, entry->version, entry->terms, &item);
    visit(index, there ? &item : nullptr);
  });
}

Stored Items::Pin(std::string_view key, Item* item, PinnedValue* pin, bool* present) {
  absl::StatusOr<PinnedValue> pinned = stores_.Of(key).Pin(key);
  *present = false;
  if (absl::IsNotFound(pinned.status())) return Stored::kStored;
  if (!pinned.ok()) return FailureOf(pinned.status());
  *present = Read(key, pinned->value(), pinned->version(), pinned->terms(), item);
  *pin = *std::move(pinned);
  return Stored::kStored;
}

Stored Items::Set(std::string_view key, uint32_t client_flags, int64_t expires_ms,
                  std::string_view data, uint64_t* cas) {
  const Envelope envelope = NewEnvelope(client_flags, expires_ms);
  absl::StatusOr<Version> version = Put(key, envelope, data);
  if (!version.ok() && MadeRoom(version.status())) version = Put(key, envelope, data);
  if (!version.ok()) return FailureOf(version.status());
  *cas = uses_cas_ ? NumberOf(key, *version) : 0;
  return Stored::kStored;
}

// Of an item that needs no head.
absl::StatusOr<Version> Items::Put(std::string_view key, const Envelope& envelope,
                                   std::string_view data) {
  const Terms terms = TermsOf(envelope, false);
  if (data.size() < kDraftedBytes) return stores_.Of(key).Put(key, data, terms);
  absl::StatusOr<Draft> draft = stores_.Of(key).Reserve(key, data.size());
  if (!draft.ok()) return draft.status();
  std::memcpy(draft->bytes().data(), data.data(), data.size());
  return stores_.Of(key).Commit(*std::move(draft), terms);
}

Stored Items::Update(std::string_view key, Decide decide, uint64_t* cas) {
  for (;;) {
    Change change;
    const absl::StatusOr<Modified> modified =
        stores_.Of(key).Modify(key, [&](const EntryView* entry) {
          Item item;
          present_.assign(entry == nullptr ? std::string_view() : entry->value);
          const bool present =
              entry != nullptr && Read(key, present_, entry->version, entry->terms, &item);
          change = decide(present ? &item : nullptr);
          if (change.kind == Change::Kind::kLeave) return kill9::Change::Keep();
          if (change.kind == Change::Kind::kRemove) return kill9::Change::Erase();
          change.envelope.cas = change.keeps_cas ? item.envelope.cas : 0;
          const Terms terms = WriteItem(change.envelope, change.data, &next_);
          return kill9::Change::Set(next_, terms);
        });
    if (!modified.ok() && MadeRoom(modified.status())) continue;
    if (!modified.ok()) return FailureOf(modified.status());
    if (change.kind == Change::Kind::kLeave) return change.answer;
    if (change.kind == Change::Kind::kWrite) {
      *cas = change.envelope.cas != 0 || !uses_cas_ ? change.envelope.cas
                                                    : NumberOf(key, modified->version);
    }
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

bool Items::Flush() { return Flushed(stores_.Clear()); }

bool Items::FlushAt(int64_t unix_ms) { return Flushed(stores_.ClearAt(ExpiryOfMs(unix_ms))); }

// The disk has it before the client is answered.
bool Items::Flushed(const absl::Status& status) {
  error_ = status;
  if (!status.ok()) return false;
  // An error leaves what a crash of the machine would.
  for (const std::shared_ptr<Segment>& segment : stores_.segments()) {
    msync(segment->terms_area(), terms::kPageBytes, MS_SYNC);
  }
  return true;
}

void Items::SendToken(std::string_view key, Envelope* envelope) {
  envelope->state |= Envelope::kTokenSent;
  envelope->winner = stores_.Of(key).Name();
  envelope->token = ++last_token_;
}

void Items::TakeTokenBack(std::string_view key, uint64_t token) {
  uint64_t cas = 0;
  Update(
      key,
      [&](const Item* present) -> Change {
        if (present == nullptr || !present->envelope.Has(Envelope::kTokenSent) ||
            present->envelope.winner != stores_.Of(key).Name() ||
            present->envelope.token != token) {
          return {};
        }
        Envelope envelope = present->envelope;
        envelope.state &= ~Envelope::kTokenSent;
        return {.kind = Change::Kind::kWrite,
                .envelope = envelope,
                .keeps_cas = true,
                .data = present->data};
      },
      &cas);
}

void Items::ForEach(absl::FunctionRef<bool(std::string_view key, const Item&)> visit) {
  error_ = stores_.ForEach([&](const EntryView& entry) {
    Item item;
    return !Read(entry.key, entry.value, entry.version, entry.terms, &item) ||
           visit(entry.key, item);
  });
}

Items::Census Items::Count() {
  Census census;
  ForEach([&](std::string_view key, const Item& item) {
    ++census.items;
    census.bytes += key.size() + sizeof(terms::Trailer) + item.data.size();
    return true;
  });
  return census;
}

}  // namespace kill9::memcached
