// Buffers that are passed on by reference, and connections, beside a Unix socket.
//
//     sizes      buffers of 64 bytes to 10 MiB: allocated, passed on, received, let go of; a word
//                of each is written and read. Beside it the same bytes through a Unix socket
//     connects   one client connects and disconnects, again and again: as one that stays attached,
//                and as one that attaches anew each time
//     many       so many clients in 20 processes; the server is killed, and started again: until
//                all are connected again
//
//     buffer_benchmark [--parts=sizes,connects] [--rounds=5] [--clients=1000] [--beside=1000]
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "apps/connections/client.h"
#include "apps/connections/server.h"
#include "stress/command/arguments/program_options.h"

namespace kill9::connections {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kSizes[] = {64, 1000, 10'000, 100'000, 1 << 20, 10 << 20};
constexpr uint64_t kBuffersAtOnce = 16;
constexpr uint64_t kMessages = 200'000;
constexpr uint64_t kSocketBytes = uint64_t{2} << 30;
constexpr int kProcesses = 20;

struct Settings {
  std::vector<std::string> parts = {"sizes", "connects", "many"};
  int rounds = 5;
  int clients = 1000;
  uint64_t connects = 20'000;
  int beside = 0;
};

template <typename T>
T Must(absl::StatusOr<T> result) {
  if (result.ok()) return *std::move(result);
  std::fprintf(stderr, "buffer_benchmark: %s\n", std::string(result.status().message()).c_str());
  std::exit(1);
}

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Of this process and of those that it has waited for: told beside the rates, since what else the
// machine does changes it less.
double CpuSeconds() {
  double sum = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    getrusage(who, &usage);
    for (const timeval& part : {usage.ru_utime, usage.ru_stime}) {
      sum += static_cast<double>(part.tv_sec) + static_cast<double>(part.tv_usec) / 1e6;
    }
  }
  return sum;
}

// Of another process that lives.
double CpuSecondsOf(pid_t pid) {
  clockid_t clock;
  timespec used{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) return 0;
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

pid_t Fork(const std::function<void()>& body) {
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid != 0) return pid;
  body();
  _exit(0);
}

double BuffersASecond(size_t bytes) {
  SegmentOptions options;
  options.size_bytes = (kBuffersAtOnce + 2) * (bytes + 4096) + (1 << 20);
  const std::shared_ptr<Segment> segment = Must(
      BufferPool::Create({.segment = options, .buffers_most = kBuffersAtOnce, .holds_most = 4}));
  const auto& design = static_cast<const ChannelDesign&>(*FindDesign("slot_ring"));
  options.size_bytes = 1 << 20;
  const std::shared_ptr<Segment> ring = Must(design.Create(options));
  const pid_t receiver = Fork([&] {
    const std::unique_ptr<BufferPool> pool = Must(BufferPool::Attach(segment));
    const std::unique_ptr<Channel> channel = Must(design.Attach(ring, {}));
    for (uint64_t i = 0; i < kMessages; ++i) {
      const ReceivedBuffer received = Must(pool->Receive(*channel, Deadline::Never()));
      uint64_t word = 0;
      std::memcpy(&word, received.buffer.bytes().data(), sizeof word);
      if (word != i || received.buffer.size() != bytes) _exit(1);
    }
  });
  const std::unique_ptr<BufferPool> pool = Must(BufferPool::Attach(segment));
  const std::unique_ptr<Channel> channel = Must(design.Attach(ring, {}));
  const Clock::time_point begin = Clock::now();
  for (uint64_t i = 0; i < kMessages; ++i) {
    Buffer buffer = Must(pool->Allocate(bytes, Deadline::Never()));
    const std::span<char> data = Must(buffer.Write(Deadline::None()));
    std::memcpy(data.data(), &i, sizeof i);
    while (absl::IsUnavailable(
        pool->Send(*channel, buffer, "", Deadline::Never()).status())) {  // it has not come yet
    }
  }
  int status = 0;
  waitpid(receiver, &status, 0);
  return status == 0 ? kMessages / SecondsSince(begin) : 0;
}

