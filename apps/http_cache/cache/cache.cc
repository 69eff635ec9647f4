#include "apps/http_cache/cache/cache.h"

#include <openssl/sha.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kill9::http {
namespace {

constexpr uint64_t kMostPieceBytes = 1 << 20;
constexpr uint64_t kMostInlineBytes = 128 << 10;
constexpr size_t kMostHeldPieces = 8;
constexpr int64_t kPassLasts_ms = 10'000;
constexpr int64_t kInvalidatedLasts_ms = 3'600'000;     // longer than any fetch of before
constexpr int64_t kStaleLasts_ms = 7 * 24 * 3'600'000;  // what can be validated
constexpr int64_t kForEver_ms = 10 * 365 * 24 * 3'600'000LL;
constexpr int64_t kPiecesOutlast_ms = 60'000;

std::string VariantKey(const std::string& resource, uint64_t id, const std::string& values) {
  return absl::StrCat("v", absl::Hex(id), "\n", resource, "\n", values);
}

}  // namespace

Cache::Cache(server::Cluster* stores, uint64_t max_object_bytes)
    : stores_(stores),
      keeps_terms_(stores->keeps_terms()),
      max_key_bytes_(stores->max_key_bytes()),
      max_object_bytes_(max_object_bytes),
      piece_bytes_(std::min<uint64_t>(kMostPieceBytes, stores->max_value_bytes() / 8)) {}

// A key that is too long for the store, or could be taken for such a digest, is digested.
std::string Cache::StoreKey(std::string_view key) const {
  if (key.size() <= max_key_bytes_ && !key.starts_with('#')) return std::string(key);
  std::string digest(1 + SHA256_DIGEST_LENGTH, '#');
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(),
         reinterpret_cast<unsigned char*>(digest.data() + 1));
  return digest;
}

std::string Cache::PieceKey(uint64_t id, uint64_t piece) const {
  return absl::StrCat("p", absl::Hex(id), "/", piece);
}

uint64_t Cache::NewId() {
  uint64_t id = 0;
  while (id == 0) id = uint64_t{entropy_()} << 32 | entropy_();
  return id;
}

std::optional<Found> Cache::Get(Store& store, std::string_view key, Version* version) {
  const std::string store_key = StoreKey(key);
  Found found;
  absl::StatusOr<PinnedValue> pinned = store.Pin(store_key);
  std::string_view bytes;
  if (pinned.ok()) {
    found.pin = *std::move(pinned);
    *version = found.pin.version();
    bytes = found.pin.value();
  } else if (!absl::IsNotFound(pinned.status())) {
    found.copy = std::make_unique<std::string>();
    const absl::StatusOr<Version> got = store.Get(store_key, found.copy.get());
    if (!got.ok()) return std::nullopt;
    *version = *got;
    bytes = *found.copy;
  } else {
    return std::nullopt;
  }
  const std::optional<Record> record = ReadRecord(bytes, key);
  if (!record) return std::nullopt;
  found.record = *record;
  return found;
}

Lookup Cache::Find(std::string resource, const Fields& request, int64_t now_ms) {
  Lookup lookup;
  Place& place = lookup.place;
  place.resource = std::move(resource);
  place.key = place.resource;
  Store& store = stores_->Of(place.resource);
  std::optional<Found> found = Get(store, place.resource, &place.resource_version);
  place.version = place.resource_version;
  if (!found) return lookup;
  const RecordHead& fixed = found->record.fixed;
  switch (fixed.kind) {
    case RecordKind::kResponse:
      break;
    case RecordKind::kInvalidated:
      return lookup;
    case RecordKind::kPass:
      lookup.pass = now_ms - fixed.response_time_ms < kPassLasts_ms;
      return lookup;
    case RecordKind::kVariants:
      place.vary_names = found->record.head;
      place.variants_id = fixed.id;
      place.key = VariantKey(place.resource, fixed.id, VaryValues(place.vary_names, request));
      place.version = kAbsent;
      found = Get(store, place.key, &place.version);
      lookup.other_variants = !found;
      if (!found || found->record.fixed.kind != RecordKind::kResponse) return lookup;
      break;
  }
  // It stays what the next one takes the place of.
  if (!HasBody(place, found->record.fixed)) return lookup;
  lookup.found = std::move(found);
  return lookup;
}

