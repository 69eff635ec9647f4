// What the heaps promise, beside malloc in one run (LD_PRELOAD another malloc to see that one):
//
//   pair     Free of a drawn block and Allocate of another, a thousand blocks live. `bytes` 0:
//            drawn sizes, 1 to 2,048. `others`: so many other processes do the same
//   share    Share with another participant, and its Free
//   full     no time: the share of the room, without headers, that blocks of one size fill
//   other    no time: after all but 2 % of small blocks were freed, the share of the free room that
//            blocks of 1,000 bytes fill
//   refused  an Allocate that is refused, by the size of the segment (KILL9_EVERY_INSTRUCTION=1: of
//            8 GiB, too)
//   hours    so many millions of random allocations and frees, at 85 % of what was live when the
//            first one was refused (64 bytes a block added, since those that large requests leave
//            are small): the share of the requests that are served, of the first tenth, of the
//            worst and of the last; the largest block that can be had in the end
#include <benchmark/benchmark.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/base/process_end/die_with_parent.h"
#include "stress/benchmarks/google_benchmarks.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

constexpr size_t kLive = 1000;

struct Subject {
  Subject(const HeapDesign& design, uint64_t size_bytes) {
    SegmentOptions options;
    options.size_bytes = size_bytes;
    options.max_participants = 16;
    segment = design.Create(options).value();
    heap = design.Attach(segment).value();
  }
  std::vector<BlockHandle> Fill(size_t bytes) const {
    std::vector<BlockHandle> blocks;
    for (;;) {
      const absl::StatusOr<BlockHandle> block = heap->Allocate(bytes, Deadline::None());
      if (!block.ok()) return blocks;
      blocks.push_back(*block);
    }
  }
  std::shared_ptr<Segment> segment;
  std::unique_ptr<Heap> heap;
};

// Drawn beforehand: neither sizes nor places are paid for.
class Draws {
 public:
  explicit Draws(int64_t bytes) {
    std::mt19937_64 random(9);
    for (size_t i = 0; i < 1 << 16; ++i) {
      sizes_.push_back(bytes != 0 ? static_cast<size_t>(bytes) : 1 + random() % 2048);
      places_.push_back(random() % kLive);
    }
  }
  size_t Size() { return sizes_[at_ & 0xffff]; }
  size_t Place() { return places_[at_++ & 0xffff]; }

 private:
  std::vector<size_t> sizes_, places_;
  size_t at_ = 0;
};

template <typename Allocate, typename Free>
void Exchange(Draws& draws, std::vector<decltype(std::declval<Allocate>()(size_t{1}))>& live,
              Allocate allocate, Free free) {
  const size_t bytes = draws.Size();
  auto& block = live[draws.Place()];
  free(block);
  block = allocate(bytes);
}

void Pair(benchmark::State& state, const HeapDesign& design) {
  const Subject subject(design, 64 << 20);
  const auto work = [&](Heap& heap, auto go_on) {
    Draws draws(state.range(0));
    std::vector<BlockHandle> live;
    const auto allocate = [&](size_t bytes) { return *heap.Allocate(bytes, Deadline::None()); };
    while (live.size() < kLive) live.push_back(allocate(draws.Size()));
    while (go_on()) {
      Exchange(draws, live, allocate, [&](BlockHandle block) { heap.Free(block).IgnoreError(); });
    }
  };
  std::vector<pid_t> others;
  for (int64_t i = 0; i < state.range(1); ++i) {
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid == 0) {
      DieWithParent(parent);
      const std::unique_ptr<Heap> own = design.Attach(subject.segment).value();
      work(*own, [] { return true; });
    }
    others.push_back(pid);
  }
  auto iteration = state.begin();
  const auto end = state.end();
  work(*subject.heap, [&] {
    const bool more = iteration != end;
    if (more) ++iteration;
    return more;
  });
  for (const pid_t pid : others) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
}

void PairOfMalloc(benchmark::State& state) {
  Draws draws(state.range(0));
  std::vector<void*> live;
  while (live.size() < kLive) live.push_back(std::malloc(draws.Size()));
  for (auto _ : state) {
    Exchange(
        draws, live, [](size_t bytes) { return std::malloc(bytes); },
        [](void* block) { std::free(block); });
  }
  for (void* block : live) std::free(block);
}

void Share(benchmark::State& state, const HeapDesign& design) {
  const Subject subject(design, 64 << 20);
  const std::unique_ptr<Heap> other = design.Attach(subject.segment).value();
  const BlockHandle block = subject.heap->Allocate(1000, Deadline::None()).value();
  for (auto _ : state) {
    subject.heap->Share(block, other->id()).IgnoreError();
    other->Free(block).IgnoreError();
  }
}

void Full(benchmark::State& state, const HeapDesign& design) {
  for (auto _ : state) {
    const Subject subject(design, 64 << 20);
    const size_t blocks = subject.Fill(static_cast<size_t>(state.range(0))).size();
    const HeapAccount account = subject.heap->Account().value();
    state.counters["filled"] = static_cast<double>(blocks) * static_cast<double>(state.range(0)) /
                               static_cast<double>(account.room_bytes - account.header_bytes);
    state.counters["headers"] =
        static_cast<double>(account.header_bytes) / static_cast<double>(account.room_bytes);
  }
}

