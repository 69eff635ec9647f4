// Objects behind the C interface, built as anybody would outside of the tree.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/result/result.h"
#include "property/command/command_for_tests.h"
#include "property/scaffold/namespaces.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kExamples = std::string(KILL9_SOURCE_DIR) + "/apps/examples/plugin/";
const std::string kCompile =
    " -g -O1 -shared -fPIC -D_GNU_SOURCE -pthread -I" + std::string(KILL9_SOURCE_DIR) + "/include ";

class Plugin : public testing::Test {
 protected:
  // The example with each `from` replaced by `to`, as a library.
  std::string Build(const std::string& example, const std::string& from = "",
                    const std::string& to = "", const std::string& flags = "") const {
    std::ifstream file(kExamples + example);
    std::ostringstream read;
    read << file.rdbuf();
    std::string text = read.str();
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << example << " has no " << from;
    for (size_t next = at; !from.empty() && next != std::string::npos;
         next = text.find(from, next)) {
      text.replace(next, from.size(), to);
      next += to.size();
    }
    const std::string source = folder_ + "/" + example;
    std::ofstream(source) << text;
    const std::string library = folder_ + "/lib.so";
    const bool is_c = example.ends_with(".c");
    const Ended built = RunLine(std::string(is_c ? "cc -std=c11" : "c++ -std=c++20") + kCompile +
                                flags + " -o " + library + " " + source + " 2>&1");
    EXPECT_EQ(built.exit_code, 0) << built.output;
    return library;
  }
  // The result's runs are in `runs_`.
  Ended Run(const std::string& command, const std::string& arguments) {
    const std::string json = folder_ + "/result.json";
    std::filesystem::remove(json);
    const Ended ended = RunLine("cd " + folder_ + " && " + command + " " + arguments +
                                " --json=" + json + " 2>&1 </dev/null");
    const absl::StatusOr<Json> result = ReadJsonFile(json);
    runs_ = result.ok() ? (*result)["runs"] : Json::array();
    coverage_ = result.ok() ? result->value("coverage", Json::array()) : Json::array();
    return ended;
  }
  Ended RunPlugin(const std::string& library, const std::string& arguments) {
    return Run(std::string(KILL9_COMMAND) + " --plugin=" + library, arguments);
  }
  void ExpectTorturePasses(const std::string& command) {
    const Ended ended = Run(command, "torture --scenario=steady --seconds=600 --kills=50");
    EXPECT_EQ(ended.exit_code, 0) << ended.output;
    ASSERT_EQ(runs_.size(), 1u) << "the object is what is tested";
    EXPECT_GE(runs_[0]["kills"]["total"], 50u);
  }
  void ExpectSweepPasses(const std::string& command) {
    const Ended ended =
        Run(command, "sweep --operation=put_same,erase --state=one_entry --workers=1");
    EXPECT_EQ(ended.exit_code, 0) << ended.output;
    ASSERT_EQ(runs_.size(), 2u);
    for (const Json& run : runs_) EXPECT_EQ(run["kill_coverage"], 1.0) << run.dump(1);
  }

  Json runs_, coverage_;
  const OwnFolder own_;
  const std::string& folder_ = own_.path();
};

TEST_F(Plugin, AnObjectInCppIsTorturedAndSwept) {
  const std::string command = std::string(KILL9_COMMAND) + " --plugin=" + Build("cells_map.cc");
  ExpectTorturePasses(command);
  ExpectSweepPasses(command);
}

TEST_F(Plugin, AnObjectInCIsTorturedAndSwept) {
  const std::string command = std::string(KILL9_COMMAND) + " --plugin=" + Build("cells_map.c");
  ExpectTorturePasses(command);
  ExpectSweepPasses(command);
}

TEST_F(Plugin, NamesInSharedMemoryAreTheObjectsOwn) {
  if (RunLine("unshare --map-root-user --mount true 2>&1").exit_code != 0) {
    GTEST_SKIP() << "the machine allows no namespaces";
  }
  const std::string name = "cells-of-" + std::to_string(getpid());
  const std::string from = "open(path, O_RDWR | O_CLOEXEC | flags, 0600)";
  const std::string to = "shm_open(\"/" + name + "\", O_RDWR | flags, 0600)";
  const std::string command = std::string(KILL9_COMMAND) + " --plugin=";
  const std::string library = Build("cells_map.c", from, to);
  ExpectSweepPasses(command + library);
  // Each run makes the name anew, whoever else has it.
  const std::ofstream of_another("/dev/shm/" + name);
  const Ended ended =
      RunPlugin(library, "torture --scenario=steady,kill_storm --seconds=600 --kills=50");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_EQ(runs_.size(), 2u);
  EXPECT_EQ(std::filesystem::file_size("/dev/shm/" + name), 0u) << "it is the other one's";
  std::filesystem::remove("/dev/shm/" + name);
  const Ended faulty = RunPlugin(Build("cells_map.c", from, to, "-DFAULTY"),
                                 "sweep --operation=put_same --state=one_entry");
  EXPECT_EQ(faulty.exit_code, 1) << faulty.output;
  ASSERT_EQ(runs_.size(), 1u);
  EXPECT_GT(runs_[0]["kill_points"], 0u) << "not before any kill";
}

