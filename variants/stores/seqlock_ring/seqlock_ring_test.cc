// What is peculiar to seqlock_ring. Several participants of one process stand for several processes
// where the order of events must be exact; real processes die in seqlock_ring_kill_test.
#include "variants/stores/seqlock_ring/seqlock_ring.h"

#include <atomic>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/scaffold/children.h"
#include "property/scaffold/values.h"
#include "variants/segment/hash.h"

namespace kill9::ring {
namespace {

constexpr std::memory_order kSeqCst = std::memory_order_seq_cst;  // no test depends on less

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::shared_ptr<Segment> MakeSegment(uint64_t bytes, uint64_t expected_entries = 0,
                                     uint64_t first_lap = 1) {
  SegmentOptions options;
  options.size_bytes = bytes;
  options.max_participants = 8;
  options.expected_entries = expected_entries;
  options.hash_seed = 9;
  auto segment = CreateSegment(options, first_lap);
  EXPECT_TRUE(segment.ok()) << segment.status();
  return *segment;
}

std::unique_ptr<RingStore> Join(const std::shared_ptr<Segment>& segment) {
  auto store = RingStore::Attach(segment);
  EXPECT_TRUE(store.ok()) << store.status();
  return *std::move(store);
}

// Puts filler until the cursor has gone round `laps` times.
void GoRound(RingStore& store, int laps) {
  const Geometry& geometry = store.geometry();
  const auto lap = [&] {
    return geometry.header->cursor.load(kSeqCst) >> geometry.chunk_index_bits;
  };
  const uint64_t goal = lap() + static_cast<uint64_t>(laps);
  const std::string filler = Bytes(200, 1);
  for (int i = 0; lap() < goal; ++i) {
    auto version = store.Put(absl::StrCat("filler", i % 50), filler);
    ASSERT_TRUE(version.ok()) << version.status();
  }
}

void ExpectSound(RingStore& store) {
  auto report = store.Audit();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->clean()) << testing::PrintToString(report->violations);
  EXPECT_EQ(report->free.blocks + report->live.blocks + report->held.blocks,
            report->capacity.blocks);
  EXPECT_EQ(report->free.bytes + report->live.bytes + report->held.bytes, report->capacity.bytes);
}

std::vector<std::string> ViolationsOf(RingStore& store) { return store.Audit()->violations; }

TEST(SeqlockRing, NewestStayAndOldestGiveWayLapAfterLap) {
  auto segment = MakeSegment(1 << 20, 20000);
  auto store = Join(segment);
  std::string value;
  Version last = 0;
  uint64_t hits = 0;
  for (uint64_t i = 0; i < 40000; ++i) {
    const std::string key = absl::StrCat("key", i);
    ASSERT_TRUE(store->Put(key, Bytes(64, i)).ok());
    auto own = store->Get(key, &value);
    ASSERT_TRUE(own.ok()) << i;
    ASSERT_EQ(value, Bytes(64, i));
    if (i >= 100) hits += store->Get(absl::StrCat("key", i - 100), &value).ok();
    auto version = store->Put("constant", absl::StrCat(i));
    ASSERT_GT(*version, last);
    last = *version;
  }
  EXPECT_GT(hits, 39000u);
  EXPECT_FALSE(store->Get("key0", &value).ok());
  EXPECT_GT(store->ReadCounters().laps, 3u);
  ExpectSound(*store);
}

TEST(SeqlockRing, WritersWithOldAndNewLeasesPublishVersionsInOrder) {
  auto segment = MakeSegment(1 << 20);
  auto old_lease = Join(segment);
  auto new_lease = Join(segment);
  Version last = 0;
  std::string value;
  for (int i = 0; i < 2000; ++i) {
    RingStore& writer = i % 2 == 0 ? *old_lease : *new_lease;
    auto version = writer.Put("key", absl::StrCat(i));
    ASSERT_GT(*version, last);
    last = *version;
    ASSERT_EQ(*old_lease->Get("key", &value), last);
    ASSERT_EQ(value, absl::StrCat(i));
    if (i % 5 == 0) {
      ASSERT_TRUE(*new_lease->Erase("key"));
    }
    if (i % 7 == 0) old_lease->Clear();
  }
  ExpectSound(*old_lease);
}

TEST(SeqlockRing, PinnedBytesAreSkippedForManyLaps) {
  auto segment = MakeSegment(256 << 10);
  auto reader = Join(segment);
  auto writer = Join(segment);
  ASSERT_TRUE(writer->Put("pinned", Bytes(500, 7)).ok());
  auto pin = reader->Pin("pinned");
  ASSERT_TRUE(pin.ok());
  ASSERT_TRUE(writer->Put("pinned", Bytes(500, 8)).ok());
  GoRound(*writer, 5);
  EXPECT_EQ(pin->value(), Bytes(500, 7));
  auto held = reader->Audit();
  EXPECT_EQ(held->held.blocks, UnitsFor(6, 500));
  ExpectSound(*reader);
  pin->Release();
  EXPECT_EQ(reader->Audit()->held.blocks, 0u);
}

TEST(SeqlockRing, DraftOfAWriterStoppedForLapsIsNotHandedToAnother) {
  auto segment = MakeSegment(256 << 10);
  auto stopped = Join(segment);
  auto others = Join(segment);
  auto draft = stopped->Reserve("slow", 3000);
  ASSERT_TRUE(draft.ok());
  GoRound(*others, 3);
  const std::string bytes = Bytes(3000, 3);
  bytes.copy(draft->bytes().data(), 1500);
  GoRound(*others, 2);
  bytes.copy(draft->bytes().data() + 1500, 1500, 1500);
  ExpectSound(*others);
  ASSERT_TRUE(stopped->Commit(*std::move(draft)).ok());
  std::string value;
  ASSERT_TRUE(others->Get("slow", &value).ok());
  EXPECT_EQ(value, bytes);
  ExpectSound(*others);
}

TEST(SeqlockRing, LeaseThatWasLappedIsNotWrittenTo) {
  auto segment = MakeSegment(256 << 10);
  auto sleeper = Join(segment);
  auto others = Join(segment);
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(sleeper->Put("sleeper", absl::StrCat(round)).ok());
    GoRound(*others, 1 + round % 2);
    std::string value;
    auto seen = others->Get("sleeper", &value);
    if (seen.ok()) {
      EXPECT_EQ(value, absl::StrCat(round));
    }
    ExpectSound(*others);
  }
}

