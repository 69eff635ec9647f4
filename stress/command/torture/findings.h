// Where torture keeps what it found, so that a failure can be examined even if chance does not
// repeat it.
#ifndef KILL9_STRESS_COMMAND_TORTURE_FINDINGS_H_
#define KILL9_STRESS_COMMAND_TORTURE_FINDINGS_H_

#include <string>

#include "absl/status/status.h"
#include "harness/result/result.h"

namespace kill9 {

// kill9-out/YYYYMMDD-HHMMSS (UTC; a number after it, if that is taken) in the current folder.
// Nothing is made there before something is kept.
class Findings {
 public:
  Findings();

  const std::string& folder() const { return folder_; }
  // Writes the runs of `result` that failed, as result.json, and makes kill9-out/latest a link to
  // the folder. The files of counterexamples lie there already.
  absl::Status Keep(const Json& result) const;

 private:
  std::string folder_;
};

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_TORTURE_FINDINGS_H_
