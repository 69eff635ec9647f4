// A benchmark's result file, where one is asked for.
#ifndef KILL9_STRESS_BENCHMARKS_WRITE_IF_NAMED_H_
#define KILL9_STRESS_BENCHMARKS_WRITE_IF_NAMED_H_

#include <string>

#include "harness/result/result.h"
#include "stress/command/arguments/options.h"

namespace kill9 {

// Returns the exit code.
inline int WriteIfNamed(const Json& result, const std::string& path) {
  if (path.empty()) return 0;
  const absl::Status status = WriteResult(result, path);
  if (!status.ok()) throw UsageError("--json: " + std::string(status.message()));
  return 0;
}

}  // namespace kill9

#endif  // KILL9_STRESS_BENCHMARKS_WRITE_IF_NAMED_H_
