// An object with a name in /dev/shm, on a machine without namespaces: nothing of it stays.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "harness/base/children_of.h"
#include "property/command/command_for_tests.h"
#include "property/scaffold/eventually.h"
#include "property/scaffold/namespaces.h"

namespace kill9 {
namespace {

namespace fs = std::filesystem;

// A counter whose `create` fails where its name is there already.
class NamesOfObjects : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(Temporary());
    const Ended built = RunLine(absl::StrCat(
        "cd ", folder_, " && cp ", KILL9_SOURCE_DIR, "/apps/examples/plugin/c/safe_counter.c ",
        KILL9_SOURCE_DIR,
        "/apps/examples/plugin/c/shared.h . && sed -i 's|open(path, O_RDWR . "
        "O_CLOEXEC . flags, 0600)|shm_open(\"/",
        name_,
        "\", O_RDWR \\| flags, 0600)|' shared.h "
        "&& grep -q shm_open shared.h && cc -std=c11 -g -O1 -shared -fPIC -D_GNU_SOURCE -pthread "
        "-I",
        KILL9_SOURCE_DIR, "/include -o lib.so safe_counter.c 2>&1"));
    ASSERT_EQ(built.exit_code, 0) << built.output;
  }
  void TearDown() override { fs::remove(Name()); }

  std::string Name() const { return "/dev/shm/" + name_; }
  std::string Temporary() const { return folder_ + "/tmp"; }
  std::string Torture(int kills) const {
    return absl::StrCat("cd ", folder_, " && TMPDIR=", Temporary(), " exec ", KILL9_COMMAND,
                        " --plugin=./lib.so torture --seconds=600 --kills=", kills);
  }
  // The process of a run that has begun, and goes on.
  pid_t Begin() const {
    const Ended begun =
        RunLine(absl::StrCat("(", Torture(0), ") >", folder_, "/log 2>&1 </dev/null & echo $!"));
    const pid_t run = std::stoi(begun.output);
    EXPECT_TRUE(Eventually([&] { return !FolderOfARun().empty() || kill(run, 0) != 0; }));
    EXPECT_NE(FolderOfARun(), "") << RunLine("cat " + folder_ + "/log").output;
    return run;
  }
  // That the name belongs to; empty: there is none.
  std::string FolderOfARun() const {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(Temporary(), ignored)) {
      if (fs::is_symlink(entry.path() / "state/object" / name_, ignored)) return entry.path();
    }
    return "";
  }
  // Of so few kills chance may have met nobody in a call: such a vacuous run is as good here.
  static bool IsOver(const Ended& run) { return run.exit_code == 0 || run.exit_code == 3; }
  bool NothingIsLeft() const { return !fs::exists(Name()) && fs::is_empty(Temporary()); }
  // Skips where the machine cannot be made one without namespaces.
  static void On(absl::FunctionRef<void()> body) {
    bool refused = false;
    WithoutNamespaces([&] {
      refused = true;
      body();
    });
    if (!refused) GTEST_SKIP() << "this process may filter no system calls";
  }

  const std::string name_ = absl::StrCat("kill9-counter-", getpid());
  const OwnFolder own_;
  const std::string& folder_ = own_.path();
};

TEST_F(NamesOfObjects, AreGoneAfterTorture) {
  On([&] {
    const Ended ended = RunLine(Torture(20) + " 2>&1 </dev/null");
    EXPECT_TRUE(IsOver(ended)) << ended.output;
    EXPECT_NE(ended.output.find("/dev/shm, /tmp and PIDs are this machine's"), std::string::npos)
        << ended.output;
    EXPECT_TRUE(NothingIsLeft());
  });
}

TEST_F(NamesOfObjects, AreGoneWhereTheCommandIsKilled) {
  On([&] {
    const pid_t run = Begin();
    EXPECT_TRUE(fs::exists(Name()));
    kill(run, SIGKILL);
    EXPECT_TRUE(Eventually([this] { return NothingIsLeft(); }));
  });
}

// Nobody was left to clean up: the next run does. What only looks like a run's folder stays.
TEST_F(NamesOfObjects, OfARunThatWasKilledAsAWholeGoBeforeTheNext) {
  On([&] {
    const std::string somebodys = Temporary() + "/kill9-abcdef/state";
    fs::create_directories(somebodys);
    const pid_t run = Begin();
    const int folder = open(FolderOfARun().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    kill(run, SIGSTOP);
    const std::vector<pid_t> children = ChildrenOf(run);  // the cleaner is one of them
    for (const pid_t child : children) kill(child, SIGKILL);
    kill(run, SIGKILL);
    ASSERT_EQ(flock(folder, LOCK_EX), 0) << "the lock goes with the last of them";
    close(folder);
    ASSERT_TRUE(fs::exists(Name())) << "somebody cleaned up";
    const Ended next = RunLine(Torture(20) + " 2>&1 </dev/null");
    EXPECT_TRUE(IsOver(next)) << next.output;
    EXPECT_TRUE(fs::exists(somebodys));
    fs::remove_all(Temporary() + "/kill9-abcdef");
    EXPECT_TRUE(NothingIsLeft());
  });
}

}  // namespace
}  // namespace kill9
