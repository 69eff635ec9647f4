// What the workers have counted, for people and for programs.
#ifndef KILL9_APPS_HTTP_CACHE_PROXY_STATISTICS_H_
#define KILL9_APPS_HTTP_CACHE_PROXY_STATISTICS_H_

#include <span>
#include <string>

#include "apps/http_cache/net/counters.h"

namespace kill9::http {

// `about`: where the store is, and of which design.
std::string StatisticsPage(std::span<const CounterRow> workers, const std::string& about);
// {"total": {"pid": ..., "requests": ..., ...}, "workers": [{...}, ...]}; the total's pid is the
// master's.
std::string StatisticsJson(std::span<const CounterRow> workers);

}  // namespace kill9::http

#endif  // KILL9_APPS_HTTP_CACHE_PROXY_STATISTICS_H_
