#include "harness/programs/process/launch.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <wordexp.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/base/process_end/kill_and_reap.h"
#include "harness/base/signals.h"
#include "harness/base/text/write_all.h"

namespace kill9::programs {
namespace {

constexpr int kSocketFd = 3;
constexpr int kCannotRun = 127;  // as a shell says it

absl::Status LaunchRefused(const std::string& what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

int PidFdOf(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

// Becomes the program. `in`, `out`: its standard input and output; `socket`: -1, or what it serves.
[[noreturn]] void Become(const LaunchOptions& options, const Sandbox& sandbox, int in, int out,
                         int socket, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // 0: the parent is of another PID namespace, whose keeper sees to it.
  if (getppid() != parent && getppid() != 0) _exit(kCannotRun);
  ResetSignals();
  if (!sandbox.Enter()) {
    dprintf(options.stderr_fd, "kill9: cannot enter the namespaces: %s\n", std::strerror(errno));
    _exit(kCannotRun);
  }
  for (const std::string& variable : options.environment) {
    putenv(const_cast<char*>(variable.c_str()));
  }
  std::vector<char*> words;
  for (const std::string& word : options.words) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  const bool placed = dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(options.stderr_fd, 2) == 2 &&
                      (socket < 0 || (socket == kSocketFd ? fcntl(socket, F_SETFD, 0) == 0
                                                          : dup2(socket, kSocketFd) >= 0));
  if (placed) execvp(words[0], words.data());
  dprintf(2, "kill9: cannot run '%s': %s\n", words[0], std::strerror(errno));
  _exit(kCannotRun);
}

// What is there to be read, for which the caller has no time to wait.
bool SetNonBlocking(int fd) { return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0; }

void CloseAll(std::initializer_list<int> fds) {
  for (const int fd : fds) {
    if (fd >= 0) close(fd);
  }
}

}  // namespace

absl::StatusOr<std::vector<std::string>> SplitCommand(const std::string& command) {
  wordexp_t split{};
  const int failed = wordexp(command.c_str(), &split, WRDE_NOCMD | WRDE_UNDEF);
  if (failed != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", command, "' ",
                     failed == WRDE_BADCHAR || failed == WRDE_CMDSUB
                         ? "is more than one command and its words; write sh -c '...'"
                     : failed == WRDE_BADVAL ? "uses a variable that is not set"
                                             : "cannot be split into words"));
  }
  std::vector<std::string> words(split.we_wordv, split.we_wordv + split.we_wordc);
  wordfree(&split);
  if (words.empty()) return absl::InvalidArgumentError("a command line is empty");
  return words;
}

void Connection::Close() {
  CloseAll({to, from == to ? -1 : from, pidfd});
  to = from = pidfd = -1;
}

void Connection::CloseSending() {
  if (is_child) {
    if (to >= 0) close(std::exchange(to, -1));
  } else {
    shutdown(to, SHUT_WR);
  }
}

void Connection::CloseReading() {
  if (from != to) close(from);
  from = -1;
}

absl::StatusOr<Connection> Launch(const LaunchOptions& options, const Sandbox& sandbox) {
  int in[2] = {-1, -1}, out[2] = {-1, -1};
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) {
    CloseAll({in[0], in[1]});
    return LaunchRefused("no pipe");
  }
  Connection connection;
  const pid_t parent = getpid();
  connection.pid = fork();
  if (connection.pid == 0) Become(options, sandbox, in[0], out[1], -1, parent);
  CloseAll({in[0], out[1]});
  connection.to = in[1];
  connection.from = out[0];
  if (connection.pid < 0 || (connection.pidfd = PidFdOf(connection.pid)) < 0 ||
      !SetNonBlocking(connection.from)) {
    const absl::Status refused = LaunchRefused("cannot fork");
    if (connection.pid > 0) KillAndReap(connection.pid, nullptr);
    connection.Close();
    return refused;
  }
  return connection;
}

bool ReadAvailable(Connection& connection, std::string* text) {
  if (connection.from < 0) return false;
  char buffer[1 << 16];
  for (;;) {
    iovec part{buffer, sizeof buffer};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))] = {};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    const ssize_t size = connection.is_child
                             ? read(connection.from, buffer, sizeof buffer)
                             : recvmsg(connection.from, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN;
    if (size == 0) return false;
    text->append(buffer, static_cast<size_t>(size));
    if (connection.is_child || connection.pid != 0) continue;
    // The kernel says who has sent it, by the number that it has here.
    for (cmsghdr* one = CMSG_FIRSTHDR(&header); one != nullptr; one = CMSG_NXTHDR(&header, one)) {
      if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SCM_CREDENTIALS) continue;
      ucred sender;
      std::memcpy(&sender, CMSG_DATA(one), sizeof sender);
      connection.pidfd = PidFdOf(sender.pid);
      if (connection.pidfd >= 0) connection.pid = sender.pid;
    }
  }
}

bool SendLine(const Connection& connection, const std::string& line) {
  return WriteAll(connection.to, line + "\n");
}

absl::StatusOr<std::unique_ptr<ForkServer>> ForkServer::Start(const LaunchOptions& options,
                                                              const Sandbox& sandbox) {
  const int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socklen_t size = sizeof address;
  // A name of the kernel's choice, which no file system shows.
  if (listening < 0 ||
      bind(listening, reinterpret_cast<sockaddr*>(&address), sizeof address.sun_family) != 0 ||
      getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      listen(listening, 128) != 0) {
    CloseAll({listening});
    return LaunchRefused("no socket");
  }
  std::unique_ptr<ForkServer> server(new ForkServer);
  server->address_.assign(reinterpret_cast<const char*>(&address), size);
  const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  LaunchOptions with_socket = options;
  with_socket.environment.push_back(absl::StrCat("KILL9_SOCKET=", kSocketFd));
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) Become(with_socket, sandbox, nothing, options.stderr_fd, listening, parent);
  CloseAll({listening, nothing});
  if (pid < 0) return LaunchRefused("cannot fork");
  server->process_.pid = pid;
  server->process_.pidfd = PidFdOf(pid);
  return server;
}

void ForkServer::Forget() {
  process_.pid = 0;
  process_.Close();
}

ForkServer::~ForkServer() {
  if (process_.pid > 0) KillAndReap(process_.pid, nullptr);
  process_.Close();
}

absl::StatusOr<Connection> ForkServer::Connect() {
  Connection connection;
  connection.is_child = false;
  const int one = 1;
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one) != 0 ||
      connect(fd, reinterpret_cast<const sockaddr*>(address_.data()),
              static_cast<socklen_t>(address_.size())) != 0) {
    const absl::Status refused = LaunchRefused("the fork server's socket");
    CloseAll({fd});
    return refused;
  }
  connection.to = connection.from = fd;
  return connection;
}

}  // namespace kill9::programs