TEST(SeqlockRing, RingFullOfLiveHoldsSaysFullAndTakesRecordsAgainAfterRelease) {
  auto segment = MakeSegment(128 << 10);
  auto reader = Join(segment);
  auto writer = Join(segment);
  std::vector<PinnedValue> pins;
  absl::Status full;
  const size_t bytes = writer->max_value_bytes() / 20;
  for (int i = 0; full.ok() && i < 100; ++i) {
    auto version = writer->Put(absl::StrCat("key", i), Bytes(bytes, 1));
    full = version.status();
    if (!full.ok()) break;
    auto pin = reader->Pin(absl::StrCat("key", i));
    ASSERT_TRUE(pin.ok()) << pin.status();
    pins.push_back(*std::move(pin));
  }
  EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
  for (const PinnedValue& pin : pins) EXPECT_EQ(pin.value(), Bytes(bytes, 1));
  std::string value;
  EXPECT_TRUE(writer->Get("key0", &value).ok());
  ExpectSound(*writer);
  pins.clear();
  EXPECT_TRUE(writer->Put("again", Bytes(bytes, 2)).ok());
  ExpectSound(*writer);
}

TEST(SeqlockRing, ParticipantWithAllHoldsTakenIsToldSo) {
  auto segment = MakeSegment(1 << 20);
  auto store = Join(segment);
  ASSERT_TRUE(store->Put("key", "value").ok());
  std::vector<PinnedValue> pins;
  for (int i = 0; i < kUserHolds; ++i) {
    auto pin = store->Pin("key");
    ASSERT_TRUE(pin.ok()) << i;
    pins.push_back(*std::move(pin));
  }
  EXPECT_TRUE(absl::IsResourceExhausted(store->Pin("key").status()));
  EXPECT_TRUE(absl::IsResourceExhausted(store->Reserve("other", 10).status()));
  EXPECT_TRUE(store->Put("other", "value").ok());
  pins.pop_back();
  EXPECT_TRUE(store->Reserve("other", 10).ok());
}

TEST(SeqlockRing, RecordNearlyAsLargeAsTheRingWorksAndALargerOneIsAnError) {
  auto segment = MakeSegment(4 << 20);
  auto store = Join(segment);
  auto idle = Join(segment);  // its lease must not be in the way
  ASSERT_TRUE(idle->Put("idle", "lease").ok());
  const size_t largest = store->max_value_bytes();
  EXPECT_GT(largest, 3u << 20);
  std::string value;
  for (size_t bytes : {largest, largest / 2 + 1, largest - 1, size_t{1} << 20, largest}) {
    auto version = store->Put("large", Bytes(bytes, bytes));
    ASSERT_TRUE(version.ok()) << version.status();
    ASSERT_EQ(*store->Get("large", &value), *version);
    ASSERT_EQ(value, Bytes(bytes, bytes));
    ExpectSound(*store);
    ASSERT_TRUE(idle->Put("idle", "again").ok());
  }
  auto refused = store->Put("large", std::string(largest + 1, 'x'));
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr(absl::StrCat(largest)));
}

