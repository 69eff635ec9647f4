// Folders that a command writes into.
#ifndef KILL9_STRESS_COMMAND_ARGUMENTS_FOLDERS_H_
#define KILL9_STRESS_COMMAND_ARGUMENTS_FOLDERS_H_

#include <string>

#include "absl/status/status.h"

namespace kill9 {

// Makes the folder if there is none; whether files can be made in it. Asked before the work.
absl::Status MakeFolder(const std::string& path);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_ARGUMENTS_FOLDERS_H_
