// What torture costs and what recovery costs, each against the least that the machine allows, in
// turn within one run:
//
//   kills     SIGKILLs a second of `steady`, audits and checks included; beside a bare loop of
//             fork, timer kill and waitpid with as many children and the same working lives
//   recovery  from SIGKILL to a holder of the store to a survivor's next completed operation;
//             beside the hand-over of a bare robust mutex (EOWNERDEAD). The victim is stopped
//             first; only if the survivor then makes no progress was it holding, and is killed.
//
// usage: torture_benchmark [--variant=global_mutex] [--rounds=3] [--json=FILE]
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_format.h"
#include "build_commit.h"
#include "harness/base/process_end/die_with_parent.h"
#include "harness/base/random.h"
#include "harness/base/signals.h"
#include "harness/base/statistics.h"
#include "harness/result/build_info.h"
#include "harness/result/result.h"
#include "harness/torture/control.h"
#include "harness/torture/kill_timer.h"
#include "harness/torture/torture.h"
#include "stress/benchmarks/write_if_named.h"
#include "stress/command/arguments/program_options.h"
#include "variants/registry.h"
#include "variants/segment/robust_mutex.h"

namespace kill9 {
namespace {

constexpr double kSecondsEach = 2;
constexpr uint32_t kChildren = 4;
constexpr int kSamples = 200;
constexpr useconds_t kSettleUs =
    300;  // a survivor that is quiet for so long waits for the stopped one

// fork, timer kill, waitpid, and nothing else.
double BareKillsPerSecond(uint32_t life_us) {
  const uint64_t begin = MonotonicNs();
  const uint64_t end = begin + static_cast<uint64_t>(kSecondsEach * 1e9);
  uint64_t kills = 0;
  uint32_t living = 0;
  const pid_t parent = getpid();
  while (MonotonicNs() < end || living > 0) {
    while (living < kChildren && MonotonicNs() < end) {
      const pid_t pid = fork();
      if (pid == 0) {
        DieWithParent(parent);
        KillTimer timer;
        if (!timer.ok()) std::abort();
        Random random(static_cast<uint64_t>(getpid()));
        timer.Set(MonotonicNs() + random.Below(uint64_t{life_us} * 2000));
        for (std::atomic<uint64_t> work = 0;;) work.fetch_add(1, std::memory_order_relaxed);
      }
      if (pid < 0) std::abort();
      ++living;
    }
    if (waitpid(-1, nullptr, 0) > 0) {
      --living;
      ++kills;
    }
  }
  return static_cast<double>(kills) * 1e9 / static_cast<double>(MonotonicNs() - begin);
}

struct Shared {
  RobustMutex mutex;
  alignas(64) std::atomic<uint64_t> completed;
  std::atomic<uint64_t> killed_at_ns;  // 0: nobody asks
  std::atomic<uint64_t> hand_over_ns;  // from then to the survivor's next completed operation
};

// A process that calls `operation` again and again; a survivor also counts, and answers the driver.
pid_t Start(Shared* shared, bool survivor, absl::FunctionRef<void()> operation) {
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid != 0) return pid;
  DieWithParent(parent);
  for (;;) {
    operation();
    if (!survivor) continue;
    shared->completed.fetch_add(1, std::memory_order_relaxed);
    if (const uint64_t killed = shared->killed_at_ns.load(std::memory_order_acquire); killed != 0) {
      shared->killed_at_ns.store(0, std::memory_order_relaxed);
      shared->hand_over_ns.store(MonotonicNs() - killed, std::memory_order_release);
    }
  }
}

// A survivor that is quiet because it was preempted is ready to run; one that waits for a mutex
// sleeps.
bool Sleeps(pid_t pid) {
  std::ifstream file(absl::StrFormat("/proc/%d/stat", pid));
  std::string line;
  std::getline(file, line);
  const size_t after_name = line.rfind(')');
  return after_name != std::string::npos && line.compare(after_name, 3, ") S") == 0;
}

// Stops the victim at a random moment. If the survivor then waits for it, kills it; returns the
// nanoseconds until the survivor's next completed operation, or 0 if the victim was not in the way
// (it goes on).
uint64_t TryHandOver(Shared* shared, pid_t survivor, pid_t victim, Random& random) {
  usleep(static_cast<useconds_t>(random.Below(300)));
  kill(victim, SIGSTOP);
  waitpid(victim, nullptr, WUNTRACED);
  usleep(200);
  const uint64_t completed = shared->completed.load(std::memory_order_relaxed);
  usleep(kSettleUs);
  if (shared->completed.load(std::memory_order_relaxed) != completed || !Sleeps(survivor)) {
    kill(victim, SIGCONT);
    return 0;
  }
  shared->hand_over_ns.store(0, std::memory_order_relaxed);
  shared->killed_at_ns.store(MonotonicNs(), std::memory_order_release);
  kill(victim, SIGKILL);
  waitpid(victim, nullptr, 0);
  uint64_t hand_over = 0;
  while ((hand_over = shared->hand_over_ns.load(std::memory_order_acquire)) == 0) usleep(10);
  return hand_over;
}

uint64_t Sample(Shared* shared, pid_t survivor, absl::FunctionRef<void()> work, Random& random) {
  const pid_t victim = Start(shared, false, work);
  uint64_t sample = 0;
  while (sample == 0) sample = TryHandOver(shared, survivor, victim, random);
  return sample;
}

void BareOperation(Shared* shared) {
  if (shared->mutex.Lock() == RobustMutex::Acquired::kOwnerDied) shared->mutex.Consistent();
  std::atomic<int> work = 0;
  while (work.fetch_add(1, std::memory_order_relaxed) < 50) {
  }
  shared->mutex.Unlock();
}

// In a process that works on the store alone; attaches at its first call.
void StoreOperation(const Variant& variant, const std::shared_ptr<Segment>& segment) {
  static std::unique_ptr<Store> store;
  static Random random(static_cast<uint64_t>(getpid()));
  static const std::string value(64, 'v');
  if (store == nullptr) {
    absl::StatusOr<std::unique_ptr<Store>> attached = variant.Attach(segment);
    if (!attached.ok()) {
      std::cerr << attached.status() << "\n";
      std::abort();
    }
    store = *std::move(attached);
  }
  const std::string key = absl::StrFormat("key-%d", random.Below(256));
  if (!store->Put(key, value).ok()) std::abort();
}

double QuantileUs(const std::vector<uint64_t>& values_ns, double share) {
  return static_cast<double>(Quantile(values_ns, share)) / 1000;
}

Json MeasureRecovery(const Variant& variant, int rounds) {
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  void* other =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED || other == MAP_FAILED) std::abort();
  Shared* bare = new (memory) Shared;
  Shared* stored = new (other) Shared;
  bare->mutex.Format();
  SegmentOptions options;
  options.size_bytes = 4u << 20;
  absl::StatusOr<std::shared_ptr<Segment>> segment = variant.Create(options);
  if (!segment.ok()) std::abort();
  const auto bare_work = [bare] { BareOperation(bare); };
  const auto store_work = [&] { StoreOperation(variant, *segment); };
  std::vector<uint64_t> bare_ns;
  std::vector<uint64_t> store_ns;
  Random random(1);
  for (int round = 0; round < rounds; ++round) {
    const pid_t bare_survivor = Start(bare, true, bare_work);
    for (int i = 0; i < kSamples; ++i)
      bare_ns.push_back(Sample(bare, bare_survivor, bare_work, random));
    kill(bare_survivor, SIGKILL);
    waitpid(bare_survivor, nullptr, 0);
    const pid_t store_survivor = Start(stored, true, store_work);
    for (int i = 0; i < kSamples; ++i)
      store_ns.push_back(Sample(stored, store_survivor, store_work, random));
    kill(store_survivor, SIGKILL);
    waitpid(store_survivor, nullptr, 0);
  }
  const double ratio = QuantileUs(store_ns, 0.5) / QuantileUs(bare_ns, 0.5);
  std::cout << absl::StrFormat(
      "recovery: bare robust mutex p50 %.1f us, p99 %.1f us; %s p50 %.1f us, p99 %.1f us; ratio of "
      "p50 %.2f "
      "(%d samples each)\n",
      QuantileUs(bare_ns, 0.5), QuantileUs(bare_ns, 0.99), std::string(variant.name()),
      QuantileUs(store_ns, 0.5), QuantileUs(store_ns, 0.99), ratio, bare_ns.size());
  return {{"variant", variant.name()},
          {"bare_us", {{"p50", QuantileUs(bare_ns, 0.5)}, {"p99", QuantileUs(bare_ns, 0.99)}}},
          {"store_us", {{"p50", QuantileUs(store_ns, 0.5)}, {"p99", QuantileUs(store_ns, 0.99)}}},
          {"ratio_p50", ratio},
          {"samples", bare_ns.size()}};
}

