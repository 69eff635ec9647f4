// Where torture keeps what it found, so that a failure can be examined even if chance does not
// repeat it.
#ifndef KILL9_STRESS_COMMAND_TORTURE_FINDINGS_H_
#define KILL9_STRESS_COMMAND_TORTURE_FINDINGS_H_

#include <cstdint>
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
  // Whether there is room for a further run's history: kept_history.h says how long one is, and
  // with 256 MB of them no more are kept.
  bool has_room() const { return history_bytes_ < kHistoryBytesMost; }
  // To be told of each run: counts its history, or says in it that there was no room for one.
  void Count(Json* run);
  // Writes the runs of `result` that failed, as result.json, and makes kill9-out/latest a link to
  // the folder. The files of counterexamples lie there already.
  absl::Status Keep(const Json& result) const;
  // The same. The folder; empty if it cannot be written, which is said on standard error.
  std::string KeptIn(const Json& result) const;

 private:
  static constexpr uint64_t kHistoryBytesMost = 256'000'000;

  uint64_t history_bytes_ = 0;
  std::string folder_;
};

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_TORTURE_FINDINGS_H_
