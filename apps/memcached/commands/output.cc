#include "apps/memcached/commands/output.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace kill9::memcached {
namespace {

int64_t SendPieces(int fd, std::span<iovec> pieces) {
  msghdr message = {};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  for (;;) {
    const ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return sent;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
    if (errno != EINTR) return -1;
  }
}

}  // namespace

int64_t SendSome(int fd, std::string_view bytes) {
  iovec piece = {const_cast<char*>(bytes.data()), bytes.size()};
  return SendPieces(fd, {&piece, 1});
}

bool Output::Send(int fd, std::string* unsent, uint64_t* written) {
  std::array<iovec, 2 * kPinsMost + 1> pieces;
  size_t count = 0, at = 0;
  const auto add = [&](std::string_view bytes) {
    if (!bytes.empty()) pieces[count++] = {const_cast<char*>(bytes.data()), bytes.size()};
  };
  for (const Pinned& pinned : pins_) {
    add(std::string_view(text_).substr(at, pinned.at - at));
    add(pinned.bytes);
    at = pinned.at;
  }
  add(std::string_view(text_).substr(at));
  // Who still has something to read before this gets nothing now.
  int64_t sent = 0;
  if (count > 0 && unsent->empty()) sent = SendPieces(fd, {pieces.data(), count});
  if (sent >= 0) {
    *written += static_cast<uint64_t>(sent);
    auto left = static_cast<size_t>(sent);
    for (const iovec& piece : std::span(pieces.data(), count)) {
      const size_t skipped = std::min(left, piece.iov_len);
      left -= skipped;
      unsent->append(static_cast<const char*>(piece.iov_base) + skipped, piece.iov_len - skipped);
    }
  }
  Clear();
  return sent >= 0;
}

}  // namespace kill9::memcached
