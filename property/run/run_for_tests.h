// kill9 run from outside, in a directory of the test's own.
#ifndef KILL9_PROPERTY_RUN_RUN_FOR_TESTS_H_
#define KILL9_PROPERTY_RUN_RUN_FOR_TESTS_H_

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/result/result.h"
#include "property/command/command_for_tests.h"

namespace kill9 {

inline const std::string kVictim = KILL9_VICTIM_PROGRAM;
// What a file of metrics must be, if it is there.
inline constexpr char kWhole[] = "'test ! -e metrics || test \"$(tail -n 1 metrics)\" = end'";

class ProgramTest : public testing::Test {
 protected:
  const std::string& folder() const { return folder_; }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ + "/" + name) << text;
  }
  std::string Read(const std::string& name) const {
    std::ifstream file(folder_ + "/" + name);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  bool Exists(const std::string& name) const {
    return std::filesystem::exists(folder_ + "/" + name);
  }

  // The command in the folder, with what it prints; `run_` is the run of its result then. The
  // result lies outside of what is copied.
  Ended Run(const std::string& arguments, const std::string& before = "") {
    const std::string json = folder_ + ".json";
    const Ended ended = RunLine("cd " + folder_ + " && " + before + " " KILL9_COMMAND +
                                " run --json=" + json + " " + arguments + " 2>&1 </dev/null");
    const absl::StatusOr<Json> result = ReadJsonFile(json);
    run_ = result.ok() ? (*result)["runs"][0] : Json::object();
    std::filesystem::remove(json);
    return ended;
  }

  Json run_;

 private:
  const OwnFolder own_;
  const std::string& folder_ = own_.path();
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_RUN_RUN_FOR_TESTS_H_