double SocketMessagesASecond(size_t bytes) {
  const uint64_t messages = std::min<uint64_t>(kMessages, kSocketBytes / bytes);
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 0;
  const pid_t receiver = Fork([&] {
    std::string data(bytes, '\0');
    for (uint64_t i = 0; i < messages; ++i) {
      for (size_t got = 0; got < bytes;) {
        const ssize_t more = read(ends[1], data.data() + got, bytes - got);
        if (more <= 0) _exit(1);
        got += static_cast<size_t>(more);
      }
    }
  });
  const std::string data(bytes, 'd');
  const Clock::time_point begin = Clock::now();
  for (uint64_t i = 0; i < messages; ++i) {
    for (size_t sent = 0; sent < bytes;) {
      const ssize_t more = write(ends[0], data.data() + sent, bytes - sent);
      if (more <= 0) return 0;
      sent += static_cast<size_t>(more);
    }
  }
  int status = 0;
  waitpid(receiver, &status, 0);
  close(ends[0]);
  close(ends[1]);
  return status == 0 ? static_cast<double>(messages) / SecondsSince(begin) : 0;
}

void Sizes(const Settings& settings) {
  std::vector<std::vector<double>> buffers(std::size(kSizes)), sockets(std::size(kSizes)),
      cpu_us(std::size(kSizes));
  std::vector<double> spreads, cpu_spreads;
  for (int round = 0; round < settings.rounds; ++round) {
    double least = 0, most = 0, least_us = 0, most_us = 0;
    for (size_t i = 0; i < std::size(kSizes); ++i) {
      const double cpu_before = CpuSeconds();
      const double rate = BuffersASecond(kSizes[i]);
      const double us = (CpuSeconds() - cpu_before) * 1e6 / kMessages;
      cpu_us[i].push_back(us);
      least_us = i == 0 ? us : std::min(least_us, us);
      most_us = std::max(most_us, us);
      buffers[i].push_back(rate);
      sockets[i].push_back(SocketMessagesASecond(kSizes[i]));
      least = i == 0 ? rate : std::min(least, rate);
      most = std::max(most, rate);
    }
    spreads.push_back(most / least);
    cpu_spreads.push_back(most_us / least_us);
  }
  std::printf("%12s %18s %18s %10s %20s\n", "bytes", "buffers a second", "socket a second", "times",
              "CPU us of a buffer");
  for (size_t i = 0; i < std::size(kSizes); ++i) {
    const double ours = Median(buffers[i]), theirs = Median(sockets[i]);
    std::printf("%12zu %18.0f %18.0f %10.2f %20.2f\n", kSizes[i], ours, theirs, ours / theirs,
                Median(cpu_us[i]));
  }
  std::printf("fastest size to slowest within a round, median: %.2f; by CPU time: %.2f\n",
              Median(spreads), Median(cpu_spreads));
}

Options OptionsFor(const char* what, int clients) {
  Options options;
  options.name = absl::StrCat("kill9_buffer_benchmark_", what, "_", getpid());
  options.clients_most = static_cast<uint32_t>(clients + 16);
  options.buffers_most = 256;
  return options;
}

pid_t StartServer(const Options& options) {
  return Fork([&] {
    absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(options);
    while (absl::IsAlreadyExists(server.status())) {
      usleep(200);  // the dead one's lock is not free yet
      server = Server::Start(options);
    }
    for (const std::unique_ptr<Server> one = Must(std::move(server));;) {
      one->Receive(Deadline::Never()).IgnoreError();
    }
  });
}

void Connects(const Settings& settings) {
  const Options options = OptionsFor("connects", 8 + settings.beside);
  const pid_t server = StartServer(options);
  const Deadline never = Deadline::Never();
  std::vector<std::unique_ptr<Client>> others;
  while (others.size() < static_cast<size_t>(settings.beside)) {
    others.push_back(Must(Client::Open(options)));
    if (!others.back()->Connect(never).ok()) return;
  }
  std::vector<double> staying, anew, staying_us, anew_us;
  const auto cpu = [server] { return CpuSeconds() + CpuSecondsOf(server); };
  for (int round = 0; round < settings.rounds; ++round) {
    std::unique_ptr<Client> client = Must(Client::Open(options));
    double cpu_before = cpu();
    Clock::time_point begin = Clock::now();
    for (uint64_t i = 0; i < settings.connects; ++i) {
      if (!client->Connect(never).ok() || !client->Disconnect().ok()) return;
    }
    staying.push_back(static_cast<double>(settings.connects) / SecondsSince(begin));
    staying_us.push_back((cpu() - cpu_before) * 1e6 / static_cast<double>(settings.connects));
    client = nullptr;
    const uint64_t fewer = settings.connects / 10;
    cpu_before = cpu();
    begin = Clock::now();
    for (uint64_t i = 0; i < fewer; ++i) {
      if (!Must(Client::Open(options))->Connect(never).ok()) return;
    }
    anew.push_back(static_cast<double>(fewer) / SecondsSince(begin));
    anew_us.push_back((cpu() - cpu_before) * 1e6 / static_cast<double>(fewer));
  }
  others.clear();
  kill(server, SIGKILL);
  waitpid(server, nullptr, 0);
  Place::Remove(options.name);
  std::printf(
      "connect and disconnect: %.0f a second attached (CPU of both sides %.1f us), %.0f a second "
      "attaching anew (CPU %.1f us)\n",
      Median(staying), Median(staying_us), Median(anew), Median(anew_us));
}

