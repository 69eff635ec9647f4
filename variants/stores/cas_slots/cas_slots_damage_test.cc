// Damaged segments: whatever a word of one says, no operation crashes, goes round for ever, or
// touches anything outside of the mapping. What it may do is say kDataLoss, or show wrong values.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/scaffold/children.h"
#include "variants/stores/cas_slots/cas_slots_store.h"

namespace kill9::cas_slots {
namespace {

using absl::StatusCode;
using Random = std::mt19937_64;

constexpr uint64_t kSegmentBytes = 256 << 10;
constexpr int kKeys = 80;

std::shared_ptr<Segment> MakeSegment() {
  SegmentOptions options;
  options.size_bytes = kSegmentBytes;
  options.max_participants = 4;
  options.expected_entries = 40;
  options.hash_seed = 7;
  return CreateSegment(options).value();
}

std::string Key(uint64_t number) {
  return absl::StrCat("key-", number, number % 9 == 0 ? std::string(300, 'k') : "");
}
std::string Value(Random& random) {
  const size_t bytes = random() % 8 == 0 ? random() % 6000 : random() % 200;
  return std::string(bytes, static_cast<char>('a' + random() % 26));
}

// What the statuses of one damaged segment's operations were.
struct Outcomes {
  std::atomic<uint64_t> refused;  // attaching
  std::atomic<uint64_t> lost;     // kDataLoss of an operation
  std::atomic<uint64_t> inputs;
};

class Customer {
 public:
  Customer(const Segment& segment, Outcomes& outcomes) : segment_(segment), outcomes_(outcomes) {}

  // False: something that must not be said was said.
  bool Use(Store& store, Random& random, int operations) {
    std::string value;
    std::vector<PinnedValue> pins;
    std::vector<Draft> drafts;
    bool good = true;
    for (int i = 0; i < operations && good; ++i) {
      const std::string key = Key(random() % kKeys);
      switch (random() % 8) {
        case 0:
          good = Allowed(store.Put(key, Value(random)).status());
          break;
        case 1:
          good = Allowed(store.Erase(key).status());
          break;
        case 2: {
          const absl::StatusOr<Version> version = store.Get(key, &value);
          good = Allowed(version.status()) &&
                 Allowed(store.CompareAndSwap(key, version.value_or(kAbsent), "swapped").status());
          break;
        }
        case 3: {
          absl::StatusOr<PinnedValue> pin = store.Pin(key);
          good = Allowed(pin.status()) && (!pin.ok() || Inside(pin->value()));
          if (pin.ok() && pins.size() < 5) pins.push_back(*std::move(pin));
          break;
        }
        case 4: {
          absl::StatusOr<Draft> draft = store.Reserve(key, 1 + random() % 3000);
          good = Allowed(draft.status());
          if (!draft.ok()) break;
          good = Inside({draft->bytes().data(), draft->bytes().size()});
          if (!good) break;
          std::fill(draft->bytes().begin(), draft->bytes().end(), 'd');
          if (drafts.size() < 2) {
            drafts.push_back(*std::move(draft));
          } else {
            good = Allowed(store.Commit(*std::move(draft)).status());
          }
          break;
        }
        default:
          good = Allowed(store.Get(key, &value).status());
      }
    }
    good = good && Allowed(store.ForEach([&](const EntryView& entry) {
             return Inside(entry.key) && Inside(entry.value);
           }));
    return good && Allowed(store.Recover().status()) && Allowed(store.Audit().status());
  }

 private:
  bool Allowed(const absl::Status& status) {
    if (status.code() == StatusCode::kDataLoss) {
      outcomes_.lost.fetch_add(1, std::memory_order_relaxed);
      return true;
    }
    return status.ok() || status.code() == StatusCode::kNotFound ||
           status.code() == StatusCode::kResourceExhausted;
  }
  bool Inside(std::string_view bytes) const {
    return bytes.empty() || (bytes.data() >= segment_.base() &&
                             bytes.data() + bytes.size() <= segment_.base() + segment_.size());
  }