// They could not be put back there. What keeps to its directory is swept as anywhere.
TEST_F(Plugin, WithoutNamespacesWhatHasNamesOfItsOwnIsNotSwept) {
  const std::string name = "cells-of-" + std::to_string(getpid());
  const std::string library = Build("cells_map.c", "open(path, O_RDWR | O_CLOEXEC | flags, 0600)",
                                    "shm_open(\"/" + name + "\", O_RDWR | flags, 0600)");
  bool refused = false;
  WithoutNamespaces([&] {
    refused = true;
    const Ended ended = RunPlugin(library, "sweep --operation=put_same --state=one_entry");
    EXPECT_EQ(ended.exit_code, 3) << ended.output;
    ASSERT_EQ(runs_.size(), 1u);
    EXPECT_EQ(runs_[0]["verdict"], "skipped");
    EXPECT_THAT(TextField(runs_[0], "reason"), HasSubstr("/dev/shm/" + name));
    EXPECT_FALSE(std::filesystem::exists("/dev/shm/" + name));
    // It is made anew in each run, and is gone afterwards.
    const Ended tortured =
        RunPlugin(library, "torture --scenario=steady,kill_storm --seconds=600 --kills=20");
    EXPECT_EQ(tortured.exit_code, 0) << tortured.output;
    EXPECT_EQ(runs_.size(), 2u);
    EXPECT_FALSE(std::filesystem::exists("/dev/shm/" + name));
    ExpectSweepPasses(std::string(KILL9_COMMAND) + " --plugin=" + Build("cells_map.c"));
  });
  if (!refused) GTEST_SKIP() << "this process may filter no system calls";
}

TEST_F(Plugin, TheSweepTellsWhichOfItsOwnLinesWereNotReached) {
  const std::string source = folder_ + "/cells_map.cc";
  const Ended ended =
      RunPlugin(Build("cells_map.cc"), "sweep --operation=put_same --state=one_entry");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  ASSERT_EQ(coverage_.size(), 1u);
  const Json& never = coverage_[0]["lines_never_reached"];
  ASSERT_TRUE(never.contains(source)) << coverage_[0].dump(1);
  const auto missed = never[source].get<std::vector<int>>();
  std::ifstream file(source);
  int number = 0;
  bool has_erase = false;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.find("->now = 0;") != std::string::npos) {
      has_erase = std::ranges::find(missed, number) != missed.end();
    }
  }
  EXPECT_TRUE(has_erase) << coverage_[0].dump(1);
}

// A waiter that was chosen to be woken, and is killed, takes the wake-up with it.
TEST_F(Plugin, NobodySleepsForEverAtTheLockOfAnObject) {
  for (const char* example : {"cells_map.cc", "cells_map.c"}) {
    const Ended ended =
        RunPlugin(Build(example), "torture --scenario=kill_storm --seconds=600 --kills=2000");
    EXPECT_EQ(ended.exit_code, 0) << ended.output;
  }
}

TEST_F(Plugin, IsNoneOfTheExplorers) {
  EXPECT_EQ(RunPlugin(Build("cells_map.c"), "explore").exit_code, 2);
  EXPECT_EQ(Run(std::string(KILL9_COMMAND) + " --plugin=", "torture").exit_code, 2);
}

TEST_F(Plugin, TheWorkerSaysWhatStartsIt) {
  const Ended alone =
      RunLine(KILL9_COMMAND " --plugin=" + Build("safe_queue.cc") + " worker 2>&1 </dev/null 3<&-");
  EXPECT_EQ(alone.exit_code, 2) << alone.output;
  EXPECT_THAT(alone.output, HasSubstr("kill9 torture starts it, with a listening socket"));
}

TEST_F(Plugin, AProgramOfItsOwnIsTheCommand) {
  ExpectTorturePasses(KILL9_OBJECT_PROGRAM);
  ExpectSweepPasses(KILL9_OBJECT_PROGRAM);
}

