// What recording costs: global_mutex with 64-byte values, with and without a recorder, in turns.
// Prints for each number of processes the medians over the rounds, by the wall clock and by the
// workers' processor time.
//
//     ./recorder_benchmark [--rounds=11] [--json=FILE]
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "build_commit.h"
#include "harness/base/clock.h"
#include "harness/base/statistics.h"
#include "harness/history/recorder.h"
#include "harness/result/build_info.h"
#include "harness/result/result.h"
#include "stress/benchmarks/write_if_named.h"
#include "stress/command/arguments/program_options.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

constexpr uint64_t kKeys = 10'000;
constexpr uint64_t kOperations = 200'000;  // of each process
constexpr uint32_t kProcessesMost = 4;

struct Tally {
  std::atomic<uint32_t> ready;
  std::atomic<uint32_t> go;
  double processor_seconds[kProcessesMost];
  double wall_seconds[kProcessesMost];
};

double Seconds(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// Half puts, half gets.
void Work(Store& store, Recorder* recorder, uint64_t seed) {
  std::string value(64, 'v');
  std::string found;
  for (uint64_t i = 0; i < kOperations; ++i) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    const uint64_t key = (seed >> 33) % kKeys;
    const std::string name = absl::StrCat("key-000000-", key);
    if ((seed >> 20) % 2 == 0) {
      if (recorder != nullptr) recorder->Begin(Function::kPut, key, i + 1);
      auto version = store.Put(name, value);
      if (!version.ok()) std::abort();
      if (recorder != nullptr) recorder->End(Outcome::kOk, kNothing, *version);
    } else {
      if (recorder != nullptr) recorder->Begin(Function::kGet, key);
      auto version = store.Get(name, &found);
      if (recorder != nullptr)
        recorder->End(Outcome::kOk, version.ok(), version.ok() ? *version : 0);
    }
  }
}

struct Rate {
  double wall = 0;       // operations a second, all processes
  double processor = 0;  // operations a second of the workers' processor time
};

Rate Round(const Variant& variant, uint32_t processes, bool recorded, Tally* tally) {
  SegmentOptions options;
  auto segment = variant.Create(options);
  if (!segment.ok()) std::abort();
  auto recording = Recording::Create({.slots = processes}, Clock::Checked());
  if (!recording.ok()) std::abort();
  tally->ready.store(0, std::memory_order_relaxed);  // before the fork
  tally->go.store(0, std::memory_order_relaxed);
  std::vector<pid_t> workers;
  for (uint32_t i = 0; i < processes; ++i) {
    (*recording)->Open(i, i);
    workers.push_back(fork());
    if (workers.back() != 0) continue;
    auto store = variant.Attach(*segment);
    if (!store.ok()) _exit(1);
    Recorder recorder = (*recording)->recorder(i);
    tally->ready.fetch_add(1, std::memory_order_release);  // pairs with the acquire below
    while (tally->go.load(std::memory_order_acquire) == 0) usleep(100);
    double processor = Seconds(CLOCK_PROCESS_CPUTIME_ID);
    double wall = Seconds(CLOCK_MONOTONIC);
    Work(**store, recorded ? &recorder : nullptr, i + 1);
    tally->processor_seconds[i] = Seconds(CLOCK_PROCESS_CPUTIME_ID) - processor;
    tally->wall_seconds[i] = Seconds(CLOCK_MONOTONIC) - wall;
    store->reset();
    _exit(0);
  }
  while (tally->ready.load(std::memory_order_acquire) != processes) usleep(100);
  tally->go.store(1, std::memory_order_release);  // pairs with the workers' acquire
  std::vector<Operation> batch;
  uint32_t running = processes;
  while (running != 0) {
    usleep(500);
    batch.clear();
    (*recording)->Drain(&batch);
    int status = 0;
    while (running != 0 && waitpid(-1, &status, WNOHANG) > 0) {
      if (status != 0) std::abort();
      --running;
    }
  }
  Rate rate;
  double processor = 0;
  double wall = 0;
  for (uint32_t i = 0; i < processes; ++i) {
    processor += tally->processor_seconds[i];
    wall = std::max(wall, tally->wall_seconds[i]);
  }
  rate.wall = static_cast<double>(processes * kOperations) / wall;
  rate.processor = static_cast<double>(processes * kOperations) / processor;
  return rate;
}

int Measure(int rounds, const std::string& json) {
  const Variant* variant = FindVariant("global_mutex");
  void* memory =
      mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (variant == nullptr || memory == MAP_FAILED) return 2;
  Tally* tally = new (memory) Tally{};
  Json result = NewResult("recorder_benchmark", 1);
  std::printf("clock: %s\n", Clock::Checked().description().c_str());
  for (uint32_t processes = 1; processes <= kProcessesMost; processes *= 2) {
    std::vector<double> plain, recorded, wall_ratio, processor_ratio;
    for (int round = 0; round < rounds; ++round) {
      Rate without = Round(*variant, processes, false, tally);
      Rate with = Round(*variant, processes, true, tally);
      plain.push_back(without.processor);
      recorded.push_back(with.processor);
      wall_ratio.push_back(with.wall / without.wall);
      processor_ratio.push_back(with.processor / without.processor);
    }
    std::printf(
        "%u process(es): %.2f M/s of processor time plain, %.2f recorded; recorded / plain: %.2f "
        "by "
        "processor time, %.2f by the wall clock (medians of %d rounds)\n",
        processes, Median(plain) / 1e6, Median(recorded) / 1e6, Median(processor_ratio),
        Median(wall_ratio), rounds);
    result["runs"].push_back({{"variant", "global_mutex"},
                              {"processes", processes},
                              {"plain_operations_per_processor_second", Median(plain)},
                              {"recorded_operations_per_processor_second", Median(recorded)},
                              {"recorded_to_plain_processor", Median(processor_ratio)},
                              {"recorded_to_plain_wall", Median(wall_ratio)}});
  }
  return WriteIfNamed(result, json);
}

}  // namespace
}  // namespace kill9

int main(int argc, char** argv) {
  kill9::SetCommandLine(argc, argv);
  kill9::SetBuildCommit(kBuildCommit);
  int rounds = 11;
  std::string json;
  kill9::ProgramOptions options("recorder_benchmark", "What recording a history costs");
  options.Add("--rounds", rounds, "of each measurement").Between(1, 1000);
  options.Add("--json", json, "the result file");
  return options.Run(argc, argv, [&] { return kill9::Measure(rounds, json); });
}
