#include "harness/base/clock.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <latch>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "absl/strings/str_format.h"

namespace kill9 {
namespace {

constexpr int kCheckRounds = 2000;
// On a busy machine a message takes as long as the other end waits for its core: fewer must do.
constexpr uint64_t kFewestTurns = 100;
constexpr uint64_t kLongCheckNs = 2'000'000'000;

bool CounterIsInvariant() {
#if defined(__x86_64__)
  unsigned a, b, c, d;
  return __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & (1u << 8)) != 0;
#else
  return false;
#endif
}

std::vector<int> UsableCores() {
  cpu_set_t set;
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

bool PinTo(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  return pthread_setaffinity_np(pthread_self(), sizeof set, &set) == 0;
}

// Before all others on its core, where that is allowed: on a busy machine both ends would else have
// a CPU at the same time only now and then.
bool GoFirst() {
  const sched_param first{.sched_priority = 1};
  return pthread_setschedparam(pthread_self(), SCHED_FIFO, &first) == 0;
}

// One of the two ends of the line between two cores. Messages are clock readings; each end writes
// its own cell and reads the other's, in turns counted by `turn`.
struct Line {
  alignas(64) std::atomic<uint64_t> turn{0};
  // Written by the end whose turn it is, before it passes the turn on.
  alignas(64) uint64_t sent = 0;
  uint64_t turns = 0;        // how many there are to be; written as `sent` is, by the first end
  std::latch both_there{2};  // pinned, and about to converse
};

void Converse(Line& line, uint64_t first_turn, int core, absl::FunctionRef<uint64_t(int)> read,
              std::atomic<uint64_t>& violations) {
  // Another check's end may have the core and wait for one that waits for this core. Who is not
  // before all others keeps the core while it may: at each yield it would be gone for long, most
  // likely while the other end is there.
  const bool is_pinned = PinTo(core);
  line.both_there.arrive_and_wait();  // nobody else is waited for by now, and may be kept waiting
  const bool yields = !is_pinned || GoFirst();
  const Clock wall = Clock::Of(Clock::Source::kMonotonic);
  const uint64_t begin = wall.Now();
  for (uint64_t turn = first_turn;; turn += 2) {
    // acquire: pairs with the release below of the other end, so that `sent` is its message.
    for (int spins = 0; line.turn.load(std::memory_order_acquire) != turn; ++spins) {
      if (yields && spins % 1024 == 1023) sched_yield();
    }
    if (first_turn == 0 && turn >= kFewestTurns && wall.Now() - begin > kLongCheckNs) {
      line.turns = std::min(line.turns, turn);
    }
    if (turn >= line.turns) {
      line.turn.store(turn + 1, std::memory_order_release);  // as below: the other end has read it
      break;
    }
    uint64_t now = read(core);
    if (turn > 0 && now < line.sent) {
      violations.fetch_add(1, std::memory_order_relaxed);  // a count, read after join
    }
    line.sent = read(core);
    line.turn.store(turn + 1, std::memory_order_release);  // pairs with the acquire above
  }
}

// The same moment by both clocks: of several pairs of readings, the closest.
void ReadBoth(const Clock& wall, const Clock& clock, uint64_t* nanoseconds, uint64_t* ticks) {
  uint64_t closest = ~uint64_t{0};
  for (int i = 0; i < 20; ++i) {
    const uint64_t before = wall.Now();
    const uint64_t now = clock.Now();
    const uint64_t apart = wall.Now() - before;
    if (apart >= closest) continue;
    closest = apart;
    *nanoseconds = before + apart / 2;
    *ticks = now;
  }
}

double MeasureTicksPerSecond(const Clock& clock) {
  const Clock wall = Clock::Of(Clock::Source::kMonotonic);
  uint64_t wall_begin = 0;
  uint64_t ticks_begin = 0;
  ReadBoth(wall, clock, &wall_begin, &ticks_begin);
  while (wall.Now() - wall_begin < 10'000'000) {
  }
  uint64_t wall_end = 0;
  uint64_t ticks_end = 0;
  ReadBoth(wall, clock, &wall_end, &ticks_end);
  return static_cast<double>(ticks_end - ticks_begin) * 1e9 /
         static_cast<double>(wall_end - wall_begin);
}

}  // namespace

ClockOrder CheckClockOrder(absl::FunctionRef<uint64_t(int core)> read, int rounds) {
  std::vector<int> cores = UsableCores();
  ClockOrder order;
  order.cores = static_cast<uint32_t>(cores.size());
  std::atomic<uint64_t> violations{0};
  size_t pairs = cores.size() < 2 ? 0 : (cores.size() == 2 ? 1 : cores.size());
  for (size_t i = 0; i < pairs; ++i) {
    Line line;
    line.turns = 2u * static_cast<uint64_t>(rounds);
    std::thread other([&] { Converse(line, 1, cores[(i + 1) % cores.size()], read, violations); });
    std::thread one([&] { Converse(line, 0, cores[i], read, violations); });
    one.join();
    other.join();
    order.messages += line.turns;
  }
  order.violations = violations.load(std::memory_order_relaxed);  // all threads were joined
  return order;
}

Clock Clock::Of(Source source) {
  Clock clock;
  clock.source_ = source;
  std::snprintf(clock.reason_, sizeof clock.reason_, "not checked");
  if (source == Source::kTimeStampCounter) clock.ticks_per_second_ = MeasureTicksPerSecond(clock);
  return clock;
}

const Clock& Clock::Checked() {
  static const Clock checked = [] {
    Clock fallback = Of(Source::kMonotonic);
    if (!CounterIsInvariant()) {
      std::snprintf(fallback.reason_, sizeof fallback.reason_,
                    "the processor has no invariant time stamp counter");
      return fallback;
    }
    Clock counter = Of(Source::kTimeStampCounter);
    ClockOrder order = CheckClockOrder([&](int) { return counter.AfterOperation(); }, kCheckRounds);
    if (order.violations != 0 || order.cores == 0) {
      std::snprintf(fallback.reason_, sizeof fallback.reason_,
                    "the time stamp counters of the cores disagree: %llu of %llu messages arrived "
                    "before they were sent",
                    static_cast<unsigned long long>(order.violations),
                    static_cast<unsigned long long>(order.messages));
      return fallback;
    }
    std::snprintf(counter.reason_, sizeof counter.reason_,
                  "invariant, ordered across %u cores in %llu messages", order.cores,
                  static_cast<unsigned long long>(order.messages));
    return counter;
  }();
  return checked;
}

std::string Clock::description() const {
  if (source_ == Source::kMonotonic) return absl::StrFormat("CLOCK_MONOTONIC (%s)", reason_);
  return absl::StrFormat("time stamp counter, %.2f GHz (%s)", ticks_per_second_ / 1e9, reason_);
}

}  // namespace kill9
