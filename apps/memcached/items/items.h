// memcached's items over a store of kill9, or several: all that the server knows of them.
//
// Every operation takes effect at one moment, as the store's do: what depends on the present item
// is a Modify. The store keeps terms (docs/cache.md): they are an item's deadline, and a flush is a
// Clear, so an item that has expired or was flushed is absent, also after a restart.
//
// Who shall make an item anew (`W` of the meta commands) is named in the item: the worker, as the
// store's participant, and a number of the worker's own. A lease of the store would not do: any
// change of an entry ends it, and a touch or an append leaves a client its token. If the worker has
// ended, or its client's connection (Leases), the token is another's to have.
//
// ON CRASH: an operation has happened, or not; what is left to repair, the store repairs.
#ifndef KILL9_APPS_MEMCACHED_ITEMS_ITEMS_H_
#define KILL9_APPS_MEMCACHED_ITEMS_ITEMS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "apps/cluster/cluster.h"
#include "apps/memcached/items/envelope.h"
#include "variants/store.h"

namespace kill9::memcached {

enum class Stored : uint8_t {
  kStored,
  kNotStored,
  kExists,  // its number is another one
  kNotFound,
  kNotANumber,
  kTooLarge,
  kNoRoom,
  kFailed,  // the store is damaged, or refuses: Items::error() says why
};

class Items {
 public:
  // `uses_cas`: without it all items have the number 0.
  Items(server::Cluster& stores, bool uses_cas) : stores_(stores), uses_cas_(uses_cas) {}

  void set_now_ms(int64_t now_ms) { now_ms_ = now_ms; }
  int64_t now_ms() const { return now_ms_; }
  uint32_t now_s() const { return static_cast<uint32_t>(now_ms_ / 1000); }
  // When an item expires that a client gave this time: seconds from now, or since 1970 if they are
  // more than thirty days; negative: at once.
  int64_t ExpiryOf(int64_t exptime) const;

  // The item; false: there is none. `data` lasts until the next operation.
  bool Get(std::string_view key, Item* item);
  // Get of many keys, their waits for memory overlapped. `visit` must not call this; null: absent.
  void GetMany(std::span<const std::string_view> keys,
               absl::FunctionRef<void(size_t index, const Item*)> visit);
  // Get without a copy: `data` lasts as long as the pin. kNoRoom: no more can be held now.
  Stored Pin(std::string_view key, Item* item, PinnedValue* pin, bool* present);

  Stored Set(std::string_view key, uint32_t client_flags, int64_t expires_ms, std::string_view data,
             uint64_t* cas);

  // What becomes of an item: decided with the present one in hand (null: absent).
  struct Change {
    enum class Kind : uint8_t { kLeave, kWrite, kRemove } kind = Kind::kLeave;
    Stored answer = Stored::kStored;  // of kLeave
    Envelope envelope = {};           // of kWrite, but for its number
    bool keeps_cas = false;
    std::string_view data = {};
  };
  using Decide = absl::FunctionRef<Change(const Item* present)>;
  // Calls `decide`, several times if others change the item meanwhile, until what it decided of the
  // present item has happened. *cas: the item's number then.
  Stored Update(std::string_view key, Decide decide, uint64_t* cas);

  bool Remove(std::string_view key);
  // All items are absent from now on, or from that moment on, also after a restart of the machine.
  // A later one takes the place of one that waits. False: Items::error() says why.
  bool Flush();
  bool FlushAt(int64_t unix_ms);

  // Of a new item.
  Envelope NewEnvelope(uint32_t client_flags, int64_t expires_ms) const {
    return {.expires_ms = expires_ms, .client_flags = client_flags, .accessed_s = now_s()};
  }
  // Names this worker, and a client of it, in an item.
  void SendToken(std::string_view key, Envelope* envelope);
  // Whether somebody lives who was told to make the item anew.
  bool HoldsToken(std::string_view key, const Envelope& envelope) const {
    return envelope.Has(Envelope::kTokenSent) && !stores_.Of(key).HasEnded(envelope.winner);
  }
  // That client of this worker has gone.
  void TakeTokenBack(std::string_view key, uint64_t token);
  // Shows what is there until `visit` returns false.
  void ForEach(absl::FunctionRef<bool(std::string_view key, const Item&)> visit);
  // How many items there are, and their bytes. It looks at each.
  struct Census {
    uint64_t items = 0;
    uint64_t bytes = 0;
  };
  Census Count();
  StoreCounters Counted() const { return stores_.Counted(); }
  absl::Status error() const { return error_; }

 private:
  bool Read(std::string_view key, std::string_view value, Version version, const Terms& terms,
            Item* item) const;
  bool MadeRoom(const absl::Status& status);
  absl::StatusOr<Version> Put(std::string_view key, const Envelope& envelope,
                              std::string_view data);
  Stored FailureOf(const absl::Status& status);
  bool Flushed(const absl::Status& status);

  server::Cluster& stores_;
  const bool uses_cas_;
  int64_t now_ms_ = 0;
  int64_t swept_ms_ = 0;
  uint64_t last_token_ = 0;
  std::string present_, next_;  // reused
  absl::Status error_;
};

}  // namespace kill9::memcached

#endif  // KILL9_APPS_MEMCACHED_ITEMS_ITEMS_H_
