// The tsan tier: the workers as threads of one process over one mapping, each a participant of its
// own, for every variant and all operations. Built with ThreadSanitizer (./dev tsan) it finds
// missing orderings that x86 hides from every other tier; built without, it still checks what the
// threads see.
//
// Values validate themselves: key, writer, sequence, and bytes that follow from them to the last
// one.
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>

#include <algorithm>
#include <array>
#include <thread>

#include "property/conformance/conformance.h"
#include "variants/segment/thread_sanitizer.h"

extern char** environ;

namespace kill9 {
namespace {

constexpr uint32_t kThreads = 4;
constexpr uint32_t kThreadKeys = 6;  // few: the threads meet

// Steps of each thread: KILL9_STEPS, or what takes a second or so.
uint64_t Steps() {
  const char* text = std::getenv("KILL9_STEPS");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 2500;
}

std::string KeyName(uint32_t key) { return absl::StrCat("key-", key); }

std::string ValueBy(uint32_t key, uint32_t writer, uint64_t sequence) {
  static constexpr std::array<size_t, 6> kSizes = {0, 28, 100, 1000, 5000, 20'000};
  return ValueOf(key, MakeValueId(writer, static_cast<uint32_t>(sequence)),
                 kSizes[(sequence * 5 + writer) % kSizes.size()]);
}

// Whether `value` is one that some thread has put under `key`, to the last byte.
bool Valid(uint32_t key, std::string_view value) {
  const ValueId id = CheckValue(key, value).id;
  return ProcessOf(id) < kThreads && value == ValueBy(key, ProcessOf(id), SequenceOf(id));
}

class Threads : public Conformance {
 protected:
  // What one thread does and sees. gtest's assertions are left to the main thread.
  class Worker {
   public:
    Worker(const Variant& variant, std::shared_ptr<Segment> segment, uint32_t id)
        : variant_(variant),
          segment_(std::move(segment)),
          id_(id),
          random_(TestSeed() * 100 + id) {}

    void Run(uint64_t steps) {
      Attach();
      for (uint64_t step = 0; step < steps && failure_.empty(); ++step) Step(step);
      pins_.clear();
      store_.reset();
    }
    const std::string& failure() const { return failure_; }
    uint64_t increments() const { return increments_; }
    uint64_t refusals() const { return refusals_; }

   private:
    struct Held {
      uint32_t key;
      PinnedValue pin;
      std::string value;
    };

    void Fail(std::string what) {
      if (failure_.empty()) failure_ = absl::StrCat("thread ", id_, ": ", what);
    }
    void Attach() {
      absl::StatusOr<std::unique_ptr<Store>> store = variant_.Attach(segment_);
      if (!store.ok()) return Fail(store.status().ToString());
      store_ = *std::move(store);
    }
    // A key's versions never go back for whoever watches it.
    void Saw(uint32_t key, Version version) {
      if (version < last_[key]) {
        Fail(absl::StrCat("key ", key, " went from version ", last_[key], " back to ", version));
      }
      last_[key] = version;
    }
    void Accept(const absl::Status& status) {
      refusals_ += absl::IsResourceExhausted(status) ? 1 : 0;
      if (!status.ok() && !absl::IsNotFound(status) && !absl::IsResourceExhausted(status)) {
        Fail(status.ToString());
      }
    }

    void Step(uint64_t step) {
      const uint32_t key = static_cast<uint32_t>(random_() % kThreadKeys);
      const std::string name = KeyName(key);
      switch (random_() % 16) {
        case 0:
        case 1:
        case 2:
        case 3: {
          absl::StatusOr<Version> version = store_->Put(name, ValueBy(key, id_, step));
          Accept(version.status());
          if (version.ok()) Saw(key, *version);
          return;
        }
        case 4:
        case 5:
        case 6:
          return Get(key, name);
        case 7:
          return Accept(store_->Erase(name).status());
        case 8:
          return CompareAndSwap(key, name, step);
        case 9:
          return Increment();
        case 10:
          return Pin(key, name);
        case 11:
          return CheckPins();
        case 12:
          return DraftValue(key, name, step);
        case 13:
          if (random_() % 8 == 0) Visit();
          return;
        case 14:
          if (random_() % 8 == 0) Accept(store_->Recover().status());
          return;
        default:
          if (random_() % 16 != 0) return;
          pins_.clear();
          store_.reset();
          Attach();
      }
    }
    void Get(uint32_t key, const std::string& name) {
      absl::StatusOr<Version> version = store_->Get(name, &buffer_);
      Accept(version.status());
      if (!version.ok()) return;
      if (!Valid(key, buffer_)) Fail(absl::StrCat("torn or foreign value under key ", key));
      Saw(key, *version);
    }
    void CompareAndSwap(uint32_t key, const std::string& name, uint64_t step) {
      if (!variant_.traits().has_compare_and_swap) return;
      absl::StatusOr<CasResult> result =
          store_->CompareAndSwap(name, last_[key], ValueBy(key, id_, step));
      Accept(result.status());
      if (result.ok() && result->version != kAbsent) Saw(key, result->version);
    }
    // A counter that only succeeds by compare-and-swap: no update may be lost.
    void Increment() {
      if (!variant_.traits().has_compare_and_swap || !variant_.traits().lossless) return;
      for (int tries = 0; tries < 1000; ++tries) {
        absl::StatusOr<Version> version = store_->Get("counter", &buffer_);
        Accept(version.status());
        const uint64_t count = version.ok() ? std::strtoull(buffer_.c_str(), nullptr, 10) : 0;
        absl::StatusOr<CasResult> result = store_->CompareAndSwap(
            "counter", version.ok() ? *version : kAbsent, absl::StrCat(count + 1));
        Accept(result.status());
        if (!result.ok()) return;
        if (!result->swapped) continue;
        ++increments_;
        return;
      }
    }
    void Pin(uint32_t key, const std::string& name) {
      if (!variant_.traits().has_pin) return;
      if (pins_.size() > 4) pins_.erase(pins_.begin());
      absl::StatusOr<PinnedValue> pin = store_->Pin(name);
      Accept(pin.status());
      if (!pin.ok()) return;
      if (!Valid(key, pin->value())) Fail(absl::StrCat("torn or foreign pin of key ", key));
      Saw(key, pin->version());
      std::string value(pin->value());
      pins_.push_back({key, *std::move(pin), std::move(value)});
    }
    void CheckPins() {
      for (const Held& held : pins_) {
        if (held.pin.value() != held.value) Fail("a pinned value has changed");
      }
      if (!pins_.empty()) pins_.pop_back();
    }
    void DraftValue(uint32_t key, const std::string& name, uint64_t step) {
      if (!variant_.traits().has_draft) return;
      const std::string value = ValueBy(key, id_, step);
      absl::StatusOr<Draft> draft = store_->Reserve(name, value.size());
      Accept(draft.status());
      if (!draft.ok() || random_() % 4 == 0) return;  // dropped
      value.copy(draft->bytes().data(), value.size());
      absl::StatusOr<Version> version = store_->Commit(*std::move(draft));
      Accept(version.status());
      if (version.ok()) Saw(key, *version);
    }
    void Visit() {
      std::set<std::string> seen;
      Accept(store_->ForEach([&](const EntryView& entry) {
        if (!seen.emplace(entry.key).second) Fail("a key was visited twice");
        for (uint32_t key = 0; key < kThreadKeys; ++key) {
          if (entry.key == KeyName(key) && !Valid(key, entry.value)) {
            Fail(absl::StrCat("torn or foreign value visited under key ", key));
          }
        }
        return true;
      }));
    }

    const Variant& variant_;
    std::shared_ptr<Segment> segment_;
    uint32_t id_;
    std::mt19937_64 random_;
    std::unique_ptr<Store> store_;
    std::string buffer_;
    std::array<Version, kThreadKeys> last_{};
    std::vector<Held> pins_;
    uint64_t increments_ = 0;
    uint64_t refusals_ = 0;
    std::string failure_;
  };

  // How often an operation found no room.
  uint64_t RunWorkers(uint64_t steps) {
    std::vector<std::unique_ptr<Worker>> workers;
    for (uint32_t id = 0; id < kThreads; ++id) {
      workers.push_back(std::make_unique<Worker>(variant(), segment_, id));
    }
    std::vector<std::thread> threads;
    for (auto& worker : workers) {
      threads.emplace_back([&worker, steps] { worker->Run(steps); });
    }
    for (std::thread& thread : threads) thread.join();
    uint64_t increments = 0;
    uint64_t refusals = 0;
    for (auto& worker : workers) {
      EXPECT_EQ(worker->failure(), "");
      increments += worker->increments();
      refusals += worker->refusals();
    }
    if (lossless() && traits().has_compare_and_swap) {
      std::string count = "0";
      store_->Get("counter", &count).status().IgnoreError();
      EXPECT_EQ(count, absl::StrCat(increments)) << "an update was lost";
      EXPECT_GT(increments, 0u);
    }
    AuditReport audit = ExpectSoundAccount();
    EXPECT_EQ(audit.held.blocks, 0u) << Show(audit);
    if (traits().has_audit) {
      EXPECT_EQ(audit.participants, 1u);
    }
    return refusals;
  }
};
INSTANTIATE_FOR_ALL_VARIANTS(Threads);

TEST_P(Threads, SeeNoTornStaleOrLostValueInARoomySegment) {
  Make(16 * kMiB);
  RunWorkers(Steps());
}

TEST_P(Threads, SeeNoTornStaleOrLostValueInASegmentThatRunsFull) {
  Make(kMiB, 8);
  if (lossless()) {
    // What the threads put has no room beside it for all of their keys at once.
    const uint64_t filled = Fill(*store_, 20'000);
    for (uint64_t i = 0; i < 3; ++i) {
      ASSERT_TRUE(store_->Erase(absl::StrCat("fill-", filled - 1 - i)).value_or(false));
    }
  }
  const uint64_t refusals = RunWorkers(Steps());
  if (lossless()) {
    EXPECT_GT(refusals, 0u) << "the premise: it ran full";
  }
}

// --- the tier's own sharpness ---

// One thread hands bytes to another through a word in a segment. With release and acquire it is
// right.
void HandOver(std::memory_order store_order, std::memory_order load_order) {
  SegmentLayout layout;
  layout.design = "hand-over";
  SegmentOptions options;
  options.size_bytes = 64 << 10;
  auto segment =
      Segment::Create(options, layout, [](Segment&, SegmentHeader&) { return absl::OkStatus(); });
  ASSERT_TRUE(segment.ok());
  char* body = (*segment)->body().data();
  auto* published = new (body) std::atomic<uint64_t>(0);
  uint64_t* payload = reinterpret_cast<uint64_t*>(body + 64);
  std::thread writer([&] {
    *payload = 42;
    published->store(1, store_order);
  });
  while (published->load(load_order) == 0) sched_yield();
  EXPECT_EQ(*payload, 42u);
  writer.join();
}

TEST(Sharpness, HandOverWithReleaseAndAcquireIsClean) {
  HandOver(std::memory_order_release, std::memory_order_acquire);
}

// Planted: run by the test below, in a process of its own.
TEST(Sharpness, DISABLED_PlantedRelaxedPublication) {
  HandOver(std::memory_order_relaxed, std::memory_order_acquire);
}
TEST(Sharpness, DISABLED_PlantedRelaxedObservation) {
  HandOver(std::memory_order_release, std::memory_order_relaxed);
}

class PlantedOrdering : public ::testing::TestWithParam<const char*> {};

// The same binary, one planted test, under ThreadSanitizer's verdict: 66, and "data race" on its
// output.
TEST_P(PlantedOrdering, IsFoundByThreadSanitizerAndByNothingElse) {
  if (!kThreadSanitizer) GTEST_SKIP() << "this build has no ThreadSanitizer: ./dev tsan";
  int output[2];
  ASSERT_EQ(pipe2(output, O_CLOEXEC), 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output[1], 1);
  posix_spawn_file_actions_adddup2(&actions, output[1], 2);
  std::string filter = absl::StrCat("--gtest_filter=Sharpness.", GetParam());
  std::string also = "--gtest_also_run_disabled_tests";
  std::string self = std::filesystem::read_symlink("/proc/self/exe");
  char* arguments[] = {self.data(), filter.data(), also.data(), nullptr};
  pid_t pid = -1;
  ASSERT_EQ(posix_spawn(&pid, self.c_str(), &actions, nullptr, arguments, environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  close(output[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = read(output[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(got));
  }
  close(output[0]);
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 66) << text;
  EXPECT_THAT(text, ::testing::HasSubstr("WARNING: ThreadSanitizer: data race"));
  // What the test itself looks at was right: only the sanitizer sees it.
  EXPECT_THAT(text, ::testing::Not(::testing::HasSubstr("Expected equality")));
}
INSTANTIATE_TEST_SUITE_P(Planted, PlantedOrdering,
                         ::testing::Values("DISABLED_PlantedRelaxedPublication",
                                           "DISABLED_PlantedRelaxedObservation"),
                         [](const auto& test) { return std::string(test.param).substr(9); });

}  // namespace
}  // namespace kill9
