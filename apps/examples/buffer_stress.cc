// buffer_stress NAME [KILLS [SEED]]: a server and clients that pass buffers to each other, of which
// one after the other is killed (SIGKILL) at a random moment and started again: a client, the
// server, or both at once. After each few kills all stop, and every buffer is accounted for: what
// participants hold, what messages hold, and nothing else. Ends with 1 if one is not.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "apps/connections/client.h"
#include "apps/connections/server.h"

namespace {

using namespace kill9;
using namespace kill9::connections;

constexpr int kClients = 4;
constexpr uint64_t kKillsBetweenAudits = 25;
constexpr Deadline kNow = Deadline::None();

Deadline Soon() { return Deadline::After(std::chrono::milliseconds(100)); }

// A buffer whose bytes tell whether they are its own: a seed, and what follows from it.
Buffer MakeBuffer(BufferPool& pool, uint64_t seed) {
  const size_t bytes = 64 + seed % 20'000;
  absl::StatusOr<Buffer> buffer = pool.Allocate(bytes, kNow, {.headroom = 8, .tailroom = 8});
  if (!buffer.ok()) return {};
  absl::StatusOr<std::span<char>> data = buffer->Write(kNow);
  if (!data.ok()) return {};
  for (size_t i = 0; i < bytes; ++i) (*data)[i] = static_cast<char>((seed + i) * 0x9d >> 3);
  return *std::move(buffer);
}
// Ends the program if they are not: it was freed, or written to, under its owner.
void Check(const Buffer& buffer, int64_t seed) {
  const std::string_view bytes = buffer.bytes();
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != static_cast<char>((static_cast<uint64_t>(seed) + i) * 0x9d >> 3)) {
      std::fprintf(stderr, "buffer_stress: a buffer's bytes are not its own\n");
      _exit(3);
    }
  }
}

[[noreturn]] void RunServer(const Options& options) {
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(options);
  // The one before is dead, and its lock may not be free yet.
  for (int tries = 0; !server.ok() && tries < 1000; ++tries) {
    usleep(1000);
    server = Server::Start(options);
  }
  if (!server.ok()) _exit(4);
  for (uint64_t seed = static_cast<uint64_t>(getpid());; ++seed) {
    absl::StatusOr<Event> event = (*server)->Receive(Soon());
    if (!event.ok()) continue;
    Check(event->buffer, event->tag);
    if (event->kind == EventKind::kRequest) {
      // Back to who asked, and sometimes to all.
      Buffer share;
      if (absl::StatusOr<Buffer> other = event->buffer.Share(); other.ok()) {
        share = *std::move(other);
      }
      const int64_t tag = event->tag;
      (*server)->Answer(*event, {.tag = tag, .buffer = &share}, kNow).IgnoreError();
      if (seed % 5 == 0) (*server)->SendToAll({.tag = tag, .buffer = &event->buffer}, kNow);
    }
  }
}

[[noreturn]] void RunClient(const Options& options) {
  absl::StatusOr<std::unique_ptr<Client>> client = Client::Open(options);
  if (!client.ok()) _exit(4);
  std::vector<std::pair<Buffer, int64_t>> kept;
  for (uint64_t seed = static_cast<uint64_t>(getpid()) * 1000;; ++seed) {
    if (!(*client)->is_connected()) {
      // After a death the server finds it again; a first connection may be refused for a while.
      if ((*client)->Receive(Soon()).ok()) continue;
      if (!(*client)->is_connected()) (*client)->Connect(Soon()).IgnoreError();
      continue;
    }
    Buffer buffer = MakeBuffer((*client)->pool(), seed);
    const Outgoing outgoing{.tag = static_cast<int64_t>(seed), .buffer = &buffer};
    if (!buffer.has_block()) {
      kept.clear();
      continue;
    }
    if (seed % 3 == 0) {
      (*client)->Send(outgoing, kNow).IgnoreError();
    } else if (absl::StatusOr<Event> answer = (*client)->Ask(outgoing, Soon()); answer.ok()) {
      Check(answer->buffer, answer->tag);
      kept.emplace_back(std::move(answer->buffer), answer->tag);
    }
    while (true) {
      absl::StatusOr<Event> event = (*client)->Receive(kNow);
      if (!event.ok()) break;
      Check(event->buffer, event->tag);
    }
    if (kept.size() > 8) {
      for (const auto& [one, tag] : kept) Check(one, tag);
      kept.clear();
    }
  }
}

class Stress {
 public:
  Stress(Options options, uint64_t seed) : options_(std::move(options)), random_(seed) {}

