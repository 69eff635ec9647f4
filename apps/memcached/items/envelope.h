// What memcached knows of an item beside its key and its data, and where the store has it:
//
//   deadline               the terms' own
//   client flags, access   in the terms' mark, of every item
//   all else               in a head before the data, of those few items that need one: the mark
//                          says which
//
// An item's number (`cas unique`) is made of the version in which its data were set. Who sets an
// item anew and keeps its number (a touch, for one) notes it in the head.
#ifndef KILL9_APPS_MEMCACHED_ITEMS_ENVELOPE_H_
#define KILL9_APPS_MEMCACHED_ITEMS_ENVELOPE_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "variants/store.h"

namespace kill9::memcached {

struct Envelope {
  uint64_t cas = 0;        // what clients see; 0 in a head: NumberOf
  int64_t expires_ms = 0;  // since 1970; kNever; at or before now: expired
  uint32_t client_flags = 0;
  uint32_t accessed_s = 0;   // seconds since 1970: set, touched, or fetched by who asked for it
  uint32_t state = 0;        // of these:
  terms::Holder winner = 0;  // kTokenSent: the worker whose client was told, and which of them
  uint64_t token = 0;

  static constexpr uint32_t kStale = 1;      // `md I` has marked it, a client should make it anew
  static constexpr uint32_t kTokenSent = 2;  // and one was told so
  static constexpr uint32_t kFetched = 4;
  static constexpr uint32_t kUnmade = 8;  // there is nothing yet: one was told to make it (`mg N`)
  static constexpr int64_t kNever = 0;

  bool Has(uint32_t bits) const { return (state & bits) != 0; }
};

// An item as it was read. `data` ends with whatever it was read from.
struct Item {
  Envelope envelope = {};
  std::string_view data = {};
};

struct ItemHead {
  uint64_t cas = 0;
  uint64_t state = 0;
  uint64_t winner = 0;
  uint64_t token = 0;
};
static_assert(sizeof(ItemHead) == 32 && std::has_unique_object_representations_v<ItemHead>);

// The mark: client flags, 31 bits of seconds since 2020, and whether there is a head.
inline constexpr uint32_t kMarkBegins_s = 1577836800;

inline uint64_t MarkOf(const Envelope& envelope, bool has_head) {
  const uint64_t accessed = (envelope.accessed_s - kMarkBegins_s) & 0x7fffffff;
  return uint64_t{envelope.client_flags} << 32 | accessed << 1 | (has_head ? 1 : 0);
}
inline Expiry ExpiryOfMs(int64_t ms) {
  constexpr int64_t kMsMost = INT64_MAX / 1'000'000 - 1;
  if (ms == Envelope::kNever) return Expiry::Never();
  return Expiry::AtNs(std::min(ms, kMsMost) * 1'000'000);
}
inline Terms TermsOf(const Envelope& envelope, bool has_head) {
  return {ExpiryOfMs(envelope.expires_ms), MarkOf(envelope, has_head)};
}

// Of one key they grow. Of two keys, whose versions may be the same, they mostly differ, as
// programs expect of memcached's.
inline uint64_t NumberOf(std::string_view key, Version version) {
  uint64_t end = 0;
  const size_t bytes = std::min(key.size(), sizeof end);
  std::memcpy(&end, key.data() + key.size() - bytes, bytes);
  return version << 16 | end * 0x9e3779b97f4a7c15 >> 48;
}

// False: this is no item.
inline bool ReadItem(std::string_view key, std::string_view value, Version version,
                     const Terms& terms, Item* item) {
  Envelope& envelope = item->envelope;
  envelope = {};
  envelope.cas = NumberOf(key, version);
  envelope.expires_ms =
      terms.expires.never() ? Envelope::kNever : terms.expires.unix_ns() / 1'000'000;
  envelope.client_flags = static_cast<uint32_t>(terms.mark >> 32);
  envelope.accessed_s = kMarkBegins_s + static_cast<uint32_t>(terms.mark >> 1 & 0x7fffffff);
  item->data = value;
  if ((terms.mark & 1) == 0) [[likely]]
    return true;
  ItemHead head;
  if (value.size() < sizeof head) return false;
  std::memcpy(&head, value.data(), sizeof head);
  if (head.cas != 0) envelope.cas = head.cas;
  envelope.state = static_cast<uint32_t>(head.state);
  envelope.winner = head.winner;
  envelope.token = head.token;
  item->data = value.substr(sizeof head);
  return true;
}

// `*value` becomes what the store is given: the item, whose number is envelope.cas, or comes of
// the version to come if that is 0. The data are not a part of *value.
inline Terms WriteItem(const Envelope& envelope, std::string_view data, std::string* value) {
  const bool has_head = envelope.cas != 0 || envelope.state != 0;
  value->clear();
  if (has_head) {
    const ItemHead head = {envelope.cas, envelope.state, envelope.winner, envelope.token};
    value->append(reinterpret_cast<const char*>(&head), sizeof head);
  }
  value->append(data);
  return TermsOf(envelope, has_head);
}

}  // namespace kill9::memcached

#endif  // KILL9_APPS_MEMCACHED_ITEMS_ENVELOPE_H_