void Other(benchmark::State& state, const HeapDesign& design) {
  for (auto _ : state) {
    const Subject subject(design, 64 << 20);
    std::mt19937_64 random(9);
    for (const BlockHandle block : subject.Fill(static_cast<size_t>(state.range(0)))) {
      if (random() % 50 != 0) subject.heap->Free(block).IgnoreError();
    }
    const uint64_t free_bytes = subject.heap->Account()->free_bytes;
    state.counters["served"] =
        static_cast<double>(subject.Fill(1000).size()) * 1000 / static_cast<double>(free_bytes);
  }
}

void Refused(benchmark::State& state, const HeapDesign& design) {
  const Subject subject(design, static_cast<uint64_t>(state.range(0)) << 20);
  // Large ones first: of a room of 8 GiB no more is touched than of one of 8 MiB.
  subject.Fill(subject.heap->max_block_bytes() / 8);
  subject.Fill(60'000);
  subject.Fill(1000);
  subject.Fill(64);
  for (auto _ : state) {
    benchmark::DoNotOptimize(subject.heap->Allocate(1000, Deadline::None()).ok());
  }
}

void Hours(benchmark::State& state, const HeapDesign& design) {
  constexpr size_t kParts = 10;
  constexpr uint64_t kOfABlock = 64;
  for (auto _ : state) {
    const Subject subject(design, 64 << 20);
    std::mt19937_64 random(9);
    // Sizes of all orders of magnitude up to 16 KiB.
    const auto draw = [&random] { return random() % (uint64_t{16} << random() % 11) + 1; };
    std::vector<BlockHandle> live;
    std::vector<uint32_t> sizes;
    uint64_t held = 0, most = UINT64_MAX;
    std::vector<double> served;
    const auto a_tenth = static_cast<uint64_t>(state.range(0)) * 1'000'000 / kParts;
    for (size_t part = 0; part < kParts; ++part) {
      uint64_t asked = 0, got = 0;
      while (asked < a_tenth) {
        if (held >= most) {
          const size_t at = random() % live.size();
          subject.heap->Free(live[at]).IgnoreError();
          held -= sizes[at] + kOfABlock;
          live[at] = live.back();
          sizes[at] = sizes.back();
          live.pop_back();
          sizes.pop_back();
          continue;
        }
        ++asked;
        const size_t bytes = draw();
        const absl::StatusOr<BlockHandle> block = subject.heap->Allocate(bytes, Deadline::None());
        if (!block.ok()) {
          if (most == UINT64_MAX) most = held / 100 * 85;
          continue;
        }
        ++got;
        held += bytes + kOfABlock;
        live.push_back(*block);
        sizes.push_back(static_cast<uint32_t>(bytes));
      }
      served.push_back(static_cast<double>(got) / static_cast<double>(asked));
    }
    state.counters["first"] = served.front();
    state.counters["worst"] = *std::min_element(served.begin(), served.end());
    state.counters["last"] = served.back();
    state.counters["largest"] = static_cast<double>(subject.heap->Look()->largest_block_bytes);
    state.counters["live"] = static_cast<double>(most);
  }
}

void Register() {
  benchmark::RegisterBenchmark("pair/malloc", PairOfMalloc)->ArgName("bytes")->Arg(64)->Arg(0);
  for (const HeapDesign* design : AllHeaps()) {
    if (design->role() != Design::Role::kDesign) continue;
    const std::string name(design->name());
    const auto add = [&](const char* what, void (*run)(benchmark::State&, const HeapDesign&)) {
      return benchmark::RegisterBenchmark(
          absl::StrCat(what, "/", name).c_str(),
          [run, design](benchmark::State& state) { run(state, *design); });
    };
    add("pair", Pair)->ArgNames({"bytes", "others"})->ArgsProduct({{64, 0}, {0, 1}});
    add("share", Share);
    auto* const full = add("full", Full)->ArgName("bytes")->Iterations(1);
    for (const int64_t bytes : {8, 16, 24, 100, 1000, 2048, 5000, 16'384, 30'000, 65'536}) {
      full->Arg(bytes);
    }
    add("other", Other)->ArgName("bytes")->Arg(64)->Arg(2048)->Iterations(1);
    auto* const refused = add("refused", Refused)->ArgName("MiB")->Arg(8)->Arg(256);
    // A segment's room is there from the beginning: this takes 8 GiB of memory.
    if (std::getenv("KILL9_EVERY_INSTRUCTION") != nullptr) refused->Arg(8192);
    add("hours", Hours)->ArgName("millions")->Arg(1)->Arg(10)->Arg(100)->Iterations(1);
  }
}

}  // namespace
}  // namespace kill9

int main(int argc, char** argv) {
  kill9::Register();
  return kill9::RunGoogleBenchmarks(argc, argv);
}
