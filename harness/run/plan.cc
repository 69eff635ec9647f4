#include "harness/run/plan.h"

#include <algorithm>
#include <set>

#include "harness/base/random.h"

namespace kill9::run {

std::vector<TracedPoint> ReadTrace(const Json& points) {
  std::vector<TracedPoint> trace;
  for (const Json& json : points) {
    TracedPoint traced;
    traced.point = {.process = TextField(json, "process"),
                    .call = TextField(json, "call"),
                    .path = TextField(json, "path"),
                    .occurrence = json["occurrence"].get<uint32_t>(),
                    .instruction = json["instruction"].get<uint64_t>()};
    traced.number = json["number"].get<long>();
    traced.nth = json["nth"].get<uint32_t>();
    traced.points = json["points"].get<uint64_t>();
    traced.left = json["left"].get<uint64_t>();
    trace.push_back(std::move(traced));
  }
  return trace;
}

bool NameByBoth(std::vector<TracedPoint>& trace, const std::vector<TracedPoint>& again) {
  const auto same_call = [](const TracedPoint& a, const TracedPoint& b) {
    return a.point.process == b.point.process && a.number == b.number && a.nth == b.nth &&
           a.point.instruction == b.point.instruction;
  };
  if (!std::equal(trace.begin(), trace.end(), again.begin(), again.end(), same_call)) return false;
  const std::vector<TracedPoint> first = trace;
  for (size_t n = 0; n < trace.size(); ++n) {
    Point& point = trace[n].point;
    trace[n].repeats = trace[n].left == again[n].left;
    if (point.path == again[n].point.path) continue;
    point.path = PatternOf(point.path, again[n].point.path);
    point.occurrence = 0;
    for (size_t m = 0; m <= n; ++m) {
      const Point& before = first[m].point;
      point.occurrence += before.process == point.process && before.call == point.call &&
                          PathFits(point.path, before.path);
    }
  }
  return true;
}

std::vector<size_t> PlanKills(const std::vector<TracedPoint>& trace, const RunOptions& options) {
  std::vector<size_t> planned, others;
  std::set<uint64_t> left;
  for (size_t n = 0; n < trace.size(); ++n) {
    // Of a survivor's memory and locks, what is left in files says nothing.
    if (options.first_only && !trace[n].point.process.empty()) continue;
    const bool is_new = left.insert(trace[n].left).second;
    (is_new || options.full || options.first_only ? planned : others).push_back(n);
  }
  const size_t sample = std::min<size_t>(options.sample, others.size());
  Random random(options.seed);
  random.DrawFirst(others.data(), others.size(), sample);
  planned.insert(planned.end(), others.begin(),
                 others.begin() + static_cast<std::ptrdiff_t>(sample));
  return planned;
}

}  // namespace kill9::run
