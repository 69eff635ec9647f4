#include "apps/memcached/server/listeners.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"

namespace kill9::memcached {
namespace {

absl::Status CannotListen(const std::string& where, int error) {
  std::string_view advice;
  if (error == EADDRINUSE) advice = "; another server has it: stop that one, or choose by -p or -s";
  if (error == EACCES) advice = "; ports below 1024 are the system's: choose another by -p";
  if (error == EADDRNOTAVAIL) advice = "; this machine has no such address: choose another by -l";
  return absl::Status(
      error == EADDRINUSE ? absl::StatusCode::kAlreadyExists : absl::StatusCode::kUnavailable,
      absl::StrCat("cannot listen at ", where, ": ", strerror(error), std::string(advice)));
}

// HOST, HOST:PORT, [V6] or [V6]:PORT; a V6 address alone has more than one colon.
void SplitAddress(const std::string& address, std::string* host, std::string* port) {
  const size_t colon = address.rfind(':');
  const size_t bracket = address.rfind(']');
  const bool has_port = colon != address.npos &&
                        (bracket != address.npos ? colon > bracket : address.find(':') == colon);
  *host = has_port ? address.substr(0, colon) : address;
  if (has_port) *port = address.substr(colon + 1);
  if (host->starts_with('[') && host->ends_with(']')) *host = host->substr(1, host->size() - 2);
}

absl::Status ListenTcp(const std::string& address, const Options& options, std::vector<int>* fds) {
  std::string host, port = absl::StrCat(options.port);
  SplitAddress(address, &host, &port);
  addrinfo wanted{}, *found = nullptr;
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE;
  if (const int error = getaddrinfo(host.c_str(), port.c_str(), &wanted, &found); error != 0) {
    return absl::InvalidArgumentError(absl::StrCat("-l ", address, ": ", gai_strerror(error)));
  }
  absl::Status status = absl::UnavailableError(absl::StrCat("-l ", address, " has no address"));
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    const int fd = socket(one->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) continue;
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (one->ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    // Those that are accepted inherit it.
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (bind(fd, one->ai_addr, one->ai_addrlen) != 0 || listen(fd, options.backlog) != 0) {
      status = CannotListen(absl::StrCat(host, " port ", port), errno);
      close(fd);
      break;
    }
    fds->push_back(fd);
    status = absl::OkStatus();
  }
  freeaddrinfo(found);
  return status;
}

absl::Status ListenUnix(const Options& options, std::vector<int>* fds) {
  const std::string& path = options.unix_path;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return absl::InvalidArgumentError(absl::StrCat("-s ", path, ": a socket's path has at most ",
                                                   sizeof address.sun_path - 1, " bytes"));
  }
  path.copy(address.sun_path, path.size());
  const auto* general = reinterpret_cast<const sockaddr*>(&address);
  // What a dead server left gives way; a living one keeps its socket.
  struct stat status {};
  if (lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) {
    const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool lives = connect(probe, general, sizeof address) == 0;
    close(probe);
    if (lives) return CannotListen(path, EADDRINUSE);
    unlink(path.c_str());
  }
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const mode_t before = umask(static_cast<mode_t>(0777 & ~options.unix_mode));
  const bool bound = bind(fd, general, sizeof address) == 0;
  const int error = errno;
  umask(before);
  if (!bound) return CannotListen(path, error);
  if (listen(fd, options.backlog) != 0) return CannotListen(path, errno);
  fds->push_back(fd);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<int>> Listen(const Options& options) {
  std::vector<int> fds;
  if (!options.unix_path.empty()) {
    if (absl::Status status = ListenUnix(options, &fds); !status.ok()) return status;
    return fds;
  }
  for (const std::string& address : options.addresses) {
    if (options.port == 0) break;
    if (absl::Status status = ListenTcp(address, options, &fds); !status.ok()) return status;
  }
  if (fds.empty()) {
    return absl::InvalidArgumentError("nobody could come: give a port (-p) or a socket (-s)");
  }
  return fds;
}

}  // namespace kill9::memcached