Json MeasureKills(const Variant& variant, int rounds) {
  const Scenario& scenario = *FindScenario("steady");
  std::vector<double> ratios;
  Json measured = Json::array();
  for (int round = 0; round < rounds; ++round) {
    TortureOptions options;
    options.seed = static_cast<uint64_t>(round) + 1;
    options.supervisor.seconds = kSecondsEach;
    options.supervisor.processes = kChildren;
    const double bare = BareKillsPerSecond(scenario.timer.life_us);
    const TortureResult result =
        RunTorture(variant, scenario, options, [](const TortureProgress&) { return true; });
    const double torture = result.run["kills_per_second"];
    const double inside = result.run["kills"]["in_operation"].get<double>() /
                          result.run["kills"]["total"].get<double>();
    ratios.push_back(torture / bare);
    std::cout << absl::StrFormat(
        "kills: bare loop %.0f/s, torture of %s %.0f/s (%s), ratio %.2f, %.0f %% in operations\n",
        bare, std::string(variant.name()), torture, std::string(VerdictName(result.verdict)),
        torture / bare, inside * 100);
    measured.push_back({{"bare_kills_per_second", bare},
                        {"torture_kills_per_second", torture},
                        {"ratio", torture / bare},
                        {"in_operation_share", inside},
                        {"verdict", VerdictName(result.verdict)}});
  }
  std::cout << absl::StrFormat("kills: median ratio %.2f\n", Median(ratios));
  return {{"variant", variant.name()}, {"rounds", measured}, {"median_ratio", Median(ratios)}};
}

}  // namespace
}  // namespace kill9

