#include "apps/memcached/commands/executor.h"

#include <array>

namespace kill9::memcached {
namespace {

constexpr size_t kKeysAtOnce = 32;
constexpr size_t kPinnedBytes = 16 << 10;  // from here on a pin costs less than a copy

}  // namespace

Executor::Next Executor::Run(const Request& request, size_t* keys_done, Leases* leases) {
  leases_ = leases;
  switch (request.command) {
    case Command::kGet:
    case Command::kGets:
    case Command::kGat:
    case Command::kGats:
      return Get(request, keys_done);
    case Command::kSet:
    case Command::kAdd:
    case Command::kReplace:
    case Command::kAppend:
    case Command::kPrepend:
    case Command::kCas:
      Store(request);
      break;
    case Command::kIncr:
    case Command::kDecr:
      Arithmetic(request);
      break;
    case Command::kTouch:
      Touch(request);
      break;
    case Command::kDelete:
      Delete(request);
      break;
    case Command::kFlushAll:
      FlushAll(request);
      break;
    case Command::kStats:
      Stats(request);
      break;
    case Command::kVerbosity:
      Answer(request, "OK");
      break;
    case Command::kVersion:
      output_.AppendLine("VERSION " KILL9_MEMCACHED_VERSION);
      break;
    case Command::kQuit:
      return Next::kClose;
    case Command::kShutdown:
      return ShutDown(request);
    case Command::kDebugTime:
      DebugTime(request);
      break;
    case Command::kMetaGet:
      MetaGet(request);
      break;
    case Command::kMetaSet:
      MetaSet(request);
      break;
    case Command::kMetaDelete:
      MetaDelete(request);
      break;
    case Command::kMetaArithmetic:
      MetaArithmetic(request);
      break;
    case Command::kMetaDebug:
      MetaDebug(request);
      break;
    case Command::kMetaNoop:
      output_.AppendLine("MN");
      break;
  }
  return Next::kGoOn;
}

Executor::Next Executor::Get(const Request& request, size_t* keys_done) {
  Words keys(request.arguments.substr(*keys_done));
  for (;;) {
    const bool done = request.command == Command::kGet || request.command == Command::kGets
                          ? GetSome(request, keys)
                          : GetAndTouchOne(request, keys.Next());
    if (done) break;
    if (!output_.full()) continue;
    *keys_done = request.arguments.size() - keys.rest().size();
    return Next::kPaused;
  }
  output_.Append("END\r\n");
  return Next::kGoOn;
}

// True: there were no more. Long values are pinned one by one.
bool Executor::GetSome(const Request& request, Words& words) {
  const bool shows_cas = request.command == Command::kGets;
  std::array<std::string_view, kKeysAtOnce> keys;
  size_t count = 0;
  const size_t most = expects_large_ ? 1 : keys.size();
  while (count < most && !(keys[count] = words.Next()).empty()) ++count;
  if (count == 1) {
    Item item;
    PinnedValue pin;
    if (Find(keys[0], &item, &pin)) {
      AppendItem(keys[0], item, shows_cas);
      AppendData(std::move(pin), item.data);
    }
  } else if (count > 1) {
    items_.GetMany({keys.data(), count}, [&](size_t i, const Item* item) {
      if (!CountGet(item)) return;
      AppendItem(keys[i], *item, shows_cas);
      AppendData({}, item->data);
    });
  }
  return count < most;
}

bool Executor::GetAndTouchOne(const Request& request, std::string_view key) {
  if (key.empty()) return true;
  Item item;
  if (GetAndTouch(request, key, &item)) {
    AppendItem(key, item, request.command == Command::kGats);
    AppendData({}, item.data);
  }
  return false;
}

void Executor::AppendItem(std::string_view key, const Item& item, bool shows_cas) {
  output_.Append("VALUE ");
  output_.Append(key);
  output_.Append(" ");
  output_.AppendNumber(item.envelope.client_flags);
  output_.Append(" ");
  output_.AppendNumber(item.data.size());
  if (shows_cas) {
    output_.Append(" ");
    output_.AppendNumber(item.envelope.cas);
  }
  output_.Append("\r\n");
}

void Executor::AppendData(PinnedValue pin, std::string_view data) {
  if (pin.version() != kAbsent && data.size() >= kPinnedBytes) {
    output_.AppendPinned(std::move(pin), data);
  } else {
    output_.Append(data);
  }
  output_.Append("\r\n");
}

// How long a value is, is known when it has been read. Who reads long ones mostly reads more of
// them: after a long value the next is pinned, after a short one the next is copied.
bool Executor::Find(std::string_view key, Item* item, PinnedValue* pin) {
  bool present = false;
  const bool pinned = expects_large_ && output_.may_pin() &&
                      items_.Pin(key, item, pin, &present) == Stored::kStored;
  if (!pinned) present = items_.Get(key, item);
  return CountGet(present ? item : nullptr);
}

// Whether it was a hit.
bool Executor::CountGet(const Item* item) {
  Count(Counter::kCmdGet);
  Count(item != nullptr ? Counter::kGetHits : Counter::kGetMisses);
  if (item != nullptr) expects_large_ = item->data.size() >= kPinnedBytes;
  return item != nullptr;
}

bool Executor::GetAndTouch(const Request& request, std::string_view key, Item* item) {
  Count(Counter::kCmdTouch);
  uint64_t cas = 0;
  const Stored stored = items_.Update(
      key,
      [&](const Item* present) -> Items::Change {
        if (present == nullptr) return {.answer = Stored::kNotFound};
        *item = *present;
        Envelope envelope = present->envelope;
        envelope.expires_ms = items_.ExpiryOf(request.exptime);
        envelope.accessed_s = items_.now_s();
        return {.kind = Items::Change::Kind::kWrite,
                .envelope = envelope,
                .keeps_cas = true,
                .data = present->data};
      },
      &cas);
  const bool hit = stored == Stored::kStored;
  Count(hit ? Counter::kTouchHits : Counter::kTouchMisses);
  if (!hit) Count(Counter::kGetMisses);
  return hit;
}

void Executor::Touch(const Request& request) {
  Item item;
  const bool hit = GetAndTouch(request, request.key, &item);
  Answer(request, hit ? "TOUCHED" : "NOT_FOUND");
}

void Executor::Delete(const Request& request) {
  const bool removed = items_.Remove(request.key);
  Count(removed ? Counter::kDeleteHits : Counter::kDeleteMisses);
  Answer(request, removed ? "DELETED" : "NOT_FOUND");
}

void Executor::Store(const Request& request) {
  uint64_t cas = 0;
  switch (const Stored stored = StoreItem(request, &cas); stored) {
    case Stored::kStored:
      return Answer(request, "STORED");
    case Stored::kNotStored:
      return Answer(request, "NOT_STORED");
    case Stored::kExists:
      return Answer(request, "EXISTS");
    case Stored::kNotFound:
      return Answer(request, "NOT_FOUND");
    default:
      AnswerFailure(request, stored);
  }
}

void Executor::AnswerFailure(const Request& request, Stored stored) {
  switch (stored) {
    case Stored::kNotANumber:
      return Answer(request, "CLIENT_ERROR cannot increment or decrement non-numeric value");
    case Stored::kTooLarge:
      Count(Counter::kTooLarge);
      return Answer(request, "SERVER_ERROR object too large for cache");
    case Stored::kNoRoom:
      Count(Counter::kNoMemory);
      return Answer(request, "SERVER_ERROR out of memory storing object");
    default:
      Answer(request, "SERVER_ERROR the store does not answer");
  }
}

void Executor::DropTooLarge(const Request& request) {
  Count(Counter::kTooLarge);
  items_.Remove(request.key);
}

void Executor::Arithmetic(const Request& request) {
  const bool adds = request.command == Command::kIncr;
  uint64_t result = 0, cas = 0;
  Item after;
  const Stored stored = ChangeNumber(request, adds, &result, &after, &cas);
  if (stored == Stored::kStored) {
    Count(adds ? Counter::kIncrHits : Counter::kDecrHits);
    if (request.noreply) return;
    output_.AppendNumber(result);
    output_.Append("\r\n");
  } else if (stored == Stored::kNotFound) {
    Count(adds ? Counter::kIncrMisses : Counter::kDecrMisses);
    Answer(request, "NOT_FOUND");
  } else {
    AnswerFailure(request, stored);
  }
}

void Executor::FlushAll(const Request& request) {
  if (!options_.may_flush) return Answer(request, "CLIENT_ERROR flush_all not allowed");
  Count(Counter::kCmdFlush);
  const int64_t at_ms = items_.ExpiryOf(request.exptime);
  const bool is_now = at_ms <= items_.now_ms();
  if (!(is_now ? items_.Flush() : items_.FlushAt(at_ms))) {
    return AnswerFailure(request, Stored::kFailed);
  }
  Answer(request, "OK");
}

void Executor::DebugTime(const Request& request) {
  int64_t seconds = 0;
  if (!options_.may_move_clock || !ParseNumber(Words(request.arguments).Next(), &seconds)) {
    return Answer(request, "ERROR");
  }
  // Relaxed: it stands for itself.
  shared_.clock_shift_ms.fetch_add(seconds * 1000, std::memory_order_relaxed);
  items_.set_now_ms(items_.now_ms() + seconds * 1000);
  Answer(request, "OK");
}

}  // namespace kill9::memcached