TEST(SeqlockRing, LargeRecordIsGoneOnceAnyOfItsChunksIsWritten) {
  auto segment = MakeSegment(1 << 20);
  auto store = Join(segment);
  const Geometry& geometry = store->geometry();
  const size_t bytes = geometry.chunk_units() * kUnitBytes * 3;
  ASSERT_TRUE(store->Put("large", Bytes(bytes, 1)).ok());
  auto pin = store->Pin("large");
  ASSERT_TRUE(pin.ok());
  RecordHead head;
  const uint64_t hash = segment->Hash("large");
  ASSERT_TRUE(ReadHead(geometry, Find(geometry.BucketOf(hash), TagOfHash(hash)).word, &head));
  EXPECT_TRUE(StillWhole(geometry, head));
  pin->Release();
  // As if an opener had taken only the last chunk, because somebody holds the first.
  geometry.chunks[geometry.ChunkOf(geometry.SequenceOf(head.position)) + 2].content.fetch_add(
      1, kSeqCst);
  EXPECT_FALSE(StillWhole(geometry, head));
  EXPECT_TRUE(absl::IsNotFound(store->Get("large", nullptr).status()));
}

TEST(SeqlockRing, ReaderThatSleepsThroughALapNoticesIt) {
  auto segment = MakeSegment(256 << 10);
  auto store = Join(segment);
  const Geometry& geometry = store->geometry();
  ASSERT_TRUE(store->Put("key", Bytes(300, 1)).ok());
  const uint64_t hash = segment->Hash("key");
  const uint64_t word = Find(geometry.BucketOf(hash), TagOfHash(hash)).word;
  RecordHead head;
  ASSERT_TRUE(ReadHead(geometry, word, &head));
  GoRound(*store, 2);
  EXPECT_FALSE(StillWhole(geometry, head));
  EXPECT_FALSE(ReadHead(geometry, word, &head));
}

TEST(SeqlockRing, ClearForgetsEverythingAndWhatIsPutAfterwardsIsThere) {
  auto segment = MakeSegment(1 << 20);
  auto store = Join(segment);
  auto other = Join(segment);
  std::map<std::string, Version> versions;
  for (int i = 0; i < 500; ++i) {
    const std::string key = absl::StrCat("key", i);
    versions[key] = *(i % 2 == 0 ? store : other)->Put(key, "before");
  }
  auto pin = other->Pin("key499");
  ASSERT_TRUE(pin.ok());
  store->Clear();
  std::string value;
  for (const auto& [key, version] : versions)
    ASSERT_TRUE(absl::IsNotFound(other->Get(key, &value).status()));
  EXPECT_EQ(pin->value(), "before");
  EXPECT_FALSE(*other->Erase("key1"));
  EXPECT_FALSE(other->CompareAndSwap("key2", versions["key2"], "x")->swapped);
  EXPECT_TRUE(other->CompareAndSwap("key2", kAbsent, "x")->swapped);
  for (const auto& [key, version] : versions) {
    ASSERT_GT(*other->Put(key, "after"), version);
    ASSERT_TRUE(store->Get(key, &value).ok());
    ASSERT_EQ(value, "after");
  }
  pin->Release();
  ExpectSound(*store);
}

TEST(SeqlockRing, PositionsMayWrapInTheIndexWithoutAnyoneNoticing) {
  auto probe = Join(MakeSegment(128 << 10, 64));
  const int location_bits = probe->geometry().chunk_index_bits + probe->geometry().chunk_unit_bits;
  auto segment = MakeSegment(128 << 10, 64, (uint64_t{1} << (kPositionBits - location_bits)) - 3);
  auto store = Join(segment);
  auto other = Join(segment);
  std::mt19937_64 random(TestSeed());
  std::map<std::string, std::pair<std::string, Version>> model;
  uint64_t hits = 0;
  for (int i = 0; i < 30000; ++i) {
    RingStore& one = random() % 2 == 0 ? *store : *other;
    const std::string key = absl::StrCat("key", random() % 40);
    if (random() % 4 == 0) {
      const std::string value = Bytes(random() % 700, static_cast<uint64_t>(i));
      auto version = one.Put(key, value);
      ASSERT_TRUE(version.ok());
      ASSERT_GT(*version, model[key].second);
      model[key] = {value, *version};
    } else {
      std::string value;
      auto version = one.Get(key, &value);
      if (!version.ok()) continue;
      ++hits;
      ASSERT_EQ(value, model[key].first) << "at " << i;
      ASSERT_EQ(*version, model[key].second);
    }
  }
  EXPECT_GT(hits, 10000u);
  EXPECT_GT(store->geometry().header->cursor.load(kSeqCst) >>
                (kPositionBits - store->geometry().chunk_unit_bits),
            0u)
      << "the positions did not wrap";
  ExpectSound(*store);
}

