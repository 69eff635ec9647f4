#include "apps/http_cache/rules/selection.h"

#include <algorithm>
#include <set>
#include <vector>

#include "apps/http_cache/http/http_date.h"

namespace kill9::http {
namespace {

std::string WithoutSpace(std::string_view text) {
  std::string without;
  bool quoted = false;
  for (const char c : text) {
    if (c == '"') quoted = !quoted;
    if (quoted || (c != ' ' && c != '\t')) without.push_back(c);
  }
  return without;
}

// Lists whose order says nothing that their weights do not say.
bool IsWeighted(std::string_view name) {
  return name == "accept-language" || name == "accept-encoding";
}

std::string Normal(std::string_view name, std::string_view value) {
  const bool weighted = IsWeighted(name);
  std::vector<std::string> members;
  ForEachMember(value, [&](std::string_view member) {
    members.push_back(WithoutSpace(weighted ? LowerCase(member) : std::string(member)));
  });
  if (weighted) std::sort(members.begin(), members.end());
  std::string normal;
  for (const std::string& member : members) {
    if (!normal.empty()) normal.push_back(',');
    normal.append(member);
  }
  return normal;
}

std::string_view Opaque(std::string_view etag) {
  return etag.starts_with("W/") ? etag.substr(2) : etag;
}

bool AnyTagMatches(std::string_view list, std::string_view etag) {
  bool matches = false;
  ForEachMember(list, [&](std::string_view member) {
    matches = matches || member == "*" || (!etag.empty() && Opaque(member) == Opaque(etag));
  });
  return matches;
}

// Whether the condition of If-Range holds, so that the range counts.
bool RangeCounts(std::string_view condition, const Validators& stored) {
  if (condition.starts_with('"')) return condition == stored.etag;
  if (condition.starts_with("W/")) return false;
  const std::optional<int64_t> date = ParseDate(condition);
  return date && stored.last_modified_s && *date == *stored.last_modified_s;
}

}  // namespace

std::string VaryNames(const Fields& response) {
  std::set<std::string> names;
  for (const Field& field : response) {
    if (SameName(field.name, "vary"))
      ForEachMember(field.value, [&](std::string_view name) { names.insert(LowerCase(name)); });
  }
  std::string text;
  for (const std::string& name : names) {
    if (!text.empty()) text.push_back(',');
    text.append(name);
  }
  return text;
}

std::string VaryValues(std::string_view names, const Fields& request) {
  std::string text;
  ForEachMember(names, [&](std::string_view name) {
    const std::optional<std::string> value = CombinedValue(request, name);
    text.append(name);
    // A field that is absent is not one that is empty.
    if (value) text.append("=").append(Normal(name, *value));
    text.push_back('\n');
  });
  return text;
}

bool NotModified(const Fields& request, const Validators& stored) {
  if (const auto tags = CombinedValue(request, "if-none-match"))
    return AnyTagMatches(*tags, stored.etag);
  const auto since = FirstValue(request, "if-modified-since");
  if (!since) return false;
  const std::optional<int64_t> date = ParseDate(*since);
  return date && stored.last_modified_s.value_or(stored.date_s) <= *date;
}

bool HasOriginCondition(const Fields& request) {
  return FirstValue(request, "if-match") || FirstValue(request, "if-unmodified-since");
}

ByteRange SelectRange(const Fields& request, const Validators& stored, uint64_t size) {
  const ByteRange whole = {ByteRange::Kind::kWhole, 0, size};
  const std::optional<std::string> range = CombinedValue(request, "range");
  if (!range) return whole;
  const auto condition = FirstValue(request, "if-range");
  if (condition && !RangeCounts(*condition, stored)) return whole;
  if (range->size() < 7 || !SameName(range->substr(0, 6), "bytes=")) return whole;
  const std::string_view spec = Trimmed(std::string_view(*range).substr(6));
  const size_t dash = spec.find('-');
  if (dash == std::string_view::npos || spec.find(',') != std::string_view::npos) return whole;
  const std::string_view from = Trimmed(spec.substr(0, dash));
  const std::string_view to = Trimmed(spec.substr(dash + 1));
  const std::optional<uint64_t> first = ParseNumber(from);
  const std::optional<uint64_t> last = ParseNumber(to);
  if ((!from.empty() && !first) || (!to.empty() && !last)) return whole;
  if (!first && !last) return whole;
  if (!first) {  // the last so many bytes
    if (*last == 0 || size == 0) return {ByteRange::Kind::kNotSatisfiable, 0, 0};
    const uint64_t bytes = std::min(*last, size);
    return {ByteRange::Kind::kPart, size - bytes, bytes};
  }
  if (last && *last < *first) return whole;
  if (*first >= size) return {ByteRange::Kind::kNotSatisfiable, 0, 0};
  const uint64_t end = last && *last < size ? *last + 1 : size;
  return {ByteRange::Kind::kPart, *first, end - *first};
}

}  // namespace kill9::http
