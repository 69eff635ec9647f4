// ./dev from outside, in a folder of its own where every program that it calls is a script: what it
// installs, which compiler it believes, how it ends.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/command/command_for_tests.h"

namespace kill9 {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Dev : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "/dev_" + std::to_string(getpid()) + "_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder_ + "/bin");
    std::filesystem::copy_file(KILL9_SOURCE_DIR "/dev", folder_ + "/dev");
    // Nothing else of this machine is to be found.
    for (const char* tool : {"bash",  "cat",   "cut",     "dirname", "env",     "flock", "grep",
                             "mkdir", "nproc", "rm",      "sed",     "setarch", "sh",    "sleep",
                             "sort",  "tail",  "timeout", "true",    "uname",   "chmod", "cp"}) {
      const Ended ended = RunLine(std::string("command -v ") + tool);
      ASSERT_EQ(ended.exit_code, 0) << tool;
      std::filesystem::create_symlink(ended.output.substr(0, ended.output.size() - 1),
                                      folder_ + "/bin/" + tool);
    }
    Script("id", "echo 0");
    Script("g++", "echo 12");
    Script("dpkg-query", "echo install ok installed");
    Script("apt-get", "echo apt-get \"$@\" >&2");
    Script("apt-cache", "exit 1");
    Script("cmake", "echo cmake \"$@\" >> " + folder_ + "/built; exit 1");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void Script(const std::string& name, const std::string& body) const {
    const std::string path = folder_ + "/bin/" + name;
    std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  }
  // A clang whose programs end like this.
  std::string ClangBody(int clean_exit, int race_exit) const {
    return "while [ \"$1\" != -o ]; do shift; done\nprintf '#!/bin/sh\\ncase $1 in clean) exit " +
           std::to_string(clean_exit) + ";; race) exit " + std::to_string(race_exit) +
           ";; esac\\n' > \"$2\"\nchmod +x \"$2\"";
  }
  Ended RunDev(const std::string& arguments) const {
    return RunLine("cd / && env -i PATH=" + folder_ + "/bin HOME=/ " + folder_ + "/dev " +
                   arguments + " 2>&1");
  }
  std::string Built() const {
    std::ifstream file(folder_ + "/built");
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  std::string folder_;
};

TEST_F(Dev, BelievesTheNewestClangThatSeesRacesAndNothingElse) {
  Script("clang++-99", ClangBody(66, 66));
  Script("clang++-98", ClangBody(0, 0));
  Script("clang++-97", "exit 1");
  Script("clang++-96", ClangBody(0, 66));
  Script("clang++-95", ClangBody(0, 66));
  const Ended ended = RunDev("tsan");
  EXPECT_THAT(Built(), AllOf(HasSubstr("--preset tsan"), HasSubstr("clang++-96"))) << ended.output;
  EXPECT_THAT(ended.output, AllOf(HasSubstr("clang++-99 reports what locks guard as a race"),
                                  HasSubstr("clang++-98 does not see a planted race"),
                                  HasSubstr("clang++-97 cannot build")));
}

TEST_F(Dev, InstallsAClangWhereNoneThatIsInstalledCanBeBelieved) {
  Script("clang++-14", ClangBody(66, 66));
  Script("apt-cache", "case $1 in search) echo 'clang-14 - C'; echo 'clang-19 - C';; esac");
  Script("dpkg-query", "case $3 in *-19*) echo unknown;; *) echo install ok installed;; esac");
  Script("../clang-19", ClangBody(0, 66));
  Script("apt-get",
         "case $1 in install) cp " + folder_ + "/clang-19 " + folder_ + "/bin/clang++-19;; esac");
  const Ended ended = RunDev("tsan");
  EXPECT_THAT(ended.output, HasSubstr("installing clang-19 libclang-rt-19-dev llvm-19"));
  EXPECT_THAT(Built(), HasSubstr("clang++-19")) << ended.output;
}

TEST_F(Dev, NamesThePackageWhereNoClangCanBeBelieved) {
  Script("clang++-14", ClangBody(66, 66));
  const Ended ended = RunDev("tsan");
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.output, HasSubstr("the package clang-19 has one"));
  EXPECT_EQ(Built(), "");
}

