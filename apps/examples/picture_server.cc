// picture_server NAME [FOLDER]: hands out the files of a folder, or a few pictures of its own, to
// the clients that ask for them (picture_client), by reference: each is read into shared memory
// once, and no byte of it is copied for anybody after that.
//
// Kill it (kill -9) and start it again: its clients connect again by themselves. Ends by SIGTERM,
// or Ctrl-C.
#include <signal.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "apps/connections/server.h"

namespace {

using namespace kill9;
using namespace kill9::connections;

volatile sig_atomic_t is_over = 0;

constexpr size_t kPictureBytes = 100'000;
constexpr int kPictures = 8;

std::map<std::string, Buffer> ReadPictures(BufferPool& pool, const char* folder) {
  std::map<std::string, Buffer> pictures;
  const auto add = [&](const std::string& name, std::string_view bytes) {
    absl::StatusOr<Buffer> buffer = pool.Allocate(0, Deadline::None());
    if (!buffer.ok() || !buffer->Append(bytes, Deadline::None()).ok()) {
      std::fprintf(stderr, "picture_server: no room for %s\n", name.c_str());
      return;
    }
    pictures[name] = *std::move(buffer);
  };
  if (folder == nullptr) {
    for (int i = 0; i < kPictures; ++i) {
      add(std::to_string(i), std::string(kPictureBytes, static_cast<char>('a' + i)));
    }
    return pictures;
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    add(entry.path().filename(), std::string(std::istreambuf_iterator<char>(in), {}));
  }
  return pictures;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') {
    std::fprintf(stderr, "usage: picture_server NAME [FOLDER]\n");
    return 2;
  }
  struct sigaction action {};
  action.sa_handler = [](int) { is_over = 1; };
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  Options options;
  options.name = argv[1];
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(options);
  if (!server.ok()) {
    std::fprintf(stderr, "picture_server: %s\n", std::string(server.status().message()).c_str());
    return 1;
  }
  const std::map<std::string, Buffer> pictures =
      ReadPictures((*server)->pool(), argc > 2 ? argv[2] : nullptr);
  std::printf("picture_server: ready, %zu pictures\n", pictures.size());
  std::fflush(stdout);
  uint64_t handed_out = 0, connected = 0, gone = 0, died = 0;
  while (is_over == 0) {
    const absl::StatusOr<Event> event =
        (*server)->Receive(Deadline::After(std::chrono::milliseconds(200)));
    if (!event.ok()) continue;
    connected += event->kind == EventKind::kConnected;
    gone += event->kind == EventKind::kDisconnected;
    died += event->kind == EventKind::kDied;
    if (event->kind != EventKind::kRequest) continue;
    const auto found = pictures.find(event->bytes);
    absl::StatusOr<Buffer> share =
        found != pictures.end() ? found->second.Share() : absl::StatusOr<Buffer>(Buffer());
    if (!share.ok()) share = Buffer();
    const int64_t is_there = share->has_block() ? 1 : 0;
    handed_out += (*server)
                      ->Answer(*event, {.tag = is_there, .bytes = event->bytes, .buffer = &*share},
                               Deadline::None())
                      .ok();
  }
  std::printf("picture_server: %llu handed out; clients: %llu connected, %llu left, %llu died\n",
              static_cast<unsigned long long>(handed_out),
              static_cast<unsigned long long>(connected), static_cast<unsigned long long>(gone),
              static_cast<unsigned long long>(died));
  return 0;
}
