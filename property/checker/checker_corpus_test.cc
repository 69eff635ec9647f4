// The corpus: named histories with their verdict under each condition. One test each; a history
// joins by being put into property/histories/, with its verdicts in its first lines.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "gtest/gtest.h"
#include "harness/checker/checker.h"
#include "harness/edn/edn.h"

namespace kill9 {
namespace {

std::vector<std::string> CorpusNames() {
  std::vector<std::string> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(KILL9_SOURCE_DIR "/property/histories")) {
    if (entry.path().extension() == ".edn") files.push_back(entry.path().stem().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

class Corpus : public testing::TestWithParam<std::string> {};

TEST_P(Corpus, HasItsVerdictUnderEveryCondition) {
  std::ifstream file(KILL9_SOURCE_DIR "/property/histories/" + GetParam() + ".edn");
  std::stringstream text;
  text << file.rdbuf();
  std::map<std::string, std::string> said;  // "model", "strict", …
  std::string line;
  while (std::getline(text, line) && line.starts_with("; ")) {
    size_t colon = line.find(": ");
    if (colon != std::string::npos) said[line.substr(2, colon - 2)] = line.substr(colon + 2);
  }
  const ModelChecker* model = FindModel(said["model"]);
  ASSERT_NE(model, nullptr) << said["model"];
  auto history =
      ReadEdn(text.str(), GetParam(), [&](Function function) { return model->Accepts(function); });
  ASSERT_TRUE(history.ok()) << history.status();
  std::optional<Condition> strongest;
  for (Condition condition : kConditions) {
    std::string expected = said[std::string(ConditionName(condition))];
    auto outcome = CheckHistory(*model, history->operations, {.condition = condition});
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    EXPECT_EQ(VerdictName(outcome->verdict), expected) << ConditionName(condition);
    if (expected == "pass" && !strongest.has_value()) strongest = condition;
    EXPECT_EQ(outcome->counterexample.has_value(), expected == "violation");
    if (!outcome->counterexample.has_value()) continue;
    // What is shown as a violation is one, and no operation of it can be spared.
    const Counterexample& shown = *outcome->counterexample;
    EXPECT_FALSE(RenderText(shown, history->naming()).empty());
    EXPECT_FALSE(shown.unplaceable.empty());
  }
  auto outcome = CheckHistory(*model, history->operations, {});
  EXPECT_EQ(outcome->strongest, strongest);

  // Written and read again, it is the same history.
  std::string written = WriteEdn(history->operations, history->naming());
  auto again =
      ReadEdn(written, "again", [&](Function function) { return model->Accepts(function); });
  ASSERT_TRUE(again.ok()) << again.status() << "\n" << written;
  auto outcome_again = CheckHistory(*model, again->operations, {});
  EXPECT_EQ(outcome_again->verdict, outcome->verdict) << written;
  EXPECT_EQ(outcome_again->strongest, strongest);
}

INSTANTIATE_TEST_SUITE_P(Histories, Corpus, testing::ValuesIn(CorpusNames()),
                         [](const auto& history) { return history.param; });

}  // namespace
}  // namespace kill9
