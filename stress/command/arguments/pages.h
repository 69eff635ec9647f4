// Manual pages and completions for shells, made from what the command line knows of itself, so that
// they are never of another time than the command.
#ifndef KILL9_STRESS_COMMAND_ARGUMENTS_PAGES_H_
#define KILL9_STRESS_COMMAND_ARGUMENTS_PAGES_H_

#include <string>
#include <utility>
#include <vector>

namespace kill9 {

inline constexpr std::pair<int, const char*> kExitCodes[] = {
    {0, "pass: what was asked for was run, and nothing was found"},
    {1, "something was found"},
    {2, "usage: the command line, a file, or this machine does not allow it"},
    {3, "undecided: nothing was found, and not enough was run for a pass"}};

struct OptionPage {
  std::string name;   // --variant; of what stands without a name, as help calls it
  std::string value;  // TEXT, UINT, FLOAT; empty: it takes none
  std::string range;  // from 1 to 60
  std::string group;  // the title in the help
  std::string what;
  std::string default_value;
  std::vector<std::string> words;     // that shells offer
  std::vector<std::string> excludes;  // options
  bool is_required = false;
};

struct ExamplePage {
  std::string line, what;
};

struct CommandPage {
  std::string name, what;
  std::vector<OptionPage> options;
  std::vector<ExamplePage> examples;
};

struct ProgramPage {
  std::string what, version;
  CommandPage itself;  // the options that stand before a command
  std::vector<CommandPage> commands;
};

// kill9(1), and kill9-COMMAND(1), in man(7).
std::string ManPage(const ProgramPage& program);
std::string ManPage(const ProgramPage& program, const CommandPage& command);

// What the shell reads to complete the words of kill9: commands, options, and the words that an
// option takes, one after the other with commas between. Where it knows none the shell offers
// files.
std::string BashCompletion(const ProgramPage& program);
std::string ZshCompletion(const ProgramPage& program);
std::string FishCompletion(const ProgramPage& program);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_ARGUMENTS_PAGES_H_
