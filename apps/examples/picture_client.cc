// picture_client NAME [REQUESTS [PICTURE]]: asks a picture_server for a picture again and again,
// looks at its bytes in place, and says how many it got. It comes before its server, or after it,
// or stays when that is killed and started again.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "apps/connections/client.h"

namespace {

using namespace kill9;
using namespace kill9::connections;

// The server may be gone for a while.
constexpr std::chrono::seconds kPatience(30);

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') {
    std::fprintf(stderr, "usage: picture_client NAME [REQUESTS [PICTURE]]\n");
    return 2;
  }
  const uint64_t requests = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 10'000;
  const std::string picture = argc > 3 ? argv[3] : "3";
  Options options;
  options.name = argv[1];
  absl::StatusOr<std::unique_ptr<Client>> client = Client::Open(options);
  if (!client.ok() || !(*client)->Connect(Deadline::After(kPatience)).ok()) {
    std::fprintf(stderr, "picture_client: no server\n");
    return 1;
  }
  uint64_t got = 0, bytes = 0, again = 0, sum = 0;
  const auto begin = std::chrono::steady_clock::now();
  while (got < requests) {
    const absl::StatusOr<Event> answer =
        (*client)->Ask({.bytes = picture}, Deadline::After(kPatience));
    if (answer.ok()) {
      if (answer->tag == 0) {
        std::fprintf(stderr, "picture_client: there is no picture %s\n", picture.c_str());
        return 1;
      }
      const std::string_view view = answer->buffer.bytes();
      for (size_t i = 0; i < view.size(); i += 4096) sum += static_cast<uint8_t>(view[i]);
      bytes += view.size();
      ++got;
      continue;
    }
    // The server has gone: it is waited for.
    while (!(*client)->is_connected()) {
      const absl::StatusOr<Event> event = (*client)->Receive(Deadline::After(kPatience));
      if (!event.ok()) {
        std::fprintf(stderr, "picture_client: the server has gone, and none came back\n");
        return 1;
      }
      again += event->kind == EventKind::kConnected;
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf(
      "picture_client: %llu pictures, %.0f a second, %.1f MB/s by reference (sum %llu); "
      "connected again %llu times\n",
      static_cast<unsigned long long>(got), static_cast<double>(got) / took.count(),
      static_cast<double>(bytes) / 1e6 / took.count(), static_cast<unsigned long long>(sum),
      static_cast<unsigned long long>(again));
  return 0;
}
