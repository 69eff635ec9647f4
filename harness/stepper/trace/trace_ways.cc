// The cheapest way to each step of a trace: a shortest path whose edges are single steps,
// breakpoints with counted hits from any step before, and the iterations of a repeated string
// instruction.
#include <algorithm>
#include <bit>

#include "harness/stepper/trace/trace.h"

namespace kill9::stepper {
namespace {

constexpr uint32_t kNone = ~uint32_t{0};

// For each step the one before it at the same address.
class Occurrences {
 public:
  Occurrences(const TraceStep* steps, uint32_t size)
      : previous_(size), slots_(std::bit_ceil(2 * size + 2)), last_(slots_) {
    for (uint32_t at = 0; at < size; ++at) {
      previous_[at] = kNone;
      if (steps[at].flags & kInsideString) continue;
      uint32_t slot = static_cast<uint32_t>(steps[at].address * 0x9E3779B97F4A7C15 >> 32) % slots_;
      while (last_[slot] != 0 && steps[last_[slot] - 1].address != steps[at].address) {
        slot = (slot + 1) % slots_;
      }
      if (last_[slot] != 0) previous_[at] = last_[slot] - 1;
      last_[slot] = at + 1;
    }
  }
  uint32_t Before(uint32_t at) { return previous_[at]; }

 private:
  UninheritedArray<uint32_t> previous_;
  uint32_t slots_;
  UninheritedArray<uint32_t> last_;  // by address, the step's number + 1
};

// The cheapest of the last steps, of as many as asked: the steps that no later one undercuts, so
// their costs never fall.
class Cheapest {
 public:
  Cheapest(const TraceStep* steps, uint32_t size) : steps_(steps), candidates_(size) {}
  void Add(uint32_t at) {
    while (count_ > 0 && steps_[candidates_[count_ - 1]].cost > steps_[at].cost) --count_;
    candidates_[count_++] = at;
  }
  // Of those that are not before `first` and do not stand at `address`; kNone: there is none.
  uint32_t From(uint32_t first, uint64_t address) {
    uint32_t* begin = &candidates_[0];
    uint32_t* end = begin + count_;
    uint32_t* found = std::lower_bound(begin, end, first);
    while (found != end && steps_[*found].address == address) ++found;
    return found == end ? kNone : *found;
  }

 private:
  const TraceStep* steps_;
  UninheritedArray<uint32_t> candidates_;
  uint32_t count_ = 0;
};

// By a breakpoint at the step's address, from wherever that is cheapest. The victim may stand at no
// execution of the address itself: it would be hit, or not, at once.
void PlanBreakpoint(TraceStep* steps, uint32_t at, const WayCosts& costs, Occurrences& occurrences,
                    Cheapest& cheapest) {
  TraceStep& step = steps[at];
  uint32_t hit_cost = costs.first_hit;
  uint32_t before = at;
  for (uint32_t hits = 1; hit_cost < step.cost; ++hits, hit_cost += costs.further_hit) {
    before = occurrences.Before(before);
    const uint32_t from = cheapest.From(before == kNone ? 0 : before + 1, step.address);
    if (from != kNone && steps[from].cost + hit_cost < step.cost) {
      step.cost = steps[from].cost + hit_cost;
      step.from = from;
      step.hits = hits;
    }
    if (before == kNone) return;
    if (costs.steps_over && (steps[before + 1].flags & kInsideString)) return;
  }
}

}  // namespace

void Trace::PlanWays(const WayCosts& costs) {
  Occurrences occurrences(steps_.data(), size_);
  Cheapest cheapest(steps_.data(), size_);
  uint32_t first_iteration = 0;
  for (uint32_t at = 0; at < size_; ++at) {
    TraceStep& step = steps_[at];
    step.from = step.hits = step.cost = 0;
    if (at > 0) {
      const TraceStep& last = steps_[at - 1];
      // A step of many instructions is crossed by a breakpoint behind it, where there are any.
      step.cost =
          last.cost +
          (last.flags & kManyInstructions ? std::max(costs.step, costs.first_hit) : costs.step);
      step.from = last.hits > 0 ? at - 1 : last.from;
    }
    if (step.flags & kInsideString) {
      const uint32_t at_once = steps_[first_iteration].cost + costs.first_hit;
      if (costs.breakpoints && at_once < step.cost) {
        step.cost = at_once;
        step.from = first_iteration;
        step.hits = at - first_iteration;
      }
      continue;  // no breakpoint is set from here: the next iteration would hit it
    }
    first_iteration = at;
    // Inside the vDSO, and where a stop begins anew what has begun, no breakpoint is set.
    if (step.flags & kManyInstructions) continue;
    if (at > 0 && costs.breakpoints)
      PlanBreakpoint(steps_.data(), at, costs, occurrences, cheapest);
    cheapest.Add(at);
  }
}

uint32_t Trace::StopsOnWay(uint32_t at, const WayCosts& costs) const {
  uint32_t stops = 0;
  while (at > 0) {
    const TraceStep& step = steps_[at];
    if (step.hits == 0) {
      stops += at - step.from;
    } else if (step.flags & kInsideString) {
      ++stops;
    } else {
      stops += 1 + (step.hits - 1) * (costs.steps_over ? 2 : 1);
    }
    at = step.from;
  }
  return stops;
}

}  // namespace kill9::stepper