// Its own audit counts, of participants it tells nothing.
TEST_F(Plugin, AnAuditOfItsOwnIsAsked) {
  const std::string last = "  bool Erase(std::string_view key) {";
  for (const auto& [broken, exit_code] : {std::pair{"", 0}, {"it is broken", 1}}) {
    const std::string library =
        Build("cells_map.cc", last,
              std::string("  std::string Audit() { return \"") + broken + "\"; }\n" + last);
    EXPECT_EQ(RunPlugin(library, "torture --scenario=steady --kills=20 --seconds=300").exit_code,
              exit_code);
    const Ended swept = RunPlugin(library, "sweep --operation=put_same --state=one_entry");
    EXPECT_EQ(swept.exit_code, exit_code) << swept.output;
    ASSERT_EQ(runs_.size(), 1u);
    EXPECT_EQ(runs_[0]["verdict"], exit_code == 0 ? "pass" : "audit_failed");
  }
}

// It writes over the entry that is there.
TEST_F(Plugin, TheSweepFindsABrokenOneAndItsLineRepeatsThat) {
  const std::string library =
      Build("cells_map.cc", "cell->now == 1 && !kill9::kFaulty ? 2 : 1", "1");
  const Ended ended = RunPlugin(library, "sweep --operation=put_same --state=one_entry");
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  ASSERT_EQ(runs_.size(), 1u);
  EXPECT_EQ(runs_[0]["verdict"], "violation");
  const std::string repeat = TextField(runs_[0], "repeat");
  ASSERT_THAT(repeat, StartsWith("kill9 --plugin=" + library + " sweep "));
  const std::string line = repeat.substr(std::string("kill9").size());
  const Ended again = RunLine(KILL9_COMMAND + line + " 2>&1 </dev/null");
  EXPECT_EQ(again.exit_code, 1) << again.output;
  EXPECT_THAT(again.output, HasSubstr("failed 1 time of 1"));
}

TEST_F(Plugin, TortureFindsAnObjectWithoutALock) {
  const std::string library = Build("cells_map.cc", "std::lock_guard lock(*this);", "");
  const Ended ended = RunPlugin(library, "torture --scenario=hot_key --seconds=600 --kills=5000");
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("kill9 --plugin=" + library + " replay kill9-out/"));
  // Chance repeats nothing, but the line runs: it has the shape that the object has.
  ASSERT_EQ(runs_.size(), 1u);
  const std::string line = TextField(runs_[0], "repeat").substr(std::string("kill9").size());
  EXPECT_THAT(line, HasSubstr(" --shape="));
  const Ended again = RunLine("cd " + folder_ + " && " + KILL9_COMMAND + line + " 2>&1 </dev/null");
  EXPECT_LT(again.exit_code, 2) << again.output;
}

// Else an object that takes nothing in would pass.
TEST_F(Plugin, WhatRefusesAPutWithoutNeedIsFound) {
  const std::string library = Build("cells_map.cc", "if (cell == nullptr) return false;",
                                    "if (cell != nullptr) return false;");
  const Ended ended = RunPlugin(library, "torture --scenario=steady --seconds=600 --kills=50");
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("though there is never too little room"));
}

TEST_F(Plugin, WhatIsTooSmallForAScenarioOrHasThreadsIsSkippedThere) {
  const std::string library =
      Build("cells_map.cc", "static constexpr const char* kName = \"cells_map\";",
            "static constexpr const char* kName = \"cells_map\";\n"
            "static constexpr bool kHasThreads = true;");
  const Ended swept = RunPlugin(library, "sweep --operation=get --state=one_entry");
  EXPECT_EQ(swept.exit_code, 3) << swept.output;
  ASSERT_EQ(runs_.size(), 1u);
  EXPECT_EQ(runs_[0]["verdict"], "skipped");
  EXPECT_THAT(TextField(runs_[0], "reason"), HasSubstr("threads of its own"));
  // No cell is left undecided for want of room in a value.
  const Ended too_large = RunPlugin(Build("cells_map.cc"), "sweep --operation=get_large,get");
  EXPECT_EQ(too_large.exit_code, 2) << too_large.output;
  EXPECT_THAT(too_large.output, HasSubstr("there is nothing to sweep for 'get_large'"));
  const Ended tortured =
      RunPlugin(library, "torture --scenario=steady,large_values --kills=20 --seconds=300");
  EXPECT_EQ(tortured.exit_code, 0) << tortured.output;
  ASSERT_EQ(runs_.size(), 2u);
  EXPECT_EQ(runs_[1]["verdict"], "skipped");
  EXPECT_THAT(TextField(runs_[1], "reason"), HasSubstr("at most 4096 bytes"));
}

