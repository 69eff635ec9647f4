// A judge for tests of seqlock_ring, and workers that do everything at once before it. Every read
// is judged against what anybody had seen before it began, in tables that outlive the workers.
#ifndef KILL9_VARIANTS_STORES_SEQLOCK_RING_SHARED_ORACLE_H_
#define KILL9_VARIANTS_STORES_SEQLOCK_RING_SHARED_ORACLE_H_

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "property/scaffold/children.h"
#include "property/scaffold/values.h"
#include "variants/stores/seqlock_ring/seqlock_ring.h"

namespace kill9::ring {

inline constexpr uint64_t kKeys = 48;
// Seq_cst for all atomics of the tests: this is a judge, not a store.
inline constexpr std::memory_order kTestOrder = std::memory_order_seq_cst;

// Shared by all processes of a test.
struct SharedOracle {
  // Of each key: the highest version that somebody knows to have been visible; and the highest that
  // somebody knows to be gone. Versions grow in the order of publication.
  std::atomic<uint64_t> visible[kKeys];
  std::atomic<uint64_t> gone[kKeys];
  std::atomic<uint64_t> hits;
  std::atomic<uint64_t> misses;
  std::atomic<uint64_t> writes;
  std::atomic<uint64_t> pins;
  std::atomic<bool> over;
  std::atomic<uint64_t> faults;
  char first_fault[256];

  void Fault(const char* format, ...) {
    if (faults.fetch_add(1, kTestOrder) != 0) return;
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(first_fault, sizeof first_fault, format, arguments);
    va_end(arguments);
  }
};

inline void Raise(std::atomic<uint64_t>& to, uint64_t value) {
  uint64_t seen = to.load(kTestOrder);
  while (seen < value && !to.compare_exchange_weak(seen, value, kTestOrder, kTestOrder)) {
  }
}

inline std::string KeyName(uint64_t key) { return absl::StrCat("key-", key * 7919); }

class Worker {
 public:
  Worker(SharedOracle& oracle, RingStore& store, uint64_t seed)
      : oracle_(oracle), store_(store), random_(seed) {}

  void Run() {
    while (!oracle_.over.load(kTestOrder)) Step();
  }

 private:
  uint64_t Draw(uint64_t below) { return random_() % below; }
  size_t DrawSize() {
    const uint64_t kind = Draw(100);
    if (kind < 80) return Draw(300);
    if (kind < 98) return Draw(5000);
    return Draw(store_.max_value_bytes() / 4);
  }

  // A read of `key` began when the tables said so.
  struct Before {
    uint64_t visible, gone;
  };
  Before Look(uint64_t key) {
    return {oracle_.visible[key].load(kTestOrder), oracle_.gone[key].load(kTestOrder)};
  }

  void JudgeHit(const char* what, uint64_t key, const Before& before, Version version,
                const std::string_view* value) {
    oracle_.hits.fetch_add(1, kTestOrder);
    if (version < before.visible) {
      oracle_.Fault("%s of key %lu: version %lu after %lu had been seen", what, key, version,
                    before.visible);
    }
    if (version <= before.gone) {
      oracle_.Fault("%s of key %lu: version %lu came back after %lu was gone", what, key, version,
                    before.gone);
    }
    if (value != nullptr && !IsValueOf(key, *value)) {
      oracle_.Fault("%s of key %lu: torn or foreign value, version %lu", what, key, version);
    }
    Raise(oracle_.visible[key], version);
  }
  void JudgeMiss(uint64_t key, const Before& before) {
    oracle_.misses.fetch_add(1, kTestOrder);
    Raise(oracle_.gone[key], before.visible);
  }
  void JudgeWrite(const char* what, uint64_t key, const Before& before,
                  const absl::StatusOr<Version>& version) {
    if (!version.ok()) {
      if (!absl::IsResourceExhausted(version.status())) oracle_.Fault("%s fails", what);
      return;
    }
    oracle_.writes.fetch_add(1, kTestOrder);
    if (*version <= before.visible) {
      oracle_.Fault("%s of key %lu: new version %lu, seen before: %lu", what, key, *version,
                    before.visible);
    }
    Raise(oracle_.visible[key], *version);
  }

  void Step() {
    const uint64_t key = Draw(10) < 5 ? Draw(4) : Draw(kKeys);
    const std::string name = KeyName(key);
    const Before before = Look(key);
    const uint64_t kind = Draw(1000);
    if (kind < 350) {
      JudgeWrite("Put", key, before, store_.Put(name, ValueOf(key, random_(), DrawSize())));
    } else if (kind < 700) {
      Get(key, name, before);
    } else if (kind < 760) {
      auto erased = store_.Erase(name);
      JudgeMiss(key, before);
    } else if (kind < 830) {
      Swap(key, name, before);
    } else if (kind < 930) {
      Pin(key, name, before);
    } else if (kind < 990) {
      Fill(key, name);
    } else if (kind < 996) {
      if (!store_.Recover().ok()) oracle_.Fault("Recover fails");
    } else if (kind < 998) {
      Walk();
    } else if (kind == 999 && Draw(10) == 0) {
      Before all[kKeys];
      for (uint64_t k = 0; k < kKeys; ++k) all[k] = Look(k);
      store_.Clear();
      for (uint64_t k = 0; k < kKeys; ++k) JudgeMiss(k, all[k]);
    }
  }

