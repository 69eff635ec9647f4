// What stands before the data in each value of the store: what memcached knows of an item beside
// its key and its data.
#ifndef KILL9_APPS_MEMCACHED_ITEMS_ENVELOPE_H_
#define KILL9_APPS_MEMCACHED_ITEMS_ENVELOPE_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace kill9::memcached {

struct Envelope {
  uint64_t cas;         // what clients see as "cas unique": of this item only; touch keeps it
  int64_t expires_ms;   // since 1970; kNever; at or before now: expired
  uint32_t generation;  // of the flushes: an item of another one than the present is flushed
  uint32_t client_flags;
  uint32_t accessed_s;  // seconds since 1970: set, touched, or fetched by who asked for it
  uint32_t state;       // of these:

  static constexpr uint32_t kStale = 1;      // `md I` has marked it, a client should make it anew
  static constexpr uint32_t kTokenSent = 2;  // and one was told so
  static constexpr uint32_t kFetched = 4;
  static constexpr int64_t kNever = 0;

  bool Has(uint32_t bits) const { return (state & bits) != 0; }
};
static_assert(sizeof(Envelope) == 32 && std::is_trivially_copyable_v<Envelope> &&
              std::has_unique_object_representations_v<Envelope>);

// An item as it was read. `data` ends with whatever it was read from.
struct Item {
  Envelope envelope = {};
  std::string_view data = {};
};

// False: this is no item.
inline bool ReadItem(std::string_view value, Item* item) {
  if (value.size() < sizeof(Envelope)) return false;
  std::memcpy(&item->envelope, value.data(), sizeof(Envelope));
  item->data = value.substr(sizeof(Envelope));
  return true;
}

// `*value` becomes the item. The data are not a part of it.
inline void WriteItem(const Envelope& envelope, std::string_view data, std::string* value) {
  value->assign(reinterpret_cast<const char*>(&envelope), sizeof envelope);
  value->append(data);
}

}  // namespace kill9::memcached

#endif  // KILL9_APPS_MEMCACHED_ITEMS_ENVELOPE_H_
