// kill9 new: what it writes is built and tried by the lines of its own README.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/result/result.h"
#include "property/command/command_for_tests.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

class New : public testing::Test {
 protected:
  Ended Run(const std::string& arguments) const {
    return RunLine(
        absl::StrCat("cd ", folder_, " && ", KILL9_COMMAND, " new ", arguments, " 2>&1"));
  }
  // A line of the README, in its folder. The distribution's programs are taken: wrappers of others
  // take longer to start than to run.
  Ended RunIn(const std::string& name, const std::string& line) const {
    return RunLine(absl::StrCat("cd ", folder_, "/", name, " && PATH=/usr/bin:$PATH && ", line,
                                " 2>&1 </dev/null"));
  }
  std::vector<std::string> LinesOf(const std::string& name) const {
    std::ifstream file(folder_ + "/" + name + "/README.md");
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with("    ")) lines.push_back(line.substr(4, line.find(" #") - 4));
    }
    return lines;
  }

  // Bounded by work: the right one dies `bounds` often, the faulty one until it is found.
  void ExpectRightAndWrongAreTold(const std::string& language, const std::string& bounds,
                                  const std::string& bounds_of_faulty) const {
    const Ended made = Run(absl::StrCat("--lang=", language, " my_map"));
    ASSERT_EQ(made.exit_code, 0) << made.output;
    int tried = 0;
    for (const std::string& line : LinesOf("my_map")) {
      if (!line.starts_with("kill9 try ")) {
        const Ended built = RunIn("my_map", line);
        ASSERT_EQ(built.exit_code, 0) << line << "\n" << built.output;
        continue;
      }
      ++tried;
      const bool is_faulty = absl::StrContains(line, "faulty");
      const Ended ended = RunIn(
          "my_map", absl::StrCat(KILL9_COMMAND, line.substr(5), " --json=result.json --seed=3 ",
                                 is_faulty ? bounds_of_faulty : bounds));
      EXPECT_EQ(ended.exit_code, is_faulty ? 1 : 0) << line << "\n" << ended.output;
      const absl::StatusOr<Json> result =
          ReadJsonFile(absl::StrCat(folder_, "/my_map/result.json"));
      ASSERT_TRUE(result.ok()) << ended.output;
      EXPECT_EQ(TextField(*result, "verdict"), is_faulty ? "violation" : "pass") << ended.output;
    }
    EXPECT_EQ(tried, 2) << "one that passes, and one with a fault";
  }
  void ExpectWorkerIsTold(const std::string& language, const std::string& program) const {
    if (RunIn(".", program).exit_code != 0) GTEST_SKIP() << "no " << program;
    ExpectRightAndWrongAreTold(language, "--kills=8", "--kills=300");
  }

  const OwnFolder own_;
  const std::string& folder_ = own_.path();
};

TEST_F(New, Cpp) {
  ExpectRightAndWrongAreTold("c++", "--kills=20 --cells=12", "--kills=5 --cells=20");
}
TEST_F(New, C) { ExpectRightAndWrongAreTold("c", "--kills=20 --cells=12", "--kills=5 --cells=20"); }
TEST_F(New, Python) { ExpectWorkerIsTold("python", "python3 --version"); }
TEST_F(New, Ruby) { ExpectWorkerIsTold("ruby", "ruby --version"); }
TEST_F(New, Php) { ExpectWorkerIsTold("php", "php --version"); }
TEST_F(New, Node) { ExpectWorkerIsTold("node", "node --version"); }
TEST_F(New, Perl) { ExpectWorkerIsTold("perl", "perl -MJSON::PP -e1"); }
TEST_F(New, Rust) { ExpectWorkerIsTold("rust", "rustc --version"); }
TEST_F(New, Java) { ExpectWorkerIsTold("java", "javac -version"); }

TEST_F(New, WorkersAndObjectsAreShort) {
  for (const auto& [language, file, most] :
       {std::tuple<const char*, const char*, int>{"python", "my_map.py", 30},
        {"ruby", "my_map.rb", 36},
        {"c++", "my_map.cc", 70}}) {
    ASSERT_EQ(Run(absl::StrCat("--lang=", language, " my_map")).exit_code, 0);
    std::ifstream text(absl::StrCat(folder_, "/my_map/", file));
    int lines = 0;
    for (std::string line; std::getline(text, line);) {
      ++lines;
      EXPECT_THAT(line, Not(HasSubstr("@"))) << file << ": a word that was not filled in";
    }
    EXPECT_GT(lines, 10) << file;
    EXPECT_LE(lines, most) << file;
    fs::remove_all(folder_ + "/my_map");
  }
}

