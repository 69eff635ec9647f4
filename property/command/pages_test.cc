// Manual pages and completions: made by the command, and taken by those who read them. What of
// these programs is not installed is left out; `./dev package-test` installs them all.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/command/run_command.h"

namespace kill9 {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

bool IsInstalled(const std::string& program) {
  return RunLine("command -v " + program + " >/dev/null").exit_code == 0;
}

class Pages : public ::testing::Test {
 protected:
  // No test changes the pages.
  static void SetUpTestSuite() {
    folder_ = testing::TempDir() + "/pages_" + std::to_string(getpid());
    const Ended written = RunLine("cmake -DKILL9=" KILL9_COMMAND " -DOUTPUT=" + folder_ +
                                  " -P " KILL9_SOURCE_DIR "/packaging/pages.cmake 2>&1");
    ASSERT_EQ(written.exit_code, 0) << written.output;
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(folder_); }

  // What a line prints, whose folder is that of the pages. It must end well and say no other word.
  std::string Run(const std::string& line) const {
    const Ended ended = RunLine("cd " + folder_ + " && " + line + " 2>&1 </dev/null");
    EXPECT_EQ(ended.exit_code, 0) << line << "\n" << ended.output;
    return ended.output;
  }
  // The words that bash would offer behind this line.
  std::string BashOffers(const std::string& line) const {
    std::ofstream(folder_ + "/offers.bash") << "source bash-completion/completions/kill9\n"
                                               "COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=($1)\n"
                                               "[[ $1 == *' ' ]] && COMP_WORDS+=('')\n"
                                               "COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n"
                                               "_kill9 && echo \"${COMPREPLY[*]}\"\n";
    return Run("bash offers.bash '" + line + "'");
  }

  inline static std::string folder_;
};

TEST_F(Pages, AreWrittenForEachCommand) {
  std::vector<std::string> pages;
  for (const auto& entry : std::filesystem::directory_iterator(folder_ + "/man/man1")) {
    pages.push_back(entry.path().filename());
  }
  EXPECT_GE(pages.size(), 12u);
  for (const std::string& page : pages) {
    const std::string text =
        Run((page.ends_with(".gz") ? "zcat" : "cat") + std::string(" man/man1/") + page);
    EXPECT_THAT(text, HasSubstr(".SH OPTIONS\n")) << page;
    EXPECT_THAT(text, HasSubstr(".SH \"EXIT STATUS\"\n")) << page;
    const bool is_first = page.starts_with("kill9.");
    EXPECT_THAT(text, HasSubstr(is_first ? ".SH COMMANDS\n" : ".SH EXAMPLES\n")) << page;
  }
}

// A page that is wrong on purpose first: who is asked does answer.
TEST_F(Pages, PleaseTheirReaders) {
  std::ofstream(folder_ + "/wrong.1") << ".TH WRONG 1 2026-01-01\n.SH NAME\n.NO_SUCH_MACRO\n";
  const std::pair<const char*, const char*> readers[] = {
      {"mandoc", "mandoc -Tlint -W warning "},
      {"man", "2>&1 >/dev/null man --warnings -E UTF-8 -l -Tutf8 -Z "}};
  for (const auto& [program, line] : readers) {
    if (!IsInstalled(program)) continue;
    EXPECT_NE(RunLine(line + folder_ + "/wrong.1").output, "") << line;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ + "/man/man1")) {
      EXPECT_EQ(RunLine(line + entry.path().string()).output, "") << entry.path();
    }
  }
}

TEST_F(Pages, SayWhatTheHelpSays) {
  const std::string page = RunCommand("help --as=man torture").output;
  EXPECT_THAT(page, HasSubstr(".SS \"What comes of it\"\n"));
  EXPECT_THAT(page,
              HasSubstr("\\-\\-processes=\\fIUINT\\fR\nworkers\n.br\n(from 1 to 60; default: 4)"));
  EXPECT_THAT(page,
              HasSubstr(".B kill9 torture \\-\\-variant=robust_unrepaired \\-\\-fail\\-fast\n"));
  const std::string first = RunCommand("help --as=man").output;
  EXPECT_THAT(first, HasSubstr(".B kill9\\-torture(1)\n"));
  EXPECT_THAT(first, HasSubstr(".B \\-\\-plugin=\\fITEXT\\fR\n"));
}

