// What the command tells about itself, and what it says to who mistyped a name.
#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/result/build_info.h"
#include "harness/result/result.h"
#include "property/command/run_command.h"
#include "harness/base/text/nearest.h"
#include "harness/base/text/wrap.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> Commands() {
  std::vector<std::string> commands;
  std::istringstream help(RunCommand("--help").output);
  bool listed = false;
  const std::regex row("^  ([a-z]+)  +.*");
  std::smatch match;
  for (std::string line; std::getline(help, line);) {
    listed = listed || line == "Subcommands:";
    if (listed && std::regex_match(line, match, row)) commands.push_back(match[1]);
  }
  return commands;
}

TEST(Nearest, IsTheNameWithTheFewestEdits) {
  const std::vector<std::string> names = {"torture", "sweep", "steady", "stop_and_resume", "all"};
  EXPECT_EQ(Nearest("tortuer", names), "torture");  // exchanged
  EXPECT_EQ(Nearest("torure", names), "torture");   // left out
  EXPECT_EQ(Nearest("ssweep", names), "sweep");     // too many
  EXPECT_EQ(Nearest("stedy", names), "steady");
  EXPECT_EQ(Nearest("stop", names), "stop_and_resume");  // the only one that begins so
  EXPECT_EQ(Nearest("st", names), "");                   // two begin so
  EXPECT_EQ(Nearest("gate", names), "");
  EXPECT_EQ(DidYouMean("swep", names), "; did you mean 'sweep'?");
  EXPECT_EQ(DidYouMean("gate", names), "");
}

TEST(CommandHelp, NamesWhatMayHaveBeenMeant) {
  ExpectUsageErrors([](const char* arguments) { return RunCommand(arguments); },
                    {{"tortur", "there is no command 'tortur'; did you mean 'torture'?"},
                     {"torture --varient=cas_slots",
                      "kill9 torture: it has no option '--varient'; did you mean '--variant'?"},
                     {"torture --variant=cas_slot", "did you mean 'cas_slots'?"},
                     {"torture --scenario=stead", "did you mean 'steady'?"},
                     {"sweep --operation=put_sam", "did you mean 'put_same'?"},
                     {"list frobnicate", "kill9 list: it takes no argument 'frobnicate'"},
                     {"help torture sweep", "help takes one command"},
                     {"help tortur", "did you mean 'torture'?"}});
  EXPECT_THAT(RunCommand("torture --nonsense").output, Not(HasSubstr("did you mean")));
}

// Who looks for one of many options looks through a few titles first.
TEST(CommandHelp, OfManyOptionsHasThemInGroups) {
  for (const char* command : {"torture", "sweep", "try", "run", "explore", "planted", "gate"}) {
    std::istringstream help(RunCommand(std::string("help ") + command).output);
    int options = 0, titles = 0;
    for (std::string line; std::getline(help, line);) {
      options += line.starts_with("  --") ? 1 : 0;
      titles += line.ends_with(":") && !line.starts_with(" ") ? 1 : 0;
    }
    EXPECT_GT(options, 10) << command << ": the premise";
    EXPECT_GE(titles, 3 + 2) << command << ": beside Options, Examples, Exit codes";
  }
}

TEST(CommandHelp, IsBrokenAtTheWidthOfATerminal) {
  const std::string blanks(30, ' ');
  EXPECT_EQ(
      Wrap("Options:\n  --seed UINT                 of everything random, the order of kills "
           "and the lengths of values\n",
           74),
      "Options:\n  --seed UINT                 of everything random, the order of kills and\n" +
          blanks + "the lengths of values\n");
  const std::string option = "  --worker TEXT Excludes: --variant --scenario --workload --shape";
  EXPECT_EQ(Wrap(option, 64),
            "  --worker TEXT Excludes: --variant --scenario --workload\n  --shape");
  // A narrow one has no room for two columns.
  EXPECT_EQ(Wrap("  --seed UINT\n" + blanks + "of everything random, the order of kills", 40),
            "  --seed UINT\n      of everything random, the order of\n      kills");
  const std::string word = "  " + std::string(90, 'x');
  EXPECT_EQ(Wrap(word, 80), word);
  const std::string help = RunCommand("torture --help").output;
  ASSERT_NE(Wrap(help, 80), help) << "it has longer lines, which stay where it is no terminal";
  for (const size_t columns : {80, 60, 50}) {
    std::istringstream lines(Wrap(help, columns));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), columns) << line;
  }
}

