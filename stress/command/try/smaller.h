// A failure of programs made to happen again with fewer processes, keys and kills: its story is
// shorter.
#ifndef KILL9_STRESS_COMMAND_TRY_SMALLER_H_
#define KILL9_STRESS_COMMAND_TRY_SMALLER_H_

#include <string>

#include "harness/programs/options.h"
#include "harness/result/result.h"
#include "stress/command/try/tiers.h"

namespace kill9 {

// The smallest run that fails as `found` does, of those that are tried within `seconds`, or, where
// the trial is bounded by work, in some runs. `found_with` in it tells what it was found with.
// Null: none that is smaller fails so.
Json SmallerFailure(const programs::ProgramOptions& programs, const Json& found,
                    const TryOptions& options, double seconds);

// Of such a run, behind a title: ", made smaller: 2 participants, ..."; empty of any other.
std::string HowSmall(const Json& run);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_TRY_SMALLER_H_
