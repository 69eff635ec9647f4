// One torture run: a design through a scenario, from the segment's creation to the verdict.
//
//     caller ─┬─ forks ── supervisor ── forks ── workers
//             └─ forks ── checker
// The checker reads what the supervisor drains; its memory is no burden to the supervisor's forks,
// which have a PID namespace of their own where PIDs are to be reused.
//
// The caller only waits, shows progress and passes on the wish to end, so it stays alive whatever
// the object does. Whichever of them dies, the kernel kills what it started (PR_SET_PDEATHSIG), and
// the segment has no name, or one that an unlinker removes (segment_unlinker.h).
#ifndef KILL9_HARNESS_TORTURE_TORTURE_H_
#define KILL9_HARNESS_TORTURE_TORTURE_H_

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "harness/torture/scenario.h"
#include "harness/torture/supervisor/supervisor.h"
#include "variants/object.h"

namespace kill9 {

struct TortureOptions {
  uint64_t seed = 1;
  SupervisorOptions supervisor;
  std::string workload;         // one of its driver's; empty: the scenario's own
  std::string shape = "usual";  // ShapeRequest::text (driver.h)
  std::string counterexamples;  // a folder for the files of counterexamples; empty: none
  bool keeps_history = false;   // of a run that fails, there
  bool pauses = false;          // of workers, at any instruction (worker/pauses.h)
};

// What a running run shows.
struct TortureProgress {
  double seconds = 0;
  uint64_t kills = 0;
  uint64_t operations = 0;
  bool found = false;  // something that will be the verdict
};

// At the end of the reason, where nobody had been killed yet.
inline constexpr char kBeforeAnyKill[] = " (before any kill)";

struct TortureResult {
  Verdict verdict = Verdict::kUndecided;
  std::string reason;  // what was found; why it is vacuous, undecided or skipped; empty for a pass
  bool machine_refused = false;  // undecided, because the machine lacks what every design needs
  Json run;                      // as in result files
};

// `progress` is called several times a second; it returns false to end the run early. Nothing is
// left behind: no process and no segment.
TortureResult RunTorture(const Design& design, const Scenario& scenario,
                         const TortureOptions& options,
                         absl::FunctionRef<bool(const TortureProgress&)> progress);

// How `repeat` lines name the options. `shape`: that of the run; empty: the kind has none.
std::string RepeatLine(const Design& design, const Scenario& scenario,
                       const TortureOptions& options, const std::string& shape = "");

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_TORTURE_H_
