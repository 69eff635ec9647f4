// How the command is called in the lines that repeat what was found.
#ifndef KILL9_HARNESS_RESULT_COMMAND_NAME_H_
#define KILL9_HARNESS_RESULT_COMMAND_NAME_H_

#include <string>

namespace kill9 {

// "kill9", until main says otherwise: it may have been given a plugin, or be somebody's program.
inline std::string& CommandName() {
  static std::string* const name = new std::string("kill9");
  return *name;
}

}  // namespace kill9

#endif  // KILL9_HARNESS_RESULT_COMMAND_NAME_H_
