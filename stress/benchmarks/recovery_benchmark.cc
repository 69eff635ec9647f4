// What a death costs the survivors of the locked designs, by entries and stripes: neither should
// matter.
//
//   repair    the victim died in the middle of its longest transaction (an overwrite that splits a
//             block and merges two); timed: the next Put on that shard, undo included
//   recover   the victim died holding 8 pins and a draft; timed: Recover()
//   put       no death; the Put alone, for comparison
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "stress/benchmarks/google_benchmarks.h"
#include "variants/stores/filled_store.h"
#include "variants/stores/locked/space.h"

namespace kill9::locked {
namespace {

FilledStore Filled(int64_t entries, int64_t stripes) {
  SegmentOptions options;
  options.size_bytes = (16u << 20) + static_cast<uint64_t>(entries) * 192;
  options.stripes = static_cast<uint32_t>(stripes);
  return FilledStore(stripes == 1 ? "global_mutex" : "striped_locks", options, entries, 64);
}

void BM_Put(benchmark::State& state) {
  FilledStore filled = Filled(state.range(0), state.range(1));
  for (auto _ : state) {
    // A forked child as in BM_Repair, which does nothing: caches and TLB start alike.
    RunAndDie([] {});
    Time(state, [&] { (void)filled.store->Put(filled.keys[0], std::string(64, 'w')); });
  }
}

void BM_Repair(benchmark::State& state) {
  FilledStore filled = Filled(state.range(0), state.range(1));
  Space space(filled.segment);
  const uint32_t index = space.ShardOf(space.Hash(filled.keys[0]));
  Heap& heap = space.shard(index).heap;
  for (auto _ : state) {
    RunAndDie([&] {
      (void)filled.variant->Attach(filled.segment)->release();
      auto* session =
          new ShardGuard(space.Enter(index, space.JournalOwnerOf(1)));  // the victim's slot
      const uint64_t block = heap.Allocate(session->journal, 120);
      heap.Free(session->journal, block);
      heap.Allocate(session->journal, 300);
    });
    Time(state, [&] { (void)filled.store->Put(filled.keys[0], std::string(64, 'w')); });
    (void)filled.store->Recover();  // so that the next victim gets slot 1 as well
  }
}

void BM_Recover(benchmark::State& state) {
  FilledStore filled = Filled(state.range(0), state.range(1));
  uint64_t participants = 0;
  for (auto _ : state) {
    RunAndDie([&] {
      Store* store = filled.variant->Attach(filled.segment)->release();
      auto* pins = new std::vector<PinnedValue>;
      for (size_t i = 0; i < 8; ++i) pins->push_back(*store->Pin(filled.keys[i]));
      auto* draft = new Draft(*store->Reserve(filled.keys[9], 64));
      benchmark::DoNotOptimize(draft);
    });
    Time(state, [&] { participants += filled.store->Recover()->participants; });
  }
  if (participants != static_cast<uint64_t>(state.iterations())) {
    state.SkipWithError("not all died");
  }
}

void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"entries", "stripes"})
      ->Args({1'000, 1})
      ->Args({1'000'000, 1})
      ->Args({1'000, 16})
      ->Args({1'000'000, 16})
      ->Args({1'000'000, 256})
      ->Iterations(1'000)
      ->UseManualTime();
}

BENCHMARK(BM_Put)->Apply(Sizes);
BENCHMARK(BM_Repair)->Apply(Sizes);
BENCHMARK(BM_Recover)->Apply(Sizes);

}  // namespace
}  // namespace kill9::locked

int main(int argc, char** argv) { return kill9::RunGoogleBenchmarks(argc, argv); }
