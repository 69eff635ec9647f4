// What cas_slots promises beside its throughput (that is store_benchmark's):
//
//   get, copy   Get of a value, and a bare memcpy of the same bytes from the same place of the same
//               segment: Get should cost little more
//   pin         Pin and release: should not grow with the size
//   recover     Recover() after one participant has died, by what it held and by the entries that
//               the store has: only the first should matter
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>
#include <vector>

#include "stress/benchmarks/google_benchmarks.h"
#include "variants/stores/filled_store.h"

namespace kill9::cas_slots {
namespace {

FilledStore Filled(int64_t entries, size_t value_bytes) {
  SegmentOptions options;
  options.expected_entries = static_cast<uint64_t>(entries);
  options.size_bytes = (16u << 20) + static_cast<uint64_t>(entries) * (value_bytes + 2304);
  return FilledStore("cas_slots", options, entries, value_bytes);
}

// The table takes 16 MiB, whatever the size.
int64_t EntriesOf(int64_t value_bytes) { return (16 << 20) / value_bytes; }

void BM_Get(benchmark::State& state) {
  FilledStore filled = Filled(EntriesOf(state.range(0)), static_cast<size_t>(state.range(0)));
  std::string value;
  for (auto _ : state) benchmark::DoNotOptimize(filled.store->Get(filled.Next(), &value).ok());
}

void BM_Copy(benchmark::State& state) {
  FilledStore filled = Filled(EntriesOf(state.range(0)), static_cast<size_t>(state.range(0)));
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
  FilledStore filled = Filled(EntriesOf(state.range(0)), static_cast<size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(filled.store->Pin(filled.Next())->version());
}

void BM_Recover(benchmark::State& state) {
  FilledStore filled = Filled(state.range(0), 64);
  const size_t pins = static_cast<size_t>(state.range(1));
  uint64_t participants = 0;
  for (auto _ : state) {
    RunAndDie([&] {
      Store* store = filled.variant->Attach(filled.segment)->release();
      auto* held = new std::vector<PinnedValue>;
      for (size_t i = 0; i < pins; ++i) held->push_back(*store->Pin(filled.keys[i]));
      // Each replaced entry is one more name in the cache of what it has freed.
      for (int64_t i = 0; i < state.range(2); ++i) {
        (void)store->Put(filled.keys[static_cast<size_t>(i)], std::string(64, 'w'));
      }
    });
    Time(state, [&] { participants += filled.store->Recover()->participants; });
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

int main(int argc, char** argv) { return kill9::RunGoogleBenchmarks(argc, argv); }
