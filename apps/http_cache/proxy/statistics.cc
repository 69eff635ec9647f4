#include "apps/http_cache/proxy/statistics.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kill9::http {
namespace {

constexpr std::string_view kStyle =
    "body{font:16px system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;"
    "color:#1a1a1a;background:#fff}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:right;padding:.3rem .6rem;border-bottom:1px solid #ccc}"
    "th:first-child{text-align:left}.rate{font-size:2rem}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}"
    "th,td{border-color:#444}}";

// What the workers have together. `of(row)`: one of them.
template <typename Of>
uint64_t Sum(std::span<const CounterRow> workers, Of of) {
  uint64_t sum = 0;
  for (const CounterRow& row : workers) sum += of(row);
  return sum;
}

uint64_t Total(std::span<const CounterRow> workers, Counter counter) {
  return Sum(workers, [counter](const CounterRow& row) { return row.Of(counter); });
}

template <typename Of>
void AddRow(std::string& page, std::string_view name, std::span<const CounterRow> workers, Of of) {
  absl::StrAppend(&page, "<tr><th scope=\"row\">", std::string(name), "</th><td>", Sum(workers, of),
                  "</td>");
  for (const CounterRow& row : workers) absl::StrAppend(&page, "<td>", of(row), "</td>");
  page.append("</tr>");
}

std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '<') {
      escaped.append("&lt;");
    } else if (c == '&') {
      escaped.append("&amp;");
    } else {
      escaped.push_back(c);
    }
  }
  return escaped;
}

uint64_t Clients(const CounterRow& row) { return row.clients.load(std::memory_order_relaxed); }

template <typename Value>
std::string JsonObject(int64_t pid, uint64_t clients, Value value) {
  std::string text = absl::StrCat("{\"pid\": ", pid, ", \"clients\": ", clients);
  for (size_t at = 0; at < kCounters; ++at) {
    absl::StrAppend(&text, ", \"", std::string(kCounterNames[at]),
                    "\": ", value(static_cast<Counter>(at)));
  }
  return text.append("}");
}

}  // namespace

std::string StatisticsJson(std::span<const CounterRow> workers) {
  std::string text = "{\"total\": ";
  text.append(JsonObject(getppid(), Sum(workers, Clients),
                         [&](Counter counter) { return Total(workers, counter); }));
  text.append(", \"workers\": [");
  for (size_t worker = 0; worker < workers.size(); ++worker) {
    if (worker > 0) text.append(", ");
    const int64_t pid = workers[worker].pid.load(std::memory_order_relaxed);
    text.append(JsonObject(pid, Clients(workers[worker]),
                           [&](Counter counter) { return workers[worker].Of(counter); }));
  }
  return text.append("]}\n");
}

std::string StatisticsPage(std::span<const CounterRow> workers, const std::string& about) {
  const uint64_t hits = Total(workers, Counter::kHits) + Total(workers, Counter::kRevalidated);
  const uint64_t looked =
      hits + Total(workers, Counter::kMisses) + Total(workers, Counter::kCollapsed);
  const double share =
      looked == 0 ? 0 : 100.0 * static_cast<double>(hits) / static_cast<double>(looked);
  std::string page = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">";
  page.append("<meta name=\"viewport\" content=\"width=device-width\">");
  page.append("<meta http-equiv=\"refresh\" content=\"5\"><title>kill9-http-cache</title><style>");
  page.append(kStyle).append("</style></head><body><main><h1>kill9-http-cache</h1><p>");
  page.append(Escaped(about)).append("</p><p class=\"rate\">");
  absl::StrAppendFormat(&page, "%.1f %% from the cache</p>", share);
  page.append("<table><thead><tr><th scope=\"col\">since the start</th><th scope=\"col\">all</th>");
  for (size_t worker = 0; worker < workers.size(); ++worker)
    absl::StrAppend(&page, "<th scope=\"col\">worker ", worker + 1, "</th>");
  page.append("</tr></thead><tbody>");
  AddRow(page, "clients now", workers, Clients);
  for (size_t at = 0; at < kCounters; ++at) {
    std::string name(kCounterNames[at]);
    for (char& c : name) c = c == '_' ? ' ' : c;
    const Counter counter = static_cast<Counter>(at);
    AddRow(page, name, workers, [counter](const CounterRow& row) { return row.Of(counter); });
  }
  return page.append("</tbody></table></main></body></html>\n");
}

}  // namespace kill9::http
