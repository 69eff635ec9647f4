// Loaded into kill9-http-cache: of a long message there is no room in the socket at first, and for
// all of it the next time, as where the process is kept from its CPU while the client reads.
#include <dlfcn.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>

namespace {

constexpr size_t kLongBytes = 1 << 20;

size_t WriteAll(int fd, const iovec& piece) {
  const char* const bytes = static_cast<const char*>(piece.iov_base);
  size_t sent = 0;
  while (sent < piece.iov_len) {
    const ssize_t put = send(fd, bytes + sent, piece.iov_len - sent, MSG_NOSIGNAL);
    if (put < 0 && errno != EAGAIN && errno != EINTR) break;
    sent += put > 0 ? static_cast<size_t>(put) : 0;
    pollfd room{fd, POLLOUT, 0};
    poll(&room, 1, -1);
  }
  return sent;
}

}  // namespace

extern "C" ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  using Function = ssize_t (*)(int, const msghdr*, int);
  static const auto real = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "sendmsg"));
  static bool refused = false;
  size_t bytes = 0;
  for (size_t i = 0; i < message->msg_iovlen; ++i) bytes += message->msg_iov[i].iov_len;
  if (bytes < kLongBytes) return real(fd, message, flags);
  refused = !refused;
  if (refused) {
    errno = EAGAIN;
    return -1;
  }
  size_t sent = 0;
  for (size_t i = 0; i < message->msg_iovlen; ++i) sent += WriteAll(fd, message->msg_iov[i]);
  return static_cast<ssize_t>(sent);
}