// The sweep's values are as long as the object takes.
TEST_F(Plugin, WhatTakesShortValuesOnlyIsSweptWithThose) {
  const auto with_at_most = [this](const char* bytes) {
    return Build("cells_map.cc", "static constexpr const char* kName = \"cells_map\";",
                 std::string("static constexpr const char* kName = \"cells_map\";\n"
                             "static constexpr uint64_t kMaxValueBytes = ") +
                     bytes + ";");
  };
  for (const char* bytes : {"100", "24"}) {
    const Ended ended = RunPlugin(with_at_most(bytes),
                                  "sweep --operation=put_insert,put_larger,put_smaller "
                                  "--state=one_entry,split");
    EXPECT_EQ(ended.exit_code, 0) << bytes << "\n" << ended.output;
    EXPECT_EQ(runs_.size(), 6u) << bytes;
  }
  // What is too short to tell who wrote it says nothing.
  EXPECT_EQ(RunPlugin(with_at_most("9"), "sweep --operation=put_insert").exit_code, 2);
}

// Else it would answer for kill9.
TEST_F(Plugin, WhatEndsItsProcessDoesNotEndKill9) {
  const std::string last = "const kill9_object* kill9_object_1(void) {";
  const auto with = [&](const std::string& code) {
    return Build("cells_map.c", last, code + last);
  };
  const auto expect_refused = [&](const std::string& code, const char* how) {
    const Ended ended = RunPlugin(with(code), "torture --scenario=steady --kills=1");
    EXPECT_EQ(ended.exit_code, 2) << code << "\n" << ended.output;
    EXPECT_THAT(ended.output, HasSubstr(how));
  };
  expect_refused("__attribute__((constructor)) static void first(void) { exit(0); }\n",
                 "ends the process that loads it, with exit status 0");
  expect_refused("__attribute__((constructor)) static void first(void) { _exit(0); }\n",
                 "ends the process that loads it, with exit status 0");
  expect_refused("__attribute__((constructor)) static void first(void) { abort(); }\n",
                 "ends the process that loads it, by signal 6");
  EXPECT_EQ(RunPlugin(Build("cells_map.c", last, last + " exit(0);"), "list").exit_code, 2);
  // At its end, whatever was found.
  const std::string ends_well =
      with("__attribute__((destructor)) static void last(void) { _exit(0); }\n");
  EXPECT_EQ(RunPlugin(ends_well, "torture --scenario=none").exit_code, 2);
  EXPECT_EQ(RunPlugin(ends_well, "torture --scenario=steady --kills=20 --seconds=300").exit_code,
            0);
}

// With the status of who is done, and with that of who has told what it found.
TEST_F(Plugin, WhoEndsInAnOperationHasCrashed) {
  const std::string function = "static int call(void* attached, kill9_call* call) {";
  for (const char* end : {" exit(0);", " _exit(3);"}) {
    const std::string library = Build("cells_map.c", function, function + end);
    Ended ended = RunPlugin(library, "torture --scenario=steady --kills=5");
    EXPECT_EQ(ended.exit_code, 1) << end << ended.output;
    ASSERT_EQ(runs_.size(), 1u);
    EXPECT_EQ(runs_[0]["verdict"], "survivor_crashed");
    EXPECT_THAT(TextField(runs_[0], "reason"), HasSubstr("though nobody had killed it"));
    ended = RunPlugin(library, "sweep --operation=put_same --state=one_entry");
    EXPECT_EQ(ended.exit_code, 3) << end << ended.output;
  }
}

TEST_F(Plugin, WhatIsNoObjectIsRefusedWithTheReason) {
  const auto expect_refused = [&](const std::string& library, const char* reason) {
    const Ended ended = RunPlugin(library, "torture --kills=1");
    EXPECT_EQ(ended.exit_code, 2) << ended.output;
    EXPECT_THAT(ended.output, HasSubstr(reason));
  };
  expect_refused(folder_ + "/nothing.so", "nothing.so: cannot open shared object file");
  expect_refused(Build("cells_map.c", "kill9_object_1", "another_name"),
                 "has no function kill9_object_1");
  expect_refused(Build("cells_map.c", ".version = KILL9_VERSION_OF_INTERFACE", ".version = 2"),
                 "another version of kill9.h");
  expect_refused(Build("cells_map.c", "struct_size = sizeof(kill9_object)", "struct_size = 16"),
                 "shorter than version 1's");
  expect_refused(Build("cells_map.c", ".model = \"map\"", ".model = \"robust\""),
                 "its model 'robust' is none of map, cache, counter");
  expect_refused(Build("cells_map.c", "\"cells_map_c\"", "\"Cells Map\""), "small letters");
  expect_refused(Build("cells_map.c", "\"cells_map_c\"", "\"cas_slots\""), "cas_slots");
  expect_refused(Build("cells_map.c", ".call = call", ".call = 0"), "it lacks create");
}

}  // namespace
}  // namespace kill9
