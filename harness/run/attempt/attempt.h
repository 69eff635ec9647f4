// One run of the program, in a process of its own: up to its end or to a point at which it is
// killed, and the check on what is left.
//
// The process answers with messages, one JSON object a line:
//   {"ready": true}                    the surroundings are there (kProbe: and that was all)
//   {"left": HASH, "met": true, ...}   what the program has left; asks whether the check shall run
//   {"done": true, ...}                the end, with "check" if it ran
//   {"error": TEXT, "code": N}         absl's code; the end, too
#ifndef KILL9_HARNESS_RUN_ATTEMPT_ATTEMPT_H_
#define KILL9_HARNESS_RUN_ATTEMPT_ATTEMPT_H_

#include <cstdint>
#include <string>

#include "harness/result/result.h"
#include "harness/run/attempt/isolation.h"
#include "harness/run/attempt/program_options.h"
#include "harness/run/follow/point.h"

namespace kill9::run {

enum class AttemptKind : uint8_t {
  kProbe,    // only the surroundings
  kControl,  // to the program's end, with nobody following its calls
  kTrace,    // the same, and every call is told
  kKill,
  kDamage,  // to the program's end; then a file is damaged
};

struct AttemptRequest {
  AttemptKind kind = AttemptKind::kProbe;
  Point point;
  // The point as the trace met it: the `nth` call of this number in its process. Else (number -1)
  // the first that the point's name fits.
  long number = -1;
  uint32_t nth = 0;
  std::string damaged;   // a file below the state
  bool emptied = false;  // else cut to its half
};

// What a check's end says.
enum class CheckAnswer : uint8_t { kConsistent, kUnknown, kViolation };
CheckAnswer AnswerOf(const Json& check);    // of a "check" field
std::string HowItEnded(const Json& check);  // "exit status 1"

// In the process that ForkIsolated has made. `socket`: for the messages. `folder`: of its own, in
// surroundings.kept.
[[noreturn]] void RunAttempt(const RunOptions& options, const AttemptSurroundings& surroundings,
                             const AttemptRequest& request, const std::string& folder, int socket);

}  // namespace kill9::run

#endif  // KILL9_HARNESS_RUN_ATTEMPT_ATTEMPT_H_