TEST_F(Pages, BashOffersCommandsOptionsAndTheirWords) {
  EXPECT_EQ(BashOffers("kill9 tor"), "torture\n");
  EXPECT_EQ(BashOffers("kill9 torture --mod"), "--model=\n");
  EXPECT_EQ(BashOffers("kill9 torture --model=ma"), "map\n");
  EXPECT_EQ(BashOffers("kill9 sweep --variant=cas_slots,glo"), "cas_slots,global_mutex\n");
  EXPECT_EQ(BashOffers("kill9 torture --json=x"), "\n");  // files, which bash itself knows
  EXPECT_EQ(BashOffers("kill9 sweep --operation=put_sa"), "put_same\n");
  EXPECT_EQ(BashOffers("kill9 sweep --mode=two"), "two_victims\n");
  EXPECT_EQ(BashOffers("kill9 torture --scenario=steady,kill_s"), "steady,kill_storm\n");
  EXPECT_EQ(BashOffers("kill9 run --state=one_e"), "\n") << "a folder, and no state of the sweep";
  EXPECT_THAT(BashOffers("kill9 "), HasSubstr("check list torture sweep"));
}

TEST_F(Pages, BashOffersEveryOptionThatTheHelpHas) {
  std::istringstream commands(BashOffers("kill9 "));
  const std::regex form("^ +(?:-.,)?(--[a-z-]+)");
  size_t options = 0;
  for (std::string command; commands >> command;) {
    if (command.starts_with("-") || command == "help") continue;
    const std::string offered = BashOffers("kill9 " + command + " --");
    std::istringstream help(Run(KILL9_COMMAND " " + command + " --help"));
    std::smatch match;
    for (std::string line; std::getline(help, line);) {
      if (!std::regex_search(line, match, form)) continue;
      ++options;
      EXPECT_THAT(offered, HasSubstr(match[1].str())) << command;
    }
  }
  EXPECT_GT(options, 100u);
}

TEST_F(Pages, FishOffersCommandsOptionsAndTheirWords) {
  if (!IsInstalled("fish")) GTEST_SKIP() << "fish is not installed";
  const auto offers = [&](const std::string& line) {
    return Run("HOME=" + folder_ +
               " fish --no-config -c 'source "
               "fish/vendor_completions.d/kill9.fish; complete -C \"" +
               line + "\"'");
  };
  EXPECT_THAT(offers("kill9 tor"), HasSubstr("torture\t"));
  EXPECT_THAT(offers("kill9 torture --mod"), HasSubstr("--model"));
  EXPECT_THAT(offers("kill9 torture --model=ma"), HasSubstr("--model=map"));
  EXPECT_THAT(offers("kill9 sweep --variant=cas_slots,glo"),
              HasSubstr("--variant=cas_slots,global_mutex"));
}

// A shell behind a terminal, and the tabulator key.
TEST_F(Pages, ZshCompletesAWord) {
  if (!IsInstalled("zsh")) GTEST_SKIP() << "zsh is not installed";
  std::ofstream(folder_ + "/complete.zsh")
      << "zmodload zsh/zpty\n"
         "zpty shell \"TERM=dumb PS1='> ' zsh -f -i\"\n"
         "zpty -w shell 'fpath=($PWD/zsh/vendor-completions $fpath); autoload -Uz compinit; "
         "compinit -u -d $PWD/dump; echo BEG\"\"UN'\n"
         "zpty -r -m shell output '*BEGUN*'\n"
         "zpty -w -n shell $'kill9 torture --model=robu\\t'\n"
         "zpty -r -m shell output '*robust-mutex*' && echo completed\n"
         "zpty -d shell\n";
  EXPECT_EQ(Run("timeout 120 zsh -f complete.zsh"), "completed\n");
}