std::optional<Found> Cache::FindAgain(const Place& place) {
  Version version = kAbsent;
  std::optional<Found> found = Get(stores_->Of(place.resource), place.key, &version);
  if (!found || version != place.version || found->record.fixed.kind != RecordKind::kResponse ||
      !HasBody(place, found->record.fixed)) {
    return std::nullopt;
  }
  return found;
}

bool Cache::HasBody(const Place& place, const RecordHead& record) {
  return record.id == 0 || FindPiece(place.resource, record, 0) != nullptr;
}

std::shared_ptr<const Found> Cache::FindPiece(std::string_view resource, const RecordHead& record,
                                              uint64_t piece) {
  const std::string key = PieceKey(record.id, piece);
  if (const auto held = held_pieces_.find(key); held != held_pieces_.end()) return held->second;
  Store& store = stores_->Of(resource);
  const auto found = std::make_shared<Found>();
  absl::StatusOr<PinnedValue> pinned = store.Pin(key);
  if (pinned.ok()) {
    found->pin = *std::move(pinned);
    found->record.body = found->pin.value();
  } else if (!absl::IsNotFound(pinned.status())) {
    found->copy = std::make_unique<std::string>();
    if (store.Get(key, found->copy.get()).ok()) found->record.body = *found->copy;
  }
  const uint64_t begin = piece * record.piece_bytes;
  if (found->record.body.size() !=
      std::min<uint64_t>(record.piece_bytes, record.body_bytes - begin)) {
    // Whoever finds the response looks for its first piece: nobody begins to send the rest.
    const std::string first = PieceKey(record.id, 0);
    held_pieces_.erase(first);
    store.Erase(first).IgnoreError();
    return nullptr;
  }
  if (held_pieces_.size() == kMostHeldPieces) held_pieces_.erase(held_pieces_.begin());
  held_pieces_[key] = found;
  return found;
}

int64_t Cache::KeptMs(const Life& life) {
  return std::max<int64_t>(0, life.LeftMs(life.response_time_ms)) +
         std::max({life.stale_while_revalidate_ms, life.stale_if_error_ms, kStaleLasts_ms});
}

Terms Cache::GoneAfter(int64_t kept_ms) const {
  Terms terms;
  kept_ms = std::min(kept_ms, kForEver_ms);
  if (keeps_terms_) terms.expires = Expiry::After(std::chrono::milliseconds(kept_ms));
  return terms;
}

bool Cache::KeepPieces(Store& store, const Record& record, int64_t kept_ms) {
  if (!keeps_terms_ || !record.in_pieces()) return true;
  const Expiry gone = GoneAfter(kept_ms + kPiecesOutlast_ms).expires;
  for (uint64_t piece = 0; piece < record.pieces(); ++piece) {
    if (!store.Touch(PieceKey(record.fixed.id, piece), gone).ok()) return false;
  }
  return true;
}

Cache::Body::Body(Cache* cache, std::string_view resource, const Life& life)
    : cache_(cache),
      store_(cache->stores_->Of(resource)),
      terms_(cache->GoneAfter(KeptMs(life) + kPiecesOutlast_ms)) {}

bool Cache::Body::Append(std::string_view bytes) {
  total_ += bytes.size();
  if (total_ > cache_->max_object_bytes_) return false;
  while (!bytes.empty()) {
    // The last piece stays here until it is known to be the last.
    if (bytes_.size() == cache_->piece_bytes_ && !StorePiece()) return false;
    const size_t fits = std::min<size_t>(bytes.size(), cache_->piece_bytes_ - bytes_.size());
    bytes_.append(bytes.substr(0, fits));
    bytes.remove_prefix(fits);
  }
  return true;
}

bool Cache::Body::StorePiece() {
  if (id_ == 0) id_ = cache_->NewId();
  if (!cache_->PutFor(store_, cache_->PieceKey(id_, pieces_), bytes_, terms_)) return false;
  ++pieces_;
  bytes_.clear();
  return true;
}

void Cache::Body::Drop() {
  for (uint64_t piece = 0; piece < pieces_; ++piece)
    store_.Erase(cache_->PieceKey(id_, piece)).IgnoreError();
  bytes_ = {};
  id_ = pieces_ = total_ = 0;
}

