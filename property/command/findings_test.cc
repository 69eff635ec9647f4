// What torture keeps has a bound.
#include "stress/command/torture/findings.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace kill9 {
namespace {

Json FailedRun(const std::string& history) {
  Json run = {{"verdict", "violation"}};
  if (!history.empty()) run["history"] = history;
  return run;
}

TEST(Findings, KeepNoMoreHistoriesOnceTheyFillTheFolder) {
  const std::string history = testing::TempDir() + "/findings.history.edn";
  std::ofstream(history) << "";
  std::filesystem::resize_file(history, 100'000'000);  // with a hole: nothing is written
  Findings findings;
  for (int n = 0; n < 3; ++n) {
    ASSERT_TRUE(findings.has_room()) << n;
    Json run = FailedRun(history);
    findings.Count(&run);
    EXPECT_FALSE(run.contains("history_not_kept"));
  }
  EXPECT_FALSE(findings.has_room());
  Json without = FailedRun("");
  findings.Count(&without);
  EXPECT_TRUE(without.contains("history_not_kept"));
  Json pass = {{"verdict", "pass"}};
  findings.Count(&pass);
  EXPECT_FALSE(pass.contains("history_not_kept")) << "there is nothing to keep";
  std::filesystem::remove(history);
}

}  // namespace
}  // namespace kill9
