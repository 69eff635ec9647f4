// What the commands that store make of the item that is there.
#include <limits>

#include "apps/memcached/commands/executor.h"
#include "apps/memcached/protocol/words.h"

namespace kill9::memcached {
namespace {

using Change = Items::Change;

Change Leave(Stored answer) { return {.answer = answer}; }

// One letter for every command that stores: those of `ms`.
char ModeOf(const Request& request) {
  switch (request.command) {
    case Command::kAdd:
      return 'E';
    case Command::kReplace:
      return 'R';
    case Command::kAppend:
      return 'A';
    case Command::kPrepend:
      return 'P';
    case Command::kMetaSet:
      return request.mode == 0 ? 'S' : static_cast<char>(request.mode & ~0x20);
    default:
      return 'S';
  }
}

}  // namespace

Stored Executor::StoreItem(const Request& request, uint64_t* cas) {
  Count(Counter::kCmdSet);
  Stored stored = Stored::kStored;
  bool keeps_token = false;
  if (ModeOf(request) == 'S' && !request.has_cas) {
    stored = items_.Set(request.key, request.client_flags, items_.ExpiryOf(request.exptime),
                        request.data, cas);
  } else {
    stored = items_.Update(
        request.key,
        [&](const Item* present) {
          Items::Change change = DecideStore(request, present);
          keeps_token = change.envelope.Has(Envelope::kTokenSent);
          return change;
        },
        cas);
  }
  if (stored == Stored::kStored) {
    Count(Counter::kTotalItems);
    if (!keeps_token) leases_->Forget(request.key);
  }
  if (request.has_cas) {
    if (stored == Stored::kStored) Count(Counter::kCasHits);
    if (stored == Stored::kNotFound) Count(Counter::kCasMisses);
    if (stored == Stored::kExists) Count(Counter::kCasBadValue);
  }
  return stored;
}

Items::Change Executor::DecideStore(const Request& request, const Item* present) {
  const char mode = ModeOf(request);
  Envelope envelope = items_.NewEnvelope(request.client_flags, items_.ExpiryOf(request.exptime));
  if (request.has_cas) {
    if (present == nullptr) return Leave(Stored::kNotFound);
    const uint64_t number = present->envelope.cas;
    if (number != request.cas) {
      if (!request.flags.Has('I') || request.cas > number) return Leave(Stored::kExists);
      // An older one than is there: it is kept for those who take what is stale, and no longer.
      envelope.expires_ms = present->envelope.expires_ms;
      envelope.state = Envelope::kStale | (present->envelope.state & Envelope::kTokenSent);
      envelope.winner = present->envelope.winner;
      envelope.token = present->envelope.token;
    }
  }
  if (mode == 'E' && present != nullptr) return Leave(Stored::kNotStored);
  if (mode != 'E' && mode != 'S' && present == nullptr) return Leave(Stored::kNotStored);
  if (mode == 'A' || mode == 'P') return Joined(request, *present, mode == 'A');
  return {.kind = Change::Kind::kWrite, .envelope = envelope, .data = request.data};
}

// Flags and time are the present item's.
Items::Change Executor::Joined(const Request& request, const Item& present, bool appends) {
  if (present.data.size() + request.data.size() > options_.value_bytes_most) {
    return Leave(Stored::kTooLarge);
  }
  joined_.assign(appends ? present.data : request.data);
  joined_.append(appends ? request.data : present.data);
  return {.kind = Change::Kind::kWrite, .envelope = present.envelope, .data = joined_};
}

Stored Executor::ChangeNumber(const Request& request, bool adds, uint64_t* result, Item* after,
                              uint64_t* cas) {
  const bool vivifies = request.flags.Has('N');
  return items_.Update(
      request.key,
      [&](const Item* present) -> Change {
        if (present == nullptr && !vivifies) return Leave(Stored::kNotFound);
        Envelope envelope;
        if (present == nullptr) {
          *result = request.initial;
          envelope = items_.NewEnvelope(0, items_.ExpiryOf(request.vivify_ttl));
        } else {
          if (request.has_cas && present->envelope.cas != request.cas) {
            return Leave(Stored::kExists);
          }
          uint64_t number = 0;
          if (!ParseNumber(present->data, &number)) return Leave(Stored::kNotANumber);
          *result = adds ? number + request.delta : number - std::min(number, request.delta);
          envelope = present->envelope;
          if (request.has_exptime) envelope.expires_ms = items_.ExpiryOf(request.exptime);
        }
        char digits[24];
        const auto end = std::to_chars(digits, digits + sizeof digits, *result).ptr;
        joined_.assign(digits, static_cast<size_t>(end - digits));
        after->envelope = envelope;
        return {.kind = Change::Kind::kWrite, .envelope = envelope, .data = joined_};
      },
      cas);
}

}  // namespace kill9::memcached
