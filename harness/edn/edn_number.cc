#include "harness/edn/edn_number.h"

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace kill9::edn {
namespace {

constexpr int64_t kExponentMost = 1'000'000'000;  // of a decimal

// A number taken apart. `fraction` and `exponent` may be there and empty.
struct Parts {
  bool negative = false;
  std::string_view whole;
  std::optional<std::string_view> fraction;
  std::optional<std::string_view> exponent;  // with its sign, but for '+'
  char suffix = '\0';                        // N, M
};

std::optional<Parts> TakeApart(std::string_view text) {
  Parts parts;
  parts.negative = text.front() == '-';
  if (text.front() == '-' || text.front() == '+') text.remove_prefix(1);
  parts.whole = TakeDigits(&text);
  if (parts.whole.empty()) return std::nullopt;
  if (text.starts_with(".")) {
    text.remove_prefix(1);
    parts.fraction = TakeDigits(&text);
  }
  if (text.starts_with("e") || text.starts_with("E")) {
    text.remove_prefix(1);
    if (text.starts_with("+")) text.remove_prefix(1);
    const std::string_view with_sign = text;
    if (text.starts_with("-")) text.remove_prefix(1);
    if (TakeDigits(&text).empty()) return std::nullopt;
    parts.exponent = with_sign.substr(0, with_sign.size() - text.size());
  }
  if (text.size() == 1 && (text[0] == 'N' || text[0] == 'M')) {
    parts.suffix = text[0];
    text.remove_prefix(1);
  }
  const bool is_integer = !parts.fraction.has_value() && !parts.exponent.has_value();
  if (!text.empty() || (parts.suffix == 'N' && !is_integer)) return std::nullopt;
  return parts;
}

absl::Status AppendRatio(std::string_view text, std::string* out) {
  const bool negative = text.front() == '-';
  std::string_view rest = text;
  if (rest.front() == '-' || rest.front() == '+') rest.remove_prefix(1);
  const size_t slash = rest.find('/');
  const std::string_view above = rest.substr(0, slash);
  const std::string_view below = rest.substr(slash + 1);
  if (!AreDigits(above) || !AreDigits(below)) return Malformed("not a number", text);
  const std::optional<uint64_t> numerator = Parse<uint64_t>(above);
  const std::optional<uint64_t> denominator = Parse<uint64_t>(below);
  if (!numerator || !denominator) return Malformed("a ratio too large to compare", text);
  if (*denominator == 0) return Malformed("a ratio to zero", text);
  const uint64_t common = std::gcd(*numerator, *denominator);
  absl::StrAppend(out, negative && *numerator != 0 ? "-" : "", *numerator / common);
  if (*denominator != common) absl::StrAppend(out, "/", *denominator / common);
  return absl::OkStatus();
}

absl::Status AppendDouble(std::string_view text, std::string* out) {
  const std::optional<double> parsed = Parse<double>(text.front() == '+' ? text.substr(1) : text);
  if (!parsed) return Malformed("a number that no double holds", text);
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, *parsed == 0 ? 0.0 : *parsed);
  const std::string_view shortest(digits, static_cast<size_t>(end.ptr - digits));
  absl::StrAppend(out, std::string(shortest));
  if (shortest.find_first_of(".e") == std::string_view::npos) absl::StrAppend(out, ".0");
  return absl::OkStatus();
}

absl::Status AppendDecimal(const Parts& parts, std::string_view text, std::string* out) {
  const std::string_view fraction = parts.fraction.value_or("");
  std::string digits = absl::StrCat(std::string(parts.whole), std::string(fraction));
  const size_t first = digits.find_first_not_of('0');
  if (first == std::string::npos) {
    absl::StrAppend(out, "0M");
    return absl::OkStatus();
  }
  const size_t last = digits.find_last_not_of('0');
  const std::optional<int64_t> given = Parse<int64_t>(parts.exponent.value_or("0"));
  if (!given || *given > kExponentMost || *given < -kExponentMost) {
    return Malformed("a decimal too large to compare", text);
  }
  const int64_t exponent = *given - static_cast<int64_t>(fraction.size()) +
                           static_cast<int64_t>(digits.size() - 1 - last);
  absl::StrAppend(out, parts.negative ? "-" : "", digits.substr(first, last + 1 - first), "e",
                  exponent, "M");
  return absl::OkStatus();
}

}  // namespace

absl::Status Malformed(std::string_view what, std::string_view text) {
  constexpr size_t kShown = 60;
  return absl::InvalidArgumentError(absl::StrCat(std::string(what), ": ",
                                                 std::string(text.substr(0, kShown)),
                                                 text.size() > kShown ? "…" : ""));
}

bool AreDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

std::string_view TakeDigits(std::string_view* text) {
  size_t size = 0;
  while (size < text->size() && absl::ascii_isdigit((*text)[size])) ++size;
  const std::string_view digits = text->substr(0, size);
  text->remove_prefix(size);
  return digits;
}

absl::Status AppendNumber(std::string_view text, std::string* out) {
  if (text == "##NaN") return Malformed("is equal to nothing, not even to itself", text);
  if (text[0] == '#') {
    absl::StrAppend(out, std::string(text));
    return absl::OkStatus();
  }
  if (text.find('/') != std::string_view::npos) return AppendRatio(text, out);
  const std::optional<Parts> parts = TakeApart(text);
  if (!parts) return Malformed("not a number", text);
  if (parts->whole.size() > 1 && parts->whole[0] == '0') {
    return Malformed("a number that begins with 0", text);
  }
  if (parts->suffix == 'M') return AppendDecimal(*parts, text, out);
  if (parts->fraction.has_value() || parts->exponent.has_value()) return AppendDouble(text, out);
  absl::StrAppend(out, parts->negative && parts->whole != "0" ? "-" : "",
                  std::string(parts->whole));
  return absl::OkStatus();
}

}  // namespace kill9::edn