// That each kind passes, and its fault is found, property/plugin/object_kinds_test.cc tells.
TEST_F(New, AKindIsWrittenUnderTheNameThatIsGiven) {
  for (const auto& [arguments, file, part] :
       {std::tuple<const char*, const char*, const char*>{
            "--kind=queue my_queue", "my_queue/my_queue.cc", "class MyQueue {"},
        {"--lang=c --kind=lease mine", "mine/mine.c", "OBJECT(\"mine\", \"lease\")"},
        {"--lang=c --kind=set other", "other/shared.h", "change_as_a_whole"}}) {
    const Ended made = Run(arguments);
    ASSERT_EQ(made.exit_code, 0) << made.output;
    std::ifstream read(absl::StrCat(folder_, "/", file));
    const std::string text((std::istreambuf_iterator<char>(read)), {});
    EXPECT_THAT(text, HasSubstr(part)) << arguments;
    EXPECT_THAT(text, Not(HasSubstr("afe_"))) << arguments << ": a name of the example's";
  }
}

TEST_F(New, WhatIsThereStays) {
  fs::create_directory(folder_ + "/mine");
  std::ofstream(folder_ + "/file") << "somebody's";
  for (const char* there : {"mine", "mine/", "file"}) {
    const Ended ended = Run(absl::StrCat("--lang=python ", there));
    EXPECT_EQ(ended.exit_code, 2) << ended.output;
  }
  EXPECT_TRUE(fs::is_empty(folder_ + "/mine"));
  EXPECT_EQ(fs::file_size(folder_ + "/file"), 10u);
}

// Files of other languages than that of the word are not in its way.
TEST_F(New, AWordOfALanguageIsANameInAnother) {
  for (const char* arguments :
       {"--lang=perl class", "--lang=java json", "--lang=python try", "--lang=ruby test"}) {
    const Ended ended = Run(arguments);
    EXPECT_EQ(ended.exit_code, 0) << arguments << "\n" << ended.output;
  }
}

TEST_F(New, ASlashAtTheEndIsNoPartOfTheName) {
  const Ended ended = Run("--lang=python sub/");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_TRUE(fs::exists(folder_ + "/sub/sub.py"));
  EXPECT_THAT(ended.output, HasSubstr("    cd sub\n"));
}

TEST_F(New, RefusesWhatItCannotName) {
  ExpectUsageErrors([this](const char* arguments) { return Run(arguments); },
                    {{"", "folder is required"},
                     {"--lang=cobol mine", "cobol"},
                     {"--kind=quue mine", "did you mean 'queue'?"},
                     {"--lang=python --kind=queue mine", "--kind is of plugins"},
                     {"Mine", "is no name"},
                     {"9lives", "is no name"},
                     {"a-b", "is no name"},
                     {"..", "is no name"},
                     {"--lang=java class", "means something else to Java"},
                     {"--lang=java yield", "means something else to Java"},
                     {"--lang=python json", "means something else to Python"},
                     {"--lang=python re/", "means something else to Python"},
                     {"--lang=python warm", "means something else to Python"},
                     {"--lang=c test", "means something else to C"},
                     {"--lang=c++ install", "means something else to C++"},
                     {"--lang=c++ cell", "means something else to C++"},
                     {"''", "is no name"},
                     {"cas_slots", "is a design of kill9's own"},
                     {"nowhere/mine", "No such file or directory"}});
  EXPECT_TRUE(fs::is_empty(folder_));
}

// Half a skeleton would be refused the next time.
TEST(NewCommandUsage, LeavesNothingOnAFullDisk) {
  const OwnFolder folder;
  const Ended ended =
      RunOnFullDisk(folder.path(), KILL9_COMMAND " new --lang=c my_map; echo $?; ls");
  if (ended.exit_code == 77) GTEST_SKIP() << "no mount namespace can be made here";
  EXPECT_THAT(ended.output, HasSubstr("my_map/README.md': No space left on device"));
  EXPECT_THAT(ended.output, testing::EndsWith("\n2\nfull\n"));
}

}  // namespace
}  // namespace kill9
