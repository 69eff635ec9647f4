// Channels beside what they cannot be faster than, a bare ring of one sender and one receiver, and
// beside a Unix stream socket. One sender process, one receiver process, each on a core of its own;
// messages of 1 to 155 bytes. All subjects take turns in one run: ratios count, not figures. Where
// other processes take the cores away, many short rounds and the best of each (--best) say more
// than medians.
//
//     bare_ring_benchmark [--messages=N] [--rounds=N] [--channel=NAME ...] [--no-socket] [--best]
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/die_with_parent.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMostBytes = 155;
constexpr size_t kBatch = 64;
constexpr uint64_t kSegmentBytes = 64 << 20;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "bare_ring_benchmark: %s\n", what.c_str());
  std::exit(2);
}

// The sizes, and the bytes, of all messages: message i is the first sizes[i] bytes from i % 256 on.
struct Load {
  explicit Load(size_t messages) : bytes(256 + kMostBytes) {
    uint32_t random = 1;
    for (size_t i = 0; i < messages; ++i) {
      random = random * 1664525 + 1013904223;
      sizes.push_back(1 + (random >> 16) % kMostBytes);
    }
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 131);
  }
  std::string_view message(size_t i) const { return {bytes.data() + i % 256, sizes[i]}; }
  // As cheap as a check can be.
  void Check(size_t i, std::string_view got) const {
    if (got.size() != sizes[i] || got.back() != message(i).back()) Die("a wrong message came");
  }

  std::vector<uint32_t> sizes;
  std::vector<char> bytes;
};

template <typename T>
T Must(absl::StatusOr<T> result) {
  if (!result.ok()) Die(result.status().ToString());
  return *std::move(result);
}

// ---- The bare ring: no death, no second sender, no message longer than the ring.

struct BareRing {
  static constexpr uint64_t kBytes = 1 << 20;
  alignas(128) std::atomic<uint64_t> tail;  // bytes sent
  alignas(128) std::atomic<uint64_t> head;  // bytes received
  alignas(128) char bytes[kBytes];
};

struct Record {
  uint64_t size;
  static uint64_t Bytes(size_t size) { return sizeof(Record) + (size + 7) / 8 * 8; }
};

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// `batch`: how many messages are made visible, and given back, at once.
void SendBare(BareRing& ring, const Load& load, size_t batch) {
  uint64_t tail = 0, head = 0;
  for (size_t i = 0; i < load.sizes.size(); ++i) {
    const std::string_view message = load.message(i);
    uint64_t need = Record::Bytes(message.size());
    const uint64_t to_end = BareRing::kBytes - tail % BareRing::kBytes;
    const bool wraps = to_end < need + sizeof(Record);
    const uint64_t next = wraps ? tail + to_end : tail;
    while (next + need - head > BareRing::kBytes) {
      ring.tail.store(tail, std::memory_order_release);
      head = ring.head.load(std::memory_order_acquire);
      if (next + need - head > BareRing::kBytes) Pause();
    }
    if (wraps) reinterpret_cast<Record*>(ring.bytes + tail % BareRing::kBytes)->size = ~uint64_t{0};
    char* const at = ring.bytes + next % BareRing::kBytes;
    reinterpret_cast<Record*>(at)->size = message.size();
    std::memcpy(at + sizeof(Record), message.data(), message.size());
    tail = next + need;
    if ((i + 1) % batch == 0) ring.tail.store(tail, std::memory_order_release);
  }
  ring.tail.store(tail, std::memory_order_release);
}

// So that no page fault is measured.
void Touch(BareRing& ring) {
  for (uint64_t at = 0; at < BareRing::kBytes; at += 4096) {
    *static_cast<volatile char*>(ring.bytes + at) = 0;
  }
}

