#include "apps/server/hand_over.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace kill9::server {
namespace {

// Room for one descriptor beside the message.
struct Envelope {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  iovec piece = {};
  msghdr message = {};

  explicit Envelope(int* from) : piece{from, sizeof *from} {
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
  }
};

}  // namespace

absl::StatusOr<std::unique_ptr<HandOver>> HandOver::Make(int workers) {
  std::unique_ptr<HandOver> made(new HandOver);
  for (int i = 0; i < workers; ++i) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
      return absl::ResourceExhaustedError(absl::StrCat("socketpair: ", std::strerror(errno)));
    }
    made->pairs_.push_back({ends[0], ends[1]});
  }
  return made;
}

HandOver::~HandOver() {
  for (const Pair& pair : pairs_) {
    close(pair.in);
    close(pair.out);
  }
}

void HandOver::Ask(int worker, absl::FunctionRef<uint64_t(int)> connections) const {
  uint64_t most = connections(worker) + 1;
  int busiest = -1;
  for (int i = 0; i < static_cast<int>(pairs_.size()); ++i) {
    const uint64_t others = i == worker ? 0 : connections(i);
    if (others <= most) continue;
    most = others;
    busiest = i;
  }
  if (busiest >= 0) Send(busiest, {.from = worker});
}

bool HandOver::Send(int to, const Letter& letter) const {
  int from = letter.from;
  Envelope envelope(&from);
  if (letter.connection < 0) {
    envelope.message.msg_control = nullptr;
    envelope.message.msg_controllen = 0;
  } else {
    cmsghdr* const header = CMSG_FIRSTHDR(&envelope.message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof letter.connection);
    std::memcpy(CMSG_DATA(header), &letter.connection, sizeof letter.connection);
  }
  const int out = pairs_[static_cast<size_t>(to)].out;
  return sendmsg(out, &envelope.message, MSG_NOSIGNAL) == sizeof from;
}

bool HandOver::Take(int worker, Letter* letter) const {
  *letter = {};
  Envelope envelope(&letter->from);
  if (recvmsg(Inbox(worker), &envelope.message, MSG_CMSG_CLOEXEC) != sizeof letter->from) {
    return false;
  }
  const cmsghdr* const header = CMSG_FIRSTHDR(&envelope.message);
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    std::memcpy(&letter->connection, CMSG_DATA(header), sizeof letter->connection);
  }
  return true;
}

}  // namespace kill9::server
