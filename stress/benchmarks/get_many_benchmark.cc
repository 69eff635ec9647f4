// GetMany beside a Get for each key: more entries than any cache holds, and keys in an order in
// which no key's neighbour comes next, so that each read waits for memory two or three times.
//
//   get         a Get for each key
//   get_many    GetMany of 100 keys at a time
//
// Of each design, without terms and with them. Items are keys. Take them in turn within one run:
//     get_many_benchmark --benchmark_repetitions=5 --benchmark_enable_random_interleaving=true
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "stress/benchmarks/google_benchmarks.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

constexpr size_t kKeyBytes = 16;
constexpr size_t kAtOnce = 100;
constexpr uint64_t kStride = 7919 * 104'729;  // no divisor of a number of entries

// The keys of all stores: one after another.
std::string_view KeyOf(uint64_t number) {
  static std::string texts;
  for (uint64_t next = texts.size() / kKeyBytes; next <= number; ++next) {
    char text[kKeyBytes + 1];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(next));
    texts.append(text, kKeyBytes);
  }
  return std::string_view(texts).substr(number * kKeyBytes, kKeyBytes);
}

// One at a time: several would not fit into the memory.
struct Filled {
  std::string_view design;
  uint64_t entries = 0;
  bool terms = false;
  std::unique_ptr<Store> store;
  uint64_t at = 0;

  std::string_view Next() { return KeyOf(at = (at + kStride) % entries); }
};

Filled& FilledOf(std::string_view design, uint64_t entries, bool terms) {
  static Filled filled;
  if (filled.design == design && filled.entries == entries && filled.terms == terms) return filled;
  filled.store.reset();
  KeyOf(entries - 1);
  SegmentOptions options;
  options.size_bytes = (64u << 20) + entries * 320;
  options.expected_entries = entries;
  options.keeps_terms = terms;
  const Variant* variant = FindVariant(design);
  filled = {design, entries, terms, *variant->Attach(*variant->Create(options)), 0};
  const std::string value(64, 'v');
  for (uint64_t i = 0; i < entries; ++i) {
    if (!filled.store->Put(KeyOf(i), value).ok()) std::abort();
  }
  return filled;
}

void BM_Get(benchmark::State& state, std::string_view design, bool terms) {
  Filled& filled = FilledOf(design, static_cast<uint64_t>(state.range(0)), terms);
  std::string value;
  for (auto _ : state) {
    for (size_t i = 0; i < kAtOnce; ++i) {
      benchmark::DoNotOptimize(filled.store->Get(filled.Next(), &value).ok());
    }
  }
  state.SetItemsProcessed(static_cast<int64_t>(kAtOnce * state.iterations()));
}

void BM_GetMany(benchmark::State& state, std::string_view design, bool terms) {
  Filled& filled = FilledOf(design, static_cast<uint64_t>(state.range(0)), terms);
  std::vector<std::string_view> keys(kAtOnce);
  uint64_t bytes = 0;
  for (auto _ : state) {
    for (std::string_view& key : keys) key = filled.Next();
    const absl::Status status = filled.store->GetMany(keys, [&](size_t, const EntryView* entry) {
      if (entry != nullptr) bytes += entry->value.size();
    });
    benchmark::DoNotOptimize(status.ok());
  }
  benchmark::DoNotOptimize(bytes);
  state.SetItemsProcessed(static_cast<int64_t>(kAtOnce * state.iterations()));
}

void RegisterAll() {
  for (std::string_view design : {"cas_slots", "seqlock_ring", "striped_locks"}) {
    for (const bool terms : {false, true}) {
      for (const int64_t entries : {1'000'000, 10'000'000}) {
        const std::string name = "/" + std::string(design) + (terms ? "/terms" : "/plain");
        benchmark::RegisterBenchmark(("get" + name).c_str(), BM_Get, design, terms)->Arg(entries);
        benchmark::RegisterBenchmark(("get_many" + name).c_str(), BM_GetMany, design, terms)
            ->Arg(entries);
      }
    }
  }
}

}  // namespace
}  // namespace kill9

int main(int argc, char** argv) {
  kill9::RegisterAll();
  return kill9::RunGoogleBenchmarks(argc, argv);
}