void ReceiveBare(BareRing& ring, const Load& load, size_t batch) {
  uint64_t tail = 0, head = 0;
  std::string copy;
  for (size_t i = 0; i < load.sizes.size(); ++i) {
    while (head == tail) {
      ring.head.store(head, std::memory_order_release);
      tail = ring.tail.load(std::memory_order_acquire);
      if (head == tail) Pause();
    }
    char* at = ring.bytes + head % BareRing::kBytes;
    if (reinterpret_cast<Record*>(at)->size == ~uint64_t{0}) {
      head += BareRing::kBytes - head % BareRing::kBytes;
      at = ring.bytes;
    }
    const uint64_t size = reinterpret_cast<Record*>(at)->size;
    if (batch == 1) {
      copy.assign(at + sizeof(Record), size);
      load.Check(i, copy);
    } else {
      load.Check(i, {at + sizeof(Record), size});
    }
    head += Record::Bytes(size);
    if ((i + 1) % batch == 0) ring.head.store(head, std::memory_order_release);
  }
}

// ---- Running two processes.

using Side = std::function<void()>;

void PinTo(unsigned core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core % std::max(1l, sysconf(_SC_NPROCESSORS_ONLN)), &set);
  sched_setaffinity(0, sizeof set, &set);
}

// Seconds from when both are ready until the receiver has all.
double Run(
    const Side& send, const Side& receive, const Side& prepare = [] {}) {
  auto* ready = static_cast<std::atomic<int>*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) Die("fork failed");
  if (child == 0) {
    DieWithParent(parent);
    PinTo(1);
    prepare();
    ready->store(1);
    while (ready->load() != 2) Pause();
    send();
    _exit(0);
  }
  PinTo(0);
  prepare();
  while (ready->load() != 1) Pause();
  // Before the sender may begin: a parent that loses its core here is slow, not fast.
  const Clock::time_point begin = Clock::now();
  ready->store(2);
  receive();
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0) Die("the sender failed");
  munmap(ready, 4096);
  return seconds;
}

double RunBare(const Load& load, size_t batch) {
  auto* ring = static_cast<BareRing*>(
      mmap(nullptr, sizeof(BareRing), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const double seconds = Run([&] { SendBare(*ring, load, batch); },
                             [&] { ReceiveBare(*ring, load, batch); }, [&] { Touch(*ring); });
  munmap(ring, sizeof(BareRing));
  return seconds;
}

// ---- The socket: a length, then the bytes, as the original's test has it.

void WriteAll(int fd, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t written = write(fd, bytes, size);
    if (written <= 0) Die("write failed");
    bytes += written;
    size -= static_cast<size_t>(written);
  }
}

double RunSocket(const Load& load, size_t batch) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) Die("socketpair failed");
  const auto send = [&] {
    std::string buffer;
    for (size_t i = 0; i < load.sizes.size(); ++i) {
      const std::string_view message = load.message(i);
      buffer.push_back(static_cast<char>(message.size()));
      buffer.append(message);
      if ((i + 1) % batch != 0 && i + 1 != load.sizes.size()) continue;
      WriteAll(ends[1], buffer.data(), buffer.size());
      buffer.clear();
    }
  };
  const auto receive = [&] {
    std::vector<char> buffer(1 << 16);
    size_t begin = 0, end = 0;
    for (size_t i = 0; i < load.sizes.size();) {
      while (begin < end) {
        const size_t size = static_cast<unsigned char>(buffer[begin]);
        if (end - begin < 1 + size) break;
        load.Check(i++, {buffer.data() + begin + 1, size});
        begin += 1 + size;
      }
      if (i == load.sizes.size()) break;
      std::copy(buffer.begin() + static_cast<ptrdiff_t>(begin),
                buffer.begin() + static_cast<ptrdiff_t>(end), buffer.begin());
      end -= begin;
      begin = 0;
      const ssize_t got = read(ends[0], buffer.data() + end, buffer.size() - end);
      if (got <= 0) Die("read failed");
      end += static_cast<size_t>(got);
    }
  };
  const double seconds = Run(send, receive);
  close(ends[0]);
  close(ends[1]);
  return seconds;
}

// ---- Channels.

