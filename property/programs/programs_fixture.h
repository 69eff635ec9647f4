// kill9 torture --worker, as a person runs it, each test in a folder of its own.
#ifndef KILL9_PROPERTY_PROGRAMS_PROGRAMS_FIXTURE_H_
#define KILL9_PROPERTY_PROGRAMS_PROGRAMS_FIXTURE_H_

#include <unistd.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/result/result.h"
#include "property/command/command_for_tests.h"

namespace kill9 {

inline constexpr char kExamples[] = KILL9_SOURCE_DIR "/apps/examples/workers/";

// The distribution's, if it is there: wrappers of others take longer to start than to run.
inline std::string Python() {
  return std::filesystem::exists("/usr/bin/python3") ? "/usr/bin/python3" : "python3";
}

inline bool Has(const std::string& program) {
  return RunLine(absl::StrCat(program, " --version 2>&1")).exit_code == 0;
}

// A folder of its own for each test, in which the command runs.
class ProgramsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!Has(Python())) GTEST_SKIP() << "no python3";
    folder_ = absl::StrCat(::testing::TempDir(), "programs-", getpid());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override {
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
  }

  // Ends by kills, far within its seconds. Where the machine was too busy to tell, once more: five
  // times at most.
  Ended Torture(const std::string& arguments, int kills = 30) {
    Ended ended = TortureOnce(arguments, kills);
    for (int tries = 1; tries < 5; ++tries) {
      if (ended.output.find("the machine is too busy") == std::string::npos) break;
      ended = TortureOnce(arguments, kills);
    }
    return ended;
  }
  Ended TortureOnce(const std::string& arguments, int kills) {
    Ended ended = RunLine(absl::StrCat("cd ", folder_, " && ", KILL9_COMMAND,
                                       " torture --seconds=600 --json=result.json --kills=", kills,
                                       " ", arguments, " 2>&1"));
    const absl::StatusOr<Json> result = ReadJsonFile(folder_ + "/result.json");
    run_ = result.ok() && !(*result)["runs"].empty() ? (*result)["runs"][0] : Json();
    return ended;
  }
  static std::string Worker(const std::string& example) {
    return absl::StrCat("--worker='", Python(), " ", kExamples, example, "' ");
  }
  std::string Verdict() const { return TextField(run_, "verdict"); }
  std::string Reason() const { return TextField(run_, "reason"); }

  std::string folder_;
  Json run_;
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_PROGRAMS_PROGRAMS_FIXTURE_H_
