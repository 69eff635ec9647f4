// How LMDB 0.9.24 loses a committed transaction, step by step (results/peers.md).
//
// Whoever opens an environment that nobody has open lays its lock file out anew, under an exclusive
// file lock: it sets the number of the last transaction to 0 first, opens the data file, and then
// sets it to what the newest meta page says. If it dies between, the kernel gives its file lock to
// whoever waits for a shared one, who takes the lock file for complete: transactions begin again at
// 0, from the meta page of even numbers. If that is not the newest, the last commit is gone, and
// what is committed now is gone for the next one who opens the environment first.
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "harness/stepper/process/tracee.h"
#include "property/conformance/conformance.h"
#include "property/scaffold/eventually.h"

namespace kill9 {
namespace {

constexpr int kKeys = 4;
enum Exit : int { kFound = 0, kLost = 1, kError = 2 };

std::string KeyOf(int i) { return absl::StrCat("key", i); }

class LmdbOpenerDeath : public ::testing::Test {
 protected:
  void SetUp() override {
    variant_ = FindVariant("lmdb");
    if (variant_ == nullptr) GTEST_SKIP() << "built without LMDB";
    if (const char* why = stepper::WhyPtraceIsForbidden(); why != nullptr) GTEST_SKIP() << why;
    SegmentOptions options;
    options.location = place_.Location(SegmentKind::kNamed);
    options.size_bytes = 4 << 20;
    absl::StatusOr<std::shared_ptr<Segment>> segment = variant_->Create(options);
    ASSERT_TRUE(segment.ok()) << segment.status();
    segment_ = *std::move(segment);
  }
  void TearDown() override {
    if (segment_ != nullptr) (void)Segment::Unlink(place_.Location(SegmentKind::kNamed));
  }

  // In a process of its own, as everything here: file locks belong to processes.
  pid_t Start(absl::FunctionRef<Exit(Store&)> body) {
    const pid_t child = fork();
    if (child != 0) return child;
    absl::StatusOr<std::unique_ptr<Store>> store = variant_->Attach(segment_);
    const Exit exit = store.ok() ? body(**store) : kError;
    if (store.ok()) store->reset();
    _exit(exit);
  }
  static int ExitOf(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : kError;
  }

  // `puts` committed, one a transaction; nobody has the environment open afterwards.
  void Commit(int puts) {
    ASSERT_EQ(ExitOf(Start([&](Store& store) {
                for (int i = 0; i < puts; ++i) {
                  if (!store.Put(KeyOf(i), "value").ok()) return kError;
                }
                return kFound;
              })),
              kFound);
  }

  // An opener, stopped as it is about to open its second file: the data, after the lock file.
  pid_t OpenerBeforeTheData() {
    const pid_t child = fork();
    if (child == 0) {
      ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
      raise(SIGSTOP);
      (void)variant_->Attach(segment_);
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    for (int opens = 0, stops = 0;; ++stops) {
      ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
      waitpid(child, &status, 0);
      if (!WIFSTOPPED(status)) return -1;
      user_regs_struct registers{};
      ptrace(PTRACE_GETREGS, child, nullptr, &registers);
      const bool entering = stops % 2 == 0;
      if (entering && registers.orig_rax == SYS_openat && ++opens == 2) return child;
    }
  }

  // Until the child is inside fcntl(2), where an opener waits for the exclusive one.
  static bool WaitsForAFileLock(pid_t child) {
    const std::string fcntl_number = absl::StrCat(SYS_fcntl, " ");
    return Eventually([&] {
      std::ifstream file(absl::StrCat("/proc/", child, "/syscall"));
      std::string line;
      return std::getline(file, line) && line.rfind(fcntl_number, 0) == 0;
    });
  }

  // What somebody sees of the last of `puts` commits who waited for an opener that then died
  // (or went on).
  int LastCommitAfterAnOpener(int puts, bool opener_dies) {
    Commit(puts);
    const pid_t opener = OpenerBeforeTheData();
    if (opener < 0) return kError;
    const pid_t waiter = Start([&](Store& store) {
      std::string value;
      return store.Get(KeyOf(puts - 1), &value).ok() ? kFound : kLost;
    });
    EXPECT_TRUE(WaitsForAFileLock(waiter));
    if (opener_dies) {
      kill(opener, SIGKILL);
    } else {
      ptrace(PTRACE_DETACH, opener, nullptr, nullptr);
    }
    (void)ExitOf(opener);
    return ExitOf(waiter);
  }

  const Variant* variant_ = nullptr;
  Place place_;
  std::shared_ptr<Segment> segment_;
};

TEST_F(LmdbOpenerDeath, LosesTheLastCommitBesideOneWhoWaitsToOpen) {
  // One of two numbers of transactions that follow each other is odd.
  const int first = LastCommitAfterAnOpener(kKeys, true);
  const int second = LastCommitAfterAnOpener(kKeys + 1, true);
  if (first == kFound && second == kFound) {
    GTEST_SKIP() << "this LMDB keeps its commits: results/peers.md is of 0.9.24";
  }
  EXPECT_THAT((std::vector<int>{first, second}), ::testing::UnorderedElementsAre(kFound, kLost));
}

TEST_F(LmdbOpenerDeath, AnOpenerThatGoesOnCostsNothing) {
  EXPECT_EQ(LastCommitAfterAnOpener(kKeys, false), kFound);
  EXPECT_EQ(LastCommitAfterAnOpener(kKeys + 1, false), kFound);
}

}  // namespace
}  // namespace kill9
