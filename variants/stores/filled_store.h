// For the designs' own benchmarks: a store that has entries, and a participant that dies.
#ifndef KILL9_VARIANTS_STORES_FILLED_STORE_H_
#define KILL9_VARIANTS_STORES_FILLED_STORE_H_

#include <benchmark/benchmark.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "variants/registry.h"

namespace kill9 {

// `entries` keys of 16 bytes, all with values of one size.
struct FilledStore {
  FilledStore(std::string_view design, const SegmentOptions& options, int64_t entries,
              size_t value_bytes)
      : variant(FindVariant(design)),
        segment(*variant->Create(options)),
        store(*variant->Attach(segment)) {
    for (int64_t i = 0; i < entries; ++i) {
      char text[24];
      std::snprintf(text, sizeof text, "%016lld", static_cast<long long>(i));
      keys.push_back(text);
      if (!store->Put(keys.back(), std::string(value_bytes, 'v')).ok()) std::abort();
    }
    for (size_t i = 0; i < keys.size(); ++i) order.push_back(i * 7919 % keys.size());
  }
  // The keys in turn, in an order in which no key's neighbour comes next.
  const std::string& Next() { return keys[order[at++ % order.size()]]; }

  const Variant* variant;
  std::shared_ptr<Segment> segment;
  std::unique_ptr<Store> store;
  std::vector<std::string> keys;
  std::vector<size_t> order;
  size_t at = 0;
};

// In a forked child, which then dies. The body leaves behind, on purpose, what the child shall
// hold.
inline void RunAndDie(absl::FunctionRef<void()> body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    raise(SIGKILL);
  }
  waitpid(child, nullptr, 0);
}

// One iteration of a benchmark with UseManualTime.
inline void Time(benchmark::State& state, absl::FunctionRef<void()> body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  state.SetIterationTime(
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

}  // namespace kill9

#endif  // KILL9_VARIANTS_STORES_FILLED_STORE_H_
