// kill9-memcached beside the distribution's memcached: the same clients, in turn within each round;
// the medians of the ratios of rounds.
//
// Two ratios: of requests in the same time, and of requests for the same processor time of the
// server. On a machine that has other work, the second says more.
//
//     memcached_benchmark [--ours=build/release/kill9-memcached] [--theirs=memcached]
//                         [--workers=2] [--clients=2] [--rounds=5] [--seconds=0.5] [--only=get_100]
//                         [--kill-every-ms=0] [--bare] [--seed=1] [--json=F]
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "build_commit.h"
#include "harness/base/children_of.h"
#include "harness/base/process_end/die_with_parent.h"
#include "harness/base/statistics.h"
#include "harness/base/text/write_all.h"
#include "harness/result/build_info.h"
#include "harness/result/result.h"
#include "stress/benchmarks/write_if_named.h"
#include "stress/command/arguments/program_options.h"

namespace kill9 {
namespace {

constexpr int kKeyDigits = 10;
constexpr int kFirstPort = 22201;
constexpr std::string_view kNoOp = "mn\r\n";
constexpr std::string_view kNoOpDone = "MN\r\n";

struct Load {
  std::string name;
  size_t value_bytes = 100;
  int keys = 100000;
  int pipelined = 1;
  int keys_of_a_get = 1;
  int sets_percent = 0;
};

struct Settings {
  std::string ours = "build/release/kill9-memcached";
  std::string theirs = "memcached";
  int workers = 2;
  int clients = 2;
  int rounds = 5;
  double seconds = 0.5;
  int kill_every_ms = 0;
  bool bare = false;
  uint64_t seed = 1;  // of the first client; of the others those that follow
  std::string only;
  std::string json;
};

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "memcached_benchmark: %s\n", what.c_str());
  std::exit(2);
}

// Clock ticks that a process has used, and its children that have ended.
double TicksOf(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::string text((std::istreambuf_iterator<char>(file)), {});
  unsigned long user = 0, system = 0, ended_user = 0, ended_system = 0;
  const size_t name_end = text.rfind(')');
  if (name_end == text.npos) return 0;
  std::sscanf(text.c_str() + name_end,
              ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu", &user, &system,
              &ended_user, &ended_system);
  return static_cast<double>(user + system + ended_user + ended_system);
}

sockaddr_in LoopbackAt(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void SendWithoutDelay(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// Sends the same bytes for each batch that ends with a no-op, and looks at nothing else.
void AnswerWith(int fd, const std::string& answer) {
  SendWithoutDelay(fd);
  std::vector<char> buffer(1 << 20);
  for (size_t had = 0;;) {
    const ssize_t got = recv(fd, buffer.data() + had, buffer.size() - had, 0);
    if (got <= 0) break;
    had += static_cast<size_t>(got);
    if (!std::string_view(buffer.data(), had).ends_with(kNoOp)) continue;
    had = 0;
    if (!WriteAll(fd, answer)) break;
  }
  close(fd);
}

[[noreturn]] void ServeBare(int port, const std::string& answer) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = LoopbackAt(port);
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener, 100) != 0) {
    Die(absl::StrCat("port ", port, " is in use"));
  }
  for (;;) {
    const int fd = accept(listener, nullptr, nullptr);
    if (fd >= 0) std::thread(AnswerWith, fd, std::cref(answer)).detach();
  }
}

class Server {
 public:
  // The least that anybody does who gives this answer to each batch: a thread a client, no store.
  Server(const std::string& answer, int port) : port_(port) {
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ < 0) Die("no process can be made");
    if (pid_ == 0) {
      DieWithParent(parent);
      signal(SIGPIPE, SIG_IGN);  // a client that goes in the middle of its answer
      ServeBare(port, answer);
    }
  }
  Server(std::vector<std::string> command, int port) : port_(port) {
    std::vector<char*> argv;
    for (std::string& one : command) argv.push_back(one.data());
    argv.push_back(nullptr);
    if (posix_spawnp(&pid_, argv[0], nullptr, nullptr, argv.data(), environ) != 0) {
      Die(absl::StrCat(command[0], " cannot be started"));
    }
  }
  ~Server() {
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  int port() const { return port_; }
  pid_t pid() const { return pid_; }
  double Ticks() const {
    double ticks = TicksOf(pid_);
    for (const pid_t child : ChildrenOf(pid_)) ticks += TicksOf(child);
    return ticks;
  }

 private:
  pid_t pid_ = 0;
  int port_;
};

