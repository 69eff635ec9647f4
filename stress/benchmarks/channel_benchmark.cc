// Channels beside sockets: one process sends, another receives.
//
//   stream    1.55 million messages of 1 to 155 bytes (121 MB): the classic test of a vector in
//   shared
//             memory against a Unix socket. `batch`: how many a call sends, and a call takes
//   echo      a message of 64 bytes to the other process and back; sleeping between
//   large     messages of 64 KiB, filled in place and read in place
//
// A round is one run of the whole; ratios are to be taken between rounds of one run of this
// program.
#include <benchmark/benchmark.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "harness/base/pin_to_core.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

constexpr uint64_t kMessages = 1'550'000;
constexpr uint32_t kLargestBytes = 155;
constexpr uint64_t kEchoes = 20'000;
constexpr uint64_t kLargeMessages = 20'000;

uint32_t SizeOf(uint64_t number) {
  return 1 + static_cast<uint32_t>(number * 0x9e3779b97f4a7c15u >> 32) % kLargestBytes;
}
const char* Bytes() {
  static const std::string bytes(64 << 10, 'm');
  return bytes.data();
}

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "channel_benchmark: %s\n", what);
  std::abort();
}
template <typename T>
T Must(absl::StatusOr<T> result) {
  if (!result.ok()) Die(std::string(result.status().message()).c_str());
  return *std::move(result);
}
void Must(const absl::Status& status) {
  if (!status.ok()) Die(std::string(status.message()).c_str());
}

// Runs one half in a child, the other here, on two cores; the seconds until both are done.
double RunBoth(absl::FunctionRef<void()> child, absl::FunctionRef<void()> parent) {
  int ready[2];
  if (pipe(ready) != 0) Die("no pipe");
  const pid_t pid = fork();
  if (pid < 0) Die("cannot fork");
  if (pid == 0) {
    PinToCore(1);
    char go = 0;
    if (read(ready[0], &go, 1) != 1) _exit(1);
    child();
    _exit(0);
  }
  PinToCore(0);
  const auto begin = std::chrono::steady_clock::now();
  if (write(ready[1], "g", 1) != 1) Die("no pipe");
  parent();
  int status = 0;
  waitpid(pid, &status, 0);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  close(ready[0]);
  close(ready[1]);
  if (status != 0) Die("the other half failed");
  return took.count();
}

void Report(benchmark::State& state, uint64_t messages, uint64_t bytes) {
  state.SetItemsProcessed(static_cast<int64_t>(messages) * state.iterations());
  state.SetBytesProcessed(static_cast<int64_t>(bytes) * state.iterations());
}
uint64_t StreamBytes() {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < kMessages; ++i) sum += SizeOf(i);
  return sum;
}

std::shared_ptr<Segment> NewSegment(const ChannelDesign& design) {
  SegmentOptions options;
  options.size_bytes = 64 << 20;
  return Must(design.Create(options));
}

void StreamOut(Channel& channel, size_t batch) {
  std::vector<std::string_view> messages;
  for (uint64_t i = 0; i < kMessages;) {
    if (batch == 1) {
      Must(channel.Send({Bytes(), SizeOf(i)}, Deadline::Never()));
      ++i;
      continue;
    }
    messages.clear();
    for (; messages.size() < batch && i < kMessages; ++i) messages.push_back({Bytes(), SizeOf(i)});
    Must(channel.SendMany(messages, Deadline::Never()));
  }
}

void StreamIn(Channel& channel, size_t batch) {
  std::string message;
  uint64_t bytes = 0;
  for (uint64_t i = 0; i < kMessages;) {
    if (batch == 1) {
      Must(channel.Receive(&message, Deadline::Never()));
      bytes += message.size();
      ++i;
      continue;
    }
    MessageBatch taken = Must(channel.Drain(Channel::kAll, Deadline::Never()));
    for (const Message& one : taken) bytes += one.bytes.size();
    i += taken.size();
    Must(channel.Acknowledge(std::move(taken)));
  }
  if (bytes != StreamBytes()) Die("bytes are missing");
}

void BM_ChannelStream(benchmark::State& state, const ChannelDesign* design) {
  const size_t batch = static_cast<size_t>(state.range(0));
  for (auto _ : state) {
    const std::shared_ptr<Segment> segment = NewSegment(*design);
    const auto receiver = Must(design->Attach(segment, {.role = MemberRole::kReceiver}));
    state.SetIterationTime(RunBoth(
        [&] { StreamOut(*Must(design->Attach(segment, {.role = MemberRole::kSender})), batch); },
        [&] { StreamIn(*receiver, batch); }));
  }
  Report(state, kMessages, StreamBytes());
}

void WriteAll(int fd, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t written = write(fd, bytes, size);
    if (written <= 0) Die("cannot write");
    bytes += written;
    size -= static_cast<size_t>(written);
  }
}

// Each message with its size before it, as the test writes it to a stream.
void SocketOut(int fd, size_t batch) {
  std::string out;
  for (uint64_t i = 0; i < kMessages;) {
    out.clear();
    for (size_t n = 0; n < batch && i < kMessages; ++n, ++i) {
      const uint32_t size = SizeOf(i);
      out.append(reinterpret_cast<const char*>(&size), sizeof size);
      out.append(Bytes(), size);
    }
    WriteAll(fd, out.data(), out.size());
  }
}

