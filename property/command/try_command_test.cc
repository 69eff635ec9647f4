// kill9 try: a first verdict, and where an object breaks. All is bounded by work.
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/result/result.h"
#include "property/command/command_for_tests.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kSource = KILL9_SOURCE_DIR;

class Try : public testing::Test {
 protected:
  Ended Run(const std::string& arguments) {
    const std::string json = folder_ + "/result.json";
    std::filesystem::remove(json);
    const Ended ended = RunLine(absl::StrCat("cd ", folder_, " && ", KILL9_COMMAND, " ", arguments,
                                             " --seed=3 --json=", json, " 2>&1 </dev/null"));
    const absl::StatusOr<Json> result = ReadJsonFile(json);
    result_ = result.ok() ? *result : Json();
    return ended;
  }
  // The worst of a tier's verdicts; empty: it did not run.
  std::string VerdictOfTier(const std::string& tier) const {
    std::string verdict;
    if (!result_.contains("runs")) return verdict;
    for (const Json& run : result_["runs"]) {
      if (TextField(run, "tier") != tier) continue;
      const std::string one = TextField(run, "verdict");
      if (verdict.empty() || verdict == "skipped" || (verdict == "pass" && one != "skipped")) {
        verdict = one;
      }
    }
    return verdict;
  }
  uint64_t KillsOfTier(const std::string& tier) const {
    uint64_t kills = 0;
    for (const Json& run : result_["runs"]) {
      if (TextField(run, "tier") != tier || !run.contains("kills")) continue;
      kills += run["kills"]["total"].get<uint64_t>();
    }
    return kills;
  }
  // The example object with `from` replaced by `to`, as a library.
  std::string Build(const std::string& from, const std::string& to) const {
    std::ifstream file(kSource + "/apps/examples/plugin/cells_map.cc");
    std::ostringstream read;
    read << file.rdbuf();
    std::string text = read.str();
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    std::ofstream(folder_ + "/mine.cc") << text;
    const Ended built =
        RunLine(absl::StrCat("cd ", folder_, " && c++ -std=c++20 -g -O1 -shared ",
                             "-fPIC -pthread -I", kSource, "/include -o libmine.so mine.cc 2>&1"));
    EXPECT_EQ(built.exit_code, 0) << built.output;
    return folder_ + "/libmine.so";
  }
  static std::string Worker(const std::string& example) {
    const bool has_own = std::filesystem::exists("/usr/bin/python3");
    return absl::StrCat("--worker='", has_own ? "/usr/bin/python3 " : "python3 ", kSource,
                        "/apps/examples/workers/", example, "'");
  }

  Json result_;
  const OwnFolder own_;
  const std::string& folder_ = own_.path();
};

