// What deaths do to messages: one side is killed again and again and begins anew, the other one
// goes on. Each message has a number; a board in shared memory says which sends have returned, and
// which messages were used.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>

#include "harness/base/pin_to_core.h"
#include "harness/base/process_end/die_with_parent.h"
#include "harness/base/process_end/kill_and_reap.h"
#include "harness/base/random.h"
#include "harness/base/shared_mapping.h"
#include "harness/torture/control.h"
#include "stress/benchmarks/channels/measure.h"

namespace kill9::transports {
namespace {

constexpr uint64_t kMostMessages = 16 << 20;
constexpr size_t kMessageBytes = 64;
constexpr uint64_t kShortestLifeUs = 200, kLongestLifeUs = 2000;
constexpr uint64_t kQuietNs = 400'000'000;  // so long nothing comes: all is there that will come

struct Board {
  // Of a message, in its byte of `messages`.
  static constexpr uint8_t kSent = 0x80, kMarked = 0x40, kTwice = 0x02, kOnce = 0x01;

  std::atomic<uint64_t> begun;  // the last message whose send was called
  std::atomic<uint64_t> used;   // how often one was
  std::atomic<uint64_t> torn;
  std::atomic<bool> stop;
  std::atomic<uint8_t> messages[kMostMessages];
};

void Fill(uint64_t number, char* message) {
  for (size_t at = 0; at < kMessageBytes; at += sizeof number) {
    const uint64_t word = number * (2 * at + 1);
    std::memcpy(message + at, &word, sizeof word);
  }
}

[[noreturn]] void SendForEver(Board& board, Port& port) {
  char message[kMessageBytes];
  while (!board.stop.load()) {
    const uint64_t number = board.begun.load() + 1;
    if (number >= kMostMessages) {
      usleep(1000);
      continue;
    }
    board.begun.store(number);
    Fill(number, message);
    port.Send({message, sizeof message});
    board.messages[number].fetch_or(Board::kSent);
  }
  _exit(0);
}

[[noreturn]] void UseForEver(Board& board, Port& port) {
  for (;;) {
    port.Use([&board](std::string_view message, bool redelivered) {
      uint64_t number = 0;
      char expected[kMessageBytes];
      if (message.size() == kMessageBytes) std::memcpy(&number, message.data(), sizeof number);
      Fill(number, expected);
      if (number == 0 || number > board.begun.load() ||
          std::memcmp(message.data(), expected, kMessageBytes) != 0) {
        board.torn.fetch_add(1);
        return;
      }
      // Only the one user of a message that is alive writes to its byte here.
      const uint8_t before = board.messages[number].fetch_or(Board::kOnce);
      if ((before & Board::kOnce) != 0) {
        board.messages[number].fetch_or(redelivered ? Board::kMarked : Board::kTwice);
      }
      board.used.fetch_add(1);
    });
  }
}

class Killing {
 public:
  Killing(const TransportKind& kind, Side victims, uint64_t seed)
      : board_(*reinterpret_cast<Board*>(MapShared(sizeof(Board), 0))),
        transport_(kind.make(kMessageBytes)),
        wait_(kind.sleeps ? Wait::kSleeping : Wait::kSpinning),
        victims_(victims),
        random_(seed) {}
  ~Killing() { munmap(&board_, sizeof(Board)); }

  KillReport Run(uint64_t kills) {
    Start(Side::kReceives);
    Start(Side::kSends);
    AwaitProgress();
    while (report_.kills < kills && !report_.stuck) {
      usleep(static_cast<useconds_t>(kShortestLifeUs +
                                     random_.Below(kLongestLifeUs - kShortestLifeUs)));
      int status = 0;
      if (!KillAndReap(pid(victims_), &status)) Die("a victim cannot be reaped");
      // It had ended by itself: the transport has no use for it any more.
      if (!WIFSIGNALED(status)) report_.stuck = true;
      ++report_.kills;
      Start(victims_);
      AwaitProgress();
    }
    board_.stop.store(true);
    AwaitQuiet();
    for (const Side side : {Side::kSends, Side::kReceives}) {
      int status = 0;
      KillAndReap(pid(side), &status);
    }
    Count();
    return report_;
  }

 private:
  pid_t& pid(Side side) { return pids_[side == Side::kSends ? 0 : 1]; }

  void Start(Side side) {
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child < 0) Die("fork failed");
    if (child == 0) {
      DieWithParent(parent);
      PinToCore(side == Side::kSends ? 1 : 0);
      Port& port = *transport_->Open(side, wait_).release();
      if (side == Side::kSends) SendForEver(board_, port);
      UseForEver(board_, port);
    }
    pid(side) = child;
  }

  void AwaitProgress() {
    const uint64_t before = board_.used.load();
    const uint64_t begin_ns = MonotonicNs();
    while (board_.used.load() == before) {
      if (board_.begun.load() + 1 >= kMostMessages) return;
      const double waited_seconds = static_cast<double>(MonotonicNs() - begin_ns) / 1e9;
      if (waited_seconds > kStuckSeconds) {
        report_.stuck = true;
        return;
      }
      usleep(20);
    }
    const double pause_ms = static_cast<double>(MonotonicNs() - begin_ns) / 1e6;
    report_.longest_pause_ms = std::max(report_.longest_pause_ms, pause_ms);
  }

  void AwaitQuiet() {
    uint64_t used = board_.used.load();
    uint64_t since_ns = MonotonicNs();
    while (MonotonicNs() - since_ns < kQuietNs) {
      usleep(1000);
      if (board_.used.load() == used) continue;
      used = board_.used.load();
      since_ns = MonotonicNs();
    }
  }

  void Count() {
    for (uint64_t number = 1; number <= board_.begun.load(); ++number) {
      const uint8_t message = board_.messages[number].load();
      const bool was_sent = (message & Board::kSent) != 0;
      report_.sent += was_sent ? 1 : 0;
      report_.lost += was_sent && (message & Board::kOnce) == 0 ? 1 : 0;
      report_.redelivered += (message & Board::kMarked) != 0 ? 1 : 0;
      report_.duplicated += (message & Board::kTwice) != 0 ? 1 : 0;
    }
    report_.torn = board_.torn.load();
  }

  Board& board_;
  const std::unique_ptr<Transport> transport_;
  const Wait wait_;
  const Side victims_;
  Random random_;
  pid_t pids_[2] = {-1, -1};
  KillReport report_;
};

}  // namespace

KillReport Kill(const TransportKind& kind, Side victims, uint64_t kills, uint64_t seed) {
  return Killing(kind, victims, seed).Run(kills);
}

}  // namespace kill9::transports
