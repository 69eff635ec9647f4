// Header fields of a message, as views into the bytes that it came in.
#ifndef KILL9_APPS_HTTP_CACHE_HTTP_FIELDS_H_
#define KILL9_APPS_HTTP_CACHE_HTTP_FIELDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"

namespace kill9::http {

struct Field {
  std::string_view name;
  std::string_view value;  // without the white space around it
};
using Fields = std::vector<Field>;

// Names of fields, and whatever else HTTP compares without regard to case.
bool SameName(std::string_view a, std::string_view b);
std::string LowerCase(std::string_view text);
std::string_view Trimmed(std::string_view text);  // without spaces and tabs around it

// The value of the first field of the name, if there is one.
std::optional<std::string_view> FirstValue(const Fields& fields, std::string_view name);
// The values of all of them, as one list; nothing if there is none.
std::optional<std::string> CombinedValue(const Fields& fields, std::string_view name);

// The members of a comma-separated list, trimmed, empty ones left out. A comma within a quoted
// string separates nothing.
void ForEachMember(std::string_view list, absl::FunctionRef<void(std::string_view)> visit);
// Whether a list has the token as a member.
bool ListHas(std::string_view list, std::string_view token);

// Digits only, at least one; too large a number is the largest that is told, 2^31
// (RFC 9111, 1.2.2).
std::optional<int64_t> ParseSeconds(std::string_view text);
std::optional<uint64_t> ParseNumber(std::string_view text);  // digits only; nothing if it overflows

// What concerns one connection only, and is never forwarded or stored: hop-by-hop fields, and those
// that the Connection field names.
class HopByHop {
 public:
  explicit HopByHop(const Fields& fields);
  bool Has(std::string_view name) const;

 private:
  std::vector<std::string_view> named_;
};

}  // namespace kill9::http

#endif  // KILL9_APPS_HTTP_CACHE_HTTP_FIELDS_H_