TEST_F(Try, ADesignThatSurvivesPassesAllTiers) {
  const Ended ended = Run("try cas_slots --kills=10 --cells=4");
  ASSERT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_EQ(result_["kind"], "try");
  EXPECT_EQ(result_["verdict"], "pass");
  for (const char* tier : {"control", "torture", "sweep"}) {
    EXPECT_EQ(VerdictOfTier(tier), "pass") << tier << "\n" << ended.output;
  }
  EXPECT_EQ(KillsOfTier("control"), 0u);
  EXPECT_GE(KillsOfTier("torture"), 100u) << "in a dozen scenarios";
  EXPECT_GT(KillsOfTier("sweep"), 0u);
  EXPECT_TRUE(result_["weak_places"].empty());
  EXPECT_THAT(ended.output, Not(HasSubstr("where it breaks")));
  EXPECT_THAT(ended.output, HasSubstr("cas_slots: pass\n"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/kill9-out")) << "nothing was found";
}

TEST_F(Try, ABaselineThatBreaksIsToldWhereAndHow) {
  const Ended ended = Run("try robust_unrepaired --kills=100000 --cells=10");
  ASSERT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_EQ(result_["verdict"], "violation");
  EXPECT_EQ(VerdictOfTier("control"), "pass");
  EXPECT_EQ(VerdictOfTier("torture"), "violation");
  EXPECT_EQ(VerdictOfTier("sweep"), "violation");
  ASSERT_FALSE(result_["weak_places"].empty()) << ended.output;
  const Json place = result_["weak_places"][0];
  EXPECT_GT(place["not_survived"]["instructions"], 0u);
  EXPECT_GE(place["not_survived"]["of"], place["instructions"])
      << "to the end, after failures, too";
  EXPECT_LT(place["not_survived"]["share"], 1.0);
  EXPECT_THAT(TextField(place, "line"), HasSubstr("variants/baselines/table.cc:"));
  EXPECT_THAT(ended.output, HasSubstr("where it breaks"));
  EXPECT_THAT(ended.output, HasSubstr("failed 1 time of 1"));
  EXPECT_THAT(ended.output, HasSubstr("where the victim stands"));
  const Ended again = RunLine(absl::StrCat("cd ", folder_, " && ", KILL9_COMMAND, " ",
                                           TextField(place, "repeat").substr(5), " 2>&1"));
  EXPECT_EQ(again.exit_code, 1) << again.output;
  EXPECT_THAT(again.output, HasSubstr("failed 1 time of 1"));
}

TEST_F(Try, AnObjectOfOnesOwnNeedsNoName) {
  const std::string library = Build("return cell != nullptr;", "return cell != nullptr;");
  const Ended ended = Run(absl::StrCat("--plugin=", library, " try --kills=20 --cells=12"));
  ASSERT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("cells_map: pass"));
  EXPECT_EQ(VerdictOfTier("sweep"), "pass");
}

// It writes over the entry that is there.
TEST_F(Try, TheLineThatIsToBlameIsOnesOwn) {
  const std::string library = Build("cell->now == 1 && !kill9::kFaulty ? 2 : 1", "1");
  const Ended ended = Run(absl::StrCat("try ", library, " --kills=5 --cells=20"));
  ASSERT_EQ(ended.exit_code, 1) << ended.output;
  ASSERT_FALSE(result_["weak_places"].empty()) << ended.output;
  const Json place = result_["weak_places"][0];
  EXPECT_THAT(TextField(place, "line"), HasSubstr(folder_ + "/mine.cc:"));
  EXPECT_THAT(TextField(place, "source"), HasSubstr("cell->entry[next]"));
  EXPECT_THAT(ended.output, HasSubstr("first before " + folder_ + "/mine.cc:"));
  // A run of a plugin is replayed with it.
  const Ended again = RunLine(absl::StrCat("cd ", folder_, " && ", KILL9_COMMAND,
                                           " --plugin=", library, " replay kill9-out/latest 2>&1"));
  EXPECT_EQ(again.exit_code, 1) << again.output;
  EXPECT_THAT(again.output, HasSubstr("failed 1 time of 1"));
}

TEST_F(Try, WhatCannotBeSweptSaysWhyAndIsTortured) {
  const std::string library = Build("static constexpr const char* kName = \"cells_map\";",
                                    "static constexpr const char* kName = \"cells_map\";\n"
                                    "static constexpr bool kHasThreads = true;");
  const Ended ended = Run(absl::StrCat("try ", library, " --kills=20"));
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_EQ(VerdictOfTier("torture"), "pass");
  EXPECT_EQ(VerdictOfTier("sweep"), "skipped");
  EXPECT_THAT(ended.output, HasSubstr("threads of its own"));
}

TEST_F(Try, AWorkerIsKilledAtRandomAndAtItsSystemCalls) {
  if (RunLine("python3 --version 2>&1").exit_code != 0) GTEST_SKIP() << "no python3";
  Ended ended = Run("try " + Worker("sqlite_map.py") + " --model=map --kills=20");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_EQ(VerdictOfTier("torture"), "pass");
  EXPECT_EQ(VerdictOfTier("system calls"), "pass");
  EXPECT_EQ(VerdictOfTier("sweep"), "skipped");
  EXPECT_THAT(ended.output, HasSubstr("control      pass"));
  ended = Run("try " + Worker("file_map.py") + " --model=map --kills=20000");
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("the story of one failure, made smaller: "));
  EXPECT_THAT(ended.output, HasSubstr("the last to be killed was P"));
  ASSERT_TRUE(result_["runs"][0].contains("found_with")) << ended.output;
  const Json& smaller = result_["runs"][0];
  const Json& found = smaller["found_with"];
  EXPECT_EQ(found["processes"], 4u);
  // How small is a matter of chance: a run with fewer may fail only later.
  EXPECT_LE(smaller["processes"], found["processes"]);
  EXPECT_LE(smaller["keys"], found["keys"]);
  EXPECT_TRUE(smaller["processes"] < found["processes"] || smaller["keys"] < found["keys"] ||
              smaller["kills"]["total"] < found["kills"])
      << ended.output;
  EXPECT_THAT(TextField(smaller, "history"), Not(HasSubstr("/smaller-")));
  const Ended shown =
      RunLine(absl::StrCat("cd ", folder_, " && ", KILL9_COMMAND, " replay kill9-out/latest 2>&1"));
  EXPECT_EQ(shown.exit_code, 1) << shown.output;
}

