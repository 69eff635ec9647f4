// Real processes for tests: forked, killed by SIGKILL, reaped; none outlives its test.
#ifndef KILL9_PROPERTY_SCAFFOLD_CHILDREN_H_
#define KILL9_PROPERTY_SCAFFOLD_CHILDREN_H_

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <new>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "harness/base/process_end/address_space_lock.h"
#include "harness/base/process_end/die_with_parent.h"

namespace kill9 {

inline constexpr unsigned kWatchdogSeconds = 600;  // a test that waits longer has found a hang

// The seed of everything random in a test program: KILL9_SEED, else fixed. Its first use prints it.
inline uint64_t TestSeed() {
  static const uint64_t seed = [] {
    const char* text = std::getenv("KILL9_SEED");
    const uint64_t value = text != nullptr ? std::strtoull(text, nullptr, 10) : 9;
    std::printf("[ seed     ] KILL9_SEED=%lu\n", value);
    return value;
  }();
  return seed;
}

inline void SleepMicroseconds(uint64_t time_us) {
  struct timespec time {};
  time.tv_sec = static_cast<time_t>(time_us / 1'000'000);
  time.tv_nsec = static_cast<long>(time_us % 1'000'000 * 1000);
  while (nanosleep(&time, &time) != 0 && errno == EINTR) {
  }
}

// One line of talk between a child and its parent, with a bound on every wait.
class Line {
 public:
  explicit Line(int fd) : fd_(fd) {}
  void Tell(uint64_t word = 1) const {
    if (send(fd_, &word, sizeof word, MSG_NOSIGNAL) != sizeof word) _exit(97);
  }
  // False: the other side has died, or said nothing for kWatchdogSeconds.
  bool Await(uint64_t* word = nullptr) const {
    struct pollfd poll_fd {
      fd_, POLLIN, 0
    };
    int ready = 0;
    do {
      ready = poll(&poll_fd, 1, static_cast<int>(kWatchdogSeconds * 1000));
    } while (ready < 0 && errno == EINTR);
    uint64_t ignored = 0;
    uint64_t* target = word != nullptr ? word : &ignored;
    return ready == 1 && recv(fd_, target, sizeof *target, 0) == sizeof *target;
  }

 private:
  int fd_;
};

// A forked process that runs `body` and ends with its result as exit status. It dies with the test,
// and by itself after kWatchdogSeconds.
class Child {
 public:
  using Body = absl::FunctionRef<int(Line& parent)>;

  explicit Child(Body body) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    std::fflush(nullptr);
    pid_ = fork();
    if (pid_ < 0) std::abort();
    if (pid_ == 0) {
      memory_->Take(0);
      parent_pipe_->DieWithParent(98);
      signal(SIGALRM, SIG_DFL);
      alarm(kWatchdogSeconds);
      close(ends[0]);
      Line line(ends[1]);
      _exit(body(line));
    }
    close(ends[1]);
    fd_ = ends[0];
  }
  Child(Child&& other) noexcept
      : parent_pipe_(std::move(other.parent_pipe_)),
        memory_(std::move(other.memory_)),
        pid_(std::exchange(other.pid_, -1)),
        fd_(std::exchange(other.fd_, -1)) {}
  Child& operator=(Child&&) = delete;
  ~Child() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      Reap();
    }
    if (fd_ >= 0) close(fd_);
  }

  pid_t pid() const { return pid_; }
  Line line() const { return Line(fd_); }
  void Tell(uint64_t word = 1) const { line().Tell(word); }
  bool Await(uint64_t* word = nullptr) const { return line().Await(word); }

  void Signal(int number) const { kill(pid_, number); }
  // Waits for the end and leaves the zombie.
  void AwaitZombie() const {
    siginfo_t info{};
    while (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) != 0 &&
           errno == EINTR) {
    }
    memory_->AwaitGone(0);
  }
  void AwaitStopped() const {
    siginfo_t info{};
    while (waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED) != 0 && errno == EINTR) {
    }
  }
  // The wait status. From here on others find it dead, also if somebody (ps) looked into its memory
  // when it died.
  int Reap() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    memory_->AwaitGone(0);
    pid_ = -1;
    return status;
  }
  int KillAndReap() {
    Signal(SIGKILL);
    return Reap();
  }
  // The exit status; or 1000 plus the signal that ended it.
  int ExitStatus() {
    int status = Reap();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

 private:
  // Not the PID of the parent: it may be in an outer PID namespace, and has none here.
  std::unique_ptr<ParentPipe> parent_pipe_ = std::make_unique<ParentPipe>();
  std::unique_ptr<AddressSpaceLocks> memory_ = std::make_unique<AddressSpaceLocks>();
  pid_t pid_ = -1;
  int fd_ = -1;
};

// So many children of one body, each of which has told its parent that it is ready.
inline std::vector<Child> ReadyChildren(int count, Child::Body body) {
  std::vector<Child> children;
  for (int i = 0; i < count; ++i) children.emplace_back(body);
  for (const Child& child : children) {
    if (!child.Await()) std::abort();
  }
  return children;
}
// Lets them work for so long, kills all at once, and reaps them. False: one had ended by itself.
inline bool KillAllAfter(std::vector<Child>& children, uint64_t work_us) {
  SleepMicroseconds(work_us);
  for (const Child& child : children) child.Signal(SIGKILL);
  bool all_killed = true;
  for (Child& child : children) all_killed &= child.ExitStatus() == 1000 + SIGKILL;
  return all_killed;
}

// In a child: says what failed and ends the body with 1.
#define CHILD_REQUIRE(condition)                                                         \
  do {                                                                                   \
    if (!(condition)) {                                                                  \
      std::fprintf(stderr, "%s:%d: in the child: %s\n", __FILE__, __LINE__, #condition); \
      return 1;                                                                          \
    }                                                                                    \
  } while (false)

// Another program. What it says goes to a file of its own in `folder`; it ends with its object.
class SpawnedProgram {
 public:
  SpawnedProgram(std::vector<std::string> words, const std::string& folder)
      : output_(folder + "/kill9_program_" + std::to_string(getpid()) + "_" +
                std::to_string(number_++)) {
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, output_.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    if (posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ) != 0) {
      std::abort();
    }
    posix_spawn_file_actions_destroy(&actions);
  }
  ~SpawnedProgram() {
    End(SIGKILL);
    unlink(output_.c_str());
  }
  SpawnedProgram(const SpawnedProgram&) = delete;
  SpawnedProgram& operator=(const SpawnedProgram&) = delete;

  // Its status, as of waitpid(2).
  int Wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return status;
  }
  void End(int signal) {
    if (pid_ == 0) return;
    kill(pid_, signal);
    Wait();
  }
  bool HasSaid(const std::string& text) const { return output().find(text) != std::string::npos; }
  std::string output() const {
    std::ifstream in(output_);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }

 private:
  static inline int number_ = 0;
  const std::string output_;
  pid_t pid_ = 0;
};

// A value that forked processes share.
template <typename T>
class Shared {
 public:
  Shared() {
    void* memory =
        mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    value_ = new (memory) T{};
  }
  ~Shared() { munmap(value_, sizeof(T)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  T* operator->() const { return value_; }
  T& operator*() const { return *value_; }

 private:
  T* value_;
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_SCAFFOLD_CHILDREN_H_