void SendOver(Channel& channel, const Load& load, size_t batch) {
  std::vector<std::string_view> messages;
  for (size_t i = 0; i < load.sizes.size(); ++i) {
    if (batch == 1) {
      Must(channel.Send(load.message(i), Deadline::Never()));
      continue;
    }
    messages.push_back(load.message(i));
    if (messages.size() < batch && i + 1 < load.sizes.size()) continue;
    Must(channel.SendMany(messages, Deadline::Never()));
    messages.clear();
  }
}

void ReceiveOver(Channel& channel, const Load& load, size_t batch) {
  std::string copy;
  for (size_t i = 0; i < load.sizes.size();) {
    if (batch == 1) {
      Must(channel.Receive(&copy, Deadline::Never()));
      load.Check(i++, copy);
      continue;
    }
    MessageBatch messages = Must(channel.Drain(kBatch, Deadline::Never()));
    for (const Message& message : messages) load.Check(i++, message.bytes);
    if (!channel.Acknowledge(std::move(messages)).ok()) Die("cannot acknowledge");
  }
}

double RunChannel(const ChannelDesign& design, const Load& load, size_t batch) {
  SegmentOptions options;
  options.size_bytes = kSegmentBytes;
  const std::shared_ptr<Segment> segment = Must(design.Create(options));
  std::unique_ptr<Channel> receiver = Must(design.Attach(segment, {.role = MemberRole::kReceiver}));
  return Run(
      [&] { SendOver(*Must(design.Attach(segment, {.role = MemberRole::kSender})), load, batch); },
      [&] { ReceiveOver(*receiver, load, batch); });
}

// ---- The table.

struct Subject {
  std::string name;
  std::function<double()> run;
  std::vector<double> seconds = {};
};

int Main(int argc, char** argv) {
  CLI::App app("Channels beside a bare ring and a Unix socket");
  size_t messages = 1'550'000;
  size_t rounds = 3;
  std::vector<std::string> names;
  app.add_option("--messages", messages);
  app.add_option("--rounds", rounds);
  bool no_socket = false;
  app.add_option("--channel", names);
  app.add_flag("--no-socket", no_socket);
  bool best = false;
  app.add_flag("--best", best);
  CLI11_PARSE(app, argc, argv);

  const Load load(messages);
  std::vector<Subject> subjects;
  for (const size_t batch : {size_t{1}, kBatch}) {
    const std::string suffix = batch == 1 ? "" : ", batched";
    subjects.push_back({"bare ring" + suffix, [&load, batch] { return RunBare(load, batch); }});
    if (!no_socket) {
      subjects.push_back(
          {"unix socket" + suffix, [&load, batch] { return RunSocket(load, batch); }});
    }
    for (const ChannelDesign* design : AllChannels()) {
      const std::string name(design->name());
      if (!names.empty() && std::find(names.begin(), names.end(), name) == names.end()) continue;
      subjects.push_back(
          {name + suffix, [&load, design, batch] { return RunChannel(*design, load, batch); }});
    }
  }
  for (size_t round = 0; round < rounds; ++round) {
    for (Subject& subject : subjects) subject.seconds.push_back(subject.run());
  }
  uint64_t bytes = 0;
  for (const uint32_t size : load.sizes) bytes += size;
  std::map<std::string, double> seconds;
  std::printf("%-24s %10s %10s %12s %12s\n", "", "MB/s", "M msgs/s", "of the bare", "of a socket");
  for (Subject& subject : subjects) {
    std::sort(subject.seconds.begin(), subject.seconds.end());
    const double taken = seconds[subject.name] =
        subject.seconds[best ? 0 : subject.seconds.size() / 2];
    const bool batched = subject.name.find(", batched") != std::string::npos;
    const std::string suffix = batched ? ", batched" : "";
    std::printf("%-24s %10.0f %10.2f %12.2f %12.2f\n", subject.name.c_str(),
                static_cast<double>(bytes) / taken / 1e6,
                static_cast<double>(messages) / taken / 1e6, seconds["bare ring" + suffix] / taken,
                seconds["unix socket" + suffix] / taken);
  }
  return 0;
}

}  // namespace
}  // namespace kill9

int main(int argc, char** argv) { return kill9::Main(argc, argv); }
