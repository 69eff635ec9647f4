// message_client NAME [MESSAGES]: sends messages of 1 to 155 bytes to a message_server, through the
// channel and through a Unix socket with a write for each, and prints both speeds.
//
// If the server is killed meanwhile, what is sent waits for the next one; the socket's run ends.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "apps/examples/message_example.h"

namespace {

using namespace kill9;
using Clock = std::chrono::steady_clock;

constexpr uint32_t kLargestBytes = 155;
const std::string kBytes(kLargestBytes, 'm');

uint32_t SizeOf(uint64_t number) {
  return 1 + static_cast<uint32_t>(number * 0x9e3779b97f4a7c15u >> 32) % kLargestBytes;
}

void Say(const char* how, uint64_t messages, uint64_t bytes, Clock::time_point begin) {
  const std::chrono::duration<double> took = Clock::now() - begin;
  std::printf("%-28s %7.1f MB/s  %6.2f million messages/s\n", how,
              static_cast<double>(bytes) / 1e6 / took.count(),
              static_cast<double>(messages) / 1e6 / took.count());
  std::fflush(stdout);
}

// Until the server has acknowledged all.
void RunChannel(Channel& channel, uint64_t messages, size_t batch) {
  const Clock::time_point begin = Clock::now();
  uint64_t bytes = 0;
  std::vector<std::string_view> some;
  for (uint64_t i = 0; i < messages;) {
    some.clear();
    for (; some.size() < batch && i < messages; ++i) {
      some.push_back(std::string_view(kBytes).substr(0, SizeOf(i)));
      bytes += some.back().size();
    }
    for (size_t sent = 0; sent < some.size();) {
      const absl::StatusOr<size_t> more =
          channel.SendMany(std::span(some).subspan(sent), Deadline::Never());
      // Told that the server has gone: the next one gets it.
      if (absl::IsUnavailable(more.status())) continue;
      sent += MustHold(more);
    }
  }
  while (MustHold(channel.Look()).bytes != 0) usleep(100);
  Say(batch == 1 ? "channel" : "channel, in batches", messages, bytes, begin);
}

void RunSocket(const std::string& name, uint64_t messages) {
  const sockaddr_un address = SocketAddress(name);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    std::perror("message_client: no server at the socket");
    return;
  }
  const Clock::time_point begin = Clock::now();
  uint64_t bytes = 0;
  for (uint64_t i = 0; i < messages; ++i) {
    const uint32_t size = SizeOf(i);
    if (send(fd, kBytes.data(), size, MSG_NOSIGNAL) != static_cast<ssize_t>(size)) {
      std::perror("message_client: the server has gone");
      close(fd);
      return;
    }
    bytes += size;
  }
  char answer = 0;
  if (send(fd, &kEndOfRun, 1, MSG_NOSIGNAL) == 1 && read(fd, &answer, 1) == 1) {
    Say("Unix socket, a write each", messages, bytes, begin);
  } else {
    std::fprintf(stderr, "message_client: the server has gone\n");
  }
  close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') {
    std::fprintf(stderr, "usage: message_client NAME [MESSAGES]\n");
    return 2;
  }
  const uint64_t messages = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'550'000;
  const std::unique_ptr<Channel> channel = Join(argv[1], MemberRole::kSender);
  RunChannel(*channel, messages, 1);
  RunChannel(*channel, messages, 64);
  RunSocket(argv[1], messages);
  return 0;
}
