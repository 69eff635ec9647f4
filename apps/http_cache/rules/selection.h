// Which of a resource's stored responses a request selects, and what of it is sent: Vary,
// conditional requests and ranges (RFC 9110, 12.5.5, 13 and 14).
#ifndef KILL9_APPS_HTTP_CACHE_RULES_SELECTION_H_
#define KILL9_APPS_HTTP_CACHE_RULES_SELECTION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "apps/http_cache/http/fields.h"

namespace kill9::http {

// The names in a response's Vary, in lower case, sorted, each once, separated by commas; empty if
// there is none. REQUIRES: no "*" among them.
std::string VaryNames(const Fields& response);
// What a request says in the fields of those names. Equal texts select the same response. White
// space and the way a list is cut into fields do not matter; nor, in Accept-Language and
// Accept-Encoding, do case and order.
std::string VaryValues(std::string_view names, const Fields& request);

// What a stored response says of itself.
struct Validators {
  std::string_view etag;  // empty if there is none
  std::optional<int64_t> last_modified_s;
  int64_t date_s = 0;  // stands for last_modified_s where there is none
};
// Whether a GET or HEAD with these fields is to be answered by 304.
bool NotModified(const Fields& request, const Validators& stored);
// Whether the request has a condition that only the origin can judge.
bool HasOriginCondition(const Fields& request);

struct ByteRange {
  enum class Kind : uint8_t { kWhole, kPart, kNotSatisfiable };
  Kind kind = Kind::kWhole;
  uint64_t first = 0;
  uint64_t bytes = 0;
};
// Of a body of `size` bytes. A list of several ranges, and anything that is not understood, is
// answered by the whole.
ByteRange SelectRange(const Fields& request, const Validators& stored, uint64_t size);

}  // namespace kill9::http

#endif  // KILL9_APPS_HTTP_CACHE_RULES_SELECTION_H_