TEST_F(Dev, SaysWhatIsMissingToWhoCannotInstallIt) {
  Script("dpkg-query", "echo unknown");
  Script("id", "echo 1000");
  const Ended ended = RunDev("torture");
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.output,
              HasSubstr("run as root, or install by hand: apt-get install g++ cmake"));
  std::filesystem::remove(folder_ + "/bin/apt-get");
  const Ended elsewhere = RunDev("torture");
  EXPECT_EQ(elsewhere.exit_code, 2);
  EXPECT_THAT(elsewhere.output, HasSubstr("this is no Debian or Ubuntu"));
  EXPECT_EQ(Built(), "");
}

TEST_F(Dev, InstallsBySudo) {
  Script("dpkg-query", "echo unknown");
  Script("id", "echo 1000");
  Script("sudo", "echo as root: \"$@\" >&2");
  const Ended ended = RunDev("torture");
  EXPECT_THAT(ended.output,
              AllOf(HasSubstr("as root: env apt-get update"),
                    HasSubstr("as root: env DEBIAN_FRONTEND=noninteractive apt-get install")));
  EXPECT_THAT(Built(), HasSubstr("--preset release"));
}

// How many steps, and about how long; and a build that fails is no usage error of ninja's.
TEST_F(Dev, SaysHowLongABuildTakes) {
  Script("cmake", "mkdir -p build/release");
  Script("ninja",
         "case \"$*\" in *commands*) n=0; while [ $n -lt 60 ]; do n=$((n+1)); echo cc -o $n.o -c "
         "$n.cc; "
         "done;; *) exit 1;; esac");
  Ended ended = RunDev("torture");
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.output, AllOf(HasSubstr("building: 60 steps, about "), HasSubstr("minute"),
                                  HasSubstr("the build failed")));
  for (int n = 1; n <= 50; ++n) {
    std::ofstream(folder_ + "/build/release/" + std::to_string(n) + ".o") << "built";
  }
  ended = RunDev("torture");
  EXPECT_THAT(ended.output, Not(HasSubstr("steps")));
}

TEST_F(Dev, IsInterruptedInTheMiddleOfABuild) {
  Script("cmake", "mkdir -p build/release");
  // As ninja does it: it ends by itself, with an exit code.
  Script("ninja",
         "case \"$*\" in *commands*) ;; *) trap 'exit 2' INT; kill -INT $PPID; kill -INT $$; sleep "
         "9;; "
         "esac");
  const Ended ended = RunDev("torture");
  EXPECT_EQ(ended.exit_code, 130);
  EXPECT_THAT(ended.output, AllOf(HasSubstr("interrupted"), Not(HasSubstr("the build failed"))));
}

// What ctest leaves behind tells wrong from slow.
TEST_F(Dev, TellsAnUndecidedTestFromAFailedOne) {
  Script("cmake", "mkdir -p build/release/Testing/Temporary");
  Script("ninja", "exit 0");
  const std::string list = folder_ + "/build/release/Testing/Temporary/LastTestsFailed.log";
  // Where all passed ctest leaves no list, and does not remove an old one.
  Script("ctest", "exit 0");
  ASSERT_FALSE(std::filesystem::exists(list));
  EXPECT_EQ(RunDev("test").exit_code, 0);
  std::filesystem::create_directories(std::filesystem::path(list).parent_path());
  std::ofstream(list) << "52:gate_was_decided\n";
  EXPECT_EQ(RunDev("test").exit_code, 0);
  Script("ctest", "echo 52:gate_was_decided > " + list + "; exit 8");
  EXPECT_EQ(RunDev("test").exit_code, 3);
  Script("ctest", "printf '3:edn_test\\n52:gate_was_decided\\n' > " + list + "; exit 8");
  EXPECT_EQ(RunDev("test").exit_code, 8);
}

TEST_F(Dev, ExplainsWrongCommands) {
  const Ended ended = RunDev("nonsense");
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.output, AllOf(HasSubstr("there is no command 'nonsense'"),
                                  HasSubstr("installs what is missing, builds, runs")));
}

}  // namespace
}  // namespace kill9