  const Segment& segment_;
  Outcomes& outcomes_;
};

class CasSlotsDamage : public ::testing::Test {
 protected:
  CasSlotsDamage() {
    // What is next to the mapping must not be touched without being noticed.
    for (char* beside : {segment_->base() - kGuardBytes, segment_->base() + segment_->size()}) {
      mmap(beside, kGuardBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
           0);
    }
    empty_.assign(segment_->base(), segment_->size());
  }
  void Restore(const std::string& bytes) {
    std::memcpy(segment_->base(), bytes.data(), bytes.size());
  }
  // A segment as it is when one participant lives on (as far as the bytes tell) and another one was
  // killed at some moment.
  std::string MakeBase(uint64_t seed) {
    Restore(empty_);
    Child victim([&](Line& parent) {
      auto store = AttachStore(segment_).value();
      Random random(seed);
      for (int i = 0; i < kKeys / 2; ++i) (void)store->Put(Key(random() % kKeys), Value(random));
      parent.Tell();
      Customer customer(*segment_, *outcomes_);
      for (;;) customer.Use(*store, random, 50);
      return 0;
    });
    EXPECT_TRUE(victim.Await());
    SleepMicroseconds(seed % 7 * 300);
    victim.KillAndReap();
    return {segment_->base(), segment_->size()};
  }
  // One to three words, or a line, or a page, anywhere behind the header, and at times in it.
  void Damage(Random& random) {
    const SegmentHeader header = segment_->header();
    const auto word = [&](uint64_t offset) -> uint64_t& {
      return *reinterpret_cast<uint64_t*>(segment_->base() + offset / 8 * 8);
    };
    const auto in_range = [&](uint64_t begin, uint64_t end) {
      return begin + random() % (end - begin);
    };
    for (uint64_t count = 1 + random() % 3; count > 0; --count) {
      uint64_t at = 0;
      switch (random() % 8) {
        case 0:
          at = in_range(offsetof(SegmentHeader, max_participants), sizeof(SegmentHeader));
          break;
        case 1:
          at = in_range(Segment::kHeaderBytes, header.body_offset);
          break;
        case 2:
        case 3:
          at = in_range(header.parameters[kSlotsOffset], header.parameters[kPagesOffset]);
          break;
        case 4:
          at = in_range(header.parameters[kPagesOffset], header.parameters[kHeapOffset]);
          break;
        case 5:  // the beginning of a block, most often
          at = header.parameters[kHeapOffset] +
               random() % (header.parameters[kPageCount] * kGranulesInPage) * kGranuleBytes +
               random() % 4 * 8;
          break;
        default:
          at = in_range(Segment::kHeaderBytes, segment_->size());
      }
      if (at + 64 > segment_->size()) continue;
      switch (random() % 10) {
        case 0:
          word(at) = random();
          break;
        case 1:
          word(at) = 0;
          break;
        case 2:
          word(at) = ~uint64_t{0};
          break;
        case 3:
          word(at) += random() % 9 - 4;
          break;
        case 4:
          word(at) = word(random() % segment_->size());
          break;
        case 5:
          word(at) = (word(at) & 0xffffffff) | random() << 32;
          break;
        case 6:
          std::memset(segment_->base() + at / 64 * 64, static_cast<int>(random() % 2 * 255), 64);
          break;
        case 7:
          std::memcpy(segment_->base() + at / 64 * 64,
                      segment_->base() + random() % (segment_->size() / 64) * 64, 64);
          break;
        default:
          word(at) ^= uint64_t{1} << random() % 64;
      }
    }
  }

