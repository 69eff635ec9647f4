// Very many requests while workers are killed, and every answer to each is right. What makes them
// many, requests in a pipeline and no history, is what memcached_torture_test does not have.
//
// Each key has one client that sets it, to versions that grow; all clients read it. An answer is
// right if its version was sent before the answer came, and is not below what was answered, to
// anybody, before the request was sent. KILL9_MEMCACHED_REQUESTS makes it longer, KILL9_SECONDS
// ends it before.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "property/apps/memcached/memcached_fixture.h"
#include "property/scaffold/children.h"

namespace kill9 {
namespace {

constexpr size_t kVolumeClients = 4;
constexpr int kVolumePipelined = 32;

uint64_t VolumeNumber(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

struct VolumeKey {
  std::atomic<uint64_t> begun{0};  // the latest version that was sent
  std::atomic<uint64_t> known{0};  // the latest that anybody was answered
};

struct VolumeBoard {
  explicit VolumeBoard(size_t count) : keys(count) {}

  std::vector<VolumeKey> keys;
  std::atomic<uint64_t> answers{0}, misses{0}, cut_off{0};
  std::atomic<bool> goes_on{true};
  std::mutex mutex;   // guards wrong
  std::string wrong;  // the first answer that is

  bool IsRight() {
    const std::lock_guard lock(mutex);
    return wrong.empty();
  }
};

void RaiseTo(std::atomic<uint64_t>& word, uint64_t to) {
  uint64_t now = word.load();
  while (now < to && !word.compare_exchange_weak(now, to)) {
  }
}

std::string VolumeValueOf(size_t key, uint64_t version) {
  std::string value = absl::StrCat(version, ".", key, ".");
  value.resize(value.size() + (key * 31 + version) % 200, static_cast<char>('a' + version % 26));
  return value;
}

class VolumeClient {
 public:
  VolumeClient(MemcachedServer& server, VolumeBoard& board, size_t number)
      : server_(server), board_(board), number_(number), random_(TestSeed() + number) {}

  void Run() {
    while (board_.goes_on) {
      if (connection_ == nullptr && !Connect()) continue;
      Batch();
    }
  }

 private:
  struct Request {
    size_t key = 0;
    uint64_t set = 0;    // its version; 0: it is a get
    uint64_t floor = 0;  // of a get
  };

  bool Connect() {
    connection_ = std::make_unique<MemcachedClient>(server_.path());
    input_.clear();
    if (connection_->connected()) return true;
    connection_ = nullptr;
    SleepMicroseconds(1000);
    return false;
  }
  void Batch() {
    std::vector<Request> batch;
    std::string text;
    for (int i = 0; i < kVolumePipelined; ++i) {
      Request one = {.key = random_() % board_.keys.size()};
      VolumeKey& key = board_.keys[one.key];
      if (one.key % kVolumeClients == number_ && random_() % 2 == 0) {
        one.set = ++key.begun;
        const std::string value = VolumeValueOf(one.key, one.set);
        absl::StrAppend(&text, "set k", one.key, " 0 0 ", value.size(), "\r\n", value, "\r\n");
      } else {
        one.floor = key.known;
        absl::StrAppend(&text, "get k", one.key, "\r\n");
      }
      batch.push_back(one);
    }
    connection_->Send(text);
    for (size_t i = 0; i < batch.size(); ++i) {
      if (!Answer(batch[i])) {
        board_.cut_off += batch.size() - i;
        connection_ = nullptr;
        return;
      }
    }
    board_.answers += batch.size();
  }
  // False: the connection has ended.
  bool Answer(const Request& request) {
    std::string line;
    if (!Line(&line)) return false;
    VolumeKey& key = board_.keys[request.key];
    if (request.set != 0) {
      if (line != "STORED") Wrong(request, line);
      RaiseTo(key.known, request.set);
      return true;
    }
    if (line == "END") {
      ++board_.misses;
      return true;
    }
    const size_t bytes = std::strtoull(line.c_str() + line.rfind(' ') + 1, nullptr, 10);
    std::string value, end;
    if (!Bytes(bytes + 2, &value) || !Line(&end)) return false;
    const uint64_t version = std::strtoull(value.c_str(), nullptr, 10);
    if (line != absl::StrCat("VALUE k", request.key, " 0 ", bytes) || end != "END" ||
        value != VolumeValueOf(request.key, version) + "\r\n" || version < request.floor ||
        version > key.begun) {
      Wrong(request, absl::StrCat(line, "/", value));
    }
    RaiseTo(key.known, version);
    return true;
  }
  void Wrong(const Request& request, const std::string& answer) {
    const std::lock_guard lock(board_.mutex);
    board_.wrong = absl::StrCat("key ", request.key, ", at least ", request.floor, ", at most ",
                                board_.keys[request.key].begun.load(), ": ", answer.substr(0, 300));
  }

  bool Bytes(size_t bytes, std::string* out) {
    while (input_.size() - at_ < bytes) {
      input_.erase(0, std::exchange(at_, 0));
      char room[1 << 16];
      const ssize_t got = recv(connection_->fd(), room, sizeof room, 0);
      if (got <= 0) return false;
      input_.append(room, static_cast<size_t>(got));
    }
    out->assign(input_, at_, bytes);
    at_ += bytes;
    return true;
  }
  bool Line(std::string* line) {
    for (size_t seen = 0;;) {
      const size_t end = input_.find("\r\n", at_ + seen);
      if (end != input_.npos) {
        if (!Bytes(end + 2 - at_, line)) return false;
        line->resize(line->size() - 2);
        return true;
      }
      const size_t had = input_.size() - at_;
      std::string ignored;
      if (!Bytes(had + 1, &ignored)) return false;
      at_ -= had + 1;
      seen = had > 0 ? had - 1 : 0;
    }
  }

  MemcachedServer& server_;
  VolumeBoard& board_;
  const size_t number_;
  std::mt19937_64 random_;
  std::unique_ptr<MemcachedClient> connection_;
  std::string input_;
  size_t at_ = 0;  // of what has not been looked at
};

struct Volume {
  uint64_t kills = 0, master_kills = 0;
};

constexpr uint64_t kKillsPerMaster = 20;

// For each so many answers a worker is killed, and every 20th time the master with all. It goes on
// until `kills` were: who kills may have no CPU for as long as many answers take.
Volume LoadAndKill(MemcachedServer& server, VolumeBoard& board, uint64_t requests,
                   uint64_t requests_per_kill, uint64_t kills) {
  const auto begin = std::chrono::steady_clock::now();
  const std::chrono::seconds most(VolumeNumber("KILL9_SECONDS", 3600));
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kVolumeClients; ++i) {
    threads.emplace_back([&, i] { VolumeClient(server, board, i).Run(); });
  }
  Volume volume;
  std::mt19937_64 random(TestSeed());
  const auto goes_on = [&] {
    return (board.answers < requests || volume.kills < kills) && board.IsRight();
  };
  for (uint64_t next = requests_per_kill; goes_on();) {
    if (std::chrono::steady_clock::now() - begin > most) break;
    SleepMicroseconds(1000);
    if (board.answers < next) continue;
    next = board.answers + requests_per_kill;
    if (++volume.kills % kKillsPerMaster == 0) {
      server.Kill();
      server.Start();
      ++volume.master_kills;
    } else if (const std::vector<pid_t> workers = server.Workers(); !workers.empty()) {
      kill(workers[random() % workers.size()], SIGKILL);
    }
  }
  board.goes_on = false;
  for (std::thread& thread : threads) thread.join();
  return volume;
}

TEST(MemcachedVolume, EveryAnswerIsRightWhoeverIsKilled) {
  const std::string file = absl::StrCat(testing::TempDir(), "/kill9-memcached-volume-", getpid());
  const std::string other = file + "-2";
  const uint64_t requests = VolumeNumber("KILL9_MEMCACHED_REQUESTS", 100'000);
  VolumeBoard board(1000);
  Volume volume;
  {
    MemcachedServer server({"-m", "16", "-t", "2", "--file", file, "--file", other},
                           KILL9_MEMCACHED);
    volume = LoadAndKill(server, board, requests, requests > 1'000'000 ? 25'000 : 2'000,
                         kKillsPerMaster);
  }
  std::cout << board.answers << " answers, " << board.misses << " of them misses, " << volume.kills
            << " kills (" << volume.master_kills << " of the master with all), " << board.cut_off
            << " requests cut off\n";
  EXPECT_EQ(board.wrong, "");
  // The premises: deaths within requests, and a cache that remembers.
  EXPECT_GT(board.cut_off, 0u);
  EXPECT_GT(volume.master_kills, 0u);
  EXPECT_LT(board.misses, board.answers / 4);
  unlink(file.c_str());
  unlink(other.c_str());
}

// With a copy of hot items in each worker (stale_memcached.cc) it must be seen.
TEST(MemcachedVolumeSeesBugs, AStaleCopyOfHotItemsIsFound) {
  MemcachedServer server({"--design=hot_copies", "-m", "8", "-t", "3"}, KILL9_STALE_MEMCACHED);
  VolumeBoard board(kVolumeClients);
  LoadAndKill(server, board, 1'000'000, 1'000'000, /*kills=*/0);
  EXPECT_FALSE(board.IsRight());
}

}  // namespace
}  // namespace kill9
