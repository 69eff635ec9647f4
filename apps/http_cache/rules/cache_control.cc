#include "apps/http_cache/rules/cache_control.h"

#include <algorithm>

namespace kill9::http {
namespace {

std::string_view Unquoted(std::string_view value) {
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
    return value.substr(1, value.size() - 2);
  return value;
}

enum class Careful { kLess, kMore };

void Number(std::optional<int64_t>& directive, std::string_view value, Careful careful) {
  const int64_t number = ParseSeconds(Unquoted(value)).value_or(0);
  if (!directive) {
    directive = number;
  } else {
    directive =
        careful == Careful::kLess ? std::min(*directive, number) : std::max(*directive, number);
  }
}

void ReadDirective(std::string_view member, CacheControl& control) {
  const size_t equals = member.find('=');
  const bool has_value = equals != std::string_view::npos;
  const std::string name = LowerCase(member.substr(0, equals));
  const std::string_view value = has_value ? member.substr(equals + 1) : std::string_view();
  if (name == "no-store") control.no_store = true;
  if (name == "no-cache") control.no_cache = true;
  if (name == "private") control.is_private = true;
  if (name == "public") control.is_public = true;
  if (name == "must-revalidate") control.must_revalidate = true;
  if (name == "proxy-revalidate") control.proxy_revalidate = true;
  if (name == "must-understand") control.must_understand = true;
  if (name == "only-if-cached") control.only_if_cached = true;
  if (name == "max-age") Number(control.max_age_s, value, Careful::kLess);
  if (name == "s-maxage") Number(control.s_maxage_s, value, Careful::kLess);
  if (name == "min-fresh") Number(control.min_fresh_s, value, Careful::kMore);
  if (name == "stale-while-revalidate")
    Number(control.stale_while_revalidate_s, value, Careful::kLess);
  if (name == "stale-if-error") Number(control.stale_if_error_s, value, Careful::kLess);
  if (name == "max-stale") {
    if (has_value) {
      Number(control.max_stale_s, value, Careful::kLess);
    } else {
      control.max_stale_any = true;
    }
  }
}

}  // namespace

CacheControl ParseCacheControl(const Fields& fields) {
  CacheControl control;
  for (const Field& field : fields) {
    if (!SameName(field.name, "cache-control")) continue;
    control.present = true;
    ForEachMember(field.value, [&](std::string_view member) { ReadDirective(member, control); });
  }
  return control;
}

}  // namespace kill9::http
