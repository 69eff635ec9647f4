// What a command says when it cannot do what it was asked, or cannot write what came of it.
#ifndef KILL9_STRESS_COMMAND_ARGUMENTS_COMPLAIN_H_
#define KILL9_STRESS_COMMAND_ARGUMENTS_COMPLAIN_H_

#include <iostream>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"

namespace kill9 {

// Returns the exit code. `who`: "kill9", or with the command's name.
inline int Complain(std::string_view who, const absl::Status& status) {
  std::cerr << who << ": " << status.message() << "\n";
  return kExitUsage;
}

// The exit code of a command that had something to write besides its answer: what could not be
// written is told, and what was found stays found.
inline int AfterWriting(std::string_view who, const absl::Status& written, int exit_code) {
  return written.ok() ? exit_code : WorseExitCode(exit_code, Complain(who, written));
}

// The same of a result file, where one is asked for.
inline int WithResult(std::string_view who, const Json& result, const std::string& path,
                      int exit_code) {
  return path.empty() ? exit_code : AfterWriting(who, WriteResult(result, path), exit_code);
}

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_ARGUMENTS_COMPLAIN_H_