  void Get(uint64_t key, const std::string& name, const Before& before) {
    auto version = store_.Get(name, &value_);
    const std::string_view value = value_;
    if (version.ok()) {
      JudgeHit("Get", key, before, *version, &value);
    } else {
      JudgeMiss(key, before);
    }
  }

  void Swap(uint64_t key, const std::string& name, const Before& before) {
    auto present = store_.Get(name, nullptr);
    const Version expected = present.ok() ? *present : kAbsent;
    const Before between = Look(key);
    auto result = store_.CompareAndSwap(name, expected, ValueOf(key, random_(), DrawSize()));
    if (!result.ok()) return;
    if (result->swapped) {
      JudgeWrite("CompareAndSwap", key, before, result->version);
      if (expected != kAbsent && expected <= between.gone) {
        oracle_.Fault("CompareAndSwap of key %lu swaps version %lu, which was gone", key, expected);
      }
      if (expected < between.visible && between.visible > between.gone && expected != kAbsent) {
        oracle_.Fault("CompareAndSwap of key %lu swaps version %lu, %lu was seen", key, expected,
                      between.visible);
      }
    } else if (result->version != kAbsent) {
      JudgeHit("CompareAndSwap", key, between, result->version, nullptr);
    } else {
      JudgeMiss(key, between);
    }
  }

  void Pin(uint64_t key, const std::string& name, const Before& before) {
    auto pin = store_.Pin(name);
    if (!pin.ok()) {
      if (absl::IsNotFound(pin.status())) JudgeMiss(key, before);
      return;
    }
    oracle_.pins.fetch_add(1, kTestOrder);
    std::string_view value = pin->value();
    JudgeHit("Pin", key, before, pin->version(), &value);
    for (uint64_t i = Draw(30); i > 0; --i) {
      const uint64_t other = Draw(kKeys);
      const Before before_put = Look(other);
      auto version = store_.Put(KeyName(other), ValueOf(other, random_(), DrawSize()));
      JudgeWrite("Put", other, before_put, version);
    }
    if (!IsValueOf(key, value)) oracle_.Fault("a pinned value of key %lu changed", key);
  }

  void Fill(uint64_t key, const std::string& name) {
    const std::string value = ValueOf(key, random_(), DrawSize());
    auto draft = store_.Reserve(name, value.size());
    if (!draft.ok()) return;
    value.copy(draft->bytes().data(), value.size() / 2);
    if (Draw(4) == 0) Step();
    value.copy(draft->bytes().data() + value.size() / 2, value.size(), value.size() / 2);
    if (Draw(4) == 0) return;  // dropped
    const Before before = Look(key);
    JudgeWrite("Commit", key, before, store_.Commit(*std::move(draft)));
  }

  void Walk() {
    Before before[kKeys];
    for (uint64_t k = 0; k < kKeys; ++k) before[k] = Look(k);
    std::vector<int> visits(kKeys);
    (void)store_.ForEach([&](const EntryView& entry) {
      const uint64_t key = std::stoull(std::string(entry.key.substr(4))) / 7919;
      if (++visits[key] > 1) oracle_.Fault("ForEach shows key %lu twice", key);
      JudgeHit("ForEach", key, before[key], entry.version, &entry.value);
      return true;
    });
  }

  SharedOracle& oracle_;
  RingStore& store_;
  std::mt19937_64 random_;
  std::string value_;
};

inline std::shared_ptr<Segment> MakeSmallSegment(uint64_t bytes, uint32_t participants) {
  SegmentOptions options;
  options.size_bytes = bytes;
  options.max_participants = participants;
  options.expected_entries = 24;  // fewer than there are keys: buckets overflow
  auto segment = CreateSegment(options);
  EXPECT_TRUE(segment.ok()) << segment.status();
  return *segment;
}

inline void ExpectCleanAfterRecovery(const std::shared_ptr<Segment>& segment) {
  auto store = RingStore::Attach(segment);
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE((*store)->Recover().ok());
  auto report = (*store)->Audit();
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->clean()) << testing::PrintToString(report->violations);
  EXPECT_EQ(report->held.blocks, 0u);
  EXPECT_EQ(report->participants, 1u);
  EXPECT_EQ(report->free.blocks + report->live.blocks, report->capacity.blocks);
  // All of the room is still there.
  EXPECT_TRUE((*store)->Put("large", std::string((*store)->max_value_bytes(), 'x')).ok());
}

}  // namespace kill9::ring

#endif  // KILL9_VARIANTS_STORES_SEQLOCK_RING_SHARED_ORACLE_H_