std::string KeyOf(uint64_t number) { return absl::StrFormat("%0*d", kKeyDigits, number); }

double MsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
      .count();
}

// To one get, if all its keys are there.
std::string AnswerTo(const Load& load) {
  const std::string value(load.value_bytes, 'v');
  std::string answer;
  for (int key = 0; key < load.keys_of_a_get; ++key) {
    absl::StrAppend(&answer, "VALUE ", KeyOf(0), " 0 ", value.size(), "\r\n", value, "\r\n");
  }
  return answer + "END\r\n";
}

// Requests of one connection, one batch after another, each with a no-op at its end, whose answer
// tells that all have come. (kill9-memcached may have forgotten a key: its store is a cache.)
class Client {
 public:
  Client(int port, const Load& load, uint64_t seed)
      : port_(port),
        load_(load),
        answer_bytes_(AnswerTo(load).size()),
        value_(load.value_bytes, 'v'),
        random_(seed) {
    Connect();
  }
  ~Client() { close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void Fill() {
    for (int from = 0; from < load_.keys; from += 100) {
      requests_.clear();
      size_t answer = 0;
      for (int i = from; i < std::min(load_.keys, from + 100); ++i) {
        AddSet(static_cast<uint64_t>(i));
        answer += 8;
      }
      if (!Exchange(answer) || missed_bytes_ > 0) Die("the server does not store");
    }
  }
  uint64_t misses() const { return misses_; }
  // From the end of its connection to the first answer by the next one.
  const std::vector<double>& waits_ms() const { return waits_ms_; }
  // Requests done: keys read or set.
  uint64_t Batch() {
    requests_.clear();
    size_t answer = 0;
    uint64_t done = 0;
    for (int i = 0; i < load_.pipelined; ++i) {
      if (static_cast<int>(random_() % 100) < load_.sets_percent) {
        AddSet(Draw());
        answer += 8;  // STORED
        ++done;
        continue;
      }
      requests_ += "get";
      for (int key = 0; key < load_.keys_of_a_get; ++key) {
        requests_ += ' ';
        requests_ += KeyOf(Draw());
      }
      requests_ += "\r\n";
      answer += answer_bytes_;
      done += static_cast<uint64_t>(load_.keys_of_a_get);
    }
    if (Exchange(answer)) {
      if (std::exchange(cut_off_, false)) waits_ms_.push_back(MsSince(cut_off_at_));
      misses_ += missed_bytes_ / (load_.value_bytes + 26);
      return done;
    }
    close(fd_);  // its worker was killed
    if (!std::exchange(cut_off_, true)) cut_off_at_ = std::chrono::steady_clock::now();
    Connect();
    return 0;
  }

 private:
  uint64_t Draw() { return random_() % static_cast<uint64_t>(load_.keys); }
  void AddSet(uint64_t key) {
    absl::StrAppend(&requests_, "set ", KeyOf(key), " 0 0 ", value_.size(), "\r\n", value_, "\r\n");
  }
  void Connect() {
    const sockaddr_in address = LoopbackAt(port_);
    for (int attempt = 0; attempt < 2000; ++attempt) {
      fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        SendWithoutDelay(fd_);
        return;
      }
      close(fd_);
      usleep(5000);
    }
    Die(absl::StrCat("nobody listens at port ", port_));
  }
  // `answer`: how long it is if all is there.
  bool Exchange(size_t answer) {
    requests_ += kNoOp;
    answer += kNoOpDone.size();
    if (send(fd_, requests_.data(), requests_.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(requests_.size())) {
      return false;
    }
    buffer_.resize(std::max(buffer_.size(), answer));
    size_t got = 0;
    while (!std::string_view(buffer_.data(), got).ends_with(kNoOpDone)) {
      const ssize_t now = recv(fd_, buffer_.data() + got, answer - got, 0);
      if (now <= 0) return false;
      got += static_cast<size_t>(now);
    }
    missed_bytes_ = answer - got;
    return true;
  }

  int port_;
  const Load& load_;
  size_t answer_bytes_;  // of a get
  std::string value_, requests_;
  std::vector<char> buffer_;
  std::mt19937_64 random_;
  int fd_ = -1;
  size_t missed_bytes_ = 0;
  uint64_t misses_ = 0;
  bool cut_off_ = false;
  std::chrono::steady_clock::time_point cut_off_at_;
  std::vector<double> waits_ms_;
};

struct Measured {
  double per_second = 0;
  double per_tick = 0;
  double ticks = 0;
  int kills = 0;
  double missed_share = 0;
  std::vector<double> waits_ms;  // of clients whose worker was killed
};

Measured Measure(const Server& server, const Load& load, const Settings& settings,
                 int kill_every_ms) {
  std::atomic<bool> goes_on{true};
  std::atomic<uint64_t> done{0}, misses{0};
  std::mutex mutex;
  std::vector<double> waits_ms;
  int kills = 0;
  std::vector<std::thread> threads;
  const double ticks = server.Ticks();
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < settings.clients; ++i) {
    threads.emplace_back([&, i] {
      Client client(server.port(), load, settings.seed + static_cast<uint64_t>(i));
      while (goes_on) done += client.Batch();
      misses += client.misses();
      const std::lock_guard lock(mutex);
      waits_ms.insert(waits_ms.end(), client.waits_ms().begin(), client.waits_ms().end());
    });
  }
  const auto seconds = [&] { return MsSince(begin) / 1000; };
  while (seconds() < settings.seconds) {
    usleep(kill_every_ms > 0 ? static_cast<unsigned>(kill_every_ms) * 1000 : 10000);
    const std::vector<pid_t> workers = ChildrenOf(server.pid());
    if (kill_every_ms <= 0 || workers.empty()) continue;
    kill(workers.front(), SIGKILL);
    ++kills;
  }
  const double used = server.Ticks() - ticks, took = seconds();
  const auto count = static_cast<double>(done.load());
  goes_on = false;
  for (std::thread& thread : threads) thread.join();
  return {count / took,
          count / std::max(used, 1.0),
          used,
          kills,
          static_cast<double>(misses.load()) / std::max(count, 1.0),
          waits_ms};
}

