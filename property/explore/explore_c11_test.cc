// The C++ memory model: litmus tests, and random programs against a brute-force enumerator of the
// axioms, which shares no code with the explorer.
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/explore/c11_enumerator.h"
#include "property/explore/outcomes_for_tests.h"

namespace kill9::explore {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;
constexpr auto kAcqRel = std::memory_order_acq_rel;
constexpr auto kSeqCst = std::memory_order_seq_cst;

// What the axioms allow, and what the explorer finds: nothing more, and all of it.
std::set<Outcome> Compare(const std::vector<Thread>& threads, int deaths, const std::string& what,
                          bool* racy) {
  C11Enumerator enumerator(threads, deaths);
  std::set<Outcome> expected;
  for (const C11Enumerator::End& end : enumerator.Run()) expected.insert({end.told, end.words});
  *racy = enumerator.racy();
  ExploreResult result;
  const std::set<Outcome> found = ByExploring(threads, MemoryModel::kC11, deaths, &result);
  EXPECT_FALSE(result.unsteady) << what;
  if (*racy) {
    EXPECT_EQ(result.finding.verdict, Verdict::kViolation) << what;
    EXPECT_THAT(result.finding.message, testing::HasSubstr("data race")) << what;
    return found;
  }
  EXPECT_EQ(result.finding.verdict, Verdict::kPass) << what << result.finding.message;
  EXPECT_TRUE(result.exhaustive) << what;
  ExpectTheSame(expected, found, what);
  return found;
}

std::memory_order DrawOrder(std::mt19937_64& random, std::vector<std::memory_order> among) {
  return among[random() % among.size()];
}

Instruction DrawInstruction(std::mt19937_64& random, bool plain, size_t words, uint8_t operand) {
  const auto word = static_cast<uint8_t>(random() % words);
  switch (random() % (plain ? 12 : 9)) {
    case 0:
    case 1:
    case 2:
      return {Code::kLoad, word, operand, DrawOrder(random, {kRelaxed, kAcquire, kSeqCst})};
    case 3:
    case 4:
    case 5:
      return {Code::kStore, word, operand, DrawOrder(random, {kRelaxed, kRelease, kSeqCst})};
    case 6:
      return {Code::kFetchAdd, word, operand,
              DrawOrder(random, {kRelaxed, kAcquire, kRelease, kAcqRel, kSeqCst})};
    case 7:
      return {Code::kCompareAndSwap, word, operand,
              DrawOrder(random, {kRelaxed, kAcquire, kRelease, kAcqRel, kSeqCst})};
    case 8:
      return {Code::kFenceOf, word, operand,
              DrawOrder(random, {kAcquire, kRelease, kAcqRel, kSeqCst, kSeqCst})};
    case 9:
      return {Code::kPlainLoad, word, operand};
    default:
      return {Code::kPlainStore, word, operand};
  }
}

// `events`: all threads together.
std::vector<Thread> Draw(std::mt19937_64& random, bool plain, size_t events) {
  std::vector<Thread> threads(2 + random() % 2);
  const size_t words = 1 + random() % kWords;
  uint8_t next = 1;
  for (size_t i = 0; i < events; ++i) {
    Thread* thread = &threads[i < threads.size() ? i : random() % threads.size()];
    if (thread->size() == kProgramResults) thread = &threads[i % 2];
    if (thread->size() == kProgramResults) continue;
    thread->push_back(DrawInstruction(random, plain, words, next++));
  }
  return threads;
}

void CompareRandomPrograms(int deaths, bool plain, uint64_t seed) {
  std::mt19937_64 random = RandomForPrograms(seed);
  uint64_t racy = 0;
  for (uint64_t i = 0; i < Programs() && !testing::Test::HasFailure(); ++i) {
    // Most are small: what two threads of three steps cannot show is rare.
    const size_t events = i % 16 == 0 ? 10 : i % 4 == 0 ? 8 : 4 + random() % 4;
    const std::vector<Thread> threads = Draw(random, plain, events);
    bool is_racy = false;
    Compare(threads, deaths, absl::StrCat("program ", i, Text(threads)), &is_racy);
    racy += is_racy;
  }
  EXPECT_EQ(racy > 0, plain);
}

TEST(ExploreC11, RandomProgramsHaveTheSameOutcomes) { CompareRandomPrograms(0, false, 11); }
TEST(ExploreC11, RandomProgramsHaveTheSameOutcomesWithOneDeath) {
  CompareRandomPrograms(1, false, 12);
}
TEST(ExploreC11, RandomProgramsHaveADataRaceIfAndOnlyIfOneIsFound) {
  CompareRandomPrograms(0, true, 13);
}

// ---- Litmus tests: is the weak outcome possible? ------------------------------------------------

struct Litmus {
  std::string name;
  std::vector<Thread> threads;
  std::vector<std::vector<uint64_t>> weak;  // what the threads tell; empty: anything
  std::vector<uint64_t> memory;             // the words in the end; empty: anything
  bool possible;
};

constexpr uint8_t x = 0, y = 1;
constexpr Code L = Code::kLoad, S = Code::kStore, A = Code::kFetchAdd, F = Code::kFenceOf;

// Each shape with the stores' order, the loads' order, and a fence between the two accesses of a
// thread (kRelaxed: none).
void AddShapes(const std::string& suffix, std::memory_order store, std::memory_order load,
               bool fences, const std::vector<bool>& possible, std::vector<Litmus>& all) {
  const auto thread = [&](Instruction first, Instruction second) {
    Thread made = {first};
    if (fences) made.push_back({F, x, 0, kSeqCst});
    made.push_back(second);
    return made;
  };
  const auto told = [&](uint64_t first, uint64_t second) {
    return fences ? std::vector<uint64_t>{first, 0, second} : std::vector<uint64_t>{first, second};
  };
  const auto write = [&](uint8_t word, uint8_t value) {
    return Instruction{S, word, value, store};
  };
  const auto read = [&](uint8_t word) { return Instruction{L, word, 0, load}; };
  size_t next = 0;
  const auto add = [&](const char* name, std::vector<Thread> threads,
                       std::vector<std::vector<uint64_t>> weak, std::vector<uint64_t> memory) {
    all.push_back(
        {name + suffix, std::move(threads), std::move(weak), std::move(memory), possible[next++]});
  };
  add("SB", {thread(write(x, 1), read(y)), thread(write(y, 1), read(x))}, {told(0, 0), told(0, 0)},
      {});
  add("MP", {thread(write(x, 1), write(y, 1)), thread(read(y), read(x))}, {told(0, 0), told(1, 0)},
      {});
  add("LB", {thread(read(x), write(y, 1)), thread(read(y), write(x, 1))}, {told(1, 0), told(1, 0)},
      {});
  add("IRIW", {{write(x, 1)}, {write(y, 1)}, thread(read(x), read(y)), thread(read(y), read(x))},
      {{0}, {0}, told(1, 0), told(1, 0)}, {});
  add("2+2W", {thread(write(x, 1), write(y, 2)), thread(write(y, 1), write(x, 2))}, {}, {1, 1, 0});
  add("R", {thread(write(x, 1), write(y, 1)), thread(write(y, 2), read(x))},
      {told(0, 0), told(0, 0)}, {1, 2, 0});
  add("S", {thread(write(x, 2), write(y, 1)), thread(read(y), write(x, 1))},
      {told(0, 0), told(1, 0)}, {2, 1, 0});
  add("WRC", {{write(x, 1)}, thread(read(x), write(y, 1)), thread(read(y), read(x))},
      {{0}, told(1, 0), told(1, 0)}, {});
  add("CoRR", {{write(x, 1)}, thread(read(x), read(x))}, {{0}, told(1, 0)}, {});
  add("CoWW", {thread(write(x, 1), write(x, 2))}, {}, {1, 0, 0});
}

std::vector<Litmus> AllLitmus() {
  std::vector<Litmus> all;
  //                                      SB     MP     LB     IRIW   2+2W   R      S      WRC
  AddShapes("+relaxed", kRelaxed, kRelaxed, false,
            {true, true, false, true, true, true, true, true, false, false}, all);
  AddShapes("+release+acquire", kRelease, kAcquire, false,
            {true, false, false, true, true, true, false, false, false, false}, all);
  AddShapes("+seq_cst", kSeqCst, kSeqCst, false, std::vector<bool>(10, false), all);
  AddShapes("+fences", kRelaxed, kRelaxed, true, std::vector<bool>(10, false), all);
  // A release sequence goes on with updates by others, and not with stores of the same thread.
  all.push_back({"MP+update between",
                 {{{S, x, 1}, {S, y, 1, kRelease}}, {{A, y, 1}}, {{L, y, 0, kAcquire}, {L, x, 0}}},
                 {{0, 0}, {1}, {2, 0}},
                 {},
                 false});
  all.push_back({"MP+own store between",
                 {{{S, x, 1}, {S, y, 1, kRelease}, {S, y, 2}}, {{L, y, 0, kAcquire}, {L, x, 0}}},
                 {{0, 0, 0}, {2, 0}},
                 {},
                 true});
  all.push_back(
      {"MP+fences of release and acquire",
       {{{S, x, 1}, {F, x, 0, kRelease}, {S, y, 1}}, {{L, y, 0}, {F, x, 0, kAcquire}, {L, x, 0}}},
       {{0, 0, 0}, {1, 0, 0}},
       {},
       false});
  all.push_back({"SB+updates of another word",
                 {{{S, x, 1}, {A, 2, 1}, {L, y, 0}}, {{S, y, 1}, {A, 2, 1}, {L, x, 0}}},
                 {{0, 0, 0}, {0, 1, 0}},
                 {},
                 true});
  all.push_back({"atomicity of updates", {{{A, x, 1}}, {{A, x, 1}}}, {{0}, {0}}, {}, false});
  return all;
}

TEST(ExploreC11, LitmusTableIsExact) {
  for (const Litmus& litmus : AllLitmus()) {
    bool racy = false, weak = false;
    for (const Outcome& outcome : Compare(litmus.threads, 0, litmus.name, &racy)) {
      weak |= (litmus.weak.empty() || outcome.told == litmus.weak) &&
              (litmus.memory.empty() || outcome.words == litmus.memory);
    }
    EXPECT_FALSE(racy) << litmus.name;
    EXPECT_EQ(weak, litmus.possible) << litmus.name;
  }
}

// Two states that differ in nothing but what a dead one has written are two: somebody who learns
// of the death from another, by a relaxed store, may still be in a race with it. Its reads are in
// none.
TEST(ExploreC11, StateTellsWhichWordsTheDeadHaveWritten) {
  using Access = WeakMemory::Access;
  constexpr uint32_t kLiving = 0b110;  // not fiber 0
  WeakMemory memory;
  memory.Forget(2);
  std::set<uint64_t> reads, writes, known;
  for (const uint64_t half : {0, 1, 2}) {
    for (const Access access :
         {Access::kAtomicRead, Access::kPlainRead, Access::kAtomicWrite, Access::kPlainWrite}) {
      memory.Begin(3);
      ASSERT_FALSE(memory.Races(0, half, access, 0));
      const bool is_write = access == Access::kAtomicWrite || access == Access::kPlainWrite;
      (is_write ? writes : reads).insert(memory.Hash(kLiving));
      memory.Returned(0);
      for (const int fiber : {1, 2}) memory.Called(fiber);
      known.insert(memory.Hash(kLiving));
    }
  }
  EXPECT_EQ(reads.size(), 1u);
  EXPECT_EQ(writes.size(), 6u);
  // What all living know no longer matters.
  EXPECT_EQ(known.size(), 1u);
}

// Of more stores of a word than are kept account of, none is there in the next schedule.
TEST(ExploreC11, WhatAWordBeginsWithGivesNothingAway) {
  WeakMemory memory;
  memory.Forget(2);
  const int word = memory.AddLocation(0), other = memory.AddLocation(1);
  const auto begin = [&] {
    memory.Begin(2);
    for (const int location : {word, other}) memory.Show(location, 0);
  };
  begin();
  memory.Store(0, other, Order::kRelaxed, 0, 1);
  for (int i = 0; i < 2 * WeakMemory::kStores; ++i) memory.Store(0, word, Order::kRelease, 0, 1);
  ASSERT_TRUE(memory.narrowed());
  begin();
  memory.Load(1, word, Order::kAcquire, 0);
  EXPECT_EQ(memory.OldestFor(1, other, Order::kRelaxed), 0);
}

}  // namespace
}  // namespace kill9::explore