void SocketIn(int fd) {
  std::vector<char> buffer(256 << 10);
  size_t have = 0;
  uint64_t messages = 0;
  uint64_t bytes = 0;
  while (messages < kMessages) {
    const ssize_t got = read(fd, buffer.data() + have, buffer.size() - have);
    if (got <= 0) Die("cannot read");
    have += static_cast<size_t>(got);
    size_t at = 0;
    for (;;) {
      uint32_t size = 0;
      if (have - at < sizeof size) break;
      std::memcpy(&size, buffer.data() + at, sizeof size);
      if (have - at < sizeof size + size) break;
      at += sizeof size + size;
      bytes += size;
      ++messages;
    }
    std::memmove(buffer.data(), buffer.data() + at, have - at);
    have -= at;
  }
  if (bytes != StreamBytes()) Die("bytes are missing");
}

void BM_SocketStream(benchmark::State& state) {
  for (auto _ : state) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) Die("no sockets");
    state.SetIterationTime(RunBoth([&] { SocketOut(ends[1], static_cast<size_t>(state.range(0))); },
                                   [&] { SocketIn(ends[0]); }));
    close(ends[0]);
    close(ends[1]);
  }
  Report(state, kMessages, StreamBytes());
}

void BM_ChannelEcho(benchmark::State& state, const ChannelDesign* design) {
  for (auto _ : state) {
    const std::shared_ptr<Segment> there = NewSegment(*design), back = NewSegment(*design);
    state.SetIterationTime(RunBoth(
        [&] {
          const auto in = Must(design->Attach(there, {.role = MemberRole::kReceiver}));
          const auto out = Must(design->Attach(back, {.role = MemberRole::kSender}));
          std::string message;
          for (uint64_t i = 0; i < kEchoes; ++i) {
            Must(in->Receive(&message, Deadline::Never()));
            Must(out->Send(message, Deadline::Never()));
          }
        },
        [&] {
          const auto out = Must(design->Attach(there, {.role = MemberRole::kSender}));
          const auto in = Must(design->Attach(back, {.role = MemberRole::kReceiver}));
          std::string message;
          for (uint64_t i = 0; i < kEchoes; ++i) {
            Must(out->Send({Bytes(), 64}, Deadline::Never()));
            Must(in->Receive(&message, Deadline::Never()));
          }
        }));
  }
  Report(state, kEchoes, kEchoes * 64);
}

void BM_SocketEcho(benchmark::State& state) {
  for (auto _ : state) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) Die("no sockets");
    const auto exchange = [](int fd, bool first) {
      char bytes[64] = {};
      for (uint64_t i = 0; i < kEchoes; ++i) {
        if (first) WriteAll(fd, bytes, sizeof bytes);
        if (read(fd, bytes, sizeof bytes) != sizeof bytes) Die("cannot read");
        if (!first) WriteAll(fd, bytes, sizeof bytes);
      }
    };
    state.SetIterationTime(
        RunBoth([&] { exchange(ends[1], false); }, [&] { exchange(ends[0], true); }));
    close(ends[0]);
    close(ends[1]);
  }
  Report(state, kEchoes, kEchoes * 64);
}

void BM_ChannelLarge(benchmark::State& state, const ChannelDesign* design) {
  const size_t size = static_cast<size_t>(state.range(0));
  for (auto _ : state) {
    const std::shared_ptr<Segment> segment = NewSegment(*design);
    const auto receiver = Must(design->Attach(segment, {.role = MemberRole::kReceiver}));
    state.SetIterationTime(RunBoth(
        [&] {
          const auto sender = Must(design->Attach(segment, {.role = MemberRole::kSender}));
          for (uint64_t i = 0; i < kLargeMessages; ++i) {
            MessageDraft draft = Must(sender->Reserve(size, Deadline::Never()));
            draft.bytes()[0] = 'x';
            Must(sender->Commit(std::move(draft)));
          }
        },
        [&] {
          for (uint64_t i = 0; i < kLargeMessages; ++i) {
            TakenMessage taken = Must(receiver->Take(Deadline::Never()));
            benchmark::DoNotOptimize(taken.bytes()[0]);
            Must(receiver->Acknowledge(std::move(taken)));
          }
        }));
  }
  Report(state, kLargeMessages, kLargeMessages * size);
}

void Register() {
  const auto once = [](benchmark::internal::Benchmark* one) {
    return one->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);
  };
  once(benchmark::RegisterBenchmark("stream/unix_socket", BM_SocketStream))
      ->ArgName("batch")
      ->Arg(1)
      ->Arg(64);
  once(benchmark::RegisterBenchmark("echo/unix_socket", BM_SocketEcho));
  for (const ChannelDesign* design : AllChannels()) {
    const std::string name(design->name());
    once(benchmark::RegisterBenchmark(("stream/" + name).c_str(), BM_ChannelStream, design))
        ->ArgName("batch")
        ->Arg(1)
        ->Arg(64);
    once(benchmark::RegisterBenchmark(("echo/" + name).c_str(), BM_ChannelEcho, design));
    if (design->traits().has_draft && design->traits().has_take) {
      once(benchmark::RegisterBenchmark(("large/" + name).c_str(), BM_ChannelLarge, design))
          ->ArgName("bytes")
          ->Arg(4 << 10)
          ->Arg(64 << 10)
          ->Arg(256 << 10);
    }
  }
}

}  // namespace
}  // namespace kill9

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  kill9::Register();
  benchmark::RunSpecifiedBenchmarks();
}
