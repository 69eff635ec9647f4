// What is peculiar to cas_slots: shared slots, the three ways of storing, space that moves between
// sizes, caches that withhold nothing, and real deaths. What it has in common with the other
// designs is in the conformance suite.
#include <signal.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/scaffold/children.h"
#include "property/scaffold/values.h"
#include "variants/registry.h"
#include "variants/stores/cas_slots/cas_slots_store.h"

namespace kill9 {
namespace {

using ::testing::IsEmpty;

const Variant& TheVariant() { return *FindVariant("cas_slots"); }

std::shared_ptr<Segment> MakeSegment(uint64_t size_bytes, uint64_t expected_entries,
                                     uint32_t participants = 16) {
  SegmentOptions options;
  options.size_bytes = size_bytes;
  options.expected_entries = expected_entries;
  options.max_participants = participants;
  options.hash_seed = 7;
  return TheVariant().Create(options).value();
}

std::unique_ptr<Store> Attach(const std::shared_ptr<Segment>& segment) {
  return TheVariant().Attach(segment).value();
}

void ExpectSound(Store& store) {
  AuditReport audit = store.Audit().value();
  EXPECT_THAT(audit.violations, IsEmpty());
  EXPECT_EQ(audit.leaked.blocks, 0u);
  EXPECT_EQ(audit.doubly_owned, 0u);
  EXPECT_EQ(audit.free.blocks + audit.live.blocks + audit.held.blocks, audit.capacity.blocks);
  EXPECT_EQ(audit.free.bytes + audit.live.bytes + audit.held.bytes, audit.capacity.bytes);
}

std::string Key(uint64_t number) { return absl::StrCat("key-", number); }

// One operation, chosen by `dice`. False: it read what nobody can have written.
bool OneOperation(Store& store, uint64_t key, std::string value, uint64_t dice) {
  const std::string text = Key(key);
  switch (dice % 9) {
    case 0:
      store.Erase(text).IgnoreError();
      return true;
    case 1: {
      absl::StatusOr<PinnedValue> pin = store.Pin(text);
      return !pin.ok() || IsValueOf(key, pin->value());
    }
    case 2: {
      absl::StatusOr<Draft> draft = store.Reserve(text, value.size());
      if (!draft.ok()) return true;
      value.copy(draft->bytes().data(), value.size());
      if (dice / 9 % 3 != 0) store.Commit(*std::move(draft)).IgnoreError();
      return true;
    }
    case 3:
      if (dice / 9 % 16 == 0) store.Recover().IgnoreError();
      return true;
    case 4:
      store.CompareAndSwap(text, kAbsent, value).IgnoreError();
      return true;
    case 5:
    case 6: {
      std::string read;
      return !store.Get(text, &read).ok() || IsValueOf(key, read);
    }
    default:
      store.Put(text, value).IgnoreError();
      return true;
  }
}

TEST(CasSlotsTest, FillingToExhaustionAndEmptyingGivesTheSameRoomAgainForEverySize) {
  std::shared_ptr<Segment> segment = MakeSegment(2 << 20, 0);
  std::unique_ptr<Store> store = Attach(segment);
  for (int round = 0; round < 2; ++round) {
    for (size_t bytes : {10u, 60u, 500u, 3000u, 100'000u}) {
      uint64_t count = 0;
      while (store->Put(Key(count), ValueOf(count, count, bytes)).ok()) ++count;
      ExpectSound(*store);
      uint64_t stored_bytes = count * bytes;
      EXPECT_GT(stored_bytes, uint64_t{bytes < 60 ? 200'000u : 800'000u}) << bytes;
      for (uint64_t key = 0; key < count; ++key) {
        std::string value;
        ASSERT_TRUE(store->Get(Key(key), &value).ok());
        ASSERT_TRUE(IsValueOf(key, value));
        ASSERT_TRUE(store->Erase(Key(key)).value());
      }
      ExpectSound(*store);
      AuditReport audit = store->Audit().value();
      EXPECT_EQ(audit.live.blocks, 0u);
      EXPECT_EQ(audit.free.bytes, audit.capacity.bytes);
    }
  }
  // The largest value fits when the store is empty.
  std::string largest(store->max_value_bytes(), 'x');
  EXPECT_TRUE(store->Put("large", largest).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(store->Put("large", largest).status()));
  std::string value;
  EXPECT_TRUE(store->Get("large", &value).ok());
  EXPECT_EQ(value, largest);
}

TEST(CasSlotsTest, AnIdleParticipantsCacheWithholdsNothing) {
  std::shared_ptr<Segment> segment = MakeSegment(1 << 20, 0);
  std::unique_ptr<Store> idle = Attach(segment);
  std::unique_ptr<Store> store = Attach(segment);
  auto fill = [&] {
    uint64_t count = 0;
    while (store->Put(Key(count), std::string(60, 'v')).ok()) ++count;
    return count;
  };
  const uint64_t before = fill();
  for (uint64_t key = 0; key < before; ++key) ASSERT_TRUE(idle->Erase(Key(key)).value());
  // Which size runs out first, and so the exact count, depends on where pages fell.
  EXPECT_GT(fill() + before / 50, before);
  ExpectSound(*store);
}

TEST(CasSlotsTest, APinnedValueIsNotUsedAgainUntilItIsReleased) {
  std::shared_ptr<Segment> segment = MakeSegment(512 << 10, 0);
  std::unique_ptr<Store> reader = Attach(segment);
  std::unique_ptr<Store> writer = Attach(segment);
  for (size_t bytes : {20u, 5000u}) {
    ASSERT_TRUE(writer->Put("pinned", ValueOf(1, 1, bytes)).ok());
    PinnedValue pin = reader->Pin("pinned").value();
    for (uint64_t i = 2; i < 3000; ++i) {
      ASSERT_TRUE(writer->Put("pinned", ValueOf(1, i, bytes)).ok());
      ASSERT_EQ(pin.value(), ValueOf(1, 1, bytes));
    }
    EXPECT_EQ(writer->Audit()->held.blocks, 1u);
    pin.Release();
    EXPECT_EQ(writer->Audit()->held.blocks, 0u);
  }
  ExpectSound(*writer);
}

// For ThreadSanitizer, which sees threads and not processes.
TEST(CasSlotsTest, ThreadsThatDoEverythingAtOnceLeaveASoundSegment) {
  for (uint64_t expected_entries : {uint64_t{1}, uint64_t{0}}) {
    std::shared_ptr<Segment> segment = MakeSegment(384 << 10, expected_entries);
    std::atomic<uint64_t> wrong{0};
    auto work = [&](uint64_t seed) {
      std::unique_ptr<Store> store = Attach(segment);
      std::mt19937_64 random(seed);
      for (uint64_t i = 0; i < 6000; ++i) {
        const uint64_t key = random() % 30;
        const size_t bytes = random() % 16 == 0 ? random() % 9000 : random() % 300;
        if (!OneOperation(*store, key, ValueOf(key, i, bytes), random())) ++wrong;
      }
    };
    std::vector<std::thread> threads;
    for (uint64_t seed = 0; seed < 4; ++seed) threads.emplace_back(work, seed);
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0u);
    std::unique_ptr<Store> store = Attach(segment);
    ExpectSound(*store);
    EXPECT_EQ(store->Audit()->held.blocks, 0u);
  }
}

TEST(CasSlotsTest, AVersionNeverRepeatsAcrossEraseInSharedAndOwnSlots) {
  for (uint64_t expected_entries : {uint64_t{1}, uint64_t{0}}) {
    std::unique_ptr<Store> store = Attach(MakeSegment(256 << 10, expected_entries));
    std::map<uint64_t, Version> newest;
    for (int i = 0; i < 5000; ++i) {
      uint64_t key = static_cast<uint64_t>(i * 7919) % 40;
      Version version = store->Put(Key(key), "v").value();
      EXPECT_GT(version, newest[key]);
      newest[key] = version;
      if (i % 3 != 0) {
        ASSERT_TRUE(store->Erase(Key(key)).value());
      }
    }
    ExpectSound(*store);
  }
}

// Two keys that belong to one slot, and a look at its word.
struct SharedSlot {
  explicit SharedSlot(const std::shared_ptr<Segment>& segment) : context(segment, Participant()) {
    number = context.SlotOf(segment->Hash(a));
    for (uint64_t i = 1; context.SlotOf(segment->Hash(b)) != number; ++i) b = Key(i);
  }
  cas_slots::SlotWord word() const {
    return {context.slot(number).load(std::memory_order_acquire)};
  }
  cas_slots::BlockHeader* block(cas_slots::Ref ref) const { return context.block(ref); }

