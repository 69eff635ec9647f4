// Torture of somebody's own programs: workers in any language that speak the worker protocol
// (docs/bring_your_own.md) work on what they share, some are killed, and what the others are told
// is checked.
//
//     caller ─┬─ forks ── runner ── starts ── programs
//             └─ forks ── checker
#ifndef KILL9_HARNESS_PROGRAMS_PROGRAMS_H_
#define KILL9_HARNESS_PROGRAMS_PROGRAMS_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "harness/programs/options.h"
#include "harness/torture/torture.h"

namespace kill9::programs {

// First a control, in which nobody is killed, and then the run, each on a state of its own.
// `progress` is called several times a second; it returns false to end the run early. Nothing is
// left behind: no process, and no state.
TortureResult TorturePrograms(const ProgramOptions& options,
                              absl::FunctionRef<bool(const TortureProgress&)> progress);

// How the programs are called in results: by their name, or their command lines.
std::string NameOf(const ProgramOptions& options);
// The line that repeats a run.
std::string RepeatLine(const ProgramOptions& options);

}  // namespace kill9::programs

#endif  // KILL9_HARNESS_PROGRAMS_PROGRAMS_H_
