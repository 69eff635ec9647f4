// Programs for the tests of kill9 run, by their first argument. Each works in the current directory
// and ends with 0, unless a system call fails that should not.
#include <fcntl.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <thread>

namespace {

void Require(bool good, const char* what) {
  if (good) return;
  std::perror(what);
  std::exit(1);
}

void WriteAll(const char* path, int flags, const std::string& text) {
  const int fd = open(path, O_WRONLY | flags, 0644);
  Require(fd >= 0, path);
  Require(write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()), "write");
  Require(close(fd) == 0, "close");
}

// A whole file ends with this line.
std::string Metrics(int round) { return "requests " + std::to_string(round * 100) + "\nend\n"; }

void Rewrite(const char* path, int round) { WriteAll(path, O_CREAT | O_TRUNC, Metrics(round)); }

void Replace(const std::string& path, int round) {
  const std::string fresh = path + ".tmp";
  Rewrite(fresh.c_str(), round);
  Require(rename(fresh.c_str(), path.c_str()) == 0, "rename");
}

// Ten is moved from one account to the other, by two stores.
void Move() {
  const int fd = open("ledger", O_RDWR | O_CREAT, 0644);
  Require(fd >= 0 && ftruncate(fd, 4096) == 0, "ledger");
  void* const mapped = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  Require(mapped != MAP_FAILED, "mmap");
  volatile int64_t* const accounts = static_cast<int64_t*>(mapped);
  accounts[0] = 100;
  access("/kill9/begin", F_OK);
  accounts[0] = accounts[0] - 10;
  accounts[1] = accounts[1] + 10;
  access("/kill9/end", F_OK);
}

// A segment that must not be there yet.
void MakeSegment(const char* name) {
  const int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
  Require(fd >= 0 && ftruncate(fd, 4096) == 0, "segment");
  Require(write(fd, "half", 4) == 4 && write(fd, "half", 4) == 4, "write");
}

// The child works until its parent has ended; the parent says so first.
void ParentAndChild() {
  int pipe_ends[2];
  Require(pipe(pipe_ends) == 0, "pipe");
  const pid_t child = fork();
  Require(child >= 0, "fork");
  if (child == 0) {
    close(pipe_ends[1]);
    char none = 0;
    while (read(pipe_ends[0], &none, 1) < 0) {
    }
    WriteAll("parent_has_ended", O_CREAT, "1");
    for (;;) pause();
  }
  WriteAll("child_is_there", O_CREAT, "1");
  unlink("child_is_there");
  kill(child, SIGKILL);
  Require(waitpid(child, nullptr, 0) == child, "waitpid");
}

void TwoThreads() {
  std::thread other([] {
    for (int round = 0; round < 3; ++round) Replace("other", round);
  });
  for (int round = 0; round < 3; ++round) Replace("one", round);
  other.join();
}

void ManyStates(int count) {
  for (int round = 0; round < count; ++round) Replace("metrics", round);
}

// Runs a command that may not trace anybody.
int WithoutPtrace(char** words) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  Require(seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ptrace), 0) == 0, "filter");
  Require(seccomp_load(filter) == 0, "seccomp");
  execv(words[0], words);
  return 1;
}

// One in four new files is looked at anew, by chance: nothing repeats that.
void LookAtTimes(int files) {
  for (int n = 0; n < files; ++n) {
    const std::string file = "file" + std::to_string(n);
    const int fd = open(file.c_str(), O_WRONLY | O_CREAT, 0644);
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_nsec / 10 % 4 == 0) access(file.c_str(), F_OK);
    Require(close(fd) == 0, "close");
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "rewrite") {
    for (int round = 0; round < 2; ++round) Rewrite("metrics", round);
  } else if (what == "replace") {
    for (int round = 0; round < 2; ++round) Replace("metrics", round);
  } else if (what == "many_states") {
    ManyStates(std::atoi(argv[2]));
  } else if (what == "move") {
    Move();
  } else if (what == "segment") {
    MakeSegment(argv[2]);
  } else if (what == "parent_and_child") {
    ParentAndChild();
  } else if (what == "two_threads") {
    TwoThreads();
  } else if (what == "look_at_times") {
    LookAtTimes(std::atoi(argv[2]));
  } else if (what == "write_to") {
    Rewrite(argv[2], 0);
  } else if (what == "without_ptrace") {
    return WithoutPtrace(argv + 2);
  } else {
    return 2;
  }
  return 0;
}
