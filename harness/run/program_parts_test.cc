// The parts of kill9 run that are functions: names of points, what is left as a hash, the plan.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/base/text/shell_word.h"
#include "harness/run/command_line.h"
#include "harness/run/follow/point.h"
#include "harness/run/follow/state_hash.h"
#include "harness/run/follow/system_calls.h"
#include "harness/run/plan.h"
#include "property/command/command_for_tests.h"

namespace kill9::run {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

TEST(Point, ItsNameIsReadAsItself) {
  for (const char* name :
       {"write(\"metrics.tmp\") #2", "fork() #1", "2.1:rename(\"a \\\"b\\\" \\\\ #1\") #30",
        "begin #1 + 4711", "3:begin #2 + 1", "openat(\"/dev/shm/fresh-*\") #1"}) {
    const absl::StatusOr<Point> point = ParsePoint(name);
    ASSERT_TRUE(point.ok()) << point.status();
    EXPECT_EQ(NameOf(*point), name);
  }
}

TEST(Point, WhatIsNoNameIsRefused) {
  for (const char* name :
       {"", "#1", "write(a) #1", "write(\"a\"", "write(\"a\") #0", "write() #x", "write() #1 #2",
        "write() # 1", "a:write() #1", "write() #99999999999"}) {
    EXPECT_FALSE(ParsePoint(name).ok()) << name;
  }
}

TEST(Point, APatternStandsForWhatDiffers) {
  EXPECT_EQ(PatternOf("a", "a"), "a");
  EXPECT_EQ(PatternOf("tmp/fresh-x1.json", "tmp/fresh-y2.json"), "tmp/fresh-*.json");
  EXPECT_EQ(PatternOf("aa", "aaa"), "*");
  EXPECT_EQ(PatternOf("fresh-_ab1.tmp", "fresh-_x91.tmp"), "fresh-*.tmp") << "they agree by chance";
  EXPECT_TRUE(PathFits("fresh-*.json", "fresh-q.json"));
  EXPECT_TRUE(PathFits("aa*", "aa"));
  EXPECT_FALSE(PathFits("ab*bc", "abc")) << "both ends are there";
  EXPECT_FALSE(PathFits("fresh-*", "other"));
}

TEST(SystemCalls, HaveTheirNamesAndBack) {
  EXPECT_EQ(CallName(SYS_write), "write");
  EXPECT_EQ(CallNumber("renameat2"), SYS_renameat2);
  EXPECT_FALSE(CallNumber("no_such_call").has_value());
  EXPECT_EQ(CallName(99'999), "call_99999");
}

TEST(CommandLine, ThePathThatALineBeginsWithIsFoundFromTheStart) {
  EXPECT_EQ(FoundFrom("/usr", "bin/env true"), "/usr/bin/env true");
  EXPECT_EQ(FoundFrom("/usr", "./bin/env;true"), "/usr/bin/env;true");
  EXPECT_EQ(FoundFrom("/usr", "env bin/env"), "env bin/env");
  EXPECT_EQ(FoundFrom("/usr", "bin/no_such_file"), "bin/no_such_file");
  EXPECT_EQ(ShellWord("a b"), "'a b'");
  EXPECT_EQ(ShellWord("it's"), "'it'\\''s'");
  EXPECT_EQ(ShellWord("./plain-1"), "./plain-1");
}

class StateHash : public testing::Test {
 protected:
  void SetUp() override {
    Write("a", "1");
    fs::create_directory(folder_ + "/below");
    Write("below/b", "2");
  }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ + "/" + name) << text;
  }
  uint64_t Hash() const { return StateHasher({folder_}).Hash(); }
  const OwnFolder own_;
  const std::string& folder_ = own_.path();
};

TEST_F(StateHash, SeesEachKindOfChangeAndNoTimes) {
  std::vector<uint64_t> seen = {Hash()};
  const auto expect_new = [&](const char* what) {
    const uint64_t hash = Hash();
    EXPECT_THAT(seen, ::testing::Not(::testing::Contains(hash))) << what;
    seen.push_back(hash);
  };
  Write("a", "2");
  expect_new("another content");
  Write("a", "");
  expect_new("empty");
  fs::resize_file(folder_ + "/a", 1u << 20);
  expect_new("longer, by a hole");
  fs::rename(folder_ + "/below/b", folder_ + "/below/c");
  expect_new("another name");
  fs::permissions(folder_ + "/a", fs::perms::owner_all);
  expect_new("other permissions");
  fs::create_symlink("a", folder_ + "/link");
  expect_new("a link");
  fs::remove(folder_ + "/link");
  fs::create_symlink("b", folder_ + "/link");
  expect_new("another target");
  ASSERT_EQ(mkfifo((folder_ + "/pipe").c_str(), 0600), 0);
  expect_new("a pipe");
  const uint64_t before = Hash();
  fs::last_write_time(folder_ + "/a", fs::file_time_type::min());
  EXPECT_EQ(Hash(), before);
}

TEST_F(StateHash, AFileBehindAHoleCounts) {
  const std::string path = folder_ + "/a";
  fs::resize_file(path, 4u << 20);
  const uint64_t hole = Hash();
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_EQ(pwrite(fd, "x", 1, (4 << 20) - 1), 1);
  close(fd);
  EXPECT_NE(Hash(), hole);
}

TEST_F(StateHash, WhatIsRememberedIsReadAgainOnceItIsTouched) {
  StateHasher hasher({folder_});
  const uint64_t before = hasher.Hash();
  hasher.Remember();
  EXPECT_EQ(hasher.Hash(), before);
  hasher.Touch(folder_ + "/below/b");
  Write("below/b", "3");
  EXPECT_NE(hasher.Hash(), before);
  EXPECT_EQ(hasher.Hash(), Hash());
  Write("fresh", "1");
  EXPECT_EQ(hasher.Hash(), Hash());
}

TracedPoint At(const char* path, uint32_t nth, uint64_t left) {
  TracedPoint traced;
  traced.point = {.process = "", .call = "write", .path = path};
  traced.number = SYS_write;
  traced.nth = nth;
  traced.left = left;
  return traced;
}

TEST(Plan, KillsOnceForEachThingLeftAndASampleOfTheOthers) {
  const std::vector<TracedPoint> trace = {At("a", 1, 7), At("a", 2, 7), At("a", 3, 8),
                                          At("a", 4, 7), At("a", 5, 9)};
  RunOptions options;
  options.sample = 0;
  EXPECT_THAT(PlanKills(trace, options), ElementsAre(0, 2, 4));
  options.sample = 8;
  EXPECT_THAT(PlanKills(trace, options), ::testing::UnorderedElementsAre(0, 1, 2, 3, 4));
  options.sample = 0;
  options.full = true;
  EXPECT_THAT(PlanKills(trace, options), ElementsAre(0, 1, 2, 3, 4));
}

TEST(Plan, NamesThatDifferBetweenTwoTracesBecomePatternsWithTheirOwnCount) {
  std::vector<TracedPoint> trace = {At("t-a", 1, 1), At("t-b", 2, 2), At("log", 3, 3)};
  const std::vector<TracedPoint> again = {At("t-x", 1, 1), At("t-y", 2, 2), At("log", 3, 3)};
  ASSERT_TRUE(NameByBoth(trace, again));
  EXPECT_EQ(NameOf(trace[0].point), "write(\"t-*\") #1");
  EXPECT_EQ(NameOf(trace[1].point), "write(\"t-*\") #2");
  EXPECT_EQ(NameOf(trace[2].point), "write(\"log\") #1");
  EXPECT_FALSE(NameByBoth(trace, {At("t-x", 1, 1)})) << "other calls";
}

}  // namespace
}  // namespace kill9::run
