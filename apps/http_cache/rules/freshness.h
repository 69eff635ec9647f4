// What a shared cache may keep, and for how long it may use it (RFC 9111, 3 and 4). Arithmetic
// only: no clock, no store.
#ifndef KILL9_APPS_HTTP_CACHE_RULES_FRESHNESS_H_
#define KILL9_APPS_HTTP_CACHE_RULES_FRESHNESS_H_

#include <cstdint>
#include <string_view>

#include "apps/http_cache/http/fields.h"
#include "apps/http_cache/http/parser.h"
#include "apps/http_cache/rules/cache_control.h"

namespace kill9::http {

// A response's life, as it is stored beside it. Times are milliseconds since 1970.
struct Life {
  int64_t response_time_ms = 0;
  int64_t initial_age_ms = 0;  // the age that it had when it came (RFC 9111, 4.2.3)
  int64_t lifetime_ms = 0;
  int64_t stale_while_revalidate_ms = 0;  // how long beyond it
  int64_t stale_if_error_ms = 0;
  bool no_cache = false;         // to be validated before each use
  bool must_revalidate = false;  // never used stale

  int64_t AgeMs(int64_t now_ms) const;
  // Negative once it is stale.
  int64_t LeftMs(int64_t now_ms) const { return lifetime_ms - AgeMs(now_ms); }
};

enum class Keep : uint8_t {
  kYes,
  kNoStore,   // a directive, or Authorization, forbids it
  kNotOfUse,  // it may be kept, but could never be used
  kVaries,    // Vary: *
};

// What of a request matters.
struct RequestFacts {
  bool authorization = false;
  CacheControl control;
};
// Pragma: no-cache counts where there is no Cache-Control.
RequestFacts FactsOf(const Fields& request);

// REQUIRES: the request was a GET. `life` is filled in if it may be kept.
Keep MayKeep(const RequestFacts& request, const ResponseHead& response, int64_t request_time_ms,
             int64_t response_time_ms, Life* life);

// How a stored response may answer a request.
enum class Use : uint8_t {
  kFresh,            // as it is
  kWhileRevalidate,  // as it is, and a new one should be fetched
  kStale,            // as it is, because the request allows it
  kAfterValidation,  // once the origin has said that it is still good
};
Use MayUse(const RequestFacts& request, const Life& life, int64_t now_ms);
// Whether it may answer because the origin cannot.
bool MayUseOnError(const RequestFacts& request, const Life& life, int64_t now_ms);

// Whether the field is among those that a 304 does not change in a stored response, because they
// describe the body that it came with (RFC 9111, 3.2).
bool KeepsItsValue(std::string_view name);

}  // namespace kill9::http

#endif  // KILL9_APPS_HTTP_CACHE_RULES_FRESHNESS_H_
