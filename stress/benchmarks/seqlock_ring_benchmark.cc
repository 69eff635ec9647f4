// The figures of seqlock_ring: throughput beside a bare seqlock-slot table, Samba's tdb and LMDB in
// one run; writes into a full ring beside writes into an empty one; opening a large file. Ratios
// count, not figures.
//
//     seqlock_ring_benchmark [--rounds=5] [--milliseconds=300] [--json=FILE]
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "build_commit.h"
#include "harness/base/process_end/die_with_parent.h"
#include "harness/base/statistics.h"
#include "harness/result/build_info.h"
#include "harness/result/result.h"
#include "stress/benchmarks/limits/subject.h"
#include "stress/benchmarks/write_if_named.h"
#include "stress/command/arguments/program_options.h"
#include "variants/stores/seqlock_ring/seqlock_ring.h"

namespace kill9 {
namespace {

using Clock = std::chrono::steady_clock;
using Key = std::array<uint64_t, 2>;
using Value = std::array<uint64_t, 8>;

constexpr uint64_t kKeys = 100'000;
constexpr size_t kSequence = 1 << 20;
constexpr const char* kLimit = "seqlock_slots";

Key KeyOf(uint32_t index) { return {index + 1, (index + 1) * 0x9e3779b97f4a7c15}; }
std::string_view Bytes(const Key& key) {
  return {reinterpret_cast<const char*>(key.data()), sizeof key};
}
std::string_view Bytes(const Value& value) {
  return {reinterpret_cast<const char*>(value.data()), sizeof value};
}

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "seqlock_ring_benchmark: %s\n", what.c_str());
  std::exit(2);
}

// ---- Throughput ---------------------------------------------------------------------------------

std::vector<uint32_t> Uniform() {
  std::mt19937 random(1);
  std::vector<uint32_t> sequence(kSequence);
  for (uint32_t& index : sequence) index = random() % kKeys;
  return sequence;
}

std::vector<uint32_t> Zipfian(double exponent) {
  std::vector<double> sums(kKeys);
  double sum = 0;
  for (size_t i = 0; i < kKeys; ++i)
    sums[i] = sum += std::pow(static_cast<double>(i + 1), -exponent);
  std::vector<uint32_t> names(kKeys);
  for (uint32_t i = 0; i < kKeys; ++i) names[i] = i;
  std::mt19937_64 random(2);
  std::shuffle(names.begin(), names.end(), random);
  std::uniform_real_distribution<double> uniform(0, sum);
  std::vector<uint32_t> sequence(kSequence);
  for (uint32_t& index : sequence) {
    const auto rank = std::lower_bound(sums.begin(), sums.end(), uniform(random)) - sums.begin();
    index = names[std::min<size_t>(static_cast<size_t>(rank), kKeys - 1)];
  }
  return sequence;
}

struct Gate {
  std::atomic<int> ready{0};
  std::atomic<bool> go{false};
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> operations{0};
  std::atomic<uint64_t> reads{0};
  std::atomic<uint64_t> hits{0};
  std::atomic<uint64_t> processor_ns{0};
};