TEST(CommandHelp, SaysHowTheCommandIsCalled) {
  EXPECT_THAT(RunCommand("torture --help").output, HasSubstr("Usage: kill9 torture [OPTIONS]"));
  EXPECT_EQ(RunCommand("help torture --as=man").output, RunCommand("help --as=man torture").output);
}

TEST(CommandHelp, IsTheSameByEitherName) {
  EXPECT_EQ(RunCommand("help").output, RunCommand("--help").output);
  for (const std::string& command : Commands()) {
    const Ended help = RunCommand("help " + command);
    EXPECT_EQ(help.exit_code, 0);
    EXPECT_EQ(help.output, RunCommand(command + " --help").output);
  }
}

// Every example's options are options of its command, so that none is of another time.
TEST(CommandHelp, OfEachCommandHasExamplesAndExitCodes) {
  const std::vector<std::string> commands = Commands();
  ASSERT_GE(commands.size(), 10u);
  for (const std::string& command : commands) {
    const std::string help = RunCommand(command + " --help").output;
    EXPECT_THAT(help, HasSubstr("Exit codes:\n  0  pass")) << command;
    EXPECT_THAT(help, HasSubstr("  3  undecided")) << command;
    const size_t examples = help.find("Examples:\n");
    ASSERT_NE(examples, std::string::npos) << command;
    EXPECT_THAT(help.substr(examples), HasSubstr("\n  kill9 " + command)) << command;
    const std::string before = help.substr(0, examples), after = help.substr(examples);
    const std::regex option("--[a-z-]+");
    for (std::sregex_iterator at(after.begin(), after.end(), option), end; at != end; ++at) {
      EXPECT_THAT(before, HasSubstr(at->str())) << command;
    }
  }
}

TEST(CommandHelp, VersionAndResultsTellTheCommitAndTheCompiler) {
  const std::string version = RunCommand("--version").output;
  EXPECT_TRUE(std::regex_search(
      version, std::regex("^kill9 [0-9.]+ \\(commit ([0-9a-f]{12}(-dirty)?|unknown), ")))
      << version;
  EXPECT_THAT(version, HasSubstr(BuildCompiler()));
  const std::string path = testing::TempDir() + "/help_build.json";
  std::ofstream(testing::TempDir() + "/help_build.edn") << "";
  RunCommand("check " + testing::TempDir() + "/help_build.edn --json=" + path);
  std::ifstream file(path);
  const Json result = Json::parse(file, nullptr, false);
  ASSERT_TRUE(result.is_object());
  EXPECT_THAT(version, HasSubstr("commit " + result["build"]["commit"].get<std::string>()));
}

TEST(CommandHelp, OptionsMayStandInAFile) {
  const std::string path = testing::TempDir() + "/help_options.toml";
  std::ofstream(path) << "[torture]\nvariant=\"no_such_design\"\n";
  const Ended refused = RunCommand("--config=" + path + " torture");
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.output, HasSubstr("there is no 'no_such_design'"));
  // What the command line says goes before what the file says.
  const Ended passed = RunCommand("--config=" + path +
                                  " torture --variant=global_mutex --scenario=steady --kills=20 "
                                  "--seconds=600");
  EXPECT_EQ(passed.exit_code, 0) << passed.output;
  std::ofstream(path) << "[torture]\nfrobnicate=1\n";
  EXPECT_EQ(RunCommand("--config=" + path + " list").exit_code, 2);
  EXPECT_EQ(RunCommand("--config=/nonexistent list").exit_code, 2);
}

}  // namespace
}  // namespace kill9