TEST(SeqlockRing, EntryThatAliasesAPositionNamesNothingBeforeThatPositionIsPublished) {
  auto segment = MakeSegment(1 << 20);
  auto store = Join(segment);
  const Geometry& geometry = store->geometry();
  ASSERT_TRUE(store->Put("other", "x").ok());  // begins the lease
  auto draft = store->Reserve("key", 64);
  ASSERT_TRUE(draft.ok());
  // What an entry from 2^48 positions ago would look like.
  const uint64_t hash = segment->Hash("key");
  const uint64_t position =
      static_cast<uint64_t>(draft->bytes().data() - geometry.ring) / kUnitBytes |
      uint64_t{1} << (geometry.chunk_index_bits + geometry.chunk_unit_bits);
  Bucket& bucket = geometry.BucketOf(hash);
  bucket.slots[0].store(MakeEntry(TagOfHash(hash), position), kSeqCst);
  EXPECT_TRUE(absl::IsNotFound(store->Get("key", nullptr).status()));
  const Version version = *store->Commit(*std::move(draft));
  EXPECT_EQ(*store->Get("key", nullptr), version);
  ExpectSound(*store);
}

TEST(SeqlockRing, StaleWriterCannotPublishOverWhatItHasNotSeen) {
  auto segment = MakeSegment(1 << 20);
  auto store = Join(segment);
  const Geometry& geometry = store->geometry();
  const uint64_t hash = segment->Hash("key");
  const uint64_t tag = TagOfHash(hash);
  Bucket& bucket = geometry.BucketOf(hash);
  uint64_t evictions = 0;
  const View absent = ViewForWriting(bucket, tag, &evictions);
  ASSERT_TRUE(store->Put("key", "1").ok());
  EXPECT_FALSE(Publish(bucket, absent, MakeEntry(tag, 12345), &evictions));
  const View present = ViewForWriting(bucket, tag, &evictions);
  ASSERT_TRUE(store->Put("key", "2").ok());
  EXPECT_FALSE(Publish(bucket, present, MakeEntry(tag, 12345), &evictions));
  EXPECT_FALSE(Remove(present.found));
  ASSERT_TRUE(*store->Erase("key"));
  EXPECT_FALSE(Publish(bucket, absent, MakeEntry(tag, 12345), &evictions));
  EXPECT_TRUE(absl::IsNotFound(store->Get("key", nullptr).status()));
}

TEST(SeqlockRing, StagedEntryOfADeadWriterIsVisibleAndSettledByTheNextOnlyOnce) {
  auto segment = MakeSegment(1 << 20);
  auto store = Join(segment);
  const Geometry& geometry = store->geometry();
  ASSERT_TRUE(store->Put("key", "value").ok());
  const uint64_t hash = segment->Hash("key");
  Bucket& bucket = geometry.BucketOf(hash);
  // As if the writer had died right after its commit point.
  const Found found = Find(bucket, TagOfHash(hash));
  const uint64_t vacant = WithKind(0x123456, kVacant);
  const uint64_t staged = WithKind(found.word, kStaged + 3);
  found.place->store(vacant, kSeqCst);
  bucket.control.store(staged, kSeqCst);
  std::string value;
  EXPECT_TRUE(store->Get("key", &value).ok());
  ExpectSound(*store);
  uint64_t visits = 0;
  ASSERT_TRUE(store->ForEach([&](const EntryView&) { return ++visits > 0; }).ok());
  EXPECT_EQ(visits, 1u);
  // One helper moves it and does not get to make control idle; another does both.
  bucket.slots[3].store(found.word, kSeqCst);
  EXPECT_TRUE(store->Get("key", &value).ok());
  ExpectSound(*store);
  Settle(bucket, staged);
  EXPECT_EQ(bucket.control.load(kSeqCst), WithKind(staged, kVacant));
  // The first helper resumes after the key was set anew.
  ASSERT_TRUE(store->Put("key", "newer").ok());
  Settle(bucket, staged);
  EXPECT_TRUE(store->Get("key", &value).ok());
  EXPECT_EQ(value, "newer");
  ExpectSound(*store);
}

