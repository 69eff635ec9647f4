// Every design in shapes drawn from the seed (harness/store_driver/shape/), against a plain map:
// odd segments, crowded indexes, many stripes, keys that differ in their middle only, values at the
// edges of the design's ways. One participant works: what it put must be there, in a lossy design,
// too; and a refusal must be justified.
#include <map>
#include <numeric>

#include "harness/store_driver/shape/draw_shape.h"
#include "property/conformance/conformance.h"
#include "variants/room.h"

namespace kill9 {
namespace {

// What the shapes of a test came to: its premise.
struct Met {
  uint64_t puts = 0, refusals = 0, judged_refusals = 0, shrunk = 0, odd_sizes = 0, large = 0;
  uint64_t most_entries = 0, most_visited_bytes = 0;
};

class ShapedStore {
 public:
  ShapedStore(const Variant& variant, uint64_t seed, Met& met)
      : variant_(variant), met_(met), random_(seed, 77) {
    ShapeBounds bounds{.least_participants = 2, .most_participants = 300};
    bounds.most_segment_bytes = 3u << 20;
    bounds.always_full = seed % 3 == 0;
    DrawnShape drawn = *DrawShape(variant, StoreShape{.participants = 6}, seed, bounds, random_);
    shape_ = drawn.shape;
    // The trial is of this shape, but for what it is too small for.
    segment_ = std::move(drawn.trial.segment);
    store_ = *variant.Attach(segment_);
    KeyTable table(KeysOf(shape_.family, shape_.keys, variant.traits().edges.max_key_bytes,
                          [this](std::string_view key) { return segment_->Hash(key); }));
    for (uint64_t key = 0; key < shape_.keys; ++key) keys_.emplace_back(table.text(key));
    Workload workload = *FindWorkload("mixed");
    workload.keys = shape_.keys;
    workload.distribution = shape_.distribution;
    workload.sizes = shape_.sizes;
    generator_.emplace(workload, WithoutAbsent(workload.mix, shape_), variant.traits().edges);
    empty_ = Audit();
  }

  std::string text() const { return ShapeText(shape_); }
  bool failed() const { return ::testing::Test::HasFailure(); }

  void Step() {
    const uint64_t key = generator_->NextKey(random_, 0);
    switch (generator_->NextAction(random_)) {
      case Action::kGet:
      case Action::kReadModifyWrite:
      case Action::kIdle:
        return CheckGet(key, /*must_be_there=*/false);
      case Action::kPut:
      case Action::kInsert:
        return Put(key);
      case Action::kErase:
        return Erase(key);
      case Action::kCompareAndSwap:
        return Swap(key);
      case Action::kPin:
        return Pin(key);
      case Action::kDraft:
        return Draft(key);
      case Action::kForEach:
        return Visit();
      case Action::kPutUntil:
      case Action::kReplace:
      case Action::kGetMany:
      case Action::kLease:
      case Action::kClear:
        ADD_FAILURE() << "only workloads of segments that keep terms have it";
    }
  }

  // All that the map has is shown, once; of a lossy design nothing else.
  void Visit() {
    std::map<std::string, std::string> shown;
    uint64_t bytes = 0;
    const absl::Status status = store_->ForEach([&](const EntryView& entry) {
      EXPECT_TRUE(shown.emplace(std::string(entry.key), std::string(entry.value)).second)
          << "shown twice";
      bytes += entry.key.size() + entry.value.size();
      return true;
    });
    EXPECT_TRUE(status.ok()) << status;
    for (const auto& [key, value] : shown) {
      const auto found = model_.find(key);
      ASSERT_TRUE(found != model_.end()) << "a visit shows a key that is not there";
      EXPECT_TRUE(found->second.value == value) << "a visit shows another value";
    }
    if (lossless()) {
      EXPECT_EQ(shown.size(), model_.size()) << "a visit leaves out entries";
    }
    met_.most_entries = std::max<uint64_t>(met_.most_entries, shown.size());
    met_.most_visited_bytes = std::max(met_.most_visited_bytes, bytes);
  }

  // Puts until it has been refused so often, or this many times.
  void Fill(int refusals, int most) {
    for (int i = 0; i < most && refusals > 0 && !failed(); ++i) {
      const uint64_t before = met_.refusals;
      Put(random_.Below(keys_.size()));
      refusals -= met_.refusals != before ? 1 : 0;
    }
  }

