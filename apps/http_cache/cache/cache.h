// Responses in a store that several workers share, any of which may be killed at any time. Whatever
// is stored is stored by one operation of the store, so it is there or it is not.
//
// C1  A resource's key holds a response, or says which of the request's fields select one
//     (kVariants), and under which keys those are: they are made of the note's `id`.
// C2  To invalidate a resource is to put a note in its place. Variants of before have keys that
//     nobody makes again.
// C3  A response is stored by compare-and-swap against what was there when it was asked for: what
//     was fetched before an invalidation is never stored after it.
// C4  All that is stored of a resource is in one store of the cluster: that of the resource's key.
//     Whatever costs a file costs whole resources, and leaves none by halves.
#ifndef KILL9_APPS_HTTP_CACHE_CACHE_CACHE_H_
#define KILL9_APPS_HTTP_CACHE_CACHE_CACHE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "apps/cluster/cluster.h"
#include "apps/http_cache/cache/record.h"
#include "variants/store.h"

namespace kill9::http {

// Where a response belongs, and what was there when it was asked for.
struct Place {
  std::string resource;  // the key of the resource (C1)
  Version resource_version = kAbsent;
  std::string vary_names;  // empty: none are known
  uint64_t variants_id = 0;
  std::string key;  // of the response that the request selects
  Version version = kAbsent;
};

// A stored response, held in place: its bytes stay as they are until it is dropped.
struct Found {
  PinnedValue pin;
  std::unique_ptr<std::string> copy;  // instead, where the store has no hold left
  Record record;
};

struct Lookup {
  Place place;
  std::optional<Found> found;
  bool other_variants = false;  // nothing for this request, but for others
  bool pass = false;            // lately, responses were of no use to others
};

class Cache {
 public:
  // The stores are this process's own. `max_object_bytes`: longer bodies are not stored.
  Cache(server::Cluster* stores, uint64_t max_object_bytes);

  Lookup Find(std::string resource, const Fields& request, int64_t now_ms);
  // The response of a place again, if nobody has replaced it.
  std::optional<Found> FindAgain(const Place& place);
  // A piece of the body of a response of this resource; null if it is there no more: then the
  // response is not found again. Since a piece never changes (R3), those who send it at the same
  // time share one hold, and its checksum is looked at once.
  std::shared_ptr<const Found> FindPiece(std::string_view resource, const RecordHead& record,
                                         uint64_t piece);
  // Forgets the holds that nobody needs now. To be called about once a second.
  void DropHeldPieces() { held_pieces_.clear(); }

  // Collects a body, by and by; what does not fit one piece is stored at once.
  class Body {
   public:
    Body(Cache* cache, std::string_view resource, const Life& life);
    ~Body() { Drop(); }
    Body(const Body&) = delete;
    Body& operator=(const Body&) = delete;
    bool Append(std::string_view bytes);  // false: it cannot be kept
    void Drop();
    uint64_t total() const { return total_; }

   private:
    friend class Cache;
    bool StorePiece();
    Cache* const cache_;
    Store& store_;
    const Terms terms_;  // of its pieces
    std::string bytes_;  // of the piece that is not stored yet
    uint64_t total_ = 0;
    uint64_t id_ = 0;
    uint64_t pieces_ = 0;
  };

  // Stores a response. Returns whether it is there now: not if the place has changed meanwhile
  // (C3), or has no room.
  bool Put(const Place& place, const Fields& request, const ResponseHead& response,
           const Life& life, Body& body, int64_t now_ms);
  // Gives a stored response what a 304 says, and returns it.
  std::optional<Found> Freshen(const Place& place, const RequestFacts& request,
                               const ResponseHead& not_modified, int64_t request_time_ms,
                               int64_t now_ms);
  // Says that responses are of no use to others.
  void NotePass(const Place& place, int64_t now_ms);
  // Returns whether there was something.
  bool Invalidate(std::string_view resource, int64_t now_ms);

  uint64_t max_object_bytes() const { return max_object_bytes_; }
  uint64_t piece_bytes() const { return piece_bytes_; }

 private:
  std::string StoreKey(std::string_view key) const;
  // These are told the store of the resource whose key it is.
  std::optional<Found> Get(Store& store, std::string_view key, Version* version);
  bool Swap(Store& store, std::string_view key, Version expected, const std::string& record,
            int64_t kept_ms);
  bool PutFor(Store& store, const std::string& key, const std::string& value, const Terms& terms);
  bool KeepPieces(Store& store, const Record& record, int64_t kept_ms);
  // Whether the first piece is there: of a body that has lost one it is not (FindPiece).
  bool HasBody(const Place& place, const RecordHead& record);
  // For how long a response can be of use, with a validator or in place of an error.
  static int64_t KeptMs(const Life& life);
  // Gone after that time, where the store keeps such terms; there its room is not lost.
  Terms GoneAfter(int64_t kept_ms) const;
  // Makes the resource's key select by these names; false if it has changed meanwhile.
  bool SelectBy(const std::string& names, const Fields& request, int64_t now_ms, Place& place);
  std::string PieceKey(uint64_t id, uint64_t piece) const;
  uint64_t NewId();

  server::Cluster* const stores_;
  const bool keeps_terms_;
  const size_t max_key_bytes_;
  const uint64_t max_object_bytes_;
  const uint64_t piece_bytes_;
  std::map<std::string, std::shared_ptr<const Found>> held_pieces_;
  std::random_device entropy_;
};

}  // namespace kill9::http

#endif  // KILL9_APPS_HTTP_CACHE_CACHE_CACHE_H_
