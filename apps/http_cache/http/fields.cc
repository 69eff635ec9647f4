#include "apps/http_cache/http/fields.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace kill9::http {
namespace {

constexpr uint64_t kMostSeconds = uint64_t{1} << 31;
constexpr std::array<std::string_view, 9> kHopByHop = {
    "connection", "keep-alive",          "proxy-connection",  "te", "trailer", "transfer-encoding",
    "upgrade",    "proxy-authorization", "proxy-authenticate"};

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool OnlyDigits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

bool SameName(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return Lower(x) == Lower(y); });
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), Lower);
  return lower;
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::optional<std::string_view> FirstValue(const Fields& fields, std::string_view name) {
  for (const Field& field : fields) {
    if (SameName(field.name, name)) return field.value;
  }
  return std::nullopt;
}

std::optional<std::string> CombinedValue(const Fields& fields, std::string_view name) {
  std::optional<std::string> all;
  for (const Field& field : fields) {
    if (!SameName(field.name, name)) continue;
    if (all) {
      all->append(", ").append(field.value);
    } else {
      all.emplace(field.value);
    }
  }
  return all;
}

void ForEachMember(std::string_view list, absl::FunctionRef<void(std::string_view)> visit) {
  size_t begin = 0;
  bool quoted = false;
  for (size_t at = 0; at <= list.size(); ++at) {
    if (at < list.size()) {
      if (quoted && list[at] == '\\') {
        ++at;
        continue;
      }
      if (list[at] == '"') quoted = !quoted;
      if (quoted || list[at] != ',') continue;
    }
    const size_t end = at < list.size() ? at : list.size();
    if (begin < end) {
      const std::string_view member = Trimmed(list.substr(begin, end - begin));
      if (!member.empty()) visit(member);
    }
    begin = at + 1;
  }
  // A backslash at the very end hides the end of the list.
  if (begin < list.size() && quoted && list.back() == '\\') visit(Trimmed(list.substr(begin)));
}

bool ListHas(std::string_view list, std::string_view token) {
  bool has = false;
  ForEachMember(list, [&](std::string_view member) { has = has || SameName(member, token); });
  return has;
}

std::optional<int64_t> ParseSeconds(std::string_view text) {
  if (!OnlyDigits(text)) return std::nullopt;
  const std::optional<uint64_t> seconds = ParseNumber(text);
  return seconds && *seconds < kMostSeconds ? static_cast<int64_t>(*seconds)
                                            : int64_t{kMostSeconds};
}

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (text.empty() || error != std::errc() || stop != end) return std::nullopt;
  return number;
}

HopByHop::HopByHop(const Fields& fields) {
  for (const Field& field : fields) {
    if (SameName(field.name, "connection"))
      ForEachMember(field.value, [&](std::string_view member) { named_.push_back(member); });
  }
}

bool HopByHop::Has(std::string_view name) const {
  for (const std::string_view hop : kHopByHop) {
    if (SameName(name, hop)) return true;
  }
  for (const std::string_view hop : named_) {
    if (SameName(name, hop)) return true;
  }
  return false;
}

}  // namespace kill9::http