  // Nothing of it is left, and all of the space is free again.
  void Empty() {
    for (uint64_t key = 0; key < keys_.size() && !failed(); ++key) Erase(key);
    EXPECT_TRUE(model_.empty());
    const AuditReport audit = Audit();
    EXPECT_EQ(audit.entries, 0u);
    if (lossless()) {
      EXPECT_EQ(audit.free.bytes, empty_.free.bytes);
    }
  }

  AuditReport Audit() {
    const absl::StatusOr<AuditReport> audit = store_->Audit();
    if (!audit.ok()) {
      ADD_FAILURE() << audit.status();
      return {};
    }
    EXPECT_TRUE(audit->clean()) << ::testing::PrintToString(audit->violations);
    EXPECT_EQ(audit->free.bytes + audit->live.bytes + audit->held.bytes, audit->capacity.bytes);
    EXPECT_EQ(audit->free.blocks + audit->live.blocks + audit->held.blocks, audit->capacity.blocks);
    return *audit;
  }

 private:
  struct Present {
    std::string value;
    Version version = kAbsent;
  };

  bool lossless() const { return variant_.traits().lossless; }

  std::string NextValue(uint64_t key) {
    const uint32_t size = generator_->NextSize(random_, keys_[key].size());
    met_.odd_sizes += size % 8 != 0 ? 1 : 0;
    met_.large += size > 4096 ? 1 : 0;
    return Bytes(size, random_.Next());
  }

  // A write came to this: of `value`, or refused.
  void NoteWritten(uint64_t key, std::string value, const absl::StatusOr<Version>& written) {
    ++met_.puts;
    Present& present = model_[keys_[key]];
    if (written.ok()) {
      EXPECT_GT(*written, last_version_[key]) << "a version repeats, or goes back";
      last_version_[key] = *written;
      met_.shrunk += value.size() < present.value.size() ? 1 : 0;
      present = {std::move(value), *written};
      return CheckGet(key, /*must_be_there=*/true);
    }
    if (present.version == kAbsent) model_.erase(keys_[key]);
    EXPECT_EQ(written.status().code(), absl::StatusCode::kResourceExhausted) << written.status();
    ++met_.refusals;
    auto* tells_room = dynamic_cast<TellsRoom*>(store_.get());
    if (tells_room == nullptr) return;
    ++met_.judged_refusals;
    const absl::StatusOr<bool> has_room = tells_room->HasRoom(keys_[key], value.size());
    ASSERT_TRUE(has_room.ok()) << has_room.status();
    EXPECT_FALSE(*has_room) << "refused " << value.size()
                            << " bytes, though there is room for them: " << written.status();
  }

  void CheckGet(uint64_t key, bool must_be_there) {
    const absl::StatusOr<Version> got = store_->Get(keys_[key], &buffer_);
    const auto found = model_.find(keys_[key]);
    if (absl::IsNotFound(got.status())) {
      EXPECT_FALSE(must_be_there) << "what was just put is not there";
      if (lossless()) {
        EXPECT_TRUE(found == model_.end()) << "a key is lost";
      }
      if (found != model_.end()) model_.erase(found);
      return;
    }
    ASSERT_TRUE(got.ok()) << got.status();
    ASSERT_TRUE(found != model_.end()) << "a key is there that was erased";
    EXPECT_EQ(*got, found->second.version);
    EXPECT_TRUE(buffer_ == found->second.value)
        << "another value of " << buffer_.size() << " bytes instead of "
        << found->second.value.size();
  }

  void Put(uint64_t key) {
    std::string value = NextValue(key);
    const absl::StatusOr<Version> written = store_->Put(keys_[key], value);
    NoteWritten(key, std::move(value), written);
  }

  void Draft(uint64_t key) {
    std::string value = NextValue(key);
    absl::StatusOr<kill9::Draft> draft = store_->Reserve(keys_[key], value.size());
    if (!draft.ok()) return NoteWritten(key, std::move(value), draft.status());
    ASSERT_EQ(draft->bytes().size(), value.size());
    std::copy(value.begin(), value.end(), draft->bytes().begin());
    if (random_.Chance(200)) return;  // dropped
    const absl::StatusOr<Version> written = store_->Commit(*std::move(draft));
    NoteWritten(key, std::move(value), written);
  }

