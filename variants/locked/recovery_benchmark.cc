// What a death costs the survivors of the locked designs, by entries and stripes: neither should
// matter.
//
//   repair    the victim died in the middle of its longest transaction (an overwrite that splits a
//             block and merges two); timed: the next Put on that shard, undo included
//   recover   the victim died holding 8 pins and a draft; timed: Recover()
//   put       no death; the Put alone, for comparison
#include <benchmark/benchmark.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "variants/locked/space.h"
#include "variants/registry.h"

namespace kill9::locked {
namespace {

std::string Key(int64_t i) {
  char text[24];
  std::snprintf(text, sizeof text, "%016lld", static_cast<long long>(i));
  return text;
}

struct Filled {
  Filled(int64_t entries, int64_t stripes)
      : variant(FindVariant(stripes == 1 ? "global_mutex" : "striped_locks")) {
    SegmentOptions options;
    options.size_bytes = (16u << 20) + static_cast<uint64_t>(entries) * 192;
    options.stripes = static_cast<uint32_t>(stripes);
    segment = *variant->Create(options);
    store = *variant->Attach(segment);
    for (int64_t i = 0; i < entries; ++i) (void)store->Put(Key(i), std::string(64, 'v'));
  }
  const Variant* variant;
  std::shared_ptr<Segment> segment;
  std::unique_ptr<Store> store;
};

void RunAndDie(absl::FunctionRef<void()> body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    raise(SIGKILL);
  }
  waitpid(child, nullptr, 0);
}

void Time(benchmark::State& state, absl::FunctionRef<void()> body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  state.SetIterationTime(
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

void BM_Put(benchmark::State& state) {
  Filled filled(state.range(0), state.range(1));
  for (auto _ : state) {
    // A forked child as in BM_Repair, which does nothing: caches and TLB start alike.
    RunAndDie([] {});
    Time(state, [&] { (void)filled.store->Put(Key(0), std::string(64, 'w')); });
  }
}

void BM_Repair(benchmark::State& state) {
  Filled filled(state.range(0), state.range(1));
  Space space(filled.segment);
  const uint32_t index = space.ShardOf(space.Hash(Key(0)));
  Heap& heap = space.shard(index).heap;
  for (auto _ : state) {
    RunAndDie([&] {
      std::unique_ptr<Store> victim = *filled.variant->Attach(filled.segment);
      auto* session = new Session(space.Enter(index, space.HandOf(1)));  // the victim's slot
      const uint64_t block = heap.Allocate(session->journal, 120);
      heap.Free(session->journal, block);
      heap.Allocate(session->journal, 300);
    });
    Time(state, [&] { (void)filled.store->Put(Key(0), std::string(64, 'w')); });
    (void)filled.store->Recover();  // so that the next victim gets slot 1 as well
  }
}

void BM_Recover(benchmark::State& state) {
  Filled filled(state.range(0), state.range(1));
  uint64_t participants = 0;
  for (auto _ : state) {
    RunAndDie([&] {
      std::unique_ptr<Store> store = *filled.variant->Attach(filled.segment);
      auto* pins = new std::vector<PinnedValue>;
      for (int i = 0; i < 8; ++i) pins->push_back(*store->Pin(Key(i)));
      auto* draft = new Draft(*store->Reserve(Key(9), 64));
      benchmark::DoNotOptimize(draft);
      raise(SIGKILL);
    });
    Time(state, [&] { participants += filled.store->Recover()->participants; });
  }
  if (participants != static_cast<uint64_t>(state.iterations()))
    state.SkipWithError("not all died");
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

BENCHMARK_MAIN();
