// The command line of a program that has no commands, as benchmarks are: its options are read,
// refused and shown as those of kill9's commands are (options.h).
#ifndef KILL9_STRESS_COMMAND_ARGUMENTS_PROGRAM_OPTIONS_H_
#define KILL9_STRESS_COMMAND_ARGUMENTS_PROGRAM_OPTIONS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "stress/command/arguments/options.h"

namespace kill9 {

class ProgramOptions {
 public:
  ProgramOptions(const std::string& name, const std::string& what);
  ~ProgramOptions();

  template <typename Value>
  Option Add(const std::string& name, Value& value, const std::string& help) {
    return command_.Add(name, value, help);
  }
  Option AddFlag(const std::string& name, bool& value, const std::string& help) {
    return command_.AddFlag(name, value, help);
  }
  // Reads the command line, and then does the job. Returns its exit code, or kExitUsage; a
  // UsageError of the job's is said as what is wrong with an option is.
  int Run(int argc, char** argv, std::function<int()> job);

 private:
  int Refuse(const std::string& what) const;

  std::unique_ptr<CLI::App> application_;
  int exit_code_ = 0;
  std::vector<ExamplePage> no_examples_;
  Command command_;
};

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_ARGUMENTS_PROGRAM_OPTIONS_H_