  void Swap(uint64_t key) {
    CheckGet(key, false);
    const auto found = model_.find(keys_[key]);
    const Version present = found == model_.end() ? kAbsent : found->second.version;
    const bool stale = random_.Chance(300);
    std::string value = NextValue(key);
    const Version expected = stale ? (present == kAbsent ? 1 : kAbsent) : present;
    const absl::StatusOr<CasResult> result = store_->CompareAndSwap(keys_[key], expected, value);
    if (!result.ok()) return NoteWritten(key, std::move(value), result.status());
    if (!result->swapped) {
      EXPECT_TRUE(stale || !lossless()) << "a swap of the present version is refused";
      EXPECT_TRUE(result->version == present || (!lossless() && result->version == kAbsent));
      return;
    }
    // A lossy design may have given up the present value, where the new one needs much room.
    const bool needs_much = value.size() * 8 > shape_.segment_bytes;
    EXPECT_TRUE(expected == present || (!lossless() && needs_much && expected == kAbsent))
        << "a swap of another version succeeds";
    NoteWritten(key, std::move(value), result->version);
  }

  void Pin(uint64_t key) {
    const absl::StatusOr<PinnedValue> pin = store_->Pin(keys_[key]);
    const auto found = model_.find(keys_[key]);
    if (absl::IsNotFound(pin.status())) {
      EXPECT_TRUE(!lossless() || found == model_.end()) << "a pinned key is lost";
      return;
    }
    ASSERT_TRUE(pin.ok()) << pin.status();
    ASSERT_TRUE(found != model_.end());
    const std::string before = found->second.value;
    if (random_.Chance(500)) Put(key);  // meanwhile
    EXPECT_TRUE(pin->value() == before) << "a pinned value changes";
  }

  void Erase(uint64_t key) {
    const absl::StatusOr<bool> erased = store_->Erase(keys_[key]);
    ASSERT_TRUE(erased.ok()) << erased.status();
    const bool was_there = model_.erase(keys_[key]) != 0;
    EXPECT_TRUE(*erased == was_there || (!lossless() && was_there));
    CheckGet(key, false);
  }