Json SpreadOf(const std::vector<double>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return {{"low", *low}, {"median", Median(values)}, {"high", *high}};
}

// Beside `theirs`; `run` gets the ratios. The most that any server can reach with these clients.
void MeasureBare(const Server& theirs, const Load& load, const Settings& settings, Json& run) {
  std::string answer;
  for (int i = 0; i < load.pipelined; ++i) answer += AnswerTo(load);
  answer += kNoOpDone;
  const Server bare(answer, kFirstPort + 2);
  std::vector<double> time_ratios, work_ratios;
  for (int round = 0; round < settings.rounds; ++round) {
    const Measured others = Measure(theirs, load, settings, 0);
    const Measured least = Measure(bare, load, settings, 0);
    time_ratios.push_back(least.per_second / others.per_second);
    work_ratios.push_back(least.per_tick / others.per_tick);
  }
  std::printf("%-24s %10s %10s %9.2f %14.2f\n", "  a bare server", "", "", Median(time_ratios),
              Median(work_ratios));
  std::fflush(stdout);
  run["bare_in_time"] = SpreadOf(time_ratios);
  run["bare_for_its_work"] = SpreadOf(work_ratios);
}

// Of the server's processor time, beyond what its requests take when nobody is killed.
double CostOfAKill(const Measured& calm, const Measured& killed) {
  const double requests = killed.per_tick * std::max(killed.ticks, 1.0);
  const double ticks = killed.ticks - requests / calm.per_tick;
  return ticks * 1000 / static_cast<double>(sysconf(_SC_CLK_TCK)) / std::max(killed.kills, 1);
}

std::vector<Load> Loads() {
  std::vector<Load> loads;
  for (const size_t bytes : {size_t{100}, size_t{4096}}) {
    const int keys = bytes == 100 ? 100000 : 20000;
    for (const int pipelined : {1, 16}) {
      for (const int sets : {0, 10}) {
        loads.push_back(
            {absl::StrCat(sets == 0 ? "get_" : "90_10_", bytes, pipelined == 1 ? "" : "_pipelined"),
             bytes, keys, pipelined, 1, sets});
      }
    }
    loads.push_back({absl::StrCat("multiget100_", bytes), bytes, keys, 1, 100, 0});
  }
  return loads;
}

