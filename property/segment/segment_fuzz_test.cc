// Damaged segments: whatever bytes an operation finds, it returns, and touches nothing outside of
// the segment. Every design, 10,000 inputs in all, or as many as KILL9_FUZZ_INPUTS says.
//
// An input is a base (a segment that was left in order, or in the middle of an operation by a
// killed process) and damage (SegmentDamage). A child opens it and goes through all operations,
// with so much unmapped memory around the segment that no offset in it leads anywhere else. A child
// is good for many inputs; one that it dies at is told by its number, which with the seed makes the
// same input again.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include <algorithm>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "property/scaffold/children.h"
#include "property/scaffold/values.h"
#include "property/segment/segment_damage.h"
#include "variants/registry.h"
#include "variants/stores/seqlock_ring/words.h"

namespace {

bool guard_mappings = false;

}  // namespace

// In the place of the C library's: a child's segment lies alone.
extern "C" void* mmap(void* address, size_t size, int protection, int flags, int fd,
                      off_t offset) noexcept {
  const auto map = [](void* at, size_t bytes, int prot, int how, int file, off_t from) {
    return reinterpret_cast<void*>(syscall(SYS_mmap, at, bytes, prot, how, file, from));
  };
  constexpr size_t kGuardBytes = size_t{128} << 30;  // more than 2^32 units of 16 bytes
  if (!guard_mappings || fd < 0 || address != nullptr || (flags & MAP_SHARED) == 0) {
    return map(address, size, protection, flags, fd, offset);
  }
  char* const guard = static_cast<char*>(map(nullptr, size + 2 * kGuardBytes, PROT_NONE,
                                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  if (guard == MAP_FAILED) return MAP_FAILED;
  return map(guard + kGuardBytes, size, protection, flags | MAP_FIXED, fd, offset);
}

namespace kill9 {
namespace {

constexpr uint64_t kFuzzedBytes = 128 << 10;
constexpr uint64_t kFuzzedKeys = 40;
constexpr uint64_t kHalfDoneBases = 6;
constexpr uint64_t kInputsPerChild = 50;
constexpr uint64_t kMostFailures = 8;
constexpr rlim_t kCpuSeconds = 10;  // for a child's inputs, which need a fraction of one

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

std::string KeyOf(uint64_t key) {
  return absl::StrCat("key-", key, std::string(key % 7 == 0 ? 20 + key : 0, 'k'));
}
std::string NumberedValue(uint64_t key, uint64_t number) {
  std::mt19937_64 random(key << 32 ^ number);
  return ValueOf(key, number, 16 + random() % (random() % 10 == 0 ? 5000 : 200));
}
bool Genuine(std::string_view key, std::string_view value) {
  if (value.size() < kWholeValueBytes) return false;
  uint64_t id_and_key[2];
  std::memcpy(id_and_key, value.data(), sizeof id_and_key);
  return id_and_key[1] < kFuzzedKeys && KeyOf(id_and_key[1]) == key &&
         NumberedValue(id_and_key[1], id_and_key[0]) == value;
}

// Whether a value differs from what was put in more than one word, so that their checksums are the
// same by chance (docs/threat_model.md).
bool HasTheSumOfAnother(std::string_view value) {
  if (value.size() < kWholeValueBytes) return false;
  uint64_t id_and_key[2];
  std::memcpy(id_and_key, value.data(), sizeof id_and_key);
  if (id_and_key[1] >= kFuzzedKeys) return false;
  const std::string right = NumberedValue(id_and_key[1], id_and_key[0]);
  if (right.size() != value.size()) return false;
  std::set<size_t> words;
  for (size_t at = 0; at < value.size(); ++at) {
    if (value[at] != right[at]) words.insert(at / ring::kWord);
  }
  return words.size() > 1 && ring::SumOfValue(value) == ring::SumOfValue(right);
}

// What goes on in a child, for its parent to tell.
struct Progress {
  uint64_t input;
  char stage[32];
  char fault[200];    // it returned, but with something that it must not return
  uint64_t attached;  // so many inputs were neither refused by open nor by attach
  uint64_t last_of_same_sum,
      of_same_sum;  // so many inputs had a damaged value of the same checksum
};

class Exercise {
 public:
  Exercise(Store& store, const Traits& traits, uint64_t seed, Progress& progress)
      : store_(store), traits_(traits), random_(seed), progress_(progress) {}

  void All() {
    const uint64_t order = random_();
    if (order & 1) Audit();
    if (order & 2) Recover();
    for (uint64_t key = 0; key < kFuzzedKeys; ++key) Get(key);
    ForEach();
    for (int i = 0; i < 40; ++i) One();
    Begin("release");
    pins_.clear();
    drafts_.clear();
    Recover();
    ForEach();
    Audit();
    Begin("detach");
  }

 private:
  void Begin(const char* stage) {
    std::snprintf(progress_.stage, sizeof progress_.stage, "%s", stage);
  }
  void Fault(const std::string& what) {
    std::snprintf(progress_.fault, sizeof progress_.fault, "%s: %s", progress_.stage, what.c_str());
  }
  void Judge(const absl::Status& status) {
    if (status.ok() || absl::IsNotFound(status) || absl::IsResourceExhausted(status)) return;
    if (absl::IsDataLoss(status)) {
      if (status.message().empty()) Fault("kDataLoss without a word");
      return;
    }
    Fault(status.ToString());
  }
  void JudgeValue(std::string_view key, std::string_view value, Version version) {
    const bool genuine = Genuine(key, value);  // reads all of it
    if (!traits_.values_checked) return;
    if (!genuine && HasTheSumOfAnother(value)) {
      if (progress_.last_of_same_sum != progress_.input + 1) ++progress_.of_same_sum;
      progress_.last_of_same_sum = progress_.input + 1;
    } else if (!genuine) {
      Fault("a wrong value was returned");
    }
    if (version == kAbsent) Fault("version 0 of a value that is there");
  }

  void Audit() {
    Begin("Audit");
    Judge(store_.Audit().status());
  }
  void Recover() {
    Begin("Recover");
    Judge(store_.Recover().status());
  }
  void Get(uint64_t key) {
    Begin("Get");
    std::string value;
    const auto version = store_.Get(KeyOf(key), &value);
    Judge(version.status());
    if (version.ok()) JudgeValue(KeyOf(key), value, *version);
  }
  void ForEach() {
    Begin("ForEach");
    uint64_t visits = 0;
    Judge(store_.ForEach([&](const EntryView& entry) {
      if (++visits > kFuzzedBytes / 16) {
        Fault("more entries than there is room for");
        return false;
      }
      JudgeValue(entry.key, entry.value, entry.version);
      return true;
    }));
  }

  void One() {
    const uint64_t key = random_() % kFuzzedKeys;
    const std::string name = KeyOf(key);
    const std::string value = NumberedValue(key, random_() % 1000);
    if (value.size() > store_.max_value_bytes()) return;  // a header may say less, and add up
    switch (random_() % 8) {
      case 0:
      case 1:
        Begin("Put");
        return Judge(store_.Put(name, value).status());
      case 2:
        Begin("Erase");
        return Judge(store_.Erase(name).status());
      case 3: {
        const auto present = store_.Get(name, nullptr);
        Begin("CompareAndSwap");
        return Judge(
            store_.CompareAndSwap(name, present.ok() ? *present : kAbsent, value).status());
      }
      case 4: {
        Begin("Pin");
        auto pin = store_.Pin(name);
        Judge(pin.status());
        if (!pin.ok()) return;
        JudgeValue(name, pin->value(), pin->version());
        pins_.push_back(*std::move(pin));
        return;
      }
      case 5: {
        Begin("Reserve");
        auto draft = store_.Reserve(name, value.size());
        Judge(draft.status());
        if (!draft.ok()) return;
        value.copy(draft->bytes().data(), value.size());
        if (random_() % 3 == 0) return drafts_.push_back(*std::move(draft));
        Begin("Commit");
        return Judge(store_.Commit(*std::move(draft)).status());
      }
      case 6:
        Begin("Release");
        if (!pins_.empty()) pins_.erase(pins_.begin());
        return;
      default:
        Begin("Drop");
        if (!drafts_.empty()) drafts_.erase(drafts_.begin());
    }
  }

  Store& store_;
  const Traits& traits_;
  std::mt19937_64 random_;
  Progress& progress_;
  std::vector<PinnedValue> pins_;
  std::vector<Draft> drafts_;
};

class DamagedSegmentOf : public ::testing::TestWithParam<const Variant*> {
 protected:
  void SetUp() override {
    bases_.push_back(Base(0));
    for (uint64_t i = 1; i <= kHalfDoneBases; ++i) bases_.push_back(Base(i));
    EXPECT_NE(bases_[0], bases_[1]);
  }

  // A segment's bytes: number 0 is left in order, the others by a process that was killed.
  static std::string Base(uint64_t number) {
    SegmentOptions options;
    options.size_bytes = kFuzzedBytes;
    options.max_participants = 3;
    options.expected_entries = 64;
    options.stripes = 4;
    options.hash_seed = 7;
    auto segment = *GetParam()->Create(options);
    Child child([&](Line&) {
      auto store = *GetParam()->Attach(segment);
      Progress ignored{};
      Exercise exercise(*store, GetParam()->traits(), number, ignored);
      for (uint64_t key = 0; key < kFuzzedKeys; ++key) {
        CHILD_REQUIRE(store->Put(KeyOf(key), NumberedValue(key, number)).ok());
      }
      if (number == 0) return 0;
      const auto pin = store->Pin(KeyOf(3));
      const auto draft = store->Reserve(KeyOf(4), 100);
      KillAfterSteps(100 + (number * 7919) % 900);
      for (uint64_t i = 0;; ++i) {
        (void)store->Put(KeyOf(i % kFuzzedKeys), NumberedValue(i % kFuzzedKeys, number + i));
        (void)store->Erase(KeyOf((i + 9) % kFuzzedKeys));
      }
    });
    EXPECT_EQ(child.ExitStatus(), number == 0 ? 0 : 1000 + SIGKILL);
    return std::string(segment->base(), segment->size());
  }
  // Of this process's instructions, where the processor can trap after each; else at once.
  static void KillAfterSteps(uint64_t steps) {
#if defined(__x86_64__)
    static uint64_t left;
    left = steps;
    struct sigaction action {};
    action.sa_handler = [](int) {
      if (--left == 0) raise(SIGKILL);
    };
    sigaction(SIGTRAP, &action, nullptr);
    asm volatile(
        "lea -128(%%rsp), %%rsp\n pushfq\n orl $0x100, (%%rsp)\n popfq\n lea 128(%%rsp), %%rsp" ::
            : "memory", "cc");
#else
    raise(SIGKILL);
#endif
  }

  // Opens and exercises one input, in a child.
  static void Run(const std::string& bytes, uint64_t seed, Progress& progress) {
    const int fd = memfd_create("kill9-fuzz", MFD_CLOEXEC);
    if (pwrite(fd, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) _exit(96);
    guard_mappings = true;
    auto segment = GetParam()->FromFd(fd);
    guard_mappings = false;
    if (!segment.ok()) return;  // which segment_damage_test judges
    const std::string header((*segment)->base(), Segment::kHeaderBytes);
    std::snprintf(progress.stage, sizeof progress.stage, "attach");
    auto store = GetParam()->Attach(*segment);
    if (!store.ok()) {
      if (!absl::IsDataLoss(store.status()) && !absl::IsResourceExhausted(store.status())) {
        std::snprintf(progress.fault, sizeof progress.fault, "attach: %s",
                      store.status().ToString().c_str());
      }
      return;
    }
    ++progress.attached;
    Exercise(**store, GetParam()->traits(), seed, progress).All();
    store->reset();
    if (std::memcmp(header.data(), (*segment)->base(), header.size()) != 0) {
      std::snprintf(progress.fault, sizeof progress.fault, "the header was written to");
    }
  }

  // Inputs `first` to `end`, each made from its number. How many were attached to.
  uint64_t RunAll(uint64_t first, uint64_t end, absl::FunctionRef<std::string(uint64_t)> make) {
    Shared<Progress> progress;
    uint64_t failures = 0;
    for (uint64_t next = first; next < end && failures < kMostFailures;) {
      const uint64_t last = std::min(end, next + kInputsPerChild);
      Child child([&](Line&) {
        const struct rlimit cpu { kCpuSeconds, kCpuSeconds };
        const struct rlimit no_core {};
        setrlimit(RLIMIT_CPU, &cpu);
        setrlimit(RLIMIT_CORE, &no_core);
        for (uint64_t input = next; input < last; ++input) {
          progress->input = input;
          std::strcpy(progress->stage, "open");
          progress->fault[0] = '\0';
          Run(make(input), SeedOf(input), *progress);
          if (progress->fault[0] != '\0') return 3;
        }
        return 0;
      });
      const int status = child.ExitStatus();
      next = status == 0 ? last : progress->input + 1;
      if (status == 0) continue;
      ++failures;
      const std::string what = status == 3 ? progress->fault
                               : status == 1000 + SIGXCPU || status == 1000 + SIGKILL
                                   ? "ran for ever"
                               : status == 1000 + SIGALRM ? "waited for ever"
                                                          : absl::StrCat("ended with ", status);
      const ::testing::TestInfo& test = *::testing::UnitTest::GetInstance()->current_test_info();
      ADD_FAILURE() << GetParam()->name() << ", input " << progress->input << ", in "
                    << progress->stage << ": " << what
                    << "\nrepeat (deterministic): KILL9_SEED=" << TestSeed()
                    << " KILL9_FUZZ_FIRST=" << progress->input
                    << " KILL9_FUZZ_INPUTS=4 segment_fuzz_test --gtest_filter="
                    << test.test_suite_name() << "." << test.name();
    }
    // Two flips in some thousand of those within one value.
    EXPECT_LE(progress->of_same_sum, 1 + (end - first) / 20'000);
    return progress->attached;
  }
  static uint64_t SeedOf(uint64_t input) { return TestSeed() * 1'000'003 + input; }

  std::vector<std::string> bases_;
};

TEST_P(DamagedSegmentOf, IsSurvivedByEveryOperation) {
  const uint64_t first = FromEnvironment("KILL9_FUZZ_FIRST", 0);
  const uint64_t inputs = FromEnvironment("KILL9_FUZZ_INPUTS", 10'000) / 4;
  const uint64_t attached = RunAll(first, first + inputs, [this](uint64_t input) {
    std::string bytes = bases_[input % bases_.size()];
    SegmentDamage(bytes, bases_[(input + 1) % bases_.size()], SeedOf(input)).Do();
    return bytes;
  });
  std::printf("%lu inputs, of which %lu were attached to, seed %lu\n", inputs, attached,
              TestSeed());
  if (inputs < 1000) return;  // some are repeated
  EXPECT_GT(attached, inputs / 2) << "the premise: what lies behind attach is reached";
}

// Each bit of each parameter: a sum or a product that runs over shows here.
TEST_P(DamagedSegmentOf, IsRefusedOrSurvivedWhateverItsParameters) {
  constexpr uint64_t kParameters = std::size(SegmentHeader{}.parameters);
  constexpr uint64_t kChanges = 4;
  const uint64_t first = FromEnvironment("KILL9_FUZZ_FIRST", 0);
  const uint64_t attached = RunAll(first, kParameters * 64 * kChanges, [this](uint64_t input) {
    std::string bytes = bases_[0];
    SegmentDamage damage(bytes, bytes, 0);
    damage.ChangeParameter(input % kParameters, [&](uint64_t right) {
      const uint64_t bit = input / kParameters % 64;
      switch (input / kParameters / 64) {
        case 0:
          return right ^ uint64_t { 1 } << bit;
        case 1:
          return right + (uint64_t{1} << bit);
        case 2:
          return right - (uint64_t{1} << bit);
        default:
          return right << bit;
      }
    });
    return bytes;
  });
  if (first != 0) return;  // some are repeated
  EXPECT_GT(attached, 64u) << "the premise: each design has a parameter that it does not use";
}

// The trait, measured: whether Get returns a value of which a bit has changed.
TEST_P(DamagedSegmentOf, ValuesAreCheckedIfTheTraitsSaySo) {
  SegmentOptions options;
  options.size_bytes = kFuzzedBytes;
  options.max_participants = 3;
  auto segment = *GetParam()->Create(options);
  auto store = *GetParam()->Attach(segment);
  const std::string value = NumberedValue(1, 1);
  ASSERT_TRUE(store->Put("key", value).ok());
  const std::span<char> body = segment->body();
  const auto found = std::search(body.begin(), body.end(), value.begin(), value.end());
  ASSERT_NE(found, body.end());
  uint64_t wrong = 0;
  for (size_t bit = 0; bit < value.size() * 8; ++bit) {
    char& byte = found[static_cast<std::ptrdiff_t>(bit / 8)];
    byte = static_cast<char>(byte ^ 1 << bit % 8);
    std::string got;
    wrong += store->Get("key", &got).ok() && got != value;
    byte = static_cast<char>(byte ^ 1 << bit % 8);
  }
  std::string got;
  ASSERT_TRUE(store->Get("key", &got).ok());
  EXPECT_EQ(got, value);
  EXPECT_EQ(wrong == 0, GetParam()->traits().values_checked) << wrong << " of " << value.size() * 8;
}

INSTANTIATE_TEST_SUITE_P(Designs, DamagedSegmentOf, ::testing::ValuesIn(StoreDesigns()),
                         [](const auto& test) { return std::string(test.param->name()); });

}  // namespace
}  // namespace kill9
