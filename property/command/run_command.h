// The command that was built, run as a person's shell runs it.
#ifndef KILL9_PROPERTY_COMMAND_RUN_COMMAND_H_
#define KILL9_PROPERTY_COMMAND_RUN_COMMAND_H_

#include <string>

#include "property/command/command_for_tests.h"

namespace kill9 {

// Its output is what it says on both of its outputs.
inline Ended RunCommand(const std::string& arguments, const std::string& input = "") {
  const std::string feed = input.empty() ? "</dev/null" : "<<'END'\n" + input + "\nEND";
  return RunLine(std::string(KILL9_COMMAND) + " " + arguments + " 2>&1 " + feed);
}

}  // namespace kill9

#endif  // KILL9_PROPERTY_COMMAND_RUN_COMMAND_H_
