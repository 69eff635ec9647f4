// The options of kill9 and of its commands. The library that reads command lines is known to
// options.cc alone: its header takes seconds to compile.
#ifndef KILL9_STRESS_COMMAND_ARGUMENTS_OPTIONS_H_
#define KILL9_STRESS_COMMAND_ARGUMENTS_OPTIONS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "stress/command/arguments/pages.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace kill9 {

// Thrown by a command that cannot do what its options ask for: exit code kExitUsage.
class UsageError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What holds of an option besides the type of its value. Where a number is not finite, does not fit
// its type, or is written as another one is read (010), it is refused anyway; a fraction is a time,
// from 0 to 1e9 seconds. So is a result file (--json, --junit) that cannot be written.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}
  Option& ShowDefault();  // in the help: what the value is before it is set
  Option& Between(int least, int most);
  Option& Between(uint32_t least, uint32_t most) {
    return Between(uint64_t{least}, uint64_t{most});
  }
  Option& Between(uint64_t least, uint64_t most);
  Option& Between(double least, double most);
  Option& Positive();
  Option& OneOf(const std::vector<std::string>& words);
  Option& ExistingFile();
  Option& ExistingFolder();
  Option& Required();
  Option& SeparatedBy(char delimiter);
  Option& Values(int count);
  Option& Each();  // each occurrence has one value: what follows is none of it
  Option& Needs(const Option& other);
  Option& Excludes(const Option& other);
  // Once the command is called.
  bool IsGiven() const;
  std::string name() const;
  // It is taken from the command line before it is read: who meets it has written it otherwise.
  Option& TakenBefore(const std::string& how_to_write_it);

 private:
  CLI::Option* option_;
};

// One command of kill9.
class Command {
 public:
  Command(CLI::App* application, int* exit_code, std::vector<ExamplePage>* examples)
      : application_(application), exit_code_(exit_code), examples_(examples) {}

  // Value: a string, a number, or a vector of them; it outlives the command line. A name without
  // dashes takes what no option is before.
  template <typename Value>
  Option Add(const std::string& name, Value& value, const std::string& help);
  Option AddFlag(const std::string& name, bool& value, const std::string& help);
  // The options that are added from here on stand under this title in the help.
  void Group(const std::string& title) { group_ = title; }
  // For the end of the help: a command line, and what it does.
  void Example(const std::string& arguments, const std::string& what);
  // What the command does; returns the exit code.
  void OnCall(std::function<int()> action);

 private:
  CLI::App* application_;
  int* exit_code_;
  std::vector<ExamplePage>* examples_;
  std::string group_;
};

// `kill9 help [COMMAND]` is what `kill9 [COMMAND] --help` is; with --as=man, bash, zsh or fish
// before the command it is a manual page, or the completions of a shell (pages.h). Options may
// stand in a file, too, that --config names before the command: [torture] and below it seconds=3,
// as CLI11 reads them.
class CommandLine {
 public:
  // `columns`: of a line of help.
  CommandLine(const std::string& what, const std::string& version, size_t columns);
  ~CommandLine();
  Command Add(const std::string& name, const std::string& what);
  // What stands before a command.
  Command Itself();
  // What shells offer for an option of this name: "variant", of whatever command; "sweep state".
  void Offer(const std::string& option, std::vector<std::string> words);
  // Whether a command has this option, "--seconds".
  bool Has(const std::string& command, const std::string& option) const;
  // Calls the command that is named. Returns its exit code, or kExitUsage. An answer that did not
  // arrive on standard output is none.
  int Run(int argc, char** argv);

 private:
  int Call(int argc, char** argv);
  int Complain(const std::string& message) const;
  int Refuse(const std::string& name, const std::string& message) const;
  std::string WrongInConfig(const std::string& message) const;
  int Unexpected(const std::vector<std::string>& words) const;
  std::string WithoutValue(const std::vector<std::string>& words) const;
  std::string Missing(const std::string& command, const std::string& message) const;
  int Help(std::vector<std::string> words);
  CommandPage PageOf(const CLI::App& command) const;
  ProgramPage Page() const;

  const std::string what_, version_;
  size_t columns_;
  std::unique_ptr<CLI::App> application_;
  std::map<std::string, std::vector<ExamplePage>> examples_;  // by command
  std::map<std::string, std::vector<std::string>> offered_;   // by option
  int exit_code_;
};

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_ARGUMENTS_OPTIONS_H_
