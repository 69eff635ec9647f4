// The answer of a run. Undecided and vacuous are never a pass.
#ifndef KILL9_HARNESS_RESULT_VERDICT_H_
#define KILL9_HARNESS_RESULT_VERDICT_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace kill9 {

enum class Verdict : uint8_t {
  kPass,
  kViolation,        // the history is not consistent
  kAuditFailed,      // an invariant of the segment is broken
  kLeak,             // the account of blocks does not add up
  kStuck,            // a survivor made no progress within the watchdog's bound
  kSurvivorCrashed,  // a process died that nobody had killed
  kUndecided,        // the checker could not tell
  kVacuous,          // nothing was proved: no kill inside an operation, no overlap, no recovery
  kSkipped,          // the machine forbids the scenario; the reason is given
};

std::string_view VerdictName(Verdict verdict);  // as in result files: "audit_failed"
std::optional<Verdict> FindVerdict(std::string_view name);

// Exit codes of the command.
inline constexpr int kExitPass = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;  // usage or environment
inline constexpr int kExitUndecided = 3;

// The exit code of several runs together: failed beats usage and environment (a run that could not
// begin, a result that could not be written), which beat undecided and vacuous, which beat pass;
// skipped runs do not count.
int ExitCode(Verdict verdict);
int WorseExitCode(int a, int b);

}  // namespace kill9

#endif  // KILL9_HARNESS_RESULT_VERDICT_H_