  cas_slots::Context context;
  const std::string a = Key(0);
  std::string b;
  uint64_t number = 0;
};

TEST(CasSlotsTest, TwoKeysOfOneSlotNeedNoNodeAndTheirVersionsGrowTogether) {
  using cas_slots::SlotKind;
  std::shared_ptr<Segment> segment = MakeSegment(512 << 10, 0);
  std::unique_ptr<Store> store = Attach(segment);
  const SharedSlot shared(segment);
  Version newest = store->Put(shared.a, "a1").value();
  for (int round = 0; round < 1000; ++round) {
    for (const std::string& key : {shared.b, shared.a, shared.a, shared.b}) {
      const Version version = store->Put(key, absl::StrCat(key, round)).value();
      ASSERT_EQ(version, newest + 1);
      newest = version;
    }
    ASSERT_EQ(shared.word().kind(), SlotKind::kPair);
    ASSERT_EQ(store->Audit()->live.blocks, 2u);
    std::string value;
    for (const std::string& key : {shared.a, shared.b}) {
      ASSERT_TRUE(store->Get(key, &value).ok());
      ASSERT_EQ(value, absl::StrCat(key, round));
      ASSERT_EQ(store->Pin(key)->value(), value);
    }
    // The one that stays lags behind the slot: its version is of before.
    const std::string& erased = round % 2 == 0 ? shared.a : shared.b;
    const std::string& stays = round % 2 == 0 ? shared.b : shared.a;
    const Version of_stays = store->Get(stays, nullptr).value();
    ASSERT_TRUE(store->Erase(erased).value());
    ++newest;
    ASSERT_EQ(shared.word().kind(), SlotKind::kEntry);
    ASSERT_EQ(store->Get(stays, nullptr).value(), of_stays);
    ASSERT_TRUE(absl::IsNotFound(store->Get(erased, nullptr).status()));
    ExpectSound(*store);
    if (round % 3 == 0) {
      ASSERT_TRUE(store->Erase(stays).value());
      ++newest;
      ASSERT_EQ(shared.word().empty_clock(), newest);
    }
  }
  ExpectSound(*store);
}

TEST(CasSlotsTest, AnEntryThatWouldLagTooFarBehindItsSlotIsListedByANode) {
  using cas_slots::kMaxClockLag;
  using cas_slots::SlotKind;
  for (uint64_t beyond : {0, 1}) {
    std::shared_ptr<Segment> segment = MakeSegment(512 << 10, 0);
    std::unique_ptr<Store> store = Attach(segment);
    const SharedSlot shared(segment);
    const Version of_a = store->Put(shared.a, "a").value();
    ASSERT_TRUE(store->Put(shared.b, "b").ok());
    // As if b had been put half a billion times.
    shared.block(shared.word().second())->clock = of_a + kMaxClockLag - 1 + beyond;
    ExpectSound(*store);
    const Version of_b = store->Put(shared.b, "b").value();
    EXPECT_EQ(of_b, of_a + kMaxClockLag + beyond);
    EXPECT_EQ(shared.word().kind(), beyond == 0 ? SlotKind::kPair : SlotKind::kNode);
    ExpectSound(*store);
    EXPECT_TRUE(store->Erase(shared.b).value());
    EXPECT_EQ(store->Get(shared.a, nullptr).value(), of_a);
    ExpectSound(*store);
    EXPECT_EQ(store->Put(shared.b, "b").value(), of_b + 2);
    EXPECT_EQ(shared.word().kind(), SlotKind::kNode);
    ExpectSound(*store);
    EXPECT_EQ(store->Put(shared.a, "a").value(), of_b + 3);
    ExpectSound(*store);
  }
  // The audit must be able to find what has come to lag too far.
  std::shared_ptr<Segment> segment = MakeSegment(512 << 10, 0);
  std::unique_ptr<Store> store = Attach(segment);
  const SharedSlot shared(segment);
  ASSERT_TRUE(store->Put(shared.a, "a").ok());
  ASSERT_TRUE(store->Put(shared.b, "b").ok());
  shared.block(shared.word().second())->clock += kMaxClockLag + 1;
  EXPECT_FALSE(store->Audit()->clean());
  shared.block(shared.word().second())->clock = shared.block(shared.word().first())->clock;
  EXPECT_FALSE(store->Audit()->clean());
}

// A store that is full, and two keys of one slot in it; a third needs a node that lists three.
struct FullStore {
  FullStore() {
    for (uint64_t i = 0; keys.size() < cas_slots::kMaxNodeItems + 1; ++i) {
      if (keys.empty() || SlotOf(Key(i)) == SlotOf(keys[0])) keys.push_back(Key(i));
    }
    EXPECT_TRUE(store->Put(keys[0], value).ok());
    EXPECT_TRUE(store->Put(keys[1], value).ok());
    std::set<uint64_t> taken = {SlotOf(keys[0])};
    for (uint64_t i = 0;; ++i) {
      const std::string key = absl::StrCat("fill", i);
      if (!taken.insert(SlotOf(key)).second) continue;
      if (!store->Put(key, value).ok()) break;
      alone.push_back(key);
    }
  }
  uint64_t SlotOf(const std::string& key) const {
    return static_cast<uint64_t>(static_cast<unsigned __int128>(segment->Hash(key)) *
                                     segment->header().parameters[cas_slots::kSlotCount] >>
                                 64);
  }

