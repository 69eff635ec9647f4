// message_server NAME [SECONDS]: receives what clients send, through a channel in shared memory and
// through a Unix socket, and says once a second what came.
//
// The server may be killed (kill -9) at any time and started again: it goes on with what waits, and
// what the dead one had taken and not acknowledged comes again, marked. So may any client.
// Ends after SECONDS without a message (default: never).
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "apps/examples/message_example.h"

namespace {

using namespace kill9;

struct Count {
  uint64_t messages = 0;
  uint64_t bytes = 0;
  uint64_t again = 0;  // marked redelivered
};

// Takes all that waits, works on it in place, and acknowledges it then.
bool ReceiveAll(Channel& channel, Count& count) {
  bool any = false;
  for (;;) {
    absl::StatusOr<MessageBatch> batch = channel.Drain(Channel::kAll, Deadline::None());
    if (!batch.ok()) return any;
    any = true;
    for (const Message& message : *batch) {
      ++count.messages;
      count.bytes += message.bytes.size();
      count.again += message.info.redelivered ? 1 : 0;
    }
    MustHold(channel.Acknowledge(*std::move(batch)));
  }
}

int Listen(const std::string& name) {
  const sockaddr_un address = SocketAddress(name);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(fd, 16) != 0) {
    std::perror("message_server: cannot listen");
    std::exit(1);
  }
  return fd;
}

// A client's socket: counts bytes; false when the client has gone. A last byte asks for an
// answer, so that the client knows when all has arrived.
bool ReadSocket(int fd, uint64_t& bytes) {
  static std::vector<char> buffer(256 << 10);
  const ssize_t got = read(fd, buffer.data(), buffer.size());
  if (got <= 0) return false;
  bytes += static_cast<uint64_t>(got);
  if (buffer[static_cast<size_t>(got) - 1] == kEndOfRun) {
    [[maybe_unused]] const ssize_t told = write(fd, "k", 1);
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') {
    std::fprintf(stderr, "usage: message_server NAME [SECONDS]\n");
    return 2;
  }
  const int most_silent_seconds = argc > 2 ? std::atoi(argv[2]) : 0;
  const std::unique_ptr<Channel> channel = Join(argv[1], MemberRole::kReceiver);
  std::vector<pollfd> watched = {{MustHold(channel->ReadinessDescriptor()), POLLIN, 0},
                                 {Listen(argv[1]), POLLIN, 0}};
  std::printf("message_server: ready\n");
  std::fflush(stdout);
  Count total, said;
  uint64_t socket_bytes = 0, socket_said = 0;
  for (int silent_seconds = 0; most_silent_seconds == 0 || silent_seconds < most_silent_seconds;) {
    const int ready = poll(watched.data(), watched.size(), 1000);
    const bool any = ReceiveAll(*channel, total);
    for (size_t i = watched.size(); i-- > 2;) {
      if (watched[i].revents == 0 || ReadSocket(watched[i].fd, socket_bytes)) continue;
      close(watched[i].fd);
      watched.erase(watched.begin() + static_cast<long>(i));
    }
    if (watched[1].revents != 0) {
      watched.push_back({accept4(watched[1].fd, nullptr, nullptr, SOCK_CLOEXEC), POLLIN, 0});
    }
    silent_seconds = ready == 0 && !any ? silent_seconds + 1 : 0;
    if (ready == 0 && (total.messages != said.messages || socket_bytes != socket_said)) {
      std::printf("channel: %llu messages, %llu bytes, %llu came again; socket: %llu bytes\n",
                  static_cast<unsigned long long>(total.messages),
                  static_cast<unsigned long long>(total.bytes),
                  static_cast<unsigned long long>(total.again),
                  static_cast<unsigned long long>(socket_bytes));
      std::fflush(stdout);
      said = total;
      socket_said = socket_bytes;
    }
  }
  return 0;
}