TEST(SeqlockRing, HotRecordLivesOnByPromotionAndIsNeverRevived) {
  auto segment = MakeSegment(256 << 10);
  auto reader = Join(segment);
  auto writer = Join(segment);
  reader->SetPromotionChance(1.0);
  const Version version = *writer->Put("hot", "value");
  std::string value;
  uint64_t reads = 0;
  const uint64_t lap =
      writer->geometry().header->cursor.load(kSeqCst) >> writer->geometry().chunk_index_bits;
  while ((writer->geometry().header->cursor.load(kSeqCst) >> writer->geometry().chunk_index_bits) <
         lap + 10) {
    ASSERT_TRUE(writer->Put(absl::StrCat("cold", reads % 100), Bytes(100, 1)).ok());
    auto seen = reader->Get("hot", &value);
    ASSERT_TRUE(seen.ok()) << "after " << reads;
    ASSERT_EQ(*seen, version);
    ++reads;
  }
  EXPECT_GT(reader->ReadCounters().promotions, 5u);
  ASSERT_TRUE(*writer->Erase("hot"));
  for (int i = 0; i < 1000; ++i) {
    ASSERT_FALSE(reader->Get("hot", &value).ok());
    ASSERT_TRUE(writer->Put(absl::StrCat("cold", i % 100), Bytes(100, 1)).ok());
  }
  ExpectSound(*reader);
}

TEST(SeqlockRing, GetWritesNothingToTheSegment) {
  auto segment = MakeSegment(256 << 10);
  auto store = Join(segment);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(store->Put(absl::StrCat("key", i), Bytes(90, 1)).ok());
  const auto digest = [&] { return XXH3_64bits(segment->base(), segment->size()); };
  const uint64_t before = digest();
  std::string value;
  for (int i = 0; i < 5000; ++i) (void)store->Get(absl::StrCat("key", i % 200), &value);
  EXPECT_EQ(digest(), before);
  ASSERT_TRUE(store->Put("key", "value").ok());
  EXPECT_NE(digest(), before);
}

TEST(SeqlockRing, DamagedRecordIsNotFoundAndTheAuditSaysSo) {
  auto segment = MakeSegment(256 << 10);
  auto store = Join(segment);
  ASSERT_TRUE(store->Put("key", Bytes(100, 1)).ok());
  auto pin = store->Pin("key");
  const_cast<char*>(pin->value().data())[50] ^= 1;
  std::string value;
  EXPECT_TRUE(absl::IsNotFound(store->Get("key", &value).status()));
  EXPECT_FALSE(*store->Erase("key"));
  EXPECT_TRUE(store->CompareAndSwap("key", kAbsent, "x")->swapped == true);
  ASSERT_TRUE(store->Put("key", Bytes(100, 1)).ok());
  auto again = store->Pin("key");
  const_cast<char*>(again->value().data())[50] ^= 1;
  EXPECT_THAT(ViolationsOf(*store), Contains(StartsWith("I4")));
}

TEST(SeqlockRing, NoDamagedBitOfARecordIsOverlooked) {
  auto segment = MakeSegment(256 << 10);
  auto store = Join(segment);
  const Geometry& geometry = store->geometry();
  const std::string key = "a key of 16 byte";
  const uint64_t hash = segment->Hash(key);
  // Whole pairs of words and parts of them, and values that end in zeros.
  for (const size_t size : {0, 1, 7, 8, 9, 15, 16, 24, 31, 64, 100, 511, 512, 800}) {
    const std::string written = Bytes(size / 2, 1) + std::string(size - size / 2, 0);
    ASSERT_TRUE(store->Put(key, written).ok());
    std::string value;
    ASSERT_TRUE(store->Get(key, &value).ok());  // remembered from here on
    const Found found = Find(geometry.BucketOf(hash), TagOfHash(hash));
    char* const record = AddressOf(geometry, found.word);
    for (size_t bit = 0; bit < 8 * (kRecordHeaderBytes + PaddedBytes(key.size()) + size); ++bit) {
      const char mask = static_cast<char>(1 << bit % 8);
      record[bit / 8] ^= mask;
      EXPECT_TRUE(absl::IsNotFound(store->Get(key, &value).status()))
          << "bit " << bit << " with a value of " << size;
      record[bit / 8] ^= mask;
      ASSERT_TRUE(store->Get(key, &value).ok());
      ASSERT_EQ(value, written);
    }
  }
}

}  // namespace
}  // namespace kill9::ring
