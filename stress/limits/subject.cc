#include "stress/limits/subject.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <thread>

#include "harness/random.h"
#include "harness/segment_janitor.h"
#include "variants/registry.h"

namespace kill9::limits {
namespace {

class StoreAccess final : public Access {
 public:
  explicit StoreAccess(std::unique_ptr<Store> store) : store_(std::move(store)) {}
  bool Get(std::string_view key, std::string* value) override {
    return store_->Get(key, value).ok();
  }
  bool Put(std::string_view key, std::string_view value) override {
    return store_->Put(key, value).ok();
  }

 private:
  std::unique_ptr<Store> store_;
};

class StoreSubject final : public Subject {
 public:
  StoreSubject(const Variant& variant, std::unique_ptr<SegmentJanitor> janitor,
               std::shared_ptr<Segment> segment)
      : variant_(variant), janitor_(std::move(janitor)), segment_(std::move(segment)) {}
  std::unique_ptr<Access> Open() override {
    absl::StatusOr<std::unique_ptr<Store>> store = variant_.Attach(segment_);
    if (!store.ok()) {
      std::fprintf(stderr, "%s\n", store.status().ToString().c_str());
      std::abort();
    }
    return std::make_unique<StoreAccess>(*std::move(store));
  }

 private:
  const Variant& variant_;
  std::unique_ptr<SegmentJanitor> janitor_;
  std::shared_ptr<Segment> segment_;
};

std::unique_ptr<Subject> MakeStore(const Variant& variant, const Load& load) {
  SegmentOptions options;
  std::unique_ptr<SegmentJanitor> janitor;
  if (variant.traits().needs_name) {
    static unsigned count = 0;
    options.location = {SegmentKind::kNamed, "kill9-benchmark-" + std::to_string(getpid()) + "-" +
                                                 std::to_string(count++)};
    janitor = std::make_unique<SegmentJanitor>();
    if (!janitor->Watch(options.location).ok()) return nullptr;
  }
  options.expected_entries = load.entries * 2;
  // Twice what the data needs, so that nobody is short of room.
  options.size_bytes = (16u << 20) + load.entries * (load.value_bytes + 192) * 2;
  absl::StatusOr<std::shared_ptr<Segment>> segment = variant.Create(options);
  if (!segment.ok()) {
    std::fprintf(stderr, "%s\n", segment.status().ToString().c_str());
    return nullptr;
  }
  return std::make_unique<StoreSubject>(variant, std::move(janitor), *std::move(segment));
}

// What the workers of one measurement share.
struct Shared {
  std::atomic<unsigned> ready;
  std::atomic<bool> go;
  std::atomic<bool> stop;
  std::atomic<uint64_t> operations;
};

void Pin(unsigned worker) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  const unsigned cores = static_cast<unsigned>(CPU_COUNT(&allowed));
  unsigned wanted = worker % cores;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || wanted-- != 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

void Work(Subject& subject, const std::vector<std::string>& keys, const Load& load, const Mix& mix,
          unsigned worker, Shared& shared) {
  Pin(worker);
  std::unique_ptr<Access> access = subject.Open();
  const std::string value(load.value_bytes, static_cast<char>('a' + worker % 26));
  std::string out;
  Random random(mix.seed, worker);
  uint64_t operations = 0;
  uint64_t failed = 0;
  shared.ready.fetch_add(1);
  while (!shared.go.load()) std::this_thread::yield();
  while (!shared.stop.load(std::memory_order_relaxed)) {
    for (int i = 0; i < 32; ++i) {
      const uint64_t draw = random.Next();
      const std::string& key = keys[(draw & 0xffffffff) % keys.size()];
      const bool read = (draw >> 40) % 100 < mix.read_percent;
      failed += (read ? access->Get(key, &out) : access->Put(key, value)) ? 0 : 1;
      ++operations;
    }
  }
  // A lossy design may have lost a few; anything more is not the measurement that was asked for.
  if (failed * 10 > operations) {
    std::fprintf(stderr, "%llu of %llu operations failed\n",
                 static_cast<unsigned long long>(failed),
                 static_cast<unsigned long long>(operations));
  }
  shared.operations.fetch_add(operations);
}

const std::vector<std::string>& Keys(const Load& load) {
  static std::vector<std::string> keys;
  while (keys.size() < load.entries) keys.push_back(KeyOf(keys.size()));
  keys.resize(load.entries);
  return keys;
}

}  // namespace

std::string KeyOf(uint64_t index) {
  char text[24];
  std::snprintf(text, sizeof text, "%016llu", static_cast<unsigned long long>(index));
  return text;
}

std::vector<SubjectKind> Variants() {
  using Role = SubjectKind::Role;
  std::vector<SubjectKind> kinds;
  for (const Variant* variant : AllVariants()) {
    const Role role = variant->kind() == Variant::Kind::kDesign     ? Role::kDesign
                      : variant->kind() == Variant::Kind::kBaseline ? Role::kBaseline
                                                                    : Role::kPeer;
    kinds.push_back({std::string(variant->name()), role,
                     [variant](const Load& load) { return MakeStore(*variant, load); }});
  }
  return kinds;
}

std::vector<SubjectKind> AllSubjects() {
  std::vector<SubjectKind> all = Variants();
  for (auto& part : {BareTables(), ThreadMaps()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

void Fill(Subject& subject, const Load& load) {
  std::unique_ptr<Access> access = subject.Open();
  const std::string value(load.value_bytes, 'f');
  for (const std::string& key : Keys(load)) access->Put(key, value);
}

double Measure(Subject& subject, const Load& load, const Mix& mix) {
  const std::vector<std::string>& keys = Keys(load);
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  Shared& shared = *new (memory) Shared{};
  std::vector<pid_t> processes;
  std::vector<std::thread> threads;
  for (unsigned worker = 0; worker < mix.workers; ++worker) {
    if (subject.threads_only()) {
      threads.emplace_back([&, worker] { Work(subject, keys, load, mix, worker, shared); });
      continue;
    }
    const pid_t child = fork();
    if (child < 0) {
      std::perror("fork");
      std::abort();
    }
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      Work(subject, keys, load, mix, worker, shared);
      _exit(0);
    }
    processes.push_back(child);
  }
  while (shared.ready.load() < mix.workers) usleep(1000);
  timespec start{};
  timespec end{};
  clock_gettime(CLOCK_MONOTONIC, &start);
  shared.go.store(true);
  usleep(static_cast<useconds_t>(mix.seconds * 1e6));
  shared.stop.store(true);
  clock_gettime(CLOCK_MONOTONIC, &end);
  for (pid_t process : processes) waitpid(process, nullptr, 0);
  for (std::thread& thread : threads) thread.join();
  const double seconds = static_cast<double>(end.tv_sec - start.tv_sec) +
                         static_cast<double>(end.tv_nsec - start.tv_nsec) * 1e-9;
  const double rate = static_cast<double>(shared.operations.load()) / seconds;
  munmap(memory, sizeof(Shared));
  return rate;
}

}  // namespace kill9::limits
