#include "apps/server/listener.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace kill9::server {
namespace {

constexpr int kBacklog = 4096;
constexpr unsigned kEverybody = 0777;

absl::Status CannotListen(std::string_view where, int error) {
  std::string_view advice;
  if (error == EADDRINUSE) advice = "; another server has it: stop that one, or choose another";
  if (error == EACCES) advice = "; ports below 1024 are the system's: choose another";
  if (error == EADDRNOTAVAIL) advice = "; this machine has no such address";
  return absl::Status(
      error == EADDRINUSE ? absl::StatusCode::kAlreadyExists : absl::StatusCode::kUnavailable,
      absl::StrCat("cannot listen at ", std::string(where), ": ", std::strerror(error),
                   std::string(advice)));
}

// Whether somebody listens on the Unix socket.
bool Answers(const sockaddr_un& name) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool answers =
      fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0;
  if (fd >= 0) close(fd);
  return answers;
}

// -1, and errno, where the system refuses it.
int ListenAt(const addrinfo& address, int backlog) {
  const int fd = socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  // Those that are accepted inherit it.
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  if (bind(fd, address.ai_addr, address.ai_addrlen) == 0 && listen(fd, backlog) == 0) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

}  // namespace

absl::StatusOr<std::vector<int>> ListenTcp(const std::string& host, const std::string& port,
                                           int backlog) {
  const std::string where = absl::StrCat(host.empty() ? "*" : host, " port ", port);
  addrinfo wanted = {};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &wanted, &found);
  if (error != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("not an address: ", where, ": ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  std::vector<int> fds;
  for (; found != nullptr; found = found->ai_next) {
    const int fd = ListenAt(*found, backlog);
    // A machine without IPv6, or IPv4, names such addresses all the same.
    if (fd < 0 && errno == EAFNOSUPPORT) continue;
    if (fd < 0) {
      const absl::Status refused = CannotListen(where, errno);
      for (const int one : fds) close(one);
      return refused;
    }
    fds.push_back(fd);
  }
  if (fds.empty()) return CannotListen(where, EAFNOSUPPORT);
  return fds;
}

absl::StatusOr<int> ListenUnix(std::string_view path, unsigned mode, int backlog) {
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof name.sun_path) {
    return absl::InvalidArgumentError(
        absl::StrCat("the path of a Unix socket has 1 to ", sizeof name.sun_path - 1, " bytes"));
  }
  path.copy(name.sun_path, path.size());
  struct stat there {};
  if (lstat(name.sun_path, &there) == 0 && S_ISSOCK(there.st_mode)) {
    if (Answers(name)) return CannotListen(path, EADDRINUSE);
    unlink(name.sun_path);
  }
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return CannotListen(path, errno);
  const mode_t before = umask(static_cast<mode_t>(kEverybody & ~mode));
  const bool listens = bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 &&
                       listen(fd, backlog) == 0;
  const int error = errno;
  umask(before);
  if (listens) return fd;
  close(fd);
  return CannotListen(path, error);
}

absl::StatusOr<std::vector<int>> Listen(std::string_view address) {
  if (address.starts_with("unix:")) {
    const absl::StatusOr<int> fd = ListenUnix(address.substr(5), kEverybody, kBacklog);
    if (!fd.ok()) return fd.status();
    return std::vector<int>{*fd};
  }
  const size_t colon = address.rfind(':');
  std::string host = "127.0.0.1";
  std::string port(address);
  if (colon != std::string_view::npos) {
    if (colon > 0) host = address.substr(0, colon);
    port = address.substr(colon + 1);
  }
  if (host == "localhost") host = "127.0.0.1";
  if (host == "*") host.clear();
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  if (port.empty() || port.find_first_not_of("0123456789") != std::string::npos)
    return absl::InvalidArgumentError(absl::StrCat("no port in ", std::string(address)));
  return ListenTcp(host, port, kBacklog);
}

int Accept(int listener) {
  const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) {
    const int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);  // refused by a Unix socket
  }
  return fd;
}

std::string PeerAddress(int client) {
  sockaddr_storage name = {};
  socklen_t size = sizeof name;
  char text[INET6_ADDRSTRLEN] = "unknown";
  if (getpeername(client, reinterpret_cast<sockaddr*>(&name), &size) != 0) return text;
  if (name.ss_family == AF_UNIX) return "unix";
  if (name.ss_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(&name)->sin_addr, text, sizeof text);
  } else if (name.ss_family == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6*>(&name)->sin6_addr, text, sizeof text);
  }
  const std::string_view name_text = text;
  return std::string(name_text.starts_with("::ffff:") ? name_text.substr(7) : name_text);
}

bool IsLocalAddress(std::string_view peer) {
  return peer == "unix" || peer == "::1" || peer.starts_with("127.");
}

}  // namespace kill9::server
