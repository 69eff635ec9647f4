// Dates as HTTP writes them (RFC 9110, 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT", and the two
// obsolete forms that a recipient must read.
#ifndef KILL9_APPS_HTTP_CACHE_HTTP_HTTP_DATE_H_
#define KILL9_APPS_HTTP_CACHE_HTTP_HTTP_DATE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kill9::http {

// Seconds since 1970; nothing if it is not a date.
std::optional<int64_t> ParseDate(std::string_view text);
std::string FormatDate(int64_t seconds);

}  // namespace kill9::http

#endif  // KILL9_APPS_HTTP_CACHE_HTTP_HTTP_DATE_H_