// Tells through the pipe how many of its clients are connected, each time that all are.
void BeClients(const Options& options, int count, int told) {
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < count; ++i) {
    clients.push_back(Must(Client::Open(options)));
    if (!clients.back()->Connect(Deadline::Never()).ok()) _exit(1);
  }
  for (bool all_were = false;;) {
    bool all = true;
    for (const std::unique_ptr<Client>& client : clients) {
      client->Receive(Deadline::None()).IgnoreError();
      all &= client->is_connected();
    }
    if (all && !all_were && write(told, "c", 1) != 1) _exit(1);
    if (!all && all_were && write(told, "l", 1) != 1) _exit(1);
    all_were = all;
    usleep(10'000);
  }
}

void AwaitAll(int from, char what) {
  for (int count = 0; count < kProcesses;) {
    char c = 0;
    if (read(from, &c, 1) != 1) std::exit(1);
    count += c == what ? 1 : 0;
  }
}

void Many(const Settings& settings) {
  const Options options = OptionsFor("many", settings.clients);
  pid_t server = StartServer(options);
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) return;
  std::vector<pid_t> processes;
  const Clock::time_point opening = Clock::now();
  for (int i = 0; i < kProcesses; ++i) {
    processes.push_back(
        Fork([&] { BeClients(options, settings.clients / kProcesses, pipe_ends[1]); }));
  }
  AwaitAll(pipe_ends[0], 'c');
  std::printf("%d clients attached and connected after %.2f s\n", settings.clients,
              SecondsSince(opening));
  std::vector<double> back;
  for (int round = 0; round < settings.rounds; ++round) {
    kill(server, SIGKILL);
    waitpid(server, nullptr, 0);
    AwaitAll(pipe_ends[0], 'l');
    const Clock::time_point begin = Clock::now();
    server = StartServer(options);
    AwaitAll(pipe_ends[0], 'c');
    back.push_back(SecondsSince(begin));
  }
  processes.push_back(server);
  for (const pid_t pid : processes) kill(pid, SIGKILL);
  for (const pid_t pid : processes) waitpid(pid, nullptr, 0);
  Place::Remove(options.name);
  std::printf("server killed: all %d back %.3f s after its return, median (most %.3f)\n",
              settings.clients, Median(back), *std::max_element(back.begin(), back.end()));
}

}  // namespace
}  // namespace kill9::connections

int main(int argc, char** argv) {
  kill9::connections::Settings settings;
  kill9::ProgramOptions options("buffer_benchmark", "Buffers and connections");
  options.Add("--parts", settings.parts, "what is measured")
      .SeparatedBy(',')
      .OneOf({"sizes", "connects", "many"});
  options.Add("--rounds", settings.rounds, "of each measurement").Between(1, 1000);
  options.Add("--clients", settings.clients, "of many").Between(20, 3900);
  options.Add("--connects", settings.connects, "of connects");
  options.Add("--beside", settings.beside, "of connects: clients that are connected meanwhile")
      .Between(0, 3900);
  return options.Run(argc, argv, [&] {
    const auto has = [&](const char* part) {
      return std::find(settings.parts.begin(), settings.parts.end(), part) != settings.parts.end();
    };
    if (has("sizes")) kill9::connections::Sizes(settings);
    if (has("connects")) kill9::connections::Connects(settings);
    if (has("many")) kill9::connections::Many(settings);
    return 0;
  });
}
