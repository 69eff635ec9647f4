// The gate's parts that need no command: samples, what contradicts itself, and the forms.
#include <csignal>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/gate/answer.h"
#include "harness/gate/memory.h"
#include "harness/gate/plan.h"
#include "harness/gate/report.h"

namespace kill9::gate {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Step Named(const std::string& variant, const std::string& name) {
  return {.tier = Tier::kPlanted, .variant = variant, .name = name};
}

std::vector<std::string> NamesOf(const std::vector<Step>& steps) {
  std::vector<std::string> names;
  for (const Step& step : steps) names.push_back(step.name);
  return names;
}

class ResultFile : public ::testing::Test {
 protected:
  // What is read from a result file of this text, after this exit code.
  std::vector<Answer> ReadText(const std::string& text, int exit_code) {
    Step step = Named("v", "n");
    step.tier = Tier::kTorture;
    step.result_file = testing::TempDir() + "/result.json";
    std::ofstream(step.result_file) << text;
    return Read(step, {.ending = Ending::kByItself, .status = exit_code << 8, .begun = true});
  }
};

TEST(GateMemory, PutsFirstWhatPassedLongestAgo) {
  Memory memory;
  memory.Passed(Named("v", "a"), 30);
  memory.Passed(Named("v", "b"), 10);
  memory.Passed(Named("v", "c"), 20);
  std::vector<Step> steps = {Named("v", "a"), Named("v", "b"), Named("v", "never"),
                             Named("v", "c")};
  memory.Order(steps, 1);
  EXPECT_THAT(NamesOf(steps), ElementsAre("never", "b", "c", "a"));
}

TEST(GateMemory, DrawsAmongEqualsByTheSeed) {
  const Memory memory;
  std::vector<std::vector<std::string>> orders;
  for (const uint64_t seed : {1, 1, 2, 3, 4}) {
    std::vector<Step> steps;
    for (const char* name : {"a", "b", "c", "d", "e", "f"}) steps.push_back(Named("v", name));
    memory.Order(steps, seed);
    orders.push_back(NamesOf(steps));
  }
  EXPECT_EQ(orders[0], orders[1]);
  EXPECT_FALSE(orders[1] == orders[2] && orders[2] == orders[3] && orders[3] == orders[4]);
}

TEST(GateMemory, SurvivesInItsFile) {
  const std::string path = testing::TempDir() + "/memory.json";
  Memory memory;
  memory.Passed(Named("v", "a"), 5);
  ASSERT_TRUE(memory.Save(path).ok());
  absl::StatusOr<Memory> again = Memory::Load(path);
  ASSERT_TRUE(again.ok());
  std::vector<Step> steps = {Named("v", "a"), Named("v", "b")};
  again->Order(steps, 1);
  EXPECT_THAT(NamesOf(steps), ElementsAre("b", "a"));
  std::ofstream(path) << "{}";
  EXPECT_FALSE(Memory::Load(path).ok());
}

TEST(GateMemory, GivesEachVariantItsShareFirst) {
  const std::vector<Step> steps = {Named("v", "v1"), Named("v", "v2"), Named("v", "v3"),
                                   Named("w", "w1")};
  EXPECT_THAT(NamesOf(FairShare(steps, 2)), ElementsAre("v1", "w1"));
  EXPECT_THAT(NamesOf(FairShare(steps, 3)), ElementsAre("v1", "w1", "v2"));
}

TEST_F(ResultFile, GivesItsVerdicts) {
  const auto answers = ReadText(R"({"runs": [{"verdict": "pass"}]})", 0);
  ASSERT_EQ(answers.size(), 1);
  EXPECT_EQ(answers[0].verdict, Verdict::kPass);
}

TEST_F(ResultFile, ThatContradictsItsExitCodeIsUndecided) {
  const auto answers = ReadText(R"({"runs": [{"verdict": "pass"}]})", 1);
  ASSERT_EQ(answers.size(), 2);
  EXPECT_EQ(answers[1].verdict, Verdict::kUndecided);
  EXPECT_THAT(answers[1].reason, HasSubstr("contradicts"));
}

TEST_F(ResultFile, WithoutRunsOrOfAnotherKindIsUndecided) {
  for (const char* text : {"", "nonsense", "[]", R"({"runs": []})", R"({"runs": [3]})",
                           R"({"runs": [{"verdict": "fine"}]})", R"({"runs": [{"verdict": 7}]})"}) {
    for (const Answer& answer : ReadText(text, 0)) {
      EXPECT_EQ(answer.verdict, Verdict::kUndecided) << text;
      EXPECT_FALSE(answer.reason.empty()) << text;
    }
  }
}

TEST_F(ResultFile, OfASweepTellsTheLine) {
  const auto answers = ReadText(
      R"({"runs": [{"verdict": "leak", "repeat": "kill9 sweep --at=3", "counterexample":
          {"message": "lost", "place": "`mov` in Put at variants/x/y.cc:17"}}]})",
      1);
  ASSERT_EQ(answers.size(), 1);
  EXPECT_EQ(answers[0].file, "variants/x/y.cc");
  EXPECT_EQ(answers[0].line, 17);
  EXPECT_EQ(answers[0].repeat, "kill9 sweep --at=3");
}

Answer Failed() {
  Answer answer;
  answer.tier = Tier::kSweep;
  answer.variant = "v";
  answer.name = "put, same";
  answer.verdict = Verdict::kLeak;
  answer.reason = "50% lost\nand <more>\x01";
  answer.file = "a.cc";
  answer.line = 3;
  return answer;
}

TEST(GatePlan, LeavesWhatRunsWriteInTheGatesOwnFolder) {
  GateOptions options;
  options.variants = {FindVariant("global_mutex")};
  options.output = "here";
  const volatile std::sig_atomic_t never = 0;
  ProcessPool pool(&never);
  Planner planner(options, pool, 0);
  for (const Tier tier : {Tier::kTorture, Tier::kBaselines}) {
    const absl::StatusOr<std::vector<Step>> steps = planner.Plan(tier);
    ASSERT_TRUE(steps.ok() && !steps->empty());
    for (const Step& step : *steps) {
      EXPECT_THAT(step.command, Contains("--counterexamples=here/logs")) << step.Id();
    }
  }
}

TEST(GateReport, EscapesAnnotations) {
  EXPECT_EQ(GithubAnnotation(Failed()),
            "::error file=a.cc,line=3,title=kill9 sweep%3A v put%2C same%3A leak::50%25 lost%0Aand "
            "<more>?");
  EXPECT_EQ(GithubAnnotation([] {
              Answer answer = Failed();
              answer.verdict = Verdict::kPass;
              return answer;
            }()),
            "");
}

TEST(GateReport, WritesJunitThatCanBeRead) {
  const std::string path = testing::TempDir() + "/junit.xml";
  ASSERT_TRUE(WriteJunit({Failed()}, path).ok());
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(text, HasSubstr("<testsuite name=\"sweep\" tests=\"1\" failures=\"1\""));
  EXPECT_THAT(text, HasSubstr("type=\"leak\""));
  EXPECT_THAT(text, HasSubstr("and &lt;more&gt;?"));
  EXPECT_FALSE(WriteJunit({}, "/nonexistent/junit.xml").ok());
}

}  // namespace
}  // namespace kill9::gate