// Of an object that has lost nothing so far.
TEST_F(Try, FewDeathsAreNoPass) {
  const std::string python = "/usr/bin/python3";  // starts sooner than wrappers do
  if (RunLine(python + " --version 2>&1").exit_code != 0) GTEST_SKIP() << "no python3";
  // A life is some dozens of calls, which take so long that few die in a second.
  std::ofstream(folder_ + "/slow.py") << "import json, sys, time\n"
                                         "for line in sys.stdin:\n"
                                         "    call = json.loads(line)\n"
                                         "    time.sleep(0.02)\n"
                                         "    answer = {'id': call['id'], 'type': 'ok'}\n"
                                         "    if call['f'] == 'get':\n"
                                         "        answer['value'] = None\n"
                                         "    print(json.dumps(answer), flush=True)\n";
  const Ended ended = Run("try --worker='" + python + " " + folder_ +
                          "/slow.py' --model=cache --seconds=2 --watchdog=60");
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_LT(KillsOfTier("torture"), 40u) << "the premise";
  if (TextField(result_, "verdict") == "vacuous") GTEST_SKIP() << "nobody died at all";
  EXPECT_EQ(TextField(result_, "verdict"), "undecided");
  EXPECT_THAT(ended.output, HasSubstr("fewer than 20 tell nothing"));
}

TEST_F(Try, WhatCannotBeStartedIsAMistakeOfTheCommandLine) {
  const Ended ended = Run("try --worker='./no_such_worker' --model=map --kills=20");
  EXPECT_EQ(ended.exit_code, 2) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("no_such_worker"));
  EXPECT_THAT(ended.output, Not(HasSubstr("undecided")));
  EXPECT_THAT(ended.output, Not(HasSubstr("sweep")));
}

TEST_F(Try, WhatFailsBeforeAnyDeathEndsWithTheControl) {
  if (RunLine("python3 --version 2>&1").exit_code != 0) GTEST_SKIP() << "no python3";
  const std::string two_steps = Worker("sqlite_queue.py two_steps");
  Ended ended = Run("try " + two_steps + " --model=queue --kills=20 --processes=8");
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_EQ(VerdictOfTier("control"), "violation");
  EXPECT_EQ(VerdictOfTier("torture"), "");
  EXPECT_EQ(VerdictOfTier("system calls"), "");
  // Without its lock, an object is wrong by itself.
  const std::string library =
      Build("std::lock_guard lock(*this);\n    Cell* cell = FindOrFree(key)",
            "Cell* cell = FindOrFree(key)");
  ended = Run(absl::StrCat("try ", library, " --kills=20"));
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_EQ(VerdictOfTier("control"), "violation");
  EXPECT_EQ(VerdictOfTier("sweep"), "");
  EXPECT_THAT(ended.output, HasSubstr("(before any kill)"));
  const Ended shown = RunLine(absl::StrCat("cd ", folder_, " && ", KILL9_COMMAND,
                                           " --plugin=", library, " replay kill9-out/latest 2>&1"));
  EXPECT_EQ(shown.exit_code, 2);
  EXPECT_THAT(shown.output, HasSubstr("nobody was killed: try it again"));
}

TEST_F(Try, UsageErrors) {
  const auto run = [this](const char* arguments) { return Run(absl::StrCat("try ", arguments)); };
  ExpectUsageErrors(run, {{"", "it needs an object"},
                          {"cas_slots,global_mutex", "it takes one object"},
                          {"all", "it takes one object"},
                          {"cas_slotz", "did you mean 'cas_slots'"},
                          {"cas_slots --worker=x", "excludes"},
                          {"nothing.so", "cannot open shared object file"},
                          {"cas_slots --kills=0", "--kills"},
                          {"cas_slots --cells=3", "--kills"}});
}

}  // namespace
}  // namespace kill9
