// The programs in apps/examples/found/: what docs/found.md says of them is seen again. Those whose
// packages are not installed are left out.
#include <string>

#include "property/programs/programs_fixture.h"

namespace kill9 {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr char kFound[] = KILL9_SOURCE_DIR "/apps/examples/found/";
constexpr int kUntilItIsFound = 1'000'000;

class FoundTest : public ProgramsTest {
 protected:
  static std::string Line(const std::string& interpreter, const std::string& program) {
    return absl::StrCat("--worker='", interpreter, " ", kFound, program, "' ");
  }
  static bool Runs(const std::string& line) { return RunLine(line + " 2>&1").exit_code == 0; }
};

TEST_F(FoundTest, MultiprocessingValueStaysLocked) {
  const Ended ended = Torture(absl::StrCat("--fork-server='", Python(), " ", kFound,
                                           "value_counter_server.py' --model=counter --watchdog=1"),
                              kUntilItIsFound);
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_EQ(Verdict(), "stuck");
  EXPECT_GT(run_["kills"]["total"].get<uint64_t>(), 0u);
}

TEST_F(FoundTest, StorableLosesItsFile) {
  if (!Runs("perl -MStorable -MJSON::PP -e 1")) GTEST_SKIP() << "no perl with Storable";
  const Ended ended =
      Torture(Line("perl", "storable_map.pl") + "--model=map --kill-at=syscalls", kUntilItIsFound);
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_THAT(Verdict(), AnyOf("survivor_crashed", "violation"));
  EXPECT_GT(run_["kills"]["total"].get<uint64_t>(), 0u);
}

TEST_F(FoundTest, LockfileStaysThere) {
  if (!Runs(Python() + " -c 'import lockfile'")) GTEST_SKIP() << "no python3-lockfile";
  for (const char* kind : {"lockfile_mutex.py", "lockfile_mutex.py mkdir"}) {
    const Ended ended =
        Torture(Line(Python(), kind) + "--model=mutex --watchdog=1", kUntilItIsFound);
    EXPECT_EQ(ended.exit_code, 1) << ended.output;
    EXPECT_EQ(Verdict(), "stuck");
  }
}

TEST_F(FoundTest, YamlStoreKeepsTheEndOfTheOldText) {
  if (!Runs("ruby -ryaml/store -e 1")) GTEST_SKIP() << "no ruby";
  const auto run = [&](const std::string& how, const std::string& call) {
    const std::string program = absl::StrCat("ruby ", kFound, "yaml_store.rb");
    return RunLine(absl::StrCat("cd ", folder_, " && ", KILL9_COMMAND, " run --point='", call,
                                "' --check='", program, " check' -- ", program, how, " 2>&1"));
  };
  const Ended unreadable = run("", "ftruncate(\"accounts.yaml\") #2");
  EXPECT_EQ(unreadable.exit_code, 1) << unreadable.output;
  EXPECT_THAT(unreadable.output, HasSubstr("could not find expected ':'"));
  const Ended invented = run("", "ftruncate(\"accounts.yaml\") #3");
  EXPECT_EQ(invented.exit_code, 1) << invented.output;
  EXPECT_THAT(invented.output, HasSubstr("\"l\"=>\"a: b\""));
}

TEST_F(FoundTest, WhatSurvivedPasses) {
  struct Survivor {
    const char* installed;
    std::string line;
  };
  const Survivor survivors[] = {
      {"/usr/bin/python3 -c 'import dbm.gnu'", Line("/usr/bin/python3", "gdbm_map.py")},
      {"perl -MCache::FastMmap -e 1", Line("perl", "fastmmap_cache.pl") + "--model=cache"},
      {"perl -MIPC::Shareable -e 1", Line("perl", "shareable_map.pl")}};
  int run = 0;
  for (const auto& [installed, line] : survivors) {
    if (!Runs(installed)) continue;
    ++run;
    const Ended ended = Torture(line, 10);
    EXPECT_EQ(ended.exit_code, 0) << line << ended.output;
    EXPECT_GT(run_["kills"]["in_call"].get<uint64_t>(), 0u);
  }
  if (run == 0) GTEST_SKIP() << "none of them is installed";
}

}  // namespace
}  // namespace kill9