int main(int argc, char** argv) {
  kill9::ResetSignals();
  kill9::SetCommandLine(argc, argv);
  kill9::SetBuildCommit(kBuildCommit);
  std::string design = "global_mutex", json;
  int rounds = 3;
  std::vector<std::string> known;
  for (const kill9::Variant* variant : kill9::AllVariants()) known.emplace_back(variant->name());
  kill9::ProgramOptions options("torture_benchmark", "Torture beside a bare loop of kills");
  options.Add("--variant", design, "a store").OneOf(known);
  options.Add("--rounds", rounds, "of each measurement").Between(1, 1000);
  options.Add("--json", json, "the result file");
  return options.Run(argc, argv, [&] {
    const kill9::Variant* variant = kill9::FindVariant(design);
    kill9::Json result = kill9::NewResult("torture_benchmark", 1);
    kill9::Json kills = kill9::MeasureKills(*variant, rounds);
    kill9::Json recovery = nullptr;  // where a stopped process blocks nobody there is no hand-over
    if (variant->traits().blocks != kill9::Traits::Reach::kNowhere) {
      recovery = kill9::MeasureRecovery(*variant, rounds);
    }
    result["runs"].push_back({{"kills", kills}, {"recovery", recovery}});
    return kill9::WriteIfNamed(result, json);
  });
}
