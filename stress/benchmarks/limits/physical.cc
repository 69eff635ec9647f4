// The machine's own limits, each the median of some batches.
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "absl/functional/function_ref.h"
#include "harness/base/pin_to_core.h"
#include "harness/base/process_end/die_with_parent.h"
#include "harness/base/statistics.h"
#include "harness/torture/control.h"
#include "stress/benchmarks/limits/measure.h"

namespace kill9::limits {
namespace {

constexpr int kBatches = 9;

double MedianNs(uint64_t times, absl::FunctionRef<void(uint64_t)> body) {
  std::vector<double> batches;
  body(times / 10);  // warm
  for (int batch = 0; batch < kBatches; ++batch) {
    const uint64_t begin = MonotonicNs();
    body(times);
    batches.push_back(static_cast<double>(MonotonicNs() - begin) / static_cast<double>(times));
  }
  return Median(batches);
}

double CopyNs(size_t bytes) {
  std::vector<char> from(bytes, 'a');
  std::vector<char> to(bytes);
  return MedianNs((64u << 20) / (bytes + 1024), [&](uint64_t times) {
    for (uint64_t i = 0; i < times; ++i) {
      std::memcpy(to.data(), from.data(), bytes);
      asm volatile("" : : "r"(to.data()), "r"(from.data()) : "memory");
    }
  });
}

double CompareAndSwapNs() {
  std::atomic<uint64_t> word{0};
  return MedianNs(200'000, [&](uint64_t times) {
    for (uint64_t i = 0; i < times; ++i) {
      uint64_t expected = word.load(std::memory_order_relaxed);
      word.compare_exchange_strong(expected, expected + 1, std::memory_order_acq_rel,
                                   std::memory_order_acquire);
    }
  });
}

double RobustLockNs() {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_t mutex;
  pthread_mutex_init(&mutex, &attributes);
  return MedianNs(100'000, [&](uint64_t times) {
    for (uint64_t i = 0; i < times; ++i) {
      pthread_mutex_lock(&mutex);
      pthread_mutex_unlock(&mutex);
    }
  });
}

// Two processes on two cores pass a word to and fro.
double CacheLineRoundTripNs() {
  void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 0;
  auto& ball = *new (memory) std::atomic<uint64_t>(0);
  const pid_t parent = getpid();
  const pid_t other = fork();
  if (other < 0) return 0;
  if (other == 0) {
    DieWithParent(parent);
    PinToCore(1);
    // Odd: ours. Acquire and release pair with those of the other process.
    for (uint64_t turn = 1;; turn += 2) {
      while (ball.load(std::memory_order_acquire) != turn) {
      }
      ball.store(turn + 1, std::memory_order_release);
    }
  }
  cpu_set_t before;
  sched_getaffinity(0, sizeof before, &before);
  PinToCore(0);
  uint64_t turn = 0;
  const double nanoseconds = MedianNs(20'000, [&](uint64_t times) {
    for (uint64_t i = 0; i < times; ++i) {
      ball.store(++turn, std::memory_order_release);
      ++turn;
      while (ball.load(std::memory_order_acquire) != turn) {
      }
    }
  });
  sched_setaffinity(0, sizeof before, &before);
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
  munmap(memory, 4096);
  return nanoseconds;
}

}  // namespace

std::vector<Limit> PhysicalLimits() {
  return {{"copy_64", CopyNs(64)},
          {"copy_4096", CopyNs(4096)},
          {"copy_65536", CopyNs(65536)},
          {"cas_uncontended", CompareAndSwapNs()},
          {"robust_lock_unlock", RobustLockNs()},
          {"cache_line_round_trip", CacheLineRoundTripNs()}};
}

}  // namespace kill9::limits