  static constexpr size_t kGuardBytes = 1 << 20;
  std::shared_ptr<Segment> segment_ = MakeSegment();
  std::string empty_;
  Shared<Outcomes> outcomes_;
};

TEST_F(CasSlotsDamage, NoWordOfASegmentLeadsAnybodyOutOfItOrIntoALoop) {
  const char* text = std::getenv("KILL9_DAMAGED_SEGMENTS");
  const uint64_t inputs = text != nullptr ? std::strtoull(text, nullptr, 10) : 10'000;
  constexpr uint64_t kBatch = 250;
  for (uint64_t first = 0; first < inputs; first += kBatch) {
    const std::string base = first / kBatch % 4 == 0 ? std::string() : MakeBase(TestSeed() + first);
    Child child([&](Line&) {
      for (uint64_t input = first; input < first + kBatch; ++input) {
        Random random(TestSeed() * 1'000'003 + input);
        if (base.empty()) {
          Restore(empty_);
          auto store = AttachStore(segment_).value();
          for (int i = 0; i < kKeys; ++i) (void)store->Put(Key(random() % kKeys), Value(random));
        } else {
          Restore(base);
        }
        Damage(random);
        // Counted before it is used, so that a failure says which it was.
        outcomes_->inputs.store(input, std::memory_order_relaxed);
        absl::StatusOr<std::unique_ptr<Store>> store = AttachStore(segment_);
        if (store.ok()) {
          CHILD_REQUIRE(Customer(*segment_, *outcomes_).Use(**store, random, 150));
        } else {
          outcomes_->refused.fetch_add(1, std::memory_order_relaxed);
        }
      }
      return 0;
    });
    ASSERT_EQ(child.ExitStatus(), 0)
        << "damaged segment " << outcomes_->inputs.load(std::memory_order_relaxed)
        << ", KILL9_SEED=" << TestSeed();
  }
  EXPECT_GT(outcomes_->lost.load(std::memory_order_relaxed), 0u) << "nothing was ever noticed";
  EXPECT_GT(outcomes_->refused.load(std::memory_order_relaxed), 0u);
}

// The simplest cases by name, as an operation tells them.
TEST_F(CasSlotsDamage, SlotThatLeadsNowhereIsDataLoss) {
  auto store = AttachStore(segment_).value();
  ASSERT_TRUE(store->Put("key", "value").ok());
  auto* slots =
      reinterpret_cast<SharedWord*>(segment_->base() + segment_->header().parameters[kSlotsOffset]);
  const uint64_t slot =
      static_cast<uint64_t>(static_cast<unsigned __int128>(segment_->Hash("key")) *
                                segment_->header().parameters[kSlotCount] >>
                            64);
  const Ref outside = 0x7fffffff;
  for (const SlotWord word :
       {SlotWord::Entry(outside, 1), SlotWord::Pair(1, outside), SlotWord::Pair(outside, 1),
        SlotWord::Node(outside, 0, 1), SlotWord::Entry(0, 1), SlotWord::Node(0, 0, 0)}) {
    slots[slot].store(word.bits, std::memory_order_relaxed);
    std::string value;
    EXPECT_EQ(store->Get("key", &value).status().code(), StatusCode::kDataLoss);
    EXPECT_EQ(store->Put("key", "new").status().code(), StatusCode::kDataLoss);
    EXPECT_EQ(store->Erase("key").status().code(), StatusCode::kDataLoss);
    EXPECT_EQ(store->CompareAndSwap("key", 1, "new").status().code(), StatusCode::kDataLoss);
    EXPECT_EQ(store->Pin("key").status().code(), StatusCode::kDataLoss);
    EXPECT_EQ(store->ForEach([](const EntryView&) { return true; }).code(), StatusCode::kDataLoss);
    EXPECT_FALSE(store->Audit()->violations.empty());
  }
}

TEST_F(CasSlotsDamage, ParametersThatContradictTheSizeAreDataLoss) {
  auto& header = *reinterpret_cast<SegmentHeader*>(segment_->base());
  for (const Parameter parameter :
       {kSlotCount, kSlotsOffset, kPageCount, kPagesOffset, kHeapOffset, kFloorsOffset}) {
    const uint64_t right = header.parameters[parameter];
    for (const uint64_t wrong : {uint64_t{0}, right << 20, ~uint64_t{0}, right + kSegmentBytes}) {
      header.parameters[parameter] = wrong;
      EXPECT_EQ(AttachStore(segment_).status().code(), StatusCode::kDataLoss)
          << "parameter " << parameter << " is " << wrong;
    }
    header.parameters[parameter] = right;
  }
  EXPECT_TRUE(AttachStore(segment_).ok());
}

}  // namespace
}  // namespace kill9::cas_slots