  const Variant& variant_;
  Met& met_;
  Random random_;
  StoreShape shape_;
  std::shared_ptr<Segment> segment_;
  std::unique_ptr<Store> store_;
  std::vector<std::string> keys_;
  std::optional<WorkloadGenerator> generator_;
  std::map<std::string, Present> model_;
  std::map<uint64_t, Version> last_version_;
  std::string buffer_;
  AuditReport empty_;
};

class ConformanceShapes : public Conformance {
 protected:
  static constexpr uint64_t kShapes = 40;
  static constexpr int kSteps = 600;
};

TEST_P(ConformanceShapes, BehavesAsAMapInEveryShape) {
  Met met;
  for (uint64_t n = 0; n < kShapes && !HasFailure(); ++n) {
    const uint64_t seed = TestSeed() * 1000 + n;
    ShapedStore store(variant(), seed, met);
    SCOPED_TRACE(absl::StrCat("seed ", seed, " (KILL9_SEED=", TestSeed(), "): ", store.text()));
    for (int step = 0; step < kSteps && !HasFailure(); ++step) store.Step();
    store.Visit();
    store.Audit();
    store.Fill(/*refusals=*/5, /*most=*/kSteps);
    store.Visit();
    store.Audit();
    store.Empty();
  }
  // The premise: what users have was met.
  EXPECT_GT(met.puts, 5'000u);
  EXPECT_GT(met.odd_sizes, 500u);
  EXPECT_GT(met.large, 300u);
  EXPECT_GT(met.shrunk, 200u);
  EXPECT_GT(met.most_entries, 300u);
  EXPECT_GT(met.most_visited_bytes, 256u << 10);
  if (lossless()) {
    EXPECT_GT(met.judged_refusals, 20u);
  }
}

// The limits are what an empty segment takes, whatever its shape.
TEST_P(ConformanceShapes, TakesTheLargestValueUnderTheLongestKeyThatItPromises) {
  for (uint64_t n = 0; n < kShapes && !HasFailure(); ++n) {
    const uint64_t seed = TestSeed() * 1000 + n;
    Random random(seed);
    ShapeBounds bounds{.least_participants = 2, .most_participants = 64};
    bounds.most_segment_bytes = 2u << 20;
    const absl::StatusOr<DrawnShape> drawn =
        DrawShape(variant(), StoreShape{.participants = 4}, seed, bounds, random);
    ASSERT_TRUE(drawn.ok()) << drawn.status();
    SCOPED_TRACE(absl::StrCat("seed ", seed, ": ", ShapeText(drawn->shape)));
    const auto store = AttachTo(drawn->trial.segment);
    for (const size_t key_bytes : {size_t{1}, store->max_key_bytes()}) {
      const std::string key(key_bytes, 'k');
      const std::string value = Bytes(store->max_value_bytes(), seed);
      const absl::StatusOr<Version> put = store->Put(key, value);
      ASSERT_TRUE(put.ok()) << key_bytes << ": " << put.status();
      std::string found;
      ASSERT_TRUE(store->Get(key, &found).ok());
      EXPECT_TRUE(found == value);
      EXPECT_TRUE(store->Erase(key).value_or(false));
    }
    ExpectSoundAccount(*store);
  }
}

// Whoever finds no room recovers the dead first: their drafts are no reason to refuse.
TEST_P(ConformanceShapes, RoomThatTheDeadHoldIsFoundByWhoNeedsIt) {
  REQUIRE_TRAIT(traits().has_draft);
  REQUIRE_TRAIT(traits().has_recovery);
  constexpr size_t kBytes = 5000;
  Make(1 * kMiB);
  uint64_t filled = 0;
  for (int round = 0; round < 5; ++round) {
    Child victim([&](Line& parent) {
      auto store = variant().Attach(segment_);
      CHILD_REQUIRE(store.ok());
      std::vector<Draft> held;
      for (int i = 0; i < 20; ++i) {
        absl::StatusOr<Draft> draft = (*store)->Reserve("of the dead", kBytes);
        if (!draft.ok()) break;
        held.push_back(*std::move(draft));
      }
      CHILD_REQUIRE(!held.empty());
      parent.Tell();
      for (;;) pause();
    });
    ASSERT_TRUE(victim.Await());
    if (round == 0 && lossless()) filled = Fill(*store_, kBytes);
    victim.KillAndReap();
    // As many as the victim held; nobody has called Recover().
    const absl::StatusOr<Version> put = store_->Put("in its place", Bytes(kBytes, 1));
    EXPECT_TRUE(put.ok()) << put.status();
    EXPECT_TRUE(store_->Erase("in its place").value_or(false));
  }
  if (lossless()) {
    EXPECT_GT(filled, 50u) << "the segment was never full";
  }
}

// Who knows which keys collide in one segment must not know it of another.
TEST_P(ConformanceShapes, TwoSegmentsHashKeysOfEveryLengthDifferently) {
  SegmentOptions options;
  options.size_bytes = 1 * kMiB;
  const std::shared_ptr<Segment> one = Create(options), other = Create(options);
  for (size_t bytes = 1; bytes <= 1024; ++bytes) {
    const std::string key = Bytes(bytes, bytes);
    EXPECT_NE(one->Hash(key), other->Hash(key)) << bytes;
  }
  options.hash_seed = 7;
  const std::shared_ptr<Segment> seeded = Create(options), same = Create(options);
  for (size_t bytes = 1; bytes <= 1024; ++bytes) {
    const std::string key = Bytes(bytes, bytes);
    EXPECT_EQ(seeded->Hash(key), same->Hash(key)) << bytes;
  }
}

// Without them shapes hit the edges of a design's ways by luck only.
TEST_P(ConformanceShapes, TellsTheEdgesOfItsWays) {
  const SizeEdges& edges = variant().traits().edges;
  EXPECT_FALSE(edges.entry_bytes.empty() && edges.value_bytes.empty());
  SegmentOptions options;
  options.size_bytes = 1 * kMiB;
  EXPECT_EQ(edges.max_key_bytes, AttachTo(Create(options))->max_key_bytes());
}

// The sweep and the shapes believe what a design says of whom a stopped process can block.
TEST_P(ConformanceShapes, SaysThatItBlocksNobodyIfAndOnlyIfNoOperationOfItBlocks) {
  const Traits& own = variant().traits();
  const bool blocks = own.read == Progress::kBlocking || own.write == Progress::kBlocking ||
                      (own.has_pin && own.pin == Progress::kBlocking);
  EXPECT_EQ(blocks, own.blocks != Traits::Reach::kNowhere);
}

// Each byte of a key counts, wherever it is.
TEST_P(ConformanceShapes, HashOfAKeyDependsOnEachOfItsBytes) {
  SegmentOptions options;
  options.size_bytes = 1 * kMiB;
  const std::shared_ptr<Segment> segment = Create(options);
  for (const size_t bytes : {1u, 7u, 8u, 16u, 17u, 100u, 250u, 1024u}) {
    std::string key = Bytes(bytes, bytes);
    const uint64_t before = segment->Hash(key);
    for (size_t at = 0; at < bytes; ++at) {
      key[at] = static_cast<char>(key[at] ^ 1);
      EXPECT_NE(segment->Hash(key), before) << bytes << " at " << at;
      key[at] = static_cast<char>(key[at] ^ 1);
    }
  }
}

INSTANTIATE_FOR_ALL_VARIANTS(ConformanceShapes);

}  // namespace
}  // namespace kill9