  const std::string value = std::string(950, 'v');
  std::shared_ptr<Segment> segment = MakeSegment(256 << 10, 256);
  std::unique_ptr<Store> store = Attach(segment);
  std::vector<std::string> keys;   // of one slot
  std::vector<std::string> alone;  // each in a slot of its own: they need no node
};

TEST(CasSlotsTest, FullSegmentSaysWhatLacked) {
  const FullStore full;
  const auto& [value, segment, store, keys, alone] = full;
  // There is room for the entry, of 950 bytes, and none for a node that lists three.
  ASSERT_TRUE(*store->Erase(alone[0]));
  EXPECT_THAT(std::string(store->Put(keys[2], value).status().message()),
              ::testing::HasSubstr(absl::StrCat("of ", cas_slots::NodeBytes(3), " bytes")));
  EXPECT_TRUE(store->Put(alone[0], value).ok()) << "there was no room: vacuous";
  for (const std::string& key : alone) ASSERT_TRUE(*store->Erase(key));
  for (size_t i = 0; i < cas_slots::kMaxNodeItems; ++i) ASSERT_TRUE(store->Put(keys[i], "v").ok());
  EXPECT_THAT(std::string(store->Put(keys.back(), "v").status().message()),
              ::testing::HasSubstr(absl::StrCat(cas_slots::kMaxNodeItems, " keys")));
}

// Room comes back block by block: where the last free page is the one whose block the entry takes,
// there is none for the node.
TEST(CasSlotsTest, RoomForTheEntryAloneIsNoRoom) {
  size_t refused_beside_a_free_page = 0;
  size_t in_page = 1;
  for (size_t first = 0; first < in_page; ++first) {  // one of them begins a page
    const FullStore full;
    const auto& [value, segment, store, keys, alone] = full;
    auto& room = dynamic_cast<TellsRoom&>(*store);
    in_page = cas_slots::BlocksInPage(
        cas_slots::ClassOf(sizeof(cas_slots::BlockHeader) + keys[2].size() + value.size()));
    for (size_t erased = 0; !store->Put(keys[2], value).ok(); ++erased) {
      EXPECT_FALSE(*room.HasRoom(keys[2], value.size())) << "after " << erased << " from " << first;
      refused_beside_a_free_page += erased == in_page ? 1 : 0;
      ASSERT_LT(first + erased, alone.size());
      ASSERT_TRUE(*store->Erase(alone[first + erased]));
    }
  }
  EXPECT_GT(refused_beside_a_free_page, 0u) << "vacuous";
}

// The checks above must be able to fail.
TEST(CasSlotsTest, TheAuditFindsBlocksThatNobodyCanFindAndBlocksThatTwoOwn) {
  using cas_slots::Context;
  std::shared_ptr<Segment> segment = MakeSegment(256 << 10, 0);
  std::unique_ptr<Store> store = Attach(segment);
  ASSERT_TRUE(store->Put("a", "1").ok());
  ASSERT_TRUE(store->Put("b", "2").ok());
  ExpectSound(*store);
  Context context(segment, Participant());
  const auto order = std::memory_order_relaxed;  // nobody else is there

  cas_slots::Ledger& own = context.ledger_of(0);
  const uint64_t name = own.cache[7].exchange(0, order);
  ASSERT_NE(name, 0u);
  EXPECT_EQ(store->Audit()->leaked.blocks, 1u);
  EXPECT_FALSE(store->Audit()->clean());
  own.cache[7].store(name, order);
  ExpectSound(*store);

  const uint64_t slot_a = context.SlotOf(segment->Hash("a"));
  const uint64_t slot_b = context.SlotOf(segment->Hash("b"));
  ASSERT_NE(slot_a, slot_b);
  const uint64_t word_b = context.slot(slot_b).exchange(context.slot(slot_a).load(order), order);
  EXPECT_EQ(store->Audit()->doubly_owned, 1u);
  EXPECT_EQ(store->Audit()->leaked.blocks, 1u);  // b's entry
  context.slot(slot_b).store(word_b, order);

  cas_slots::BlockHeader* entry =
      context.block(cas_slots::SlotWord{context.slot(slot_a).load(order)}.ref());
  const uint64_t state = entry->state.load(order);
  entry->state.store(cas_slots::BlockState{state}.Next(cas_slots::BlockKind::kFree).bits, order);
  EXPECT_EQ(store->Audit()->doubly_owned, 1u);
  entry->state.store(state, order);
  context.page(3).word.store(cas_slots::PageWord{}.Next(cas_slots::PageKind::kOwned, 0).bits,
                             order);
  EXPECT_EQ(store->Audit()->leaked.bytes, cas_slots::kPageBytes);
  context.page(3).word.store(0, order);
  ExpectSound(*store);
}

// What a victim does until it is killed: everything, on few keys, with values of many sizes.
int WorkUntilKilled(const std::shared_ptr<Segment>& segment, uint64_t seed) {
  // A clock of the victim's own processor time: it dies while it works, however busy the machine
  // is.
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGKILL;
  timer_t timer{};
  itimerspec when{};
  when.it_value.tv_nsec = static_cast<long>(seed % 6'000'000) + 1;
  CHILD_REQUIRE(timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &timer) == 0 &&
                timer_settime(timer, 0, &when, nullptr) == 0);
  absl::StatusOr<std::unique_ptr<Store>> attached = TheVariant().Attach(segment);
  if (absl::IsResourceExhausted(attached.status())) return 0;
  CHILD_REQUIRE(attached.ok());
  Store& store = **attached;
  std::mt19937_64 random(seed);
  std::vector<PinnedValue> pins;
  for (uint64_t i = 0;; ++i) {
    const uint64_t key = random() % 60;
    const size_t bytes = random() % 8 == 0 ? random() % 9000 : random() % 300;
    CHILD_REQUIRE(OneOperation(store, key, ValueOf(key, i, bytes), random()));
    // Some pins that last, so that deaths leave pins behind.
    absl::StatusOr<PinnedValue> pin = store.Pin(Key(key));
    if (pin.ok()) pins.push_back(*std::move(pin));
    if (pins.size() > 5) pins.erase(pins.begin());
  }
}

class CasSlotsKillTest : public ::testing::TestWithParam<std::pair<uint64_t, uint64_t>> {};

TEST_P(CasSlotsKillTest, NothingIsLostAndSurvivorsGoOnWhenProcessesAreKilled) {
  const auto [size_bytes, expected_entries] = GetParam();
  std::shared_ptr<Segment> segment = MakeSegment(size_bytes, expected_entries, 8);
  std::mt19937_64 random(TestSeed() + size_bytes);
  uint64_t recovered = 0;
  uint64_t undone = 0;
  // Until some deaths have fallen between the two ends of a change.
  constexpr int kRounds = 60;
  constexpr int kMostRounds = 50 * kRounds;
  for (int round = 0; round < kRounds || (undone < 5 && round < kMostRounds); ++round) {
    std::vector<Child> victims;
    for (int i = 0; i < 4; ++i) {
      const uint64_t seed = random();
      victims.emplace_back([&, seed](Line&) { return WorkUntilKilled(segment, seed); });
    }
    for (Child& victim : victims) {
      EXPECT_THAT(victim.ExitStatus(), ::testing::AnyOf(0, 1000 + SIGKILL));
    }
    absl::StatusOr<std::unique_ptr<Store>> survivor = TheVariant().Attach(segment);
    ASSERT_TRUE(survivor.ok()) << survivor.status();
    ExpectSound(**survivor);  // the dead are accounted for before anybody has recovered them
    RecoveryReport report = (*survivor)->Recover().value();
    recovered += report.participants;
    undone += report.rolled_back + report.rolled_forward;
    ExpectSound(**survivor);
    AuditReport audit = (*survivor)->Audit().value();
    ASSERT_EQ(audit.held.blocks, 0u);
    ASSERT_EQ(audit.participants, 1u);
    ASSERT_FALSE(HasFailure());
    for (uint64_t key = 0; key < 60; ++key) {
      std::string value;
      if ((*survivor)->Get(Key(key), &value).ok()) {
        ASSERT_TRUE(IsValueOf(key, value));
      }
    }
  }
  EXPECT_GT(recovered, 0u);
  EXPECT_GT(undone, 0u);
}

INSTANTIATE_TEST_SUITE_P(Sizes, CasSlotsKillTest,
                         ::testing::Values(std::pair<uint64_t, uint64_t>{8 << 20, 0},
                                           std::pair<uint64_t, uint64_t>{192 << 10, 1},
                                           std::pair<uint64_t, uint64_t>{256 << 10, 0}));

}  // namespace
}  // namespace kill9