bool Cache::PutFor(Store& store, const std::string& key, const std::string& value,
                   const Terms& terms) {
  return keeps_terms_ ? store.Put(key, value, terms).ok() : store.Put(key, value).ok();
}

bool Cache::Swap(Store& store, std::string_view key, Version expected, const std::string& record,
                 int64_t kept_ms) {
  const absl::StatusOr<CasResult> swapped =
      store.CompareAndSwap(StoreKey(key), expected, record, GoneAfter(kept_ms));
  return swapped.ok() && swapped->swapped;
}

bool Cache::SelectBy(const std::string& names, const Fields& request, int64_t now_ms,
                     Place& place) {
  if (names != place.vary_names) {
    place.variants_id = NewId();
    place.vary_names = names;
    place.version = kAbsent;
    if (!Swap(stores_->Of(place.resource), place.resource, place.resource_version,
              MakeNote(RecordKind::kVariants, place.resource, names, place.variants_id, now_ms),
              kStaleLasts_ms)) {
      return false;
    }
  }
  place.key = VariantKey(place.resource, place.variants_id, VaryValues(names, request));
  return true;
}

bool Cache::Put(const Place& asked, const Fields& request, const ResponseHead& response,
                const Life& life, Body& body, int64_t now_ms) {
  Place place = asked;
  const std::string names = VaryNames(response.fields);
  if (names.empty()) {
    place.key = place.resource;
    place.version = place.resource_version;
  } else if (!SelectBy(names, request, now_ms, place)) {
    return false;
  }
  const bool in_pieces = body.pieces_ > 0 || body.bytes_.size() > kMostInlineBytes;
  if (in_pieces && !body.StorePiece()) return false;
  std::string record =
      MakeResponseFront(place.key, response, StoredHead(response, now_ms), life, body.total_,
                        body.id_, static_cast<uint32_t>(piece_bytes_));
  if (body.id_ == 0) record.append(body.bytes_);
  if (!Swap(body.store_, place.key, place.version, record, KeptMs(life))) return false;
  body.pieces_ = 0;  // they are the record's now
  return true;
}

std::optional<Found> Cache::Freshen(const Place& place, const RequestFacts& request,
                                    const ResponseHead& not_modified, int64_t request_time_ms,
                                    int64_t now_ms) {
  std::optional<Found> found = FindAgain(place);
  if (!found) return std::nullopt;
  const Record& old = found->record;
  const std::string head = FreshenedHead(old.head, not_modified.fields);
  const std::string whole = head + "\r\n";
  ResponseHead merged;
  if (!ParseResponse(whole, true, &merged)) return found;
  // The age that counts is that of the 304, which has its own Age field or none.
  if (const auto age = FirstValue(not_modified.fields, "age"))
    merged.fields.push_back({"age", *age});
  Life life;
  if (MayKeep(request, merged, request_time_ms, now_ms, &life) != Keep::kYes) return found;
  Store& store = stores_->Of(place.resource);
  if (!KeepPieces(store, old, KeptMs(life))) return std::nullopt;
  std::string record = MakeResponseFront(old.key, merged, head, life, old.fixed.body_bytes,
                                         old.fixed.id, old.fixed.piece_bytes);
  record.append(old.body);
  Found fresh;
  Swap(store, place.key, place.version, record,
       KeptMs(life));  // if somebody was faster, theirs stays
  fresh.copy = std::make_unique<std::string>(std::move(record));
  const std::optional<Record> read = ReadRecord(*fresh.copy, old.key);
  if (!read) return found;
  fresh.record = *read;
  return fresh;
}

void Cache::NotePass(const Place& place, int64_t now_ms) {
  Swap(stores_->Of(place.resource), place.resource, place.resource_version,
       MakeNote(RecordKind::kPass, place.resource, "", 0, now_ms), kPassLasts_ms);
}

bool Cache::Invalidate(std::string_view resource, int64_t now_ms) {
  Version version = kAbsent;
  Store& store = stores_->Of(resource);
  const std::optional<Found> found = Get(store, resource, &version);
  PutFor(store, StoreKey(resource), MakeNote(RecordKind::kInvalidated, resource, "", 0, now_ms),
         GoneAfter(kInvalidatedLasts_ms));
  return found && (found->record.fixed.kind == RecordKind::kResponse ||
                   found->record.fixed.kind == RecordKind::kVariants);
}

}  // namespace kill9::http