// The steps of a workflow, run as its machine runs them, with a ./dev that writes what it is told
// to write, and ends as a gate that is undecided.
class GateOfAWorkflow : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!IsInstalled("ruby")) GTEST_SKIP() << "ruby, which reads YAML, is not installed";
    std::filesystem::create_directories(folder_.path() + "/packaging/gate_action");
    WriteProgram("sudo", "echo sudo \"$@\"\n");
    WriteProgram("dev",
                 "printf '%s\\n' \"$@\"\nmkdir -p build/release/gate/logs\n"
                 "for word; do case $word in\n"
                 "  --output=*) mkdir -p \"${word#*=}/logs\" ;;\n"
                 "  --json=* | --junit=* | --memory=*) : >\"${word#*=}\" ;;\n"
                 "esac; done\nexit 3\n");
  }
  void WriteProgram(const std::string& name, const std::string& text) const {
    const std::string path = folder_.path() + "/" + name;
    std::ofstream(path) << "#!/bin/sh\n" << text;
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  }
  // What the steps say. ./dev is given options that kill9 gate has; what is kept then is there.
  std::string Run(const std::string& file, const std::string& values) const {
    const Ended ended = RunLine("cd " + folder_.path() + " && PATH=$PWD:$PATH ruby " +
                                KILL9_SOURCE_DIR "/.ci/run_steps.rb " KILL9_SOURCE_DIR "/" + file +
                                " github.run_id=7 github.action_path=$PWD/packaging/gate_action " +
                                "runner.temp=$PWD/temp " + values + " 2>&1");
    EXPECT_EQ(ended.exit_code, 3) << "what the gate says is what the job says\n" << ended.output;
    const std::string help = RunCommand("gate --help").output;
    std::istringstream lines(ended.output);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("--")) {
        EXPECT_THAT(help, HasSubstr(" " + line.substr(0, line.find('=')) + " "));
      }
      const size_t paths = line.find(" path: ");
      if (paths == line.npos && !line.starts_with("output ")) continue;
      std::istringstream words(line.substr(line.find(": ") + 2));
      for (std::string path; words >> path;) {
        if (path.starts_with("~")) continue;
        EXPECT_EQ(RunLine("cd " + folder_.path() + " && test -e " + path).exit_code, 0) << line;
      }
    }
    EXPECT_THAT(ended.output, HasSubstr("sudo apt-get install -y ccache\n"));
    EXPECT_THAT(ended.output, ContainsRegex("actions/cache@v[0-9]+ path: .*gate_memory.json\n"));
    return ended.output;
  }

  const OwnFolder folder_;
};

TEST_F(GateOfAWorkflow, IsHandedTheInputsOfTheAction) {
  const std::string file = "packaging/gate_action/action.yml";
  EXPECT_THAT(
      Run(file, "inputs.budget=60 inputs.arguments='--variant=mine --cells=2'"),
      AllOf(HasSubstr("gate\n--budget=60\n--seed=7\n"), HasSubstr("\n--variant=mine\n--cells=2\n"),
            HasSubstr("output json: " + folder_.path() + "/temp/kill9/gate.json\n"),
            ContainsRegex("upload-artifact@v[0-9]+ name: kill9-gate\n")));
  EXPECT_THAT(Run(file, "inputs.keep="),
              AllOf(HasSubstr("\n--output=" + folder_.path() + "/temp/kill9/gate\noutput json"),
                    Not(HasSubstr("upload-artifact"))));
}

TEST_F(GateOfAWorkflow, IsRunByTheExample) {
  EXPECT_THAT(Run("docs/ci_example/kill9.yml", ""),
              AllOf(HasSubstr("gate\n--budget=300\n--seed=7\n--junit=gate.xml\n"),
                    ContainsRegex("upload-artifact@v[0-9]+ name: kill9-gate\n")));
}

// What of a tree that was built does not belong into a container.
TEST(Container, GetsTheSourcesAlone) {
  const std::string kept_out = RunLine("cat " KILL9_SOURCE_DIR "/.dockerignore").output;
  std::istringstream built(RunLine("cat " KILL9_SOURCE_DIR "/.gitignore").output);
  size_t lines = 0;
  for (std::string line; std::getline(built, line); ++lines) {
    EXPECT_THAT(kept_out, HasSubstr(line.substr(0, line.find('/')) + "\n"));
  }
  EXPECT_GT(lines, 1u);
}

TEST(PagesUsage, RefusesWhatIsNone) {
  ExpectUsageErrors([](const char* arguments) { return RunCommand(arguments); },
                    {{"--plugin ./libmine.so list", "as --plugin=./libmine.so"},
                     {"help --as=csh", "help --as takes man, bash, zsh or fish"},
                     {"help --as=bash torture", "the completions are of all commands"},
                     {"help --as=man torture sweep", "help takes one command"},
                     {"help --as=man tortur", "there is no command 'tortur'"}});
}

}  // namespace
}  // namespace kill9
