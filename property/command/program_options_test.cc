// The command lines of programs without commands: benchmarks.
#include "stress/command/arguments/program_options.h"

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kill9 {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

struct Answer {
  int exit_code = 0;
  std::string said;  // on standard error
  bool did_its_job = false;
};

Answer Ask(
    std::vector<std::string> words, const std::function<int()>& job = [] { return 0; }) {
  std::vector<std::string> parts = {"one"};
  int rounds = 3;
  std::string json;
  ProgramOptions options("some_benchmark", "what it measures");
  options.Add("--parts", parts, "what is measured").SeparatedBy(',').OneOf({"one", "two"});
  options.Add("--rounds", rounds, "of each measurement").Between(1, 10);
  options.Add("--json", json, "the result file");
  words.insert(words.begin(), "some_benchmark");
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  Answer answer;
  testing::internal::CaptureStderr();
  answer.exit_code = options.Run(static_cast<int>(arguments.size()), arguments.data(), [&] {
    answer.did_its_job = true;
    return job();
  });
  answer.said = testing::internal::GetCapturedStderr();
  return answer;
}

TEST(ProgramOptions, RefusesWhatItDoesNotUnderstandBeforeItBegins) {
  struct Case {
    std::vector<std::string> words;
    std::string said;
  };
  for (const Case& one : std::vector<Case>{
           {{"--round=3"}, "some_benchmark: it has no option '--round'; did you mean '--rounds'?"},
           {{"result.json"}, "some_benchmark: it takes no argument 'result.json'"},
           {{"--rounds"}, "some_benchmark: --rounds has no value"},
           {{"--rounds="}, "some_benchmark: --rounds= has no value"},
           {{"--json", "--rounds=3"}, "some_benchmark: --json has no value: '--rounds=3' follows"},
           {{"--rounds=11"}, "'11' is no whole number from 1 to 10"},
           {{"--rounds=x"}, "'x' is no whole number from 1 to 10"},
           {{"--parts=one,tow"}, "there is no 'tow'; did you mean 'two'?"},
           {{"--json=/nowhere/f.json"}, "/nowhere"},
       }) {
    const Answer answer = Ask(one.words);
    EXPECT_EQ(answer.exit_code, 2) << one.words[0];
    EXPECT_FALSE(answer.did_its_job) << one.words[0];
    EXPECT_THAT(answer.said, HasSubstr(one.said));
    EXPECT_THAT(answer.said, HasSubstr("\nsome_benchmark --help lists what there is\n"));
  }
}

TEST(ProgramOptions, DoesItsJobAndReturnsItsExitCode) {
  EXPECT_EQ(Ask({"--rounds=2", "--parts=two,one"}, [] { return 7; }).exit_code, 7);
  const Answer refused = Ask({}, []() -> int { throw UsageError("--parts: not here"); });
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.said, HasSubstr("some_benchmark: --parts: not here\n"));
}

// By its source: benchmarks are built where somebody asks for them.
TEST(ProgramOptions, EveryBenchmarkReadsItsCommandLineWithThem) {
  size_t benchmarks = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(KILL9_SOURCE_DIR "/stress/benchmarks")) {
    if (!entry.path().filename().string().ends_with("_benchmark.cc")) continue;
    ++benchmarks;
    std::ifstream file(entry.path());
    const std::string text(std::istreambuf_iterator<char>(file), {});
    EXPECT_THAT(
        text.substr(text.find("int main(")),
        AnyOf(HasSubstr("options.Run(argc, argv, "), HasSubstr("RunGoogleBenchmarks(argc, argv)")))
        << entry.path();
  }
  EXPECT_GE(benchmarks, 10u);
}

}  // namespace
}  // namespace kill9
