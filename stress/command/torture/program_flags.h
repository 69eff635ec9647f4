// The options of programs of one's own: of torture and of try.
#ifndef KILL9_STRESS_COMMAND_TORTURE_PROGRAM_FLAGS_H_
#define KILL9_STRESS_COMMAND_TORTURE_PROGRAM_FLAGS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "stress/command/arguments/options.h"

namespace kill9 {

struct ProgramFlags {
  std::string name;  // of an object that is asked so; empty: the command lines
  std::vector<std::string> workers;
  std::vector<std::string> fork_servers;
  std::string model = "map";
  std::string kill_at = "random";
  std::string values = "texts";
  uint32_t keys = 0;
  bool shared = false;

  bool given() const { return !workers.empty() || !fork_servers.empty(); }
};
// `of_designs`: the options that programs exclude. Returns those that need a program. Where they
// die is asked for by AddKillAt.
std::vector<Option> AddProgramOptions(Command& command, ProgramFlags& flags,
                                      const std::vector<Option>& of_designs);
Option AddKillAt(Command& command, ProgramFlags& flags);
// Throws UsageError where one of them is given. REQUIRES: no program is.
void RefuseWithoutPrograms(const std::vector<Option>& of_programs);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_TORTURE_PROGRAM_FLAGS_H_
