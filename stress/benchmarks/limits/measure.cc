#include "stress/benchmarks/limits/measure.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include "harness/base/clock.h"
#include "harness/base/pin_to_core.h"
#include "harness/base/process_end/die_with_parent.h"
#include "harness/base/random.h"
#include "harness/torture/control.h"

namespace kill9::limits {
namespace {

constexpr uint64_t kPatienceNs = 10'000'000'000;
constexpr size_t kDraws = 1 << 16;
constexpr uint64_t kCostOperations = 100'000;
constexpr uint64_t kCostNs = 200'000'000;
constexpr unsigned kBatch = 32;  // operations between two looks at the stop flag
constexpr unsigned kTimedEvery = 8;

// What the workers of one measurement share.
struct Shared {
  std::atomic<unsigned> ready;
  std::atomic<bool> go;
  std::atomic<bool> stop;
  std::atomic<uint64_t> operations;
  std::atomic<uint64_t> failed;
  Latencies latencies;
};

// The keys that a worker takes in turn: drawn before the clock runs.
std::vector<uint32_t> Draw(const Load& load, const Mix& mix, unsigned worker) {
  const KeyChooser chooser(mix.distribution, load.entries);
  Random random(mix.seed, worker);
  std::vector<uint32_t> draws(kDraws);
  for (uint32_t& draw : draws) draw = static_cast<uint32_t>(chooser.Choose(random, 0));
  return draws;
}

const std::vector<std::string>& Keys(const Load& load) {
  static std::vector<std::string> keys;
  while (keys.size() < load.entries) keys.push_back(KeyOf(keys.size()));
  return keys;
}

void Work(Subject& subject, const std::vector<std::string>& keys, const Load& load, const Mix& mix,
          unsigned worker, Shared& shared) {
  PinToCore(worker);
  std::unique_ptr<Access> access = subject.Open();
  const std::vector<uint32_t> draws = Draw(load, mix, worker);
  const std::string value(load.value_bytes, static_cast<char>('a' + worker % 26));
  const Clock& clock = Clock::Checked();
  std::string out;
  Random random(mix.seed, 1000 + worker);
  size_t at = random.Below(kDraws);
  uint64_t operations = 0;
  uint64_t failed = 0;
  shared.ready.fetch_add(1);
  while (!shared.go.load()) std::this_thread::yield();
  while (!shared.stop.load(std::memory_order_relaxed)) {
    for (unsigned i = 0; i < kBatch; ++i) {
      const std::string& key = keys[draws[at++ % kDraws]];
      const bool read = random.Below(100) < mix.read_percent;
      const bool timed = i % kTimedEvery == 0;
      const uint64_t begin = timed ? clock.BeforeOperation() : 0;
      failed += (read ? access->Get(key, &out) : access->Put(key, value)) ? 0 : 1;
      if (timed) {
        const uint64_t took = clock.ToNanoseconds(clock.AfterOperation() - begin);
        (read ? shared.latencies.get : shared.latencies.put).Add(took);
      }
      ++operations;
    }
  }
  shared.failed.fetch_add(failed);
  shared.operations.fetch_add(operations);
}

// False: a worker died, or they did not get ready in time.
bool AwaitReady(const Shared& shared, unsigned workers, const std::vector<pid_t>& processes) {
  const uint64_t begin = MonotonicNs();
  while (shared.ready.load() < workers) {
    if (MonotonicNs() - begin > kPatienceNs) return false;
    for (pid_t process : processes) {
      siginfo_t info{};
      const int options = WEXITED | WNOHANG | WNOWAIT;
      if (waitid(P_PID, static_cast<id_t>(process), &info, options) == 0 && info.si_pid != 0) {
        return false;
      }
    }
    usleep(200);
  }
  return true;
}

// Waits for the workers' end; who has not ended in time is killed. False if any ended badly.
bool Reap(const std::vector<pid_t>& processes) {
  bool well = true;
  const uint64_t begin = MonotonicNs();
  for (pid_t process : processes) {
    int status = 0;
    pid_t reaped = 0;
    while ((reaped = waitpid(process, &status, WNOHANG)) == 0) {
      if (MonotonicNs() - begin > kPatienceNs) kill(process, SIGKILL);
      usleep(200);
    }
    well = well && reaped == process && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  return well;
}

}  // namespace

bool Fill(Subject& subject, const Load& load, double seconds) {
  const std::vector<std::string>& keys = Keys(load);
  std::unique_ptr<Access> access = subject.Open();
  const std::string value(load.value_bytes, 'f');
  const uint64_t end = MonotonicNs() + static_cast<uint64_t>(std::min(seconds, 1e6) * 1e9);
  for (uint64_t i = 0; i < load.entries; ++i) {
    access->Put(keys[i], value);
    if (i % 1024 == 0 && MonotonicNs() > end) return false;
  }
  return true;
}

Rate Measure(Subject& subject, const Load& load, const Mix& mix, Latencies* latencies) {
  const std::vector<std::string>& keys = Keys(load);
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  Shared& shared = *new (memory) Shared{};
  Clock::Checked();
  std::vector<pid_t> processes;
  std::vector<std::thread> threads;
  for (unsigned worker = 0; worker < mix.workers; ++worker) {
    if (subject.threads_only()) {
      threads.emplace_back([&, worker] { Work(subject, keys, load, mix, worker, shared); });
      continue;
    }
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child < 0) {
      std::perror("fork");
      std::abort();
    }
    if (child == 0) {
      DieWithParent(parent);
      Work(subject, keys, load, mix, worker, shared);
      _exit(0);
    }
    processes.push_back(child);
  }
  bool well = AwaitReady(shared, mix.workers, processes);
  const uint64_t begin = MonotonicNs();
  shared.go.store(true);
  if (well) usleep(static_cast<useconds_t>(mix.seconds * 1e6));
  shared.stop.store(true);
  const uint64_t end = MonotonicNs();
  well = Reap(processes) && well;
  for (std::thread& thread : threads) thread.join();
  const double seconds = static_cast<double>(end - begin) * 1e-9;
  Rate rate;
  const double operations = static_cast<double>(shared.operations.load());
  if (well && seconds > 0 && operations > 0) {
    rate = {operations / seconds, static_cast<double>(shared.failed.load()) / operations};
  }
  if (latencies != nullptr) {
    latencies->get.Add(shared.latencies.get);
    latencies->put.Add(shared.latencies.put);
  }
  munmap(memory, sizeof(Shared));
  return rate;
}

Costs MeasureCosts(Subject& subject, const Load& load, uint64_t seed) {
  const std::vector<std::string>& keys = Keys(load);
  std::unique_ptr<Access> access = subject.Open();
  const std::string value(load.value_bytes, 'c');
  std::string out;
  Random random(seed);
  const auto each = [&](auto operation) {
    const uint64_t begin = MonotonicNs();
    uint64_t done = 0, took = 0;
    while (done < kCostOperations && took < kCostNs) {
      for (unsigned i = 0; i < kBatch; ++i) operation(keys[random.Below(load.entries)]);
      done += kBatch;
      took = MonotonicNs() - begin;
    }
    return static_cast<double>(took) / static_cast<double>(done);
  };
  Costs costs;
  costs.get_ns = each([&](const std::string& key) { access->Get(key, &out); });
  costs.put_ns = each([&](const std::string& key) { access->Put(key, value); });
  return costs;
}

}  // namespace kill9::limits
