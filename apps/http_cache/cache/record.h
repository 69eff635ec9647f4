// What the store holds, byte by byte: responses, and notes about resources.
//
//     RecordHead | key | head | body
//
// R1  The key is the whole key that the record was made for. The store's own key may be a digest of
//     it; whoever finds another key here has found nothing.
// R2  `head` is a status line and header fields, each with its line end, ready to be sent. Left out
//     are those of one connection (HopByHop), Content-Length and Age, which are made anew.
// R3  A short body stands in the record. A longer one is in records of its own, one for each piece,
//     under keys made of `id`, which no other response ever has; they are there before the record
//     that tells of them is, and what is under such a key never changes.
#ifndef KILL9_APPS_HTTP_CACHE_CACHE_RECORD_H_
#define KILL9_APPS_HTTP_CACHE_CACHE_RECORD_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "apps/http_cache/rules/freshness.h"
#include "apps/http_cache/rules/selection.h"

namespace kill9::http {

enum class RecordKind : uint8_t {
  kResponse = 1,
  kVariants = 2,     // `head` names the request's fields that select a response; `id` is theirs
  kInvalidated = 3,  // nothing: what was fetched before this was written must not be stored
  kPass = 4,         // responses are of no use to others: nobody waits for one
};

struct RecordHead {
  uint32_t magic = 0x6b396831;
  RecordKind kind = RecordKind::kResponse;
  uint8_t no_cache = 0;
  uint8_t must_revalidate = 0;
  uint8_t unused = 0;
  int32_t status = 0;
  uint32_t key_bytes = 0;
  uint32_t head_bytes = 0;
  uint32_t etag_at = 0;  // within `head`
  uint32_t etag_bytes = 0;
  uint32_t piece_bytes = 0;
  uint64_t body_bytes = 0;
  uint64_t id = 0;  // not 0: the body is in pieces
  int64_t response_time_ms = 0;
  int64_t initial_age_ms = 0;
  int64_t lifetime_ms = 0;
  int64_t stale_while_revalidate_ms = 0;
  int64_t stale_if_error_ms = 0;
  int64_t last_modified_s = std::numeric_limits<int64_t>::min();  // that: none
  int64_t date_s = 0;
};
static_assert(std::is_trivially_copyable_v<RecordHead> && std::is_standard_layout_v<RecordHead> &&
              sizeof(RecordHead) == 104);

// A view of a stored record.
struct Record {
  RecordHead fixed;
  std::string_view key;
  std::string_view head;
  std::string_view body;  // empty if it is in pieces

  bool in_pieces() const { return fixed.id != 0; }
  uint64_t pieces() const { return (fixed.body_bytes + fixed.piece_bytes - 1) / fixed.piece_bytes; }
  std::string_view etag() const { return head.substr(fixed.etag_at, fixed.etag_bytes); }
  Life life() const;
  Validators validators() const;
};

// Nothing if the bytes are no record of that key.
std::optional<Record> ReadRecord(std::string_view bytes, std::string_view key);

// A record without a response.
std::string MakeNote(RecordKind kind, std::string_view key, std::string_view head, uint64_t id,
                     int64_t now_ms);
// Everything of a response's record before its body. `head` is as R2 wants it.
std::string MakeResponseFront(std::string_view key, const ResponseHead& response,
                              std::string_view head, const Life& life, uint64_t body_bytes,
                              uint64_t id, uint32_t piece_bytes);

// The status line and the fields of a response as R2 wants them; with a Date, if it has none.
std::string StoredHead(const ResponseHead& response, int64_t now_ms);
// The stored head with the fields of a 304 in it (RFC 9111, 3.2).
std::string FreshenedHead(std::string_view stored, const Fields& not_modified);

}  // namespace kill9::http

#endif  // KILL9_APPS_HTTP_CACHE_CACHE_RECORD_H_
