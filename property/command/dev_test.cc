// ./dev from outside, in a folder of its own where every program that it calls is a script: what it
// installs, which compiler it believes, how it ends.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

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
    std::filesystem::create_directories(folder_ + "/.ci");
    for (const char* script : {"/.ci/failed_tests.awk", "/.ci/arguments.awk", "/.ci/rounds"}) {
      std::filesystem::copy_file(std::string(KILL9_SOURCE_DIR) + script, folder_ + script);
    }
    // Nothing else of this machine is to be found.
    for (const char* tool :
         {"awk",   "bash",  "cat",   "cut",     "dirname",  "env",   "flock", "grep", "mkdir",
          "nproc", "rm",    "sed",   "setarch", "sh",       "sleep", "sort",  "tail", "timeout",
          "true",  "uname", "chmod", "cp",      "readlink", "tee",   "uniq"}) {
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

// Who wants to see torture waits for what torture needs; who has kill9, or asks for more, gets it.
TEST_F(Dev, BuildsNoMoreThanTortureNeedsForTheFirstVerdict) {
  const std::string tree = folder_ + "/build/release";
  Script("cmake", "mkdir -p build/release");
  Script("ninja", "echo ninja \"$@\" >> " + folder_ + "/built");
  const auto run = [&](const std::string& arguments, const std::string& variables = "") {
    for (const char* program : {"/first/kill9", "/of_all"}) {
      std::filesystem::create_directories(tree + "/first");
      std::ofstream(tree + program) << "#!/bin/sh\necho $KILL9_DEV " << program << " \"$@\"\n";
      std::filesystem::permissions(tree + program, std::filesystem::perms::owner_all);
    }
    std::filesystem::remove(folder_ + "/built");
    return RunLine("cd / && env -i " + variables + " PATH=" + folder_ + "/bin HOME=/ " + folder_ +
                   "/dev " + arguments + " 2>&1")
        .output;
  };
  for (const std::string arguments : {"torture", "torture --variant=cas_slots --seconds=3"}) {
    EXPECT_THAT(run(arguments), HasSubstr("/dev /first/kill9 " + arguments + "\n"));
    EXPECT_THAT(Built(), AllOf(HasSubstr("ninja -C build/release kill9_first\n"),
                               Not(HasSubstr("ninja -C build/release kill9\n"))));
  }
  for (const auto& [arguments, variables] :
       {std::pair("kill9 torture --variant=lmdb", ""),
        std::pair("torture", "KILL9_PLUGIN=/mine.so"), std::pair("list", "")}) {
    EXPECT_THAT(run(arguments, variables), Not(HasSubstr("/first/kill9"))) << arguments;
    EXPECT_THAT(Built(), HasSubstr("ninja -C build/release kill9\n")) << arguments;
  }
  std::filesystem::rename(tree + "/of_all", tree + "/kill9");
  EXPECT_THAT(run("torture"), HasSubstr("/of_all torture\n"));
  EXPECT_THAT(Built(), HasSubstr("ninja -C build/release kill9\n"));
}

// c++ is g++ by another name, and another g++ is not; a compiler cache acts by its name.
TEST_F(Dev, KeepsATreeOfTheSameCompilerOnly) {
  const std::string cache = folder_ + "/build/release/CMakeCache.txt";
  std::filesystem::create_directories(folder_ + "/build/release");
  Script("real-g++-12", "echo 12");
  Script("g++-11", "echo 11");
  Script("ccache", "echo 12");
  for (const auto& [name, file] : {std::pair("g++", "real-g++-12"), std::pair("c++", "g++"),
                                   std::pair("cc++", "ccache"), std::pair("cg++", "ccache")}) {
    std::filesystem::remove(folder_ + "/bin/" + name);
    std::filesystem::create_symlink(file, folder_ + "/bin/" + name);
  }
  const auto keeps = [&](const std::string& was, const std::string& is) {
    std::ofstream(cache) << "CMAKE_CXX_COMPILER:STRING=" << folder_ << "/bin/" << was << "\n";
    std::filesystem::remove(folder_ + "/built");
    RunLine("cd / && env -i CXX=" + is + " PATH=" + folder_ + "/bin HOME=/ " + folder_ +
            "/dev torture 2>&1");
    EXPECT_NE(Built(), "") << was << " " << is;
    const bool kept = std::filesystem::exists(cache);
    // CMake itself is told the name that it knows.
    const std::string told = "-DCMAKE_CXX_COMPILER=" + folder_ + "/bin/" + was;
    EXPECT_TRUE(!kept || Built().find(told) != std::string::npos) << Built();
    return kept;
  };
  EXPECT_TRUE(keeps("g++", "g++"));
  EXPECT_TRUE(keeps("c++", "g++"));
  EXPECT_TRUE(keeps("g++", "c++"));
  EXPECT_FALSE(keeps("g++-11", "g++"));
  EXPECT_FALSE(keeps("g++", "g++-11"));
  EXPECT_FALSE(keeps("removed", "g++"));
  EXPECT_TRUE(keeps("cg++", "cg++"));
  EXPECT_FALSE(keeps("cc++", "cg++"));
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
  Script("ctest", "exit 8");  // a wrong option: the list is of another run
  EXPECT_EQ(RunDev("test").exit_code, 8);
  Script("ctest", "echo 52:gate_was_decided > " + list + "; exit 8");
  EXPECT_EQ(RunDev("test").exit_code, 3);
  Script("ctest", "printf '3:edn_test\\n52:gate_was_decided\\n' > " + list + "; exit 8");
  EXPECT_EQ(RunDev("test").exit_code, 8);
}

// Each round has a seed of its own; what fails in some of them is told with how often.
TEST_F(Dev, RoundsTellWhichTestsChanceDecides) {
  Script("cmake", "mkdir -p build/release");
  Script("ninja", "exit 0");
  Script(
      "ctest",
      "echo 100% tests passed; case $KILL9_SEED in 7) exit 0;; 9) printf 'The following tests "
      "FAILED:\\n\\t  3 - edn_test (Failed)\\n'; exit 8;; *) printf 'The following tests "
      "FAILED:\\n\\t  3 - edn_test (Failed)\\n\\t 12 - cas_slots_test (Timeout)\\n'; exit 8; esac");
  const auto rounds = [this](const std::string& count) {
    return RunLine("cd / && env -i KILL9_SEED=7 BESIDE=1 PATH=" + folder_ + "/bin HOME=/ " +
                   folder_ + "/dev rounds " + count + " 2>&1");
  };
  const Ended ended = rounds("3");
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_THAT(ended.output,
              AllOf(HasSubstr("KILL9_SEED=7: 100% tests passed"), HasSubstr("KILL9_SEED=8: failed"),
                    HasSubstr("2 edn_test"), HasSubstr("1 cas_slots_test (Timeout)")));
  EXPECT_EQ(rounds("1").exit_code, 0);
  Script("ctest", "exit 8");  // and says nothing of a test
  EXPECT_EQ(rounds("1").exit_code, 1);
  EXPECT_EQ(rounds("").exit_code, 2);
}

// The log that ctest leaves of tests with these outputs.
std::string LogOfTests(const std::vector<std::pair<std::string, std::string>>& outputs) {
  std::string log = "Start testing\n";
  for (const auto& [name, output] : outputs) {
    log += "1/9 Testing: " + name + "\n1/9 Test: " + name + "\nCommand: \"x\"\nOutput:\n----\n" +
           output + "<end of output>\nTest time =   0.01 sec\n----\nTest Failed.\n";
  }
  return log;
}

// Whoever sees the end of the output only, as in CI, sees why.
TEST_F(Dev, EndsWithWhyTestsFailed) {
  Script("cmake", "mkdir -p build/release/Testing/Temporary");
  Script("ninja", "exit 0");
  const std::string left = folder_ + "/build/release/Testing/Temporary/";
  std::filesystem::create_directories(left);
  const std::string noise = "[ RUN      ] A.Passes\nnoise\n[       OK ] A.Passes (1 ms)\n";
  std::string history;
  for (int n = 0; n < 90; ++n) history += "    event " + std::to_string(n) + "\n";
  std::ofstream(left + "log") << LogOfTests(
      {{"passed_test", noise},
       {"a_test", "[==========] Running\n" + noise + "[ RUN      ] A.Fails\n" + history +
                      "a_test.cc:7: Failure\nExpected: this\n[  FAILED  ] A.Fails (1 ms)\n" +
                      noise + "[  FAILED  ] A.Fails\n 1 FAILED TEST\n"},
       {"crashed_test", noise + "[ RUN      ] C.Crashes\nterminate called\n"},
       {"script", "the script says why\n"},
       {"gate",
        "   0.1 s  torture   x  steady    pass\n   0.2 s  explore   y    skipped\n"
        "    it does not explore it\n   0.3 s  torture   z  steady    leak\n" +
            history +
            "    repeat: kill9 z\n   0.4 s  torture   w    pass\n\n"
            "the gate is closed\n"}});
  std::ofstream(left + "list") << "2:a_test\n3:crashed_test\n4:script\n5:missing\n6:gate\n";
  Script("ctest", "cd " + left + "; cp log LastTest.log; cp list LastTestsFailed.log; exit 8");
  const Ended ended = RunDev("test");
  EXPECT_EQ(ended.exit_code, 8);
  EXPECT_THAT(ended.output, AllOf(HasSubstr("a_test.cc:7: Failure"), HasSubstr("Expected: this"),
                                  HasSubstr("FAILED  ] A.Fails (1 ms)"), Not(HasSubstr("noise")),
                                  Not(HasSubstr("1 FAILED TEST"))));
  EXPECT_THAT(ended.output,
              AllOf(HasSubstr("RUN      ] C.Crashes"), HasSubstr("terminate called"),
                    HasSubstr("the script says why"), HasSubstr("missing:\n  (no output")));
  EXPECT_THAT(ended.output,
              AllOf(HasSubstr("z  steady    leak"), HasSubstr("event 0\n"),
                    HasSubstr("repeat: kill9 z"), Not(HasSubstr("steady    pass")),
                    Not(HasSubstr("explore it")), Not(HasSubstr("the gate is closed"))));
  EXPECT_THAT(ended.output,
              ::testing::EndsWith("5 failed: a_test crashed_test script missing gate\n"));
  EXPECT_LT(std::count(ended.output.begin(), ended.output.end(), '\n'), 70);
}

TEST_F(Dev, TellsWhatIsMistypedBeforeItInstallsAndBuilds) {
  for (const char* sources : {"/stress", "/property"}) {
    std::filesystem::create_symlink(std::string(KILL9_SOURCE_DIR) + sources, folder_ + sources);
  }
  Script("dpkg-query", "echo unknown");
  for (const auto& [arguments, message] :
       {std::pair("torture --sceonds=3", "no option '--sceonds'; did you mean '--seconds'?"),
        std::pair("kill9 --plugin=./mine.so tortur",
                  "no command 'tortur'; did you mean 'torture'?"),
        std::pair("kill9 run --chek=./a -- ./b --chek", "did you mean '--check'?"),
        std::pair("gate -x", "no option '-x'"), std::pair("mutants --sampel=9", "'--sample'?"),
        std::pair("endurance --partz=wear", "'--parts'?"), std::pair("package now", "no arguments"),
        std::pair("report --quick", "report takes a folder")}) {
    const Ended ended = RunDev(arguments);
    EXPECT_EQ(ended.exit_code, 2) << arguments;
    EXPECT_THAT(ended.output, AllOf(HasSubstr(message), Not(HasSubstr("installing"))));
  }
  EXPECT_EQ(Built(), "");
  // None that kill9 has is taken for another's.
  const std::string all = RunLine(KILL9_COMMAND
                                  " help --as=bash | grep -oE -e '--[a-z][a-z0-9-]*' | sort -u | "
                                  "tr '\n' ' '")
                              .output;
  ASSERT_THAT(all, AllOf(HasSubstr("--junit "), HasSubstr("--no-namespaces "), HasSubstr("--as ")));
  EXPECT_THAT(RunDev("kill9 run " + all).output, HasSubstr("installing"));
}

TEST_F(Dev, ExplainsWrongCommands) {
  const Ended ended = RunDev("nonsense");
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.output, AllOf(HasSubstr("there is no command 'nonsense'"),
                                  HasSubstr("installs what is missing, builds, runs")));
}

}  // namespace
}  // namespace kill9
