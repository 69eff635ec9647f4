#include "apps/http_cache/rules/freshness.h"

#include <algorithm>
#include <array>

#include "apps/http_cache/http/http_date.h"

namespace kill9::http {
namespace {

constexpr int64_t kForEver_s = int64_t{1} << 31;
constexpr int64_t kMostHeuristic_s = 24 * 3600;
constexpr std::array kHeuristic = {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501};
// What we know well enough to keep although it says no-store with must-understand.
constexpr std::array kUnderstood = {200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 401,
                                    403, 404, 405, 410, 414, 500, 501, 502, 503, 504};
constexpr std::array<std::string_view, 5> kOfTheBody = {"content-encoding", "content-length",
                                                        "content-md5", "content-range", "etag"};

template <typename List>
bool Has(const List& list, int status) {
  return std::find(list.begin(), list.end(), status) != list.end();
}

// Several fields, a list, or anything but a number: it must count as old.
int64_t AgeField(const Fields& fields) {
  const std::optional<std::string> age = CombinedValue(fields, "age");
  return age ? ParseSeconds(*age).value_or(kForEver_s) : 0;
}

struct Dates {
  std::optional<int64_t> date, expires, last_modified;
  bool expires_present = false;
};

Dates DatesOf(const Fields& fields) {
  Dates dates;
  if (const auto date = FirstValue(fields, "date")) dates.date = ParseDate(*date);
  if (const auto modified = FirstValue(fields, "last-modified"))
    dates.last_modified = ParseDate(*modified);
  if (const auto expires = CombinedValue(fields, "expires")) {
    dates.expires_present = true;
    dates.expires = ParseDate(*expires);
  }
  return dates;
}

// The freshness lifetime (RFC 9111, 4.2.1).
int64_t LifetimeS(const CacheControl& control, const Dates& dates, int status, bool cookie,
                  int64_t response_time_s) {
  if (control.s_maxage_s) return *control.s_maxage_s;
  if (control.max_age_s) return *control.max_age_s;
  const int64_t date = dates.date.value_or(response_time_s);
  if (dates.expires_present)
    return dates.expires ? std::clamp<int64_t>(*dates.expires - date, 0, kForEver_s) : 0;
  if (!dates.last_modified || cookie || !(Has(kHeuristic, status) || control.is_public)) return 0;
  return std::clamp<int64_t>((date - *dates.last_modified) / 10, 0, kMostHeuristic_s);
}

}  // namespace

int64_t Life::AgeMs(int64_t now_ms) const {
  return initial_age_ms + std::max<int64_t>(0, now_ms - response_time_ms);
}

RequestFacts FactsOf(const Fields& request) {
  RequestFacts facts;
  facts.control = ParseCacheControl(request);
  if (!facts.control.present) {
    const std::optional<std::string> pragma = CombinedValue(request, "pragma");
    facts.control.no_cache = pragma && ListHas(*pragma, "no-cache");
  }
  facts.authorization = FirstValue(request, "authorization").has_value();
  return facts;
}

Keep MayKeep(const RequestFacts& request, const ResponseHead& response, int64_t request_time_ms,
             int64_t response_time_ms, Life* life) {
  const CacheControl control = ParseCacheControl(response.fields);
  const int status = response.status;
  if (status < 200 || status == 206 || status == 304) return Keep::kNotOfUse;
  const bool understood = Has(kUnderstood, status);
  if (control.must_understand && !understood) return Keep::kNoStore;
  if (control.no_store && !control.must_understand) return Keep::kNoStore;
  if (request.control.no_store || control.is_private) return Keep::kNoStore;
  if (request.authorization && !control.is_public && !control.s_maxage_s &&
      !control.must_revalidate) {
    return Keep::kNoStore;
  }
  const std::optional<std::string> vary = CombinedValue(response.fields, "vary");
  if (vary && ListHas(*vary, "*")) return Keep::kVaries;

  const Dates dates = DatesOf(response.fields);
  const int64_t response_time_s = response_time_ms / 1000;
  const bool cookie = FirstValue(response.fields, "set-cookie").has_value();
  const int64_t apparent_age_s =
      std::max<int64_t>(0, response_time_s - dates.date.value_or(response_time_s));
  const int64_t corrected_age_ms =
      AgeField(response.fields) * 1000 + std::max<int64_t>(0, response_time_ms - request_time_ms);
  *life = {};
  life->response_time_ms = response_time_ms;
  life->initial_age_ms = std::max(apparent_age_s * 1000, corrected_age_ms);
  life->lifetime_ms = LifetimeS(control, dates, status, cookie, response_time_s) * 1000;
  life->no_cache = control.no_cache;
  life->must_revalidate =
      control.must_revalidate || control.proxy_revalidate || control.s_maxage_s.has_value();
  life->stale_while_revalidate_ms = control.stale_while_revalidate_s.value_or(0) * 1000;
  life->stale_if_error_ms = control.stale_if_error_s.value_or(0) * 1000;

  const bool validator = FirstValue(response.fields, "etag") || dates.last_modified;
  const bool of_use = life->LeftMs(response_time_ms) > 0 || life->stale_while_revalidate_ms > 0 ||
                      life->stale_if_error_ms > 0;
  const bool by_default = Has(kHeuristic, status) || control.is_public;
  const bool by_itself =
      control.max_age_s || control.s_maxage_s || dates.expires_present || control.no_cache;
  if (!by_default && !by_itself) return Keep::kNotOfUse;
  if (cookie && !by_itself) return Keep::kNotOfUse;
  return (of_use && !control.no_cache) || validator ? Keep::kYes : Keep::kNotOfUse;
}

Use MayUse(const RequestFacts& request, const Life& life, int64_t now_ms) {
  const CacheControl& asked = request.control;
  if (life.no_cache || asked.no_cache) return Use::kAfterValidation;
  const int64_t left_ms = life.LeftMs(now_ms);
  if (asked.max_age_s && life.AgeMs(now_ms) > *asked.max_age_s * 1000) return Use::kAfterValidation;
  if (left_ms > 0) {
    const bool enough = !asked.min_fresh_s || left_ms >= *asked.min_fresh_s * 1000;
    return enough ? Use::kFresh : Use::kAfterValidation;
  }
  if (life.must_revalidate || asked.min_fresh_s) return Use::kAfterValidation;
  if (-left_ms < life.stale_while_revalidate_ms) return Use::kWhileRevalidate;
  if (asked.max_stale_s ? -left_ms <= *asked.max_stale_s * 1000 : asked.max_stale_any)
    return Use::kStale;
  return Use::kAfterValidation;
}

bool MayUseOnError(const RequestFacts& request, const Life& life, int64_t now_ms) {
  if (life.no_cache || life.must_revalidate || request.control.no_cache) return false;
  const int64_t left_ms = life.LeftMs(now_ms);
  if (left_ms > 0) return true;
  const int64_t asked_ms = request.control.stale_if_error_s.value_or(0) * 1000;
  return -left_ms < std::max(life.stale_if_error_ms, asked_ms);
}

bool KeepsItsValue(std::string_view name) {
  return std::any_of(kOfTheBody.begin(), kOfTheBody.end(),
                     [&](std::string_view kept) { return SameName(name, kept); });
}

}  // namespace kill9::http