Json Compare(const Load& load, const Settings& settings) {
  const std::string workers = absl::StrCat(settings.workers);
  const std::string port = absl::StrCat(kFirstPort), other_port = absl::StrCat(kFirstPort + 1);
  Server theirs({settings.theirs, "-p", port, "-U", "0", "-l", "127.0.0.1", "-u", "nobody", "-t",
                 workers, "-m", "512"},
                kFirstPort);
  Server ours({settings.ours, "-p", other_port, "-t", workers, "-m", "512"}, kFirstPort + 1);
  Client(theirs.port(), load, 0).Fill();
  Client(ours.port(), load, 0).Fill();
  std::vector<double> time_ratios, work_ratios, killed_ratios, kill_costs_ms, waits_ms;
  Measured last_theirs, last_ours;
  for (int round = 0; round < settings.rounds; ++round) {
    last_theirs = Measure(theirs, load, settings, 0);
    last_ours = Measure(ours, load, settings, 0);
    time_ratios.push_back(last_ours.per_second / last_theirs.per_second);
    work_ratios.push_back(last_ours.per_tick / last_theirs.per_tick);
    if (settings.kill_every_ms == 0) continue;
    const Measured killed = Measure(ours, load, settings, settings.kill_every_ms);
    killed_ratios.push_back(killed.per_second / last_ours.per_second);
    kill_costs_ms.push_back(CostOfAKill(last_ours, killed));
    waits_ms.insert(waits_ms.end(), killed.waits_ms.begin(), killed.waits_ms.end());
  }
  std::printf("%-24s %10.0f %10.0f %9.2f %14.2f %10.4f", load.name.c_str(), last_theirs.per_second,
              last_ours.per_second, Median(time_ratios), Median(work_ratios),
              100 * last_ours.missed_share);
  if (!killed_ratios.empty()) {
    std::printf(" %14.2f %11.2f %10.1f", Median(killed_ratios), Median(kill_costs_ms),
                Median(waits_ms));
  }
  std::printf("\n");
  std::fflush(stdout);
  Json run = {{"measure", "load"},
              {"load", load.name},
              {"value_bytes", load.value_bytes},
              {"rounds", settings.rounds},
              {"in_time", SpreadOf(time_ratios)},
              {"for_its_work", SpreadOf(work_ratios)},
              {"missed_share", last_ours.missed_share}};
  if (!killed_ratios.empty()) {
    run["under_kills"] = SpreadOf(killed_ratios);
    run["cpu_of_a_kill_ms"] = SpreadOf(kill_costs_ms);
    run["kill_every_ms"] = settings.kill_every_ms;
    if (!waits_ms.empty()) run["wait_ms"] = SpreadOf(waits_ms);
    run["waits"] = waits_ms.size();
  }
  if (settings.bare && load.sets_percent == 0) MeasureBare(theirs, load, settings, run);
  return run;
}

}  // namespace
}  // namespace kill9

int main(int argc, char** argv) {
  using namespace kill9;
  SetCommandLine(argc, argv);
  SetBuildCommit(kBuildCommit);
  Settings settings;
  ProgramOptions options("memcached_benchmark", "kill9-memcached beside memcached");
  options.Add("--ours", settings.ours, "the program");
  options.Add("--theirs", settings.theirs, "the program");
  options.Add("--workers", settings.workers, "of ours, and threads of theirs").Between(1, 1000);
  options.Add("--clients", settings.clients, "processes").Between(1, 1000);
  options.Add("--rounds", settings.rounds, "of each load").Between(1, 1000);
  options.Add("--seconds", settings.seconds, "of each measurement").Positive();
  options.Add("--only", settings.only, "loads whose names begin so");
  options.Add("--kill-every-ms", settings.kill_every_ms, "a worker of ours, in runs of its own");
  options.AddFlag("--bare", settings.bare, "beside what only sends as much, for loads of gets");
  options.Add("--seed", settings.seed, "of the keys that clients draw");
  options.Add("--json", settings.json, "the result file");
  return options.Run(argc, argv, [&] {
    Json result = NewResult("memcached_benchmark", settings.seed);
    std::printf("%-24s %10s %10s %9s %14s %10s%s\n", "load", "theirs/s", "ours/s", "in time",
                "for its work", "misses, %",
                settings.kill_every_ms > 0 ? "   while killed   ms a kill   wait, ms" : "");
    for (const Load& load : Loads()) {
      if (load.name.starts_with(settings.only)) result["runs"].push_back(Compare(load, settings));
    }
    return WriteIfNamed(result, settings.json);
  });
}
