// No process outlives its parent, also one that has not come to say so before the parent dies, and
// one whose parent is in another PID namespace.
#include "harness/base/process_end/die_with_parent.h"

#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstdlib>

#include "gtest/gtest.h"

namespace kill9 {
namespace {

constexpr int kNoNamespace = 77;
constexpr char kSpoke = 's';
constexpr char kOutlived = 'o';

enum class Dies : uint8_t { kBeforeTheChildSpeaks, kAfterwards };

class Pipe {
 public:
  Pipe() {
    if (pipe2(ends_, O_CLOEXEC) != 0) std::abort();
  }
  ~Pipe() { Close(0), Close(1); }
  void Close(int end) {
    if (ends_[end] >= 0) close(ends_[end]);
    ends_[end] = -1;
  }
  void Say(char word) const {
    if (write(ends_[1], &word, 1) != 1) _exit(1);
  }
  // 0: all who could have said more are dead.
  char Hear() const {
    char word = 0;
    return read(ends_[0], &word, 1) == 1 ? word : 0;
  }

 private:
  int ends_[2];
};

// Forks a parent that forks a child that calls `speak`, and kills the parent. Returns false if this
// machine makes no PID namespace.
template <typename Speak>
bool ChildDies(bool in_namespace, Dies when, Speak speak) {
  Pipe words;
  const pid_t parent = fork();
  if (parent == 0) {
    if (in_namespace && unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) {
      _exit(kNoNamespace);
    }
    ParentPipe parent_pipe;
    const pid_t me = getpid();
    pollfd parent_itself{static_cast<int>(syscall(SYS_pidfd_open, me, 0)), POLLIN, 0};
    if (parent_itself.fd < 0) _exit(1);
    if (fork() == 0) {
      // Returns when the kernel has sent the signal of the parent's death to whom it had to.
      const auto await_its_death = [&] {
        while (poll(&parent_itself, 1, -1) != 1) {
        }
      };
      if (when == Dies::kBeforeTheChildSpeaks) {
        words.Say(kSpoke);
        await_its_death();
      }
      speak(parent_pipe, me);
      if (when == Dies::kAfterwards) {
        words.Say(kSpoke);
        await_its_death();
      }
      words.Say(kOutlived);
      _exit(0);
    }
    for (;;) pause();
  }
  words.Close(1);
  const bool has_spoken = words.Hear() == kSpoke;  // or the parent ended by itself: no namespace
  int status = 0;
  kill(parent, SIGKILL);
  waitpid(parent, &status, 0);
  if (WIFEXITED(status)) {
    EXPECT_EQ(WEXITSTATUS(status), kNoNamespace);
    return false;
  }
  EXPECT_TRUE(has_spoken);
  EXPECT_EQ(words.Hear(), 0) << "it lives on";
  return true;
}

class DieWithParent : public testing::TestWithParam<Dies> {};
INSTANTIATE_TEST_SUITE_P(Parents, DieWithParent,
                         testing::Values(Dies::kBeforeTheChildSpeaks, Dies::kAfterwards),
                         [](const auto& test) {
                           return test.param == Dies::kAfterwards ? "DiesAfterwards"
                                                                  : "DiesBeforeTheChildSpeaks";
                         });

TEST_P(DieWithParent, HoldsInOneNamespace) {
  ChildDies(false, GetParam(), [](ParentPipe&, pid_t parent) { ::kill9::DieWithParent(parent); });
}

TEST_P(DieWithParent, HoldsAcrossNamespaces) {
  if (!ChildDies(true, GetParam(), [](ParentPipe& line, pid_t) { line.DieWithParent(1); })) {
    GTEST_SKIP() << "this machine lets us make no PID namespace";
  }
}

}  // namespace
}  // namespace kill9
