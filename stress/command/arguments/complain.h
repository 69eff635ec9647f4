// What a command says when it cannot do what it was asked.
#ifndef KILL9_STRESS_COMMAND_ARGUMENTS_COMPLAIN_H_
#define KILL9_STRESS_COMMAND_ARGUMENTS_COMPLAIN_H_

#include <iostream>
#include <string_view>

#include "absl/status/status.h"
#include "harness/result/verdict.h"

namespace kill9 {

// Returns the exit code. `who`: "kill9", or with the command's name.
inline int Complain(std::string_view who, const absl::Status& status) {
  std::cerr << who << ": " << status.message() << "\n";
  return kExitUsage;
}

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_ARGUMENTS_COMPLAIN_H_
