// The meta commands.
#include "apps/memcached/commands/executor.h"

namespace kill9::memcached {
namespace {

using Change = Items::Change;

// What a client is told of an item that several want to make anew.
struct Recache {
  bool won = false;    // W: it shall do it
  bool stale = false;  // X
  bool sent = false;   // Z: another one does it
};

int64_t SecondsLeft(int64_t expires_ms, int64_t now_ms) {
  return expires_ms == Envelope::kNever ? -1 : (expires_ms - now_ms) / 1000;
}

// Whether this client shall make the item anew.
Recache RecacheOf(const Request& request, const Envelope& envelope, const Items& items) {
  Recache recache;
  recache.stale = envelope.Has(Envelope::kStale);
  const int64_t left = SecondsLeft(envelope.expires_ms, items.now_ms());
  const bool ends_soon = request.flags.Has('R') && left >= 0 && left < request.recache_ttl;
  const bool unmade = envelope.Has(Envelope::kUnmade);
  const bool held = items.HoldsToken(request.key, envelope);
  recache.won = !held && (recache.stale || ends_soon || (unmade && request.flags.Has('N')));
  recache.sent = held || (unmade && !recache.won);
  return recache;
}

}  // namespace

struct Executor::Fetched {
  Item item;               // as it was before
  int64_t expires_ms = 0;  // as it is now
  Recache recache;
  PinnedValue pin;
};

// False: it is absent. Most requests only read; who may win, touches, or wants to know who was
// here before, changes the item in the same step.
bool Executor::Fetch(const Request& request, Fetched* fetched) {
  const bool vivifies = request.flags.Has('N');
  const bool marks = (request.flags.Has('h') || request.flags.Has('l')) && !request.flags.Has('u');
  const bool reads_only = !request.has_exptime && !marks;
  Item& item = fetched->item;
  if (reads_only) {
    if (Find(request.key, &item, &fetched->pin)) {
      fetched->recache = RecacheOf(request, item.envelope, items_);
      fetched->expires_ms = item.envelope.expires_ms;
      if (!fetched->recache.won) return true;
      fetched->pin.Release();
    } else if (!vivifies) {
      return false;
    }
  }
  uint64_t cas = 0;
  const Stored stored = items_.Update(
      request.key,
      [&](const Item* present) -> Change {
        if (present == nullptr) {
          if (!vivifies) return {.answer = Stored::kNotFound};
          Envelope envelope = items_.NewEnvelope(0, items_.ExpiryOf(request.vivify_ttl));
          envelope.state = Envelope::kUnmade;
          items_.SendToken(request.key, &envelope);
          item = {.envelope = envelope, .data = {}};
          fetched->expires_ms = envelope.expires_ms;
          fetched->recache = {.won = true};
          return {.kind = Change::Kind::kWrite, .envelope = envelope};
        }
        item = *present;
        Envelope envelope = present->envelope;
        fetched->recache = RecacheOf(request, envelope, items_);
        if (fetched->recache.won) {
          items_.SendToken(request.key, &envelope);
          item.envelope.token = envelope.token;
        }
        if (request.has_exptime) envelope.expires_ms = items_.ExpiryOf(request.exptime);
        if (marks) {
          envelope.state |= Envelope::kFetched;
          envelope.accessed_s = items_.now_s();
        }
        fetched->expires_ms = envelope.expires_ms;
        return {.kind = Change::Kind::kWrite,
                .envelope = envelope,
                .keeps_cas = true,
                .data = present->data};
      },
      &cas);
  item.envelope.cas = cas;
  if (stored == Stored::kStored && fetched->recache.won) {
    leases_->Add(request.key, item.envelope.token);
  }
  if (!reads_only) {
    Count(Counter::kCmdGet);
    Count(stored == Stored::kStored ? Counter::kGetHits : Counter::kGetMisses);
  }
  return stored == Stored::kStored;
}

void Executor::AppendTtl(int64_t expires_ms) {
  output_.Append(" t");
  output_.AppendNumber(SecondsLeft(expires_ms, items_.now_ms()));
}

void Executor::MetaGet(const Request& request) {
  Count(Counter::kCmdMeta);
  Fetched fetched;
  if (!Fetch(request, &fetched)) {
    if (!request.noreply) AnswerMeta(request, "EN", 0);
    return;
  }
  const Envelope& envelope = fetched.item.envelope;
  const std::string_view data = fetched.item.data;
  const bool shows_value = request.flags.Has('v');
  output_.Append(shows_value ? "VA " : "HD");
  if (shows_value) output_.AppendNumber(data.size());
  // A time that is asked for before it is changed is the old one.
  int64_t expires_ms = request.has_exptime ? envelope.expires_ms : fetched.expires_ms;
  const auto number = [&](std::string_view letter, uint64_t value) {
    output_.Append(letter);
    output_.AppendNumber(value);
  };
  for (const MetaFlag& flag : request.flags.all()) {
    switch (flag.letter) {
      case 'c':
        number(" c", envelope.cas);
        break;
      case 'f':
        number(" f", envelope.client_flags);
        break;
      case 'h':
        number(" h", envelope.Has(Envelope::kFetched) ? 1 : 0);
        break;
      case 'l':
        number(" l", items_.now_s() - envelope.accessed_s);
        break;
      case 's':
        number(" s", data.size());
        break;
      case 't':
        AppendTtl(expires_ms);
        break;
      case 'T':
        expires_ms = fetched.expires_ms;
        break;
      default:
        AppendEcho(request, flag);
        break;
    }
  }
  if (fetched.recache.won) output_.Append(" W");
  if (fetched.recache.stale) output_.Append(" X");
  if (fetched.recache.sent) output_.Append(" Z");
  output_.Append("\r\n");
  if (shows_value) AppendData(std::move(fetched.pin), data);
}

// A flag that any answer repeats, if it is one.
void Executor::AppendEcho(const Request& request, const MetaFlag& flag) {
  switch (flag.letter) {
    case 'O':
      output_.Append(" O");
      output_.Append(flag.token);
      break;
    case 'k':
      AppendKey(request);
      break;
    case 'b':
      output_.Append(" b");
      break;
    default:
      break;
  }
}

// A code, and those flags that any answer repeats.
void Executor::AnswerMeta(const Request& request, std::string_view code, uint64_t cas) {
  output_.Append(code);
  for (const MetaFlag& flag : request.flags.all()) {
    switch (flag.letter) {
      case 'c':
        if (code == "EN") break;
        output_.Append(" c");
        output_.AppendNumber(cas);
        break;
      default:
        AppendEcho(request, flag);
        break;
    }
  }
  output_.Append("\r\n");
}

void Executor::MetaSet(const Request& request) {
  Count(Counter::kCmdMeta);
  uint64_t cas = 0;
  switch (const Stored stored = StoreItem(request, &cas); stored) {
    case Stored::kStored:
      if (!request.noreply) AnswerMeta(request, "HD", cas);
      return;
    case Stored::kNotStored:
      return AnswerMeta(request, "NS", 0);
    case Stored::kExists:
      return AnswerMeta(request, "EX", 0);
    case Stored::kNotFound:
      return AnswerMeta(request, "NF", 0);
    default:
      AnswerFailure(request, stored);
  }
}

void Executor::MetaDelete(const Request& request) {
  Count(Counter::kCmdMeta);
  const bool invalidates = request.flags.Has('I');
  Stored stored = Stored::kNotFound;
  uint64_t cas = 0;
  if (!invalidates && !request.has_cas) {
    if (items_.Remove(request.key)) stored = Stored::kStored;
  } else {
    stored = items_.Update(
        request.key,
        [&](const Item* present) -> Change {
          if (present == nullptr) return {.answer = Stored::kNotFound};
          if (request.has_cas && present->envelope.cas != request.cas) {
            return {.answer = Stored::kExists};
          }
          if (!invalidates) return {.kind = Change::Kind::kRemove};
          Envelope envelope = present->envelope;
          envelope.state = Envelope::kStale;
          if (request.has_exptime) envelope.expires_ms = items_.ExpiryOf(request.exptime);
          return {.kind = Change::Kind::kWrite, .envelope = envelope, .data = present->data};
        },
        &cas);
  }
  Count(stored == Stored::kStored ? Counter::kDeleteHits : Counter::kDeleteMisses);
  if (stored == Stored::kExists) return AnswerMeta(request, "EX", 0);
  if (stored != Stored::kStored && stored != Stored::kNotFound) {
    return AnswerFailure(request, stored);
  }
  if (!request.noreply) AnswerMeta(request, stored == Stored::kStored ? "HD" : "NF", 0);
}

void Executor::MetaArithmetic(const Request& request) {
  Count(Counter::kCmdMeta);
  const bool adds = request.mode != 'D' && request.mode != 'd' && request.mode != '-';
  uint64_t result = 0, cas = 0;
  Item after;
  const Stored stored = ChangeNumber(request, adds, &result, &after, &cas);
  if (stored == Stored::kExists) return AnswerMeta(request, "EX", 0);
  if (stored == Stored::kNotFound) {
    Count(adds ? Counter::kIncrMisses : Counter::kDecrMisses);
    if (!request.noreply) AnswerMeta(request, "NF", 0);
    return;
  }
  if (stored != Stored::kStored) return AnswerFailure(request, stored);
  Count(adds ? Counter::kIncrHits : Counter::kDecrHits);
  const bool shows_value = request.flags.Has('v');
  if (request.noreply && !shows_value) return;
  output_.Append(shows_value ? "VA " : "HD");
  if (shows_value) output_.AppendNumber(joined_.size());
  for (const MetaFlag& flag : request.flags.all()) {
    switch (flag.letter) {
      case 't':
        AppendTtl(after.envelope.expires_ms);
        break;
      case 'c':
        output_.Append(" c");
        output_.AppendNumber(cas);
        break;
      default:
        AppendEcho(request, flag);
        break;
    }
  }
  output_.Append("\r\n");
  if (shows_value) output_.AppendLine(joined_);
}

void Executor::MetaDebug(const Request& request) {
  Count(Counter::kCmdMeta);
  Item item;
  if (!items_.Get(request.key, &item)) return output_.AppendLine("EN");
  const Envelope& envelope = item.envelope;
  output_.Append("ME ");
  output_.Append(request.key_as_sent);
  output_.Append(" exp=");
  output_.AppendNumber(SecondsLeft(envelope.expires_ms, items_.now_ms()));
  output_.Append(" la=");
  output_.AppendNumber(items_.now_s() - envelope.accessed_s);
  output_.Append(" cas=");
  output_.AppendNumber(envelope.cas);
  output_.Append(envelope.Has(Envelope::kFetched) ? " fetch=yes" : " fetch=no");
  output_.Append(" cls=1 size=");
  output_.AppendNumber(request.key.size() + sizeof(terms::Trailer) + item.data.size());
  output_.Append("\r\n");
}

}  // namespace kill9::memcached