uint64_t ProcessorNs() {
  struct timespec time {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

struct Outcome {
  // Of the processes' own time, times their number: what they would do on a machine of their own.
  // The ratios are of these: others' load on the machine falls out, but for the caches that they
  // empty.
  double operations_per_processor_second = 0;
  double operations_per_second = 0;
  double hit_rate = 1;
};

void Work(limits::Subject& table, Gate& gate, const std::vector<uint32_t>& sequence,
          bool with_writes, int number) {
  std::unique_ptr<limits::Access> session = table.Open();
  Value value{};
  std::string copy;
  size_t at = static_cast<size_t>(number) * 130'003 % kSequence;
  uint64_t coin = static_cast<uint64_t>(number) * 0x9e3779b97f4a7c15 + 1;
  uint64_t operations = 0, reads = 0, hits = 0;
  gate.ready.fetch_add(1, std::memory_order_release);  // pairs with the acquire of Measure
  // acquire: pairs with the release of Measure
  while (!gate.go.load(std::memory_order_acquire)) usleep(50);
  const uint64_t begin_ns = ProcessorNs();
  while (!gate.stop.load(std::memory_order_relaxed)) {
    for (int i = 0; i < 64; ++i) {
      const Key key = KeyOf(sequence[at++ % kSequence]);
      coin ^= coin << 13, coin ^= coin >> 7, coin ^= coin << 17;
      if (with_writes && (coin & 1) != 0) {
        value[0] = coin;
        if (!session->Put(Bytes(key), Bytes(value))) Die("Put fails");
      } else {
        ++reads;
        hits += session->Get(Bytes(key), &copy);
      }
    }
    operations += 64;
  }
  // relaxed: sums, read when this process has been waited for
  gate.processor_ns.fetch_add(ProcessorNs() - begin_ns, std::memory_order_relaxed);
  gate.operations.fetch_add(operations, std::memory_order_relaxed);
  gate.reads.fetch_add(reads, std::memory_order_relaxed);
  gate.hits.fetch_add(hits, std::memory_order_relaxed);
}

Outcome Measure(limits::Subject& table, const std::vector<uint32_t>& sequence, bool with_writes,
                int processes, int milliseconds) {
  void* memory =
      mmap(nullptr, sizeof(Gate), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  Gate& gate = *new (memory) Gate;
  std::vector<pid_t> children;
  const pid_t parent = getpid();
  for (int p = 0; p < processes; ++p) {
    const pid_t child = fork();
    if (child == 0) {
      DieWithParent(parent);
      Work(table, gate, sequence, with_writes, p);
      _exit(0);
    }
    children.push_back(child);
  }
  while (gate.ready.load(std::memory_order_acquire) < processes) usleep(100);
  const Clock::time_point begin = Clock::now();
  gate.go.store(true, std::memory_order_release);
  usleep(static_cast<useconds_t>(milliseconds) * 1000);
  gate.stop.store(true, std::memory_order_relaxed);
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  for (pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0) Die("a worker died");
  }
  // relaxed: all have been waited for
  const auto sum = [](const std::atomic<uint64_t>& one) {
    return static_cast<double>(one.load(std::memory_order_relaxed));
  };
  const double reads = sum(gate.reads);
  const Outcome outcome{sum(gate.operations) * 1e9 / sum(gate.processor_ns),
                        sum(gate.operations) / seconds, reads == 0 ? 1.0 : sum(gate.hits) / reads};
  munmap(memory, sizeof(Gate));
  return outcome;
}

void Throughput(Json& runs, int rounds, int milliseconds) {
  std::map<std::string, std::unique_ptr<limits::Subject>> tables;
  const limits::Load load{.entries = kKeys, .value_bytes = sizeof(Value)};
  for (const limits::SubjectKind& kind : limits::AllSubjects()) {
    if (kind.name == "seqlock_ring" || kind.name == kLimit ||
        kind.role == limits::SubjectKind::Role::kPeer) {
      if (auto subject = kind.make(load); subject != nullptr)
        tables[kind.name] = std::move(subject);
    }
  }
  for (auto& [name, table] : tables) {
    const pid_t filler =
        fork();  // what a parent has open, some libraries do not open again in a child
    if (filler == 0) {
      std::unique_ptr<limits::Access> session = table->Open();
      for (uint32_t i = 0; i < kKeys; ++i) {
        if (!session->Put(Bytes(KeyOf(i)), Bytes(Value{i}))) Die("Put fails");
      }
      session.reset();
      _exit(0);
    }
    int status = 0;
    waitpid(filler, &status, 0);
    if (status != 0) Die("a filler died");
  }
  const std::vector<std::pair<std::string, std::vector<uint32_t>>> distributions = {
      {"uniform", Uniform()}, {"zipfian_0.99", Zipfian(0.99)}};
  std::printf("%-13s %-6s %4s  %-28s %s\n", "keys", "mix", "proc", "ratio to limit (of 1.00)",
              "million operations a processor second: ring, limit, tdb, lmdb; ring's hit rate");
  for (const auto& [distribution, sequence] : distributions) {
    for (bool with_writes : {false, true}) {
      for (int processes : {1, 2, 8}) {
        std::map<std::string, std::vector<double>> rates, wall_rates;
        std::vector<double> to_limit, to_peer, hit_rates;
        for (int round = 0; round < rounds; ++round) {
          std::map<std::string, double> now;
          for (auto& [name, table] : tables) {
            const Outcome outcome = Measure(*table, sequence, with_writes, processes, milliseconds);
            now[name] = outcome.operations_per_processor_second;
            rates[name].push_back(outcome.operations_per_processor_second);
            wall_rates[name].push_back(outcome.operations_per_second);
            if (name == "seqlock_ring") hit_rates.push_back(outcome.hit_rate);
          }
          to_limit.push_back(now["seqlock_ring"] / now[kLimit]);
          to_peer.push_back(now["seqlock_ring"] / std::max(now["tdb"], now["lmdb"]));
        }
        const double million = 1e-6;
        std::printf("%-13s %-6s %4d  limit %.2f, best peer %5.2f   %.2f %.2f %.2f %.2f  %.3f\n",
                    distribution.c_str(), with_writes ? "50/50" : "100/0", processes,
                    Median(to_limit), Median(to_peer), Median(rates["seqlock_ring"]) * million,
                    Median(rates[kLimit]) * million, Median(rates["tdb"]) * million,
                    Median(rates["lmdb"]) * million, Median(hit_rates));
        std::fflush(stdout);
        Json run = {{"variant", "seqlock_ring"},
                    {"scenario", "throughput"},
                    {"keys", distribution},
                    {"reads_percent", with_writes ? 50 : 100},
                    {"processes", processes},
                    {"rounds", rounds},
                    {"ratio_to_limit", Median(to_limit)},
                    {"ratio_to_best_peer", Median(to_peer)},
                    {"hit_rate", Median(hit_rates)}};
        for (const auto& [name, values] : rates) {
          run["operations_per_processor_second"][name] = Median(values);
          run["operations_per_second"][name] = Median(wall_rates[name]);
        }
        runs.push_back(run);
      }
    }
  }
}

// ---- Full and empty -----------------------------------------------------------------------------

void FullAndEmpty(Json& runs, int rounds) {
  std::vector<double> ratios, empty_ns, full_ns;
  for (int round = 0; round < rounds; ++round) {
    SegmentOptions options;
    options.size_bytes = 64 << 20;
    options.expected_entries = kKeys;
    auto segment = SeqlockRing().Create(options);
    if (!segment.ok()) Die(segment.status().ToString());
    // The pages' first touch is the kernel's cost, not the ring's.
    if (madvise((*segment)->base(), (*segment)->size(), MADV_POPULATE_WRITE) != 0) Die("madvise");
    auto store = ring::RingStore::Attach(*segment);
    const ring::Geometry& geometry = (*store)->geometry();
    const Value value{};
    uint32_t next = 0;
    const auto lap_ns = [&] {
      const uint64_t puts = geometry.ring_units() / 2;  // a record has two units
      const uint64_t begin_ns = ProcessorNs();
      for (uint64_t i = 0; i < puts; ++i)
        (void)(*store)->Put(Bytes(KeyOf(next++ % kKeys)), Bytes(value));
      return static_cast<double>(ProcessorNs() - begin_ns) / static_cast<double>(puts);
    };
    for (uint32_t i = 0; i < kKeys; ++i)
      (void)(*store)->Put(Bytes(KeyOf(i)), Bytes(value));  // the index
    empty_ns.push_back(lap_ns());
    full_ns.push_back(lap_ns());
    ratios.push_back(full_ns.back() / empty_ns.back());
  }
  std::printf("put into an empty ring %.0f ns, into a full one %.0f ns, ratio %.2f\n",
              Median(empty_ns), Median(full_ns), Median(ratios));
  runs.push_back({{"variant", "seqlock_ring"},
                  {"scenario", "put_full_to_empty"},
                  {"rounds", rounds},
                  {"empty_ns", Median(empty_ns)},
                  {"full_ns", Median(full_ns)},
                  {"ratio_full_to_empty", Median(ratios)}});
}

// ---- A large file -------------------------------------------------------------------------------

uint64_t ResidentBytes(const Segment& segment) {
  std::FILE* maps = std::fopen("/proc/self/smaps", "r");
  char line[512];
  bool inside = false;
  uint64_t resident_kib = 0;
  while (std::fgets(line, sizeof line, maps) != nullptr) {
    unsigned long begin = 0, end = 0, kib = 0;
    if (std::sscanf(line, "%lx-%lx ", &begin, &end) == 2) {
      inside = begin == reinterpret_cast<unsigned long>(segment.base());
    } else if (inside && std::sscanf(line, "Rss: %lu kB", &kib) == 1) {
      resident_kib = kib;
    }
  }
  std::fclose(maps);
  return resident_kib << 10;
}

void LargeFile(Json& runs, int rounds) {
  SegmentOptions options;
  options.location = {
      SegmentKind::kFile,
      (std::filesystem::temp_directory_path() / absl::StrCat("kill9-large-", getpid())).string()};
  options.size_bytes = uint64_t{10} << 30;
  const Clock::time_point begin = Clock::now();
  if (auto created = SeqlockRing().Create(options); !created.ok()) {
    std::printf("no file of 10 GiB: %s\n", created.status().ToString().c_str());
    return;
  }
  const double create_ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  std::vector<double> open_ms;
  uint64_t resident_opened = 0, resident_used = 0;
  for (int round = 0; round < rounds; ++round) {
    const Clock::time_point open = Clock::now();
    auto segment = SeqlockRing().Open(options.location);
    auto store = SeqlockRing().Attach(*segment);
    open_ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - open).count());
    resident_opened = ResidentBytes(**segment);
    for (uint32_t i = 0; i < 1000; ++i) (void)(*store)->Put(Bytes(KeyOf(i)), Bytes(Value{i}));
    resident_used = ResidentBytes(**segment);
  }
  std::filesystem::remove(options.location.name);
  std::printf(
      "file of 10 GiB: create %.1f ms, open and attach %.3f ms (slowest %.3f), resident %lu KiB, "
      "after "
      "1000 puts %lu KiB\n",
      create_ms, Median(open_ms), *std::max_element(open_ms.begin(), open_ms.end()),
      resident_opened >> 10, resident_used >> 10);
  runs.push_back({{"variant", "seqlock_ring"},
                  {"scenario", "open_10_gib_file"},
                  {"rounds", rounds},
                  {"create_ms", create_ms},
                  {"open_ms", Median(open_ms)},
                  {"open_ms_max", *std::max_element(open_ms.begin(), open_ms.end())},
                  {"resident_after_open_bytes", resident_opened},
                  {"resident_after_1000_puts_bytes", resident_used}});
}

}  // namespace
}  // namespace kill9

int main(int argc, char** argv) {
  kill9::SetCommandLine(argc, argv);
  kill9::SetBuildCommit(kBuildCommit);
  std::string json;
  int rounds = 5, milliseconds = 300;
  kill9::ProgramOptions options("seqlock_ring_benchmark", "seqlock_ring beside a bare table");
  options.Add("--rounds", rounds, "of each measurement").Between(1, 1000);
  options.Add("--milliseconds", milliseconds, "of each measurement").Between(1, 1'000'000);
  options.Add("--json", json, "the result file");
  return options.Run(argc, argv, [&] {
    kill9::Json result = kill9::NewResult("benchmark", 1);
    kill9::LargeFile(result["runs"], rounds);
    kill9::FullAndEmpty(result["runs"], rounds);
    kill9::Throughput(result["runs"], rounds, milliseconds);
    return kill9::WriteIfNamed(result, json);
  });
}
