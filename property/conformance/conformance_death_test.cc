// Conformance: participants that really die by SIGKILL, alone and together.
#include "property/conformance/death_fixture.h"
#include "property/scaffold/rounds.h"

namespace kill9 {
namespace {

using absl::StatusCode;

INSTANTIATE_FOR_ALL_VARIANTS(ConformanceDeath);

TEST_P(ConformanceDeath, GivesPinsBack) {
  Make();
  REQUIRE_TRAIT(SurvivesDeaths() && traits().has_pin);
  REQUIRE_TRAIT(lossless());
  AuditReport empty = ExpectSoundAccount();
  for (size_t size : {10ul, 5000ul, 200'000ul}) {
    Put("key", Bytes(size, size));
    Child victim = Victim([&](Store& store) {
      static std::vector<PinnedValue> pins;
      for (int i = 0; i < 5; ++i) {
        absl::StatusOr<PinnedValue> pin = store.Pin("key");
        CHILD_REQUIRE(pin.ok());
        pins.push_back(*std::move(pin));
      }
      return 0;
    });
    ASSERT_TRUE(store_->Erase("key").ok());
    AuditReport held = ExpectSoundAccount();
    EXPECT_GE(held.held.bytes, size) << Show(held);
    // While it lives, recovery takes nothing from it.
    EXPECT_EQ(Recover().blocks, 0u);
    ExpectSameRoom(ExpectSoundAccount(), held);
    victim.KillAndReap();
    if (traits().has_audit) {
      AuditReport dead = ExpectSoundAccount();  // held by the dead: not leaked
      EXPECT_GE(dead.held.bytes, size) << Show(dead);
    }
    EXPECT_GE(ExpectRecovered(1).blocks, 1u);
    ExpectSameRoom(ExpectSoundAccount(), empty);
  }
}

TEST_P(ConformanceDeath, GivesDraftsBackAndNeverShowsThem) {
  Make();
  REQUIRE_TRAIT(SurvivesDeaths() && traits().has_draft);
  Version version = Put("key", "value");
  AuditReport before = ExpectSoundAccount();
  for (size_t size : {0ul, 10ul, 5000ul, 200'000ul}) {
    Victim([&](Store& store) {
      static std::vector<Draft> drafts;
      for (const char* key : {"key", "key", "new"}) {
        absl::StatusOr<Draft> draft = store.Reserve(key, size);
        CHILD_REQUIRE(draft.ok());
        std::fill(draft->bytes().begin(), draft->bytes().end(), 'd');
        drafts.push_back(*std::move(draft));
      }
      return 0;
    }).KillAndReap();
    ExpectValue("key", "value", version);
    ExpectRecovered(1);
    ExpectValue("key", "value", version);
    ExpectAbsent("new");
    if (lossless()) ExpectSameRoom(ExpectSoundAccount(), before);
  }
}

TEST_P(ConformanceDeath, OfTheWriterLeavesItsValuesAndOthersPinsOfThem) {
  Make();
  REQUIRE_TRAIT(SurvivesDeaths() && traits().has_pin);
  const std::string value = Bytes(20'000, 1);
  Child writer = Victim([&](Store& store) { return store.Put("key", value).ok() ? 0 : 1; });
  absl::StatusOr<PinnedValue> pin = store_->Pin("key");
  if (!lossless() && !pin.ok()) GTEST_SKIP() << "forgotten at once";
  ASSERT_TRUE(pin.ok()) << pin.status();
  writer.KillAndReap();
  Recover();
  EXPECT_TRUE(pin->value() == value);
  ExpectValue("key", value, pin->version());
  ASSERT_TRUE(store_->Erase("key").ok());
  Fill(*store_, 20'000, 2000);
  EXPECT_TRUE(pin->value() == value);
  EraseAll(*store_);
  pin->Release();
  ExpectNothingHeld();
}

// Bug classes 34 and 35: whoever of them dies, in whatever order.
TEST_P(ConformanceDeath, OfAnyPinnerFreesASharedBlockExactlyWithTheLastLivingOne) {
  Make();
  REQUIRE_TRAIT(SurvivesDeaths() && traits().has_pin);
  REQUIRE_TRAIT(lossless());
  AuditReport empty = ExpectSoundAccount();
  const std::string value = Bytes(3000, 1);
  for (int survivor_order = 0; survivor_order < 3; ++survivor_order) {
    auto second = Attach();
    Put("key", value);
    auto pins_twice = [](Store& store) {
      static std::vector<PinnedValue> pins;
      for (int i = 0; i < 2; ++i) {
        absl::StatusOr<PinnedValue> pin = store.Pin("key");
        CHILD_REQUIRE(pin.ok());
        pins.push_back(*std::move(pin));
      }
      return 0;
    };
    std::vector<Child> victims;
    for (int i = 0; i < 3; ++i) victims.push_back(Victim(pins_twice));
    PinnedValue mine = *store_->Pin("key");
    PinnedValue others = *second->Pin("key");
    ASSERT_TRUE(store_->Erase("key").ok());
    AuditReport held = ExpectSoundAccount();
    EXPECT_GE(held.held.bytes, value.size());
    auto expect_still_held = [&](const char* when) {
      AuditReport now = ExpectSoundAccount();
      EXPECT_EQ(now.held.bytes, held.held.bytes) << when;
      EXPECT_EQ(now.free.bytes, held.free.bytes) << when;
    };
    auto die = [&] {
      victims.back().KillAndReap();
      victims.pop_back();
      EXPECT_EQ(Recover().participants, 1u);
    };
    die();
    expect_still_held("one of five is dead");
    EXPECT_TRUE(mine.value() == value && others.value() == value);
    if (survivor_order == 0) {  // living ones last
      die();
      die();
      expect_still_held("all victims are dead");
      mine.Release();
      expect_still_held("one living pin");
      EXPECT_TRUE(others.value() == value);
      others.Release();
    } else if (survivor_order == 1) {  // dead ones last, recovered one by one
      mine.Release();
      others.Release();
      expect_still_held("only victims hold it");
      die();
      expect_still_held("the last victim lives");
      die();
    } else {  // two die before anybody looks
      mine.Release();
      victims[0].KillAndReap();
      victims[1].KillAndReap();
      victims.clear();
      others.Release();
      expect_still_held("dead, not yet recovered");
      EXPECT_EQ(Recover().participants, 2u);
    }
    second.reset();
    ExpectSameRoom(ExpectSoundAccount(), empty);
  }
}

TEST_P(ConformanceDeath, GivesRoomBackToWhoeverNeedsIt) {
  Make(2 * kMiB);
  REQUIRE_TRAIT(SurvivesDeaths() && traits().has_draft);
  REQUIRE_TRAIT(lossless());
  const std::string value = Bytes(50'000, 1);
  for (int round = 0; round < 3; ++round) {
    Child victim = Victim([&](Store& store) {
      static std::vector<Draft> drafts;
      for (;;) {
        absl::StatusOr<Draft> draft = store.Reserve("draft", value.size());
        if (!draft.ok()) break;
        drafts.push_back(*std::move(draft));
      }
      return drafts.size() > 5 ? 0 : 1;
    });
    EXPECT_EQ(store_->Put("key", value).status().code(), StatusCode::kResourceExhausted);
    victim.KillAndReap();
    Put("key", value);  // first reclaims from the dead, and only then would say full
    ExpectValue("key", value);
    ASSERT_TRUE(store_->Erase("key").ok());
  }
  Recover();
  ExpectNothingHeld();
}

TEST_P(ConformanceDeath, ByExitWithoutDetachingIsADeathToo) {
  Make();
  REQUIRE_TRAIT(SurvivesDeaths() && traits().has_draft);
  Child child([&](Line&) {
    auto store = variant().Attach(segment_);
    CHILD_REQUIRE(store.ok() && (*store)->Put("key", "value").ok());
    static absl::StatusOr<Draft> draft = (*store)->Reserve("draft", 1000);
    CHILD_REQUIRE(draft.ok());
    store->release();  // as exit() without destructors would
    return 0;
  });
  ASSERT_EQ(child.ExitStatus(), 0);
  ExpectRecovered(1);
  ExpectValue("key", "value");
}

// The main one: death at any moment of a loop of all operations, one or several victims at once,
// with a survivor that goes on, a recoverer that may die as well, and every acknowledged write
// accounted for.
TEST_P(ConformanceDeath, AtAnyMomentLosesNothingAcknowledgedAndLeaksNothing) {
  Make(4 * kMiB);
  REQUIRE_TRAIT(SurvivesDeaths());
  struct All {
    Rounds::Progress victims[Rounds::kVictims];
  };
  Shared<All> all;
  std::mt19937_64 random(TestSeed());
  uint64_t kills = 0;
  uint64_t half_done = 0;
  uint64_t happened = 0;

  auto work = [&](int victim, uint64_t seed, Line& parent) {
    auto attached = variant().Attach(segment_);
    CHILD_REQUIRE(attached.ok());
    Rounds::Progress& progress = all->victims[victim];
    std::mt19937_64 choices(seed);
    std::vector<PinnedValue> pins;
    parent.Tell();
    for (;;) {
      Store& store = **attached;
      const int key = static_cast<int>(choices() % Rounds::kKeys);
      const std::string name = Rounds::Key(victim, key);
      Rounds::Progress::Key& state = progress.keys[key];
      // Release and relaxed: read after this process has been reaped.
      const uint64_t n = state.acknowledged.load(std::memory_order_relaxed) + 1;
      const std::string value = Rounds::Value(victim, key, n);
      state.started.store(n, std::memory_order_release);
      absl::Status status;
      if (Rounds::Erases(n)) {
        status = store.Erase(name).status();
      } else if (n % 3 == 0 && traits().has_draft) {
        absl::StatusOr<Draft> draft = store.Reserve(name, value.size());
        status = draft.status();
        if (draft.ok()) {
          value.copy(draft->bytes().data(), value.size());
          status = store.Commit(*std::move(draft)).status();
        }
      } else {
        status = store.Put(name, value).status();
      }
      CHILD_REQUIRE(status.ok());
      state.acknowledged.store(n, std::memory_order_release);
      progress.operations.fetch_add(1, std::memory_order_relaxed);
      if (traits().has_pin && choices() % 4 == 0) {
        if (pins.size() > 3) pins.erase(pins.begin());
        absl::StatusOr<PinnedValue> pin =
            store.Pin(Rounds::Key(static_cast<int>(choices() % Rounds::kVictims), key));
        if (pin.ok()) pins.push_back(*std::move(pin));
      }
      if (choices() % 16 == 0) store.Recover().status().IgnoreError();
      if (choices() % 64 == 0) store.ForEach([](const EntryView&) { return true; }).IgnoreError();
      if (choices() % 128 == 0) {  // die in attach and detach as well
        pins.clear();
        attached->reset();
        attached = variant().Attach(segment_);
        CHILD_REQUIRE(attached.ok());
      }
    }
  };

  for (int round = 0; round < 150; ++round) {
    const int count = 1 + static_cast<int>(random() % Rounds::kVictims);
    std::vector<Child> victims;
    for (int victim = 0; victim < count; ++victim) {
      const uint64_t seed = random();
      victims.emplace_back([&](Line& parent) { return work(victim, seed, parent); });
    }
    for (Child& victim : victims) ASSERT_TRUE(victim.Await());
    ASSERT_TRUE(KillAllAfter(victims, random() % 3000));
    kills += victims.size();
    // A survivor's first operation may come before recovery and must simply work.
    if (round % 2 == 0) ExpectAbsent("never put");
    // At most: a victim may have died between detaching and attaching, and one may have recovered
    // another.
    EXPECT_LE(Recover().participants, static_cast<uint64_t>(count));
    ExpectRecovered(0);
    if (HasFailure()) FAIL() << "round " << round;

    for (int victim = 0; victim < Rounds::kVictims; ++victim) {
      for (int key = 0; key < Rounds::kKeys; ++key) {
        Rounds::Progress::Key& state = all->victims[victim].keys[key];
        const uint64_t started = state.started.load(std::memory_order_acquire);
        const uint64_t acknowledged = state.acknowledged.load(std::memory_order_acquire);
        std::string found;
        absl::StatusOr<Version> got = store_->Get(Rounds::Key(victim, key), &found);
        auto is = [&](uint64_t n) {
          if (n == 0 || Rounds::Erases(n)) return absl::IsNotFound(got.status());
          if (!lossless() && absl::IsNotFound(got.status())) return true;
          return got.ok() && found == Rounds::Value(victim, key, n);
        };
        ASSERT_TRUE(is(acknowledged) || is(started))
            << "round " << round << ", " << Rounds::Key(victim, key) << ": operation "
            << acknowledged << " was acknowledged, " << started << " begun; found " << got.status()
            << " " << found.substr(0, 30) << " of " << found.size() << " bytes";
        if (started != acknowledged) {
          ++half_done;
          if (is(started)) ++happened;
          // What is there now is what counts from here on.
          state.acknowledged.store(is(started) ? started : acknowledged, std::memory_order_relaxed);
        }
      }
    }
    if (round % 25 == 24 && lossless()) {  // leaks and cut free lists show when the room runs out
      EraseAll(*store_);
      AuditReport empty = ExpectSoundAccount();
      EXPECT_EQ(empty.free.bytes, empty.capacity.bytes) << Show(empty);
      Fill(*store_, 5000);
      ExpectSoundAccount();
      EraseAll(*store_);
      for (Rounds::Progress& progress : all->victims) {
        for (Rounds::Progress::Key& key : progress.keys) {
          const uint64_t next_erase = key.started.load(std::memory_order_relaxed) / 5 * 5 + 4;
          key.started.store(next_erase, std::memory_order_relaxed);
          key.acknowledged.store(next_erase, std::memory_order_relaxed);
        }
      }
    }
  }
  std::cout << "[ deaths   ] " << variant().name() << ": " << kills << " kills, " << half_done
            << " operations cut off, of which " << happened << " had happened\n";
  EXPECT_GT(half_done, 0u) << "no kill landed inside an operation: vacuous";
}

TEST_P(ConformanceDeath, OfAllLeavesTheSegmentToANewGeneration) {
  Make(4 * kMiB);
  REQUIRE_TRAIT(SurvivesDeaths());
  for (uint64_t i = 0; i < 50; ++i) Put(absl::StrCat("key-", i), Bytes(100, i));
  store_.reset();
  for (int round = 0; round < 10; ++round) {
    std::vector<Child> generation;
    for (int i = 0; i < 3; ++i) {
      generation.push_back(Victim([&](Store& store) {
        for (uint64_t j = 0; j < 50; ++j) {
          if (!store.Put(absl::StrCat("key-", j), Bytes(100, j)).ok()) return 1;
        }
        static absl::StatusOr<Draft> draft = store.Reserve("draft", 5000);
        return 0;
      }));
    }
    for (Child& victim : generation) victim.KillAndReap();
  }
  store_ = Attach();
  Recover();
  ExpectNothingHeld();
  for (uint64_t i = 0; i < 50; ++i) ExpectValue(absl::StrCat("key-", i), Bytes(100, i));
}

TEST_P(ConformanceDeath, IsNotSeenInAStoppedParticipant) {
  Make();
  REQUIRE_TRAIT(traits().has_pin && lossless());
  const std::string value = Bytes(1000, 1);
  Put("key", value);
  Shared<std::atomic<int>> verdict;
  Child stopped([&](Line& parent) {
    auto store = variant().Attach(segment_);
    CHILD_REQUIRE(store.ok());
    absl::StatusOr<PinnedValue> pin = (*store)->Pin("key");
    CHILD_REQUIRE(pin.ok());
    parent.Tell();
    raise(SIGSTOP);
    CHILD_REQUIRE(pin->value() == value);
    pin->Release();
    CHILD_REQUIRE((*store)->Put("after", "value").ok());
    store->reset();
    return 0;
  });
  ASSERT_TRUE(stopped.Await());
  stopped.AwaitStopped();
  ASSERT_TRUE(store_->Erase("key").ok());
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(Recover().participants, 0u);
    Put(absl::StrCat("fill-", i), Bytes(1000, 2));
  }
  stopped.Signal(SIGCONT);
  EXPECT_EQ(stopped.ExitStatus(), 0);
  ExpectValue("after", "value");
  ExpectNothingHeld();
}

}  // namespace
}  // namespace kill9
