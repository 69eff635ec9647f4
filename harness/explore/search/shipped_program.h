// Asks the shipped program, kill9, to do again what was explored (harness/explore/shipped).
#ifndef KILL9_HARNESS_EXPLORE_SEARCH_SHIPPED_PROGRAM_H_
#define KILL9_HARNESS_EXPLORE_SEARCH_SHIPPED_PROGRAM_H_

#include <csignal>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "harness/explore/runtime/machine.h"
#include "harness/explore/search/explore.h"
#include "harness/explore/shipped/steps.h"

namespace kill9::explore {

// Of the schedule that was run last. REQUIRES: it was replayed, with a trace.
Steps StepsOf(const std::string& variant, const std::string& scenario, const Scene& scene,
              const Replayed& replayed);

// An answer for each, or fewer: kill9 is not beside this program, or ended.
std::vector<ShippedAnswer> AskShippedProgram(std::span<const Steps> all);

// The schedule without what the shipped program does not divide: the kernel does all for a dead
// participant at once, and each death comes `later` by so many of its participant's steps.
Schedule Undivided(const Schedule& schedule, uint64_t later);

// For a schedule that divides what the shipped program does in one step: the answer to the first of
// those like it that the program has, and that ends with the same verdict; it is `schedule` then.
// `divided`, if there is none.
ShippedAnswer AskUndivided(const std::string& variant, const std::string& scenario,
                           const Scene& scene, const ShippedAnswer& divided,
                           const MachineLimits& limits, Schedule* schedule);

// Random schedules of a scene, all of which pass, in the shipped program.
struct ShippedOptions {
  int deaths = 0;
  uint64_t schedules = 0;
  uint64_t seed = 1;
  const volatile std::sig_atomic_t* interrupted = nullptr;
};
struct ShippedScore {
  uint64_t same = 0, other = 0, diverged = 0, instructions = 0, deaths = 0;
  uint64_t moved = 0;  // of the same: those that the program has in another form only
  std::string first_other, token_of_other;
  struct Diverged {
    uint64_t count = 0;
    std::string first, token;  // with its place; of the first
  };
  std::map<std::string, Diverged> why_diverged;  // by the reason, without its place
};
ShippedScore CompareWithShipped(const std::string& variant, const std::string& scenario,
                                Scene& scene, const ShippedOptions& options);

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SEARCH_SHIPPED_PROGRAM_H_
