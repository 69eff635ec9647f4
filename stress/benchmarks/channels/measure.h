// Measuring a transport: each end in a process of its own, pinned to the cores in turn.
#ifndef KILL9_STRESS_BENCHMARKS_CHANNELS_MEASURE_H_
#define KILL9_STRESS_BENCHMARKS_CHANNELS_MEASURE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "harness/base/histogram.h"
#include "stress/benchmarks/channels/transport.h"

namespace kill9::transports {

// What a process does: its part, after all are ready. Made in the process itself.
using Work = std::function<void()>;
struct Took {
  double seconds = -1;     // from when all are ready until the last one is done; -1: it failed
  double cpu_seconds = 0;  // of all processes, user and system; what they wait for spinning counts
};
// Runs each in a process of its own, the i-th on the i-th core. It fails if one of them does, or if
// they stand still for a minute.
Took RunTogether(const std::vector<std::function<Work()>>& processes);

// A histogram that processes share.
class SharedHistogram {
 public:
  SharedHistogram();
  ~SharedHistogram();
  SharedHistogram(const SharedHistogram&) = delete;
  SharedHistogram& operator=(const SharedHistogram&) = delete;
  Histogram* get() const { return histogram_; }
  Histogram* operator->() const { return histogram_; }
  const Histogram& operator*() const { return *histogram_; }

 private:
  Histogram* const histogram_;
};

// All messages of the load, from `senders` processes to `receivers`.
Took Stream(const TransportKind& kind, const Load& load, size_t batch, unsigned senders = 1,
            unsigned receivers = 1);
// All messages of the load from one process to each of the receivers: once through a broadcast,
// else once to each, through a transport of its own. `received`: what they got in all; a broadcast
// overwrites what they are too slow for.
Took ToAll(const TransportKind& kind, const Load& load, unsigned receivers, uint64_t* received);
// Messages of a size, filled and read in place.
Took InPlace(const TransportKind& kind, size_t bytes, size_t count);
// Messages of a size there and back again; nanoseconds each. With `rest_us` the first one rests so
// long before each (without giving up its core), so that the other one is asleep if it sleeps.
// `burst`: so many go there before one comes back. False: as RunTogether.
bool Echo(const TransportKind& kind, size_t bytes, size_t count, Wait wait, unsigned rest_us,
          Histogram* nanoseconds, size_t burst = 1);

// What deaths of one side did to the messages, while the other one went on.
struct KillReport {
  uint64_t kills = 0;
  uint64_t sent = 0;            // sends that returned
  uint64_t lost = 0;            // of them: never used by anybody
  uint64_t redelivered = 0;     // used twice, marked
  uint64_t duplicated = 0;      // used twice, not marked
  uint64_t torn = 0;            // bytes that nobody sent so
  bool stuck = false;           // no message got through for kStuckSeconds
  double longest_pause_ms = 0;  // after a kill, until the next message got through
};
inline constexpr double kStuckSeconds = 6;
KillReport Kill(const TransportKind& kind, Side victims, uint64_t kills, uint64_t seed);

}  // namespace kill9::transports

#endif  // KILL9_STRESS_BENCHMARKS_CHANNELS_MEASURE_H_
