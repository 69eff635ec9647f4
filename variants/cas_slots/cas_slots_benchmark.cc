// What cas_slots promises beside its throughput (that is store_benchmark's):
//
//   get, copy   Get of a value, and a bare memcpy of the same bytes from the same place of the same
//               segment: Get should cost little more
//   pin         Pin and release: should not grow with the size
//   recover     Recover() after one participant has died, by what it held and by the entries that
//               the store has: only the first should matter
#include <benchmark/benchmark.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>
#include <vector>

#include "variants/registry.h"

namespace kill9::cas_slots {
namespace {

std::string Key(int64_t i) {
  char text[24];
  std::snprintf(text, sizeof text, "%016lld", static_cast<long long>(i));
  return text;
}

struct Filled {
  Filled(int64_t entries, size_t value_bytes) {
    SegmentOptions options;
    options.expected_entries = static_cast<uint64_t>(entries);
    options.size_bytes = (16u << 20) + static_cast<uint64_t>(entries) * (value_bytes + 2304);
    segment = *variant->Create(options);
    store = *variant->Attach(segment);
    for (int64_t i = 0; i < entries; ++i) {
      keys.push_back(Key(i));
      (void)store->Put(keys.back(), std::string(value_bytes, 'v'));
    }
    // An order in which no key's neighbour comes next.
    for (size_t i = 0; i < keys.size(); ++i) order.push_back(i * 7919 % keys.size());
  }
  const std::string& Next() { return keys[order[at++ % order.size()]]; }

  const Variant* variant = FindVariant("cas_slots");
  std::shared_ptr<Segment> segment;
  std::unique_ptr<Store> store;
  std::vector<std::string> keys;
  std::vector<size_t> order;
  size_t at = 0;
};

// The table takes 16 MiB, whatever the size.
int64_t EntriesOf(int64_t value_bytes) { return (16 << 20) / value_bytes; }

void BM_Get(benchmark::State& state) {
  Filled filled(EntriesOf(state.range(0)), static_cast<size_t>(state.range(0)));
  std::string value;
  for (auto _ : state) benchmark::DoNotOptimize(filled.store->Get(filled.Next(), &value).ok());
}

void BM_Copy(benchmark::State& state) {
  Filled filled(EntriesOf(state.range(0)), static_cast<size_t>(state.range(0)));
  std::vector<const char*> values;
  for (size_t i : filled.order) {
    // Nobody writes: the bytes stay where they are when the pin is gone.
    values.push_back(filled.store->Pin(filled.keys[i])->value().data());
  }
  std::string value(static_cast<size_t>(state.range(0)), '\0');
  size_t at = 0;
  for (auto _ : state) {
    std::memcpy(value.data(), values[at++ % values.size()], value.size());
    benchmark::ClobberMemory();
  }
}

void BM_Pin(benchmark::State& state) {
  Filled filled(EntriesOf(state.range(0)), static_cast<size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(filled.store->Pin(filled.Next())->version());
}

void BM_Recover(benchmark::State& state) {
  Filled filled(state.range(0), 64);
  const size_t pins = static_cast<size_t>(state.range(1));
  uint64_t participants = 0;
  for (auto _ : state) {
    const pid_t child = fork();
    if (child == 0) {
      auto* store = (*filled.variant->Attach(filled.segment)).release();
      auto* held = new std::vector<PinnedValue>;
      for (size_t i = 0; i < pins; ++i) held->push_back(*store->Pin(filled.keys[i]));
      // Each replaced entry is one more name in the cache of what it has freed.
      for (int64_t i = 0; i < state.range(2); ++i) {
        (void)store->Put(filled.keys[static_cast<size_t>(i)], std::string(64, 'w'));
      }
      raise(SIGKILL);
    }
    waitpid(child, nullptr, 0);
    const auto start = std::chrono::steady_clock::now();
    participants += filled.store->Recover()->participants;
    state.SetIterationTime(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  if (participants != static_cast<uint64_t>(state.iterations())) {
    state.SkipWithError("not all died");
  }
}

BENCHMARK(BM_Get)->ArgName("bytes")->Arg(64)->Arg(4096)->Arg(65536);
BENCHMARK(BM_Copy)->ArgName("bytes")->Arg(64)->Arg(4096)->Arg(65536);
BENCHMARK(BM_Pin)->ArgName("bytes")->Arg(64)->Arg(4096)->Arg(65536);
BENCHMARK(BM_Recover)
    ->ArgNames({"entries", "pins", "puts"})
    ->Args({1'000, 0, 0})
    ->Args({100'000, 0, 0})
    ->Args({100'000, 8, 0})
    ->Args({100'000, 64, 0})
    ->Args({1'000, 0, 500})
    ->Args({100'000, 0, 500})
    ->Args({100'000, 64, 500})
    ->Iterations(200)
    ->UseManualTime();

}  // namespace
}  // namespace kill9::cas_slots

BENCHMARK_MAIN();
