// A kill9-memcached for a test, its clients, and what kills its processes.
#ifndef KILL9_PROPERTY_APPS_MEMCACHED_MEMCACHED_FIXTURE_H_
#define KILL9_PROPERTY_APPS_MEMCACHED_MEMCACHED_FIXTURE_H_

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "property/scaffold/eventually.h"

namespace kill9 {

// A connection to the server. What it waits for has a bound; then it fails the test.
class MemcachedClient {
 public:
  explicit MemcachedClient(const std::string& socket_path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_path.copy(address.sun_path, sizeof address.sun_path - 1);
    fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~MemcachedClient() { close(fd_); }
  MemcachedClient(const MemcachedClient&) = delete;
  MemcachedClient& operator=(const MemcachedClient&) = delete;

  bool connected() const { return connected_; }
  void Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }
  // What comes until it ends with `end`; what there is, if the server closes.
  std::string ReadUntil(std::string_view end) {
    std::string all;
    while (!all.ends_with(end)) {
      char buffer[65536];
      pollfd readable = {fd_, POLLIN, 0};
      if (poll(&readable, 1, kWaitMs) != 1) {
        ADD_FAILURE() << "no answer; so far: " << all.substr(0, 200);
        break;
      }
      const ssize_t got = recv(fd_, buffer, sizeof buffer, 0);
      if (got <= 0) {
        closed_ = true;
        break;
      }
      all.append(buffer, static_cast<size_t>(got));
    }
    return all;
  }
  std::string ReadBytes(size_t bytes) {
    std::string all(bytes, 0);
    return recv(fd_, all.data(), bytes, MSG_WAITALL) == static_cast<ssize_t>(bytes) ? all : "";
  }
  // The answers to all of `requests`: a no-op after them tells where they end.
  std::string Ask(std::string_view requests) {
    Send(absl::StrCat(std::string(requests), "mn\r\n"));
    std::string answers = ReadUntil("MN\r\n");
    if (answers.ends_with("MN\r\n")) answers.resize(answers.size() - 4);
    return answers;
  }
  bool closed() const { return closed_; }
  int fd() const { return fd_; }

 private:
  static constexpr int kWaitMs = 120000;
  int fd_ = -1;
  bool connected_ = false;
  bool closed_ = false;
};

class MemcachedServer {
 public:
  // `arguments` beside the socket's. The cache is in memory unless they name a file.
  explicit MemcachedServer(std::vector<std::string> arguments, std::string program)
      : path_(absl::StrCat(::testing::TempDir(), "/k9mc-", getpid(), "-", ++servers_)),
        arguments_(std::move(arguments)),
        program_(std::move(program)) {
    Start();
  }
  ~MemcachedServer() {
    Kill();
    unlink(path_.c_str());
  }

  void Start() {
    std::vector<std::string> all = {program_, "-s", path_};
    all.insert(all.end(), arguments_.begin(), arguments_.end());
    std::vector<char*> argv;
    for (std::string& one : all) argv.push_back(one.data());
    argv.push_back(nullptr);
    ASSERT_EQ(posix_spawn(&pid_, program_.c_str(), nullptr, nullptr, argv.data(), environ), 0);
    int status = 0;
    bool ended = false;
    EXPECT_TRUE(Eventually([&] {
      ended = waitpid(pid_, &status, WNOHANG) == pid_;
      return ended || MemcachedClient(path_).connected();
    }));
    if (ended) pid_ = 0;
    ASSERT_FALSE(ended) << "the server ends as it begins, status " << status;
  }
  // The master alone; nobody waits until its workers have ended.
  void KillMaster() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  // All of it, as an out-of-memory killer or a deployment would: the kernel ends the workers.
  void Kill() {
    if (pid_ <= 0) return;
    const std::vector<pid_t> workers = Workers();
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    for (const pid_t worker : workers) {
      EXPECT_TRUE(Eventually([&] { return HasEnded(worker); })) << "a worker outlives it";
    }
    // One that had just begun ends a moment later.
    EXPECT_TRUE(Eventually([&] { return !MemcachedClient(path_).connected(); }));
    pid_ = 0;
  }
  int End(int signal) {
    int status = 0;
    kill(pid_, signal);
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  // It is gone, or waits for somebody to look at its exit code.
  static bool HasEnded(pid_t pid) {
    std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
    std::string text;
    std::getline(file, text);
    const size_t name_end = text.rfind(')');
    return name_end == text.npos || text.compare(name_end + 2, 1, "Z") == 0;
  }
  std::vector<pid_t> Workers() const {
    std::ifstream children(absl::StrCat("/proc/", pid_, "/task/", pid_, "/children"));
    std::vector<pid_t> workers;
    for (pid_t worker = 0; children >> worker;) workers.push_back(worker);
    return workers;
  }
  const std::string& path() const { return path_; }
  std::string Ask(std::string_view requests) { return MemcachedClient(path_).Ask(requests); }

 private:
  inline static int servers_ = 0;  // each has a path of its own
  std::string path_;
  std::vector<std::string> arguments_;
  std::string program_;
  pid_t pid_ = 0;
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_APPS_MEMCACHED_MEMCACHED_FIXTURE_H_
