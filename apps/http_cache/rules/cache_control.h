// The Cache-Control field (RFC 9111, 5.2; RFC 5861), of a request or of a response.
#ifndef KILL9_APPS_HTTP_CACHE_RULES_CACHE_CONTROL_H_
#define KILL9_APPS_HTTP_CACHE_RULES_CACHE_CONTROL_H_

#include <cstdint>
#include <optional>

#include "apps/http_cache/http/fields.h"

namespace kill9::http {

// Of two values of one directive the more careful one counts, and one that is no number is 0, for
// the careful reading of that directive. `private` and `no-cache` with names of fields count as
// without them.
struct CacheControl {
  bool present = false;
  bool no_store = false;
  bool no_cache = false;
  bool is_private = false;
  bool is_public = false;
  bool must_revalidate = false;
  bool proxy_revalidate = false;
  bool must_understand = false;
  bool only_if_cached = false;
  bool max_stale_any = false;  // max-stale without a number
  std::optional<int64_t> max_age_s;
  std::optional<int64_t> s_maxage_s;
  std::optional<int64_t> min_fresh_s;
  std::optional<int64_t> max_stale_s;
  std::optional<int64_t> stale_while_revalidate_s;
  std::optional<int64_t> stale_if_error_s;
};

CacheControl ParseCacheControl(const Fields& fields);

}  // namespace kill9::http

#endif  // KILL9_APPS_HTTP_CACHE_RULES_CACHE_CONTROL_H_
