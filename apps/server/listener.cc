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

absl::Status Refused(std::string_view address, std::string_view what) {
  return absl::UnavailableError(absl::StrCat("cannot listen on ", std::string(address), ": ",
                                             std::string(what), ": ", std::strerror(errno)));
}

// Whether somebody listens on the Unix socket.
bool Answers(const sockaddr_un& name) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool answers =
      fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0;
  if (fd >= 0) close(fd);
  return answers;
}

absl::StatusOr<int> ListenUnix(std::string_view path) {
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof name.sun_path)
    return absl::InvalidArgumentError("the path of a Unix socket has 1 to 107 bytes");
  std::memcpy(name.sun_path, path.data(), path.size());
  struct stat there;
  if (lstat(name.sun_path, &there) == 0 && S_ISSOCK(there.st_mode) && !Answers(name))
    unlink(name.sun_path);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Refused(path, "socket");
  if (bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 &&
      listen(fd, kBacklog) == 0) {
    return fd;
  }
  const absl::Status refused = Refused(path, "bind");
  close(fd);
  return refused;
}

absl::StatusOr<int> ListenInternet(std::string_view address, const std::string& host,
                                   const std::string& port) {
  addrinfo hints = {};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host == "*" ? nullptr : host.c_str(), port.c_str(), &hints, &found);
  if (error != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("not an address: ", std::string(address), ": ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  absl::Status refused;
  for (; found != nullptr; found = found->ai_next) {
    const int fd =
        socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, found->ai_protocol);
    const int yes = 1;
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
        bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, kBacklog) == 0) {
      return fd;
    }
    refused = Refused(address, "bind");
    if (fd >= 0) close(fd);
  }
  return refused;
}

}  // namespace

absl::StatusOr<int> Listen(std::string_view address) {
  if (address.starts_with("unix:")) return ListenUnix(address.substr(5));
  const size_t colon = address.rfind(':');
  std::string host = "127.0.0.1";
  std::string port(address);
  if (colon != std::string_view::npos) {
    if (colon > 0) host = address.substr(0, colon);
    port = address.substr(colon + 1);
  }
  if (host == "localhost") host = "127.0.0.1";
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  if (port.empty() || port.find_first_not_of("0123456789") != std::string::npos)
    return absl::InvalidArgumentError(absl::StrCat("no port in ", std::string(address)));
  return ListenInternet(address, host, port);
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
