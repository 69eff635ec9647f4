// The tiers of `kill9 try`: torture and the sweep as their own commands run them, in their shares
// of a minute.
#ifndef KILL9_STRESS_COMMAND_TRY_TIERS_H_
#define KILL9_STRESS_COMMAND_TRY_TIERS_H_

#include <csignal>
#include <cstdint>
#include <functional>
#include <string>

#include "harness/programs/options.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "variants/object.h"

namespace kill9 {

struct TryOptions {
  double seconds = 50;  // of all tiers
  // Work instead of time; 0: by time.
  uint64_t kills = 0;  // of each run of torture
  uint32_t cells = 0;  // of the sweep, with kills; 0: all
  uint32_t processes = 4;
  uint64_t seed = 1;
  double watchdog_seconds = 2;
  std::string counterexamples;                              // a folder
  const volatile std::sig_atomic_t* interrupted = nullptr;  // set by a signal
  std::function<void(const std::string&)> progress;         // what is going on, for people

  bool by_work() const { return kills != 0; }
};

struct TierResult {
  std::string tier;                  // "control"
  Verdict verdict = Verdict::kPass;  // the worst of its runs
  int exit_code = kExitPass;
  std::string summary = {};   // a line for people
  Json runs = Json::array();  // as in result files, each with its "tier"

  bool failed() const { return exit_code == kExitFailed; }
};

// Nobody is killed: what fails here is no finding about deaths.
TierResult TryControl(const Design& design, const TryOptions& options);
// Each scenario in its turn, until one fails.
TierResult TryTorture(const Design& design, const TryOptions& options);
// Each operation in each state, until it fails once.
TierResult TrySweep(const Design& design, const TryOptions& options);
// Programs: killed at random moments (which begins with a control of its own), or at their system
// calls.
TierResult TryPrograms(const programs::ProgramOptions& programs, const TryOptions& options);
// What a program has instead of a sweep: the reason why there is none.
TierResult NoSweepOfPrograms(const programs::ProgramOptions& programs);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_TRY_TIERS_H_
