// Numbers of EDN, and what reads digits.
#ifndef KILL9_HARNESS_EDN_EDN_NUMBER_H_
#define KILL9_HARNESS_EDN_EDN_NUMBER_H_

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"

namespace kill9::edn {

// That `text` is not what it should be: what it is instead, and how it begins.
absl::Status Malformed(std::string_view what, std::string_view text);

// The whole of `digits` as a number.
template <typename Number>
std::optional<Number> Parse(std::string_view digits, int base = 10) {
  Number number{};
  const char* end = digits.data() + digits.size();
  std::from_chars_result result{};
  if constexpr (std::is_floating_point_v<Number>) {
    result = std::from_chars(digits.data(), end, number);
  } else {
    result = std::from_chars(digits.data(), end, number, base);
  }
  if (digits.empty() || result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return number;
}

bool AreDigits(std::string_view text);
// The digits at its beginning, which are taken from it.
std::string_view TakeDigits(std::string_view* text);

// The canonical text of a number (edn_value.h). The error says what is wrong.
absl::Status AppendNumber(std::string_view text, std::string* out);

}  // namespace kill9::edn

#endif  // KILL9_HARNESS_EDN_EDN_NUMBER_H_