  int Run(uint64_t kills) {
    for (int i = 0; i <= kClients; ++i) Start(i);
    for (uint64_t killed = 0; killed < kills;) {
      usleep(static_cast<useconds_t>(500 + random_() % 4000));
      const int who = static_cast<int>(random_() % (kClients + 2));
      if (who > kClients) {  // the server and a client at once
        const int client = 1 + static_cast<int>(random_() % kClients);
        kill(pids_[0], SIGKILL);
        kill(pids_[client], SIGKILL);
        if (!Reap(0) || !Reap(client)) return 1;
        Start(0);
        Start(client);
        killed += 2;
      } else {
        kill(pids_[who], SIGKILL);
        if (!Reap(who)) return 1;
        Start(who);
        ++killed;
      }
      if (killed / kKillsBetweenAudits == audits_) continue;
      audits_ = killed / kKillsBetweenAudits;
      if (!Audit()) return 1;
    }
    for (int i = 0; i <= kClients; ++i) kill(pids_[i], SIGKILL);
    for (int i = 0; i <= kClients; ++i) waitpid(pids_[i], nullptr, 0);
    if (!LetGoOfAll()) return 1;
    std::printf(
        "buffer_stress: %llu kills, %llu audits, %llu buffers in messages of the dead; every "
        "buffer accounted for\n",
        static_cast<unsigned long long>(kills), static_cast<unsigned long long>(audits_),
        static_cast<unsigned long long>(in_messages_));
    return 0;
  }

 private:
  void Start(int who) {
    std::fflush(nullptr);
    pids_[who] = fork();
    if (pids_[who] != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    who == 0 ? RunServer(options_) : RunClient(options_);
  }
  // False: it had ended by itself.
  bool Reap(int who) {
    int status = 0;
    waitpid(pids_[who], &status, 0);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return true;
    std::fprintf(stderr, "buffer_stress: process %d ended by itself (status %d)\n", who, status);
    return false;
  }
  // All are killed where they are, so that what is left is the messages'; and start again.
  bool Audit() {
    for (int i = 0; i <= kClients; ++i) kill(pids_[i], SIGKILL);
    for (int i = 0; i <= kClients; ++i) {
      if (!Reap(i)) return false;
    }
    const bool sound = LetGoOfAll();
    for (int i = 0; i <= kClients; ++i) Start(i);
    return sound;
  }
  // Who receives all messages has all buffers that are left.
  bool LetGoOfAll() {
    absl::StatusOr<std::unique_ptr<Place>> place = Place::Open(options_);
    if (!place.ok() || !(*place)->pool().Recover().ok()) return false;
    BufferPool& pool = (*place)->pool();
    absl::StatusOr<BufferPoolAccount> account = pool.Account();
    if (!account.ok() || !account->report.clean() || !account->of_participants.empty()) {
      std::fprintf(stderr, "buffer_stress: a buffer of the dead is held, or leaked\n");
      return false;
    }
    in_messages_ += account->holds;
    absl::StatusOr<std::unique_ptr<Channel>> inbox =
        (*place)->JoinServerChannel(MemberRole::kReceiver);
    while (inbox.ok() && pool.Receive(**inbox, kNow).ok()) {
    }
    for (uint32_t slot = 0; slot < pool.participants().size(); ++slot) {
      absl::StatusOr<std::unique_ptr<Channel>> channel =
          (*place)->JoinClientChannel(slot, MemberRole::kReceiver);
      while (channel.ok() && pool.Receive(**channel, kNow).ok()) {
      }
    }
    account = pool.Account();
    if (account.ok() && account->report.clean() && account->holds == 0 &&
        account->free_bytes == account->room_bytes) {
      return true;
    }
    std::fprintf(stderr, "buffer_stress: buffers are left that nobody can receive\n");
    return false;
  }

  const Options options_;
  std::mt19937_64 random_;
  pid_t pids_[kClients + 1] = {};
  uint64_t audits_ = 0;
  uint64_t in_messages_ = 0;  // holds that audits met, and received
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') {
    std::fprintf(stderr, "usage: buffer_stress NAME [KILLS [SEED]]\n");
    return 2;
  }
  Options options;
  options.name = argv[1];
  options.clients_most = 12;
  options.pool_bytes = 16 << 20;
  options.buffers_most = 512;
  options.server_channel_bytes = 256 << 10;
  Place::Remove(options.name);
  const uint64_t kills = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1000;
  Stress stress(options, argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 9);
  const int result = stress.Run(kills);
  Place::Remove(options.name);
  return result;
}
