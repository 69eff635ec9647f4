// The measurements of store_benchmark: throughput and latency of several workers on one subject,
// what a subject costs as its entries grow, the room that entries take, and the physical limits of
// the machine.
#ifndef KILL9_STRESS_BENCHMARKS_LIMITS_MEASURE_H_
#define KILL9_STRESS_BENCHMARKS_LIMITS_MEASURE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "harness/base/histogram.h"
#include "harness/store_driver/keys.h"
#include "stress/benchmarks/limits/subject.h"
#include "variants/registry.h"

namespace kill9::limits {

struct Mix {
  unsigned read_percent = 100;
  unsigned workers = 1;
  KeyDistribution distribution = KeyDistribution::kUniform;
  double seconds = 0.5;
  uint64_t seed = 1;
};

// The times of one operation in eight, in nanoseconds. Summed over the rounds of a case.
struct Latencies {
  Histogram get;
  Histogram put;
};

struct Rate {
  double operations_per_second = 0;  // 0: a worker died, or did not begin within ten seconds
  double failed_share = 0;           // of these operations: what a lossy store has forgotten
};

// Runs the workers (real processes, pinned to the cores in turn; threads where the subject knows
// nothing else). Adds to *latencies.
Rate Measure(Subject& subject, const Load& load, const Mix& mix, Latencies* latencies);

// Puts every key once. False: it took longer than `seconds`.
bool Fill(Subject& subject, const Load& load, double seconds = 1e9);

// One worker's mean times, in nanoseconds, over some 100,000 uniform operations each, or as many as
// it does in 0.2 s.
struct Costs {
  double get_ns = 0;
  double put_ns = 0;
};
Costs MeasureCosts(Subject& subject, const Load& load, uint64_t seed);

// Bytes of a segment's space that an entry of 16-byte key and `value_bytes` takes beyond these:
// what the whole segment (or the files) comes to, divided by the entries in it. 0: not to be told.
double OverheadBytes(const Variant& variant, size_t value_bytes);

// What no store can be faster than: nanoseconds of each, by name (copy_64, cas_uncontended,
// robust_mutex, cache_line_round_trip, ...).
struct Limit {
  std::string name;
  double nanoseconds;
};
std::vector<Limit> PhysicalLimits();

}  // namespace kill9::limits

#endif  // KILL9_STRESS_BENCHMARKS_LIMITS_MEASURE_H_
