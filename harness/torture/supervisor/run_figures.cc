#include "harness/torture/supervisor/run_figures.h"

#include <algorithm>
#include <string>

namespace kill9 {
namespace {

uint64_t SumOfBoards(const Control& control, std::atomic<uint64_t> WorkerBoard::*field) {
  uint64_t sum = 0;
  for (const WorkerBoard& board : control.boards) {
    sum += (board.*field).load(std::memory_order_relaxed);
  }
  return sum;
}

// The buckets that are not empty: [middle, count].
Json Buckets(const Histogram& histogram) {
  Json buckets = Json::array();
  for (size_t bucket = 0; bucket < Histogram::kBuckets; ++bucket) {
    if (const uint64_t count = histogram.count_in(bucket); count > 0) {
      buckets.push_back({Histogram::MiddleOf(bucket), count});
    }
  }
  return buckets;
}

}  // namespace

uint64_t OperationsSoFar(const Control& control) {
  return SumOfBoards(control, &WorkerBoard::operations);
}

Json FiguresOf(const Control& control, const SupervisorReport& report, const Clock& clock) {
  const auto load = [](const std::atomic<uint64_t>& word) {
    return word.load(std::memory_order_relaxed);
  };
  const auto to_us = [&clock](uint64_t ticks) { return clock.ToNanoseconds(ticks) / 1000; };
  Json places = Json::object();
  for (size_t place = 0; place < kActivities; ++place) {
    std::string name(ActivityName(static_cast<Activity>(place)));
    std::replace(name.begin(), name.end(), ' ', '_');
    places[name] = report.kills[place];
  }
  const double kills_per_second =
      report.seconds > 0 ? static_cast<double>(report.kills_total()) / report.seconds : 0;
  return {{"kills",
           {{"total", report.kills_total()},
            {"in_operation", report.kills_in_operation()},
            {"in_recovery", report.kills_at(Activity::kRecovering)},
            {"places", places}}},
          {"kills_per_second", kills_per_second},
          {"forks", report.forks},
          {"stops", report.stops},
          {"pauses", SumOfBoards(control, &WorkerBoard::pauses)},
          {"generations", report.generations},
          {"reused_pids", report.reused_pids},
          {"inherited_refusals", load(control.inherited_refusals)},
          {"recoveries", load(control.recoveries)},
          {"recovered",
           {{"participants", load(control.recovered_participants)},
            {"blocks", load(control.recovered_blocks)},
            {"rolled_back", load(control.rolled_back)},
            {"rolled_forward", load(control.rolled_forward)}}},
          {"recovery_us",
           {{"p50", control.recovery_us.Quantile(0.5)},
            {"p99", control.recovery_us.Quantile(0.99)},
            {"max", control.recovery_us.largest()},
            {"samples", control.recovery_us.count()},
            {"histogram", Buckets(control.recovery_us)}}},
          {"death_noted_us",
           {{"p50", control.death_noted_us.Quantile(0.5)},
            {"p99", control.death_noted_us.Quantile(0.99)},
            {"max", control.death_noted_us.largest()},
            {"samples", control.death_noted_us.count()},
            {"histogram", Buckets(control.death_noted_us)}}},
          {"longest_wait_us", to_us(report.times.longest_wait)},
          {"longest_wait_paused_us", to_us(report.times.longest_wait_paused)},
          {"longest_wait_function", RowOf(report.times.longest_wait_function).name},
          {"longest_pause_us", to_us(report.times.longest_pause)},
          {"audits", load(control.audits)},
          {"fills", load(control.fills)},
          {"refused", SumOfBoards(control, &WorkerBoard::refused)},
          {"leaked_blocks", load(control.leaked_blocks)},
          {"doubly_owned_blocks", load(control.doubly_owned_blocks)}};
}

Json FieldsOf(const HistoryFile& history) {
  if (history.path.empty()) {
    return history.why.empty() ? Json::object() : Json{{"history_not_kept", history.why}};
  }
  return {{"history", history.path},
          {"history_is_whole", history.whole},
          {"history_is_checkable", history.checkable},
          {"history_operations", {{"kept", history.operations}, {"of", history.of}}}};
}

}  // namespace kill9
