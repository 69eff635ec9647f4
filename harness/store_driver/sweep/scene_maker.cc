// How the starting state of a scene is made.
#include <algorithm>
#include <map>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "harness/store_driver/sweep/store_scene.h"
#include "harness/store_driver/value.h"
#include "harness/sweep/driver/smallest_segment.h"
#include "variants/room.h"

namespace kill9::sweep {
namespace {

constexpr uint32_t kParticipants = 8;
constexpr uint32_t kMostFillers = 2000;
constexpr uint32_t kLossyFillers = 48;  // a lossy store is never full

// Designs choose buckets and stripes by some bits of the hash. Keys that agree in all of these
// share both in a segment as small as a scene's: the highest (multiply and shift), those from the
// 12th (masks above a tag), the lowest (masks; stripes). Searching for one costs half a million
// hashes, so only pair and chain do it; elsewhere a few bits are enough to be near the target.
constexpr uint64_t kChainBits = 0xFF80'0000'0003'F00F;
constexpr uint64_t kNearBits = 0xF000'000F'0000'00FF;
constexpr uint64_t kStripeGroups[] = {0xF000'0000'0000'0000, 0x0000'000F'0000'0000, 0x000F};

bool Apart(uint64_t a, uint64_t b) {
  return std::all_of(std::begin(kStripeGroups), std::end(kStripeGroups),
                     [a, b](uint64_t group) { return ((a ^ b) & group) != 0; });
}

}  // namespace

// Fills a scene through one participant.
class SceneMaker {
 public:
  explicit SceneMaker(StoreScene& scene) : scene_(scene) {}

  absl::Status Make(uint64_t size_bytes);

 private:
  // The next one of those with the prefix, all of which are asked for with the same `fits`.
  template <typename Fits>
  uint32_t NewKey(const std::string& prefix, Fits fits) {
    uint32_t& next = next_[prefix];
    for (;;) {
      const uint32_t n = next++;
      std::string key = absl::StrCat(std::string(scene_.shape_.before, 'b'), prefix, "-", n,
                                     std::string(scene_.shape_.behind, 'e'));
      if (fits(scene_.segment_->Hash(key))) {
        scene_.keys_.push_back(std::move(key));
        return static_cast<uint32_t>(scene_.keys_.size() - 1);
      }
    }
  }
  struct Setting {
    uint32_t key;
    uint32_t bytes;  // 0: erase
  };
  absl::StatusOr<std::vector<Setting>> Settings(absl::FunctionRef<bool(uint64_t)> any,
                                                absl::FunctionRef<bool(uint64_t)> beside);
  absl::Status CreateSegment(uint64_t size_bytes);
  absl::Status Put(uint32_t key, uint32_t bytes);
  absl::Status Erase(uint32_t key);
  // Puts a value whose deadline is over: for everybody it is absent, though it is still there.
  absl::Status LetExpire(uint32_t key);
  void Record(Function function, uint32_t key, uint64_t argument, uint64_t result, Version version);
  uint32_t MostFillers() const { return scene_.traits().lossless ? kMostFillers : kLossyFillers; }
  // Puts new keys until there is no room; the last one put in *last.
  absl::Status FillWith(uint32_t bytes, uint32_t* last);
  // Until a Get of the target would move it.
  absl::Status LetAge();
  absl::Status Fill();
  // With entries of two sizes, until there is no room, and takes them out again.
  absl::Status FillAndEmpty();

  StoreScene& scene_;
  std::unique_ptr<Store> store_;
  uint64_t time_ = 0;
  uint32_t sequence_ = 0;                 // of values
  std::map<std::string, uint32_t> next_;  // of each prefix, the next key's number
};

void SceneMaker::Record(Function function, uint32_t key, uint64_t argument, uint64_t result,
                        Version version) {
  scene_.beginning_.push_back({.invoke = time_ + 1,
                               .finish = time_ + 2,
                               .process = kMaker,
                               .function = function,
                               .outcome = Outcome::kOk,
                               .reserved = 0,
                               .key = key,
                               .argument = argument,
                               .expected = 0,
                               .result = result,
                               .result_version = version});
  time_ += 2;
}

absl::Status SceneMaker::Put(uint32_t key, uint32_t bytes) {
  std::string value(std::min<size_t>(bytes, store_->max_value_bytes()), '\0');
  const ValueId id = MakeValueId(kMaker, ++sequence_);
  FillValue(id, key, value);
  absl::StatusOr<Version> version = store_->Put(scene_.keys_[key], value);
  if (!version.ok()) return version.status();
  Record(Function::kPut, key, ReadId(key, value), kNothing, *version);
  return absl::OkStatus();
}

absl::Status SceneMaker::Erase(uint32_t key) {
  absl::StatusOr<bool> erased = store_->Erase(scene_.keys_[key]);
  if (erased.ok()) Record(Function::kErase, key, kNothing, *erased, kAbsent);
  return erased.status();
}

absl::Status SceneMaker::LetExpire(uint32_t key) {
  std::string value(scene_.sizes().value, '\0');
  FillValue(MakeValueId(kMaker, ++sequence_), key, value);
  absl::StatusOr<Version> version =
      store_->Put(scene_.keys_[key], value, {Expiry::AtNs(1), /*mark=*/0});
  if (!version.ok()) return version.status();
  Record(Function::kPut, key, ReadId(key, value), kNothing, *version);
  Record(Function::kErase, key, kNothing, /*result=*/1, kAbsent);
  return absl::OkStatus();
}

absl::Status SceneMaker::FillWith(uint32_t bytes, uint32_t* last) {
  const std::string prefix = absl::StrCat("filler", bytes);
  for (uint32_t count = 0; count < MostFillers(); ++count) {
    uint32_t key = NewKey(prefix, [](uint64_t) { return true; });
    absl::Status status = Put(key, bytes);
    if (absl::IsResourceExhausted(status)) {
      scene_.keys_.pop_back();
      --next_[prefix];
      return absl::OkStatus();
    }
    if (!status.ok()) return status;
    if (last != nullptr) *last = key;
  }
  return absl::OkStatus();
}

absl::Status SceneMaker::LetAge() {
  auto* store = dynamic_cast<MovesHot*>(store_.get());
  for (uint32_t count = 0; store != nullptr && count < kLossyFillers; ++count) {
    if (store->WouldMove(scene_.keys_[scene_.target_])) return absl::OkStatus();
    const uint32_t key = NewKey("aging", [](uint64_t) { return true; });
    if (absl::Status status = Put(key, kFillBytes); !status.ok()) return status;
  }
  return absl::OutOfRangeError("no Get would move the entry");
}

absl::Status SceneMaker::Fill() {
  scene_.full_ = true;
  const StoreState state = scene_.state_;
  if (state == StoreState::kFullTable) {
    if (absl::Status status = Put(scene_.target_, scene_.sizes().value); !status.ok())
      return status;
    return FillWith(16, nullptr);
  }
  if (state == StoreState::kFirstBlock) {
    if (absl::Status status = Put(scene_.target_, scene_.sizes().value); !status.ok())
      return status;
  }
  uint32_t last = scene_.elsewhere_;
  if (absl::Status status = FillWith(kFillBytes, nullptr); !status.ok()) return status;
  if (state == StoreState::kFullSegment) {
    // In the middle: an early filler makes room for the target.
    if (absl::Status status = Erase(5); !status.ok()) return status;
    if (absl::Status status = Put(scene_.target_, scene_.sizes().value); !status.ok())
      return status;
  }
  if (absl::Status status = FillWith(scene_.sizes().value, &last); !status.ok()) return status;
  if (state == StoreState::kLastBlock) {
    if (absl::Status status = Erase(last); !status.ok()) return status;
    return Put(scene_.target_, scene_.sizes().value);
  }
  return FillWith(1, nullptr);
}

absl::Status SceneMaker::FillAndEmpty() {
  constexpr uint32_t kLarge = 1500;  // one of them: more would be given back as they go
  std::vector<std::string> gone;
  while (gone.size() < MostFillers()) {
    const size_t bytes = gone.empty() ? kLarge : scene_.sizes().value;
    std::string key = absl::StrCat("gone-", gone.size());
    const std::string value(std::min(bytes, store_->max_value_bytes()), 'g');
    const absl::Status status = store_->Put(key, value).status();
    if (absl::IsResourceExhausted(status)) break;
    if (!status.ok()) return status;
    gone.push_back(std::move(key));
  }
  for (const std::string& key : gone) {
    if (absl::Status status = store_->Erase(key).status(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status SceneMaker::CreateSegment(uint64_t size_bytes) {
  SegmentOptions& options = scene_.options_;
  const SweepShape& shape = scene_.shape_;
  scene_.SetOptions(size_bytes, kParticipants, shape);
  options.expected_entries = shape.entries != 0 ? shape.entries : 16;
  options.stripes = shape.stripes != 0 ? shape.stripes : 4;
  options.keeps_terms = IsOfTerms(scene_.operation_);
  if (scene_.traits().needs_name) {
    options.location = {SegmentKind::kNamed, SegmentNameOf(kSceneName)};
    Segment::Unlink(options.location).IgnoreError();  // of a cell that was cut off
  }
  absl::StatusOr<std::shared_ptr<Segment>> segment = scene_.variant_.Create(options);
  if (!segment.ok()) return segment.status();
  scene_.segment_ = *std::move(segment);
  return absl::OkStatus();
}

// What is put, in this order: neighbours in most heaps.
absl::StatusOr<std::vector<SceneMaker::Setting>> SceneMaker::Settings(
    absl::FunctionRef<bool(uint64_t)> any, absl::FunctionRef<bool(uint64_t)> beside) {
  std::vector<Setting> settings;
  const uint32_t usual = scene_.sizes().value;
  switch (scene_.state_) {
    case StoreState::kEmpty:
      break;
    case StoreState::kCollisionPair: {
      uint32_t before = NewKey("pair", beside);
      settings = {{before, usual}, {scene_.target_, usual}};
      break;
    }
    case StoreState::kCollisionChain: {
      uint32_t before = NewKey("chain", beside);
      uint32_t after = NewKey("chain", beside);
      settings = {{before, usual}, {scene_.target_, usual}, {after, usual}};
      break;
    }
    case StoreState::kSplit: {
      uint32_t hole = NewKey("hole", any);
      uint32_t other = NewKey("hole", any);
      uint32_t wall = NewKey("wall", any);
      settings = {{hole, 1500}, {scene_.target_, usual}, {other, 1500}, {wall, usual}, {hole, 0},
                  {other, 0}};
      break;
    }
    case StoreState::kMerge: {
      uint32_t before = NewKey("before", any);
      uint32_t after = NewKey("after", any);
      uint32_t wall = NewKey("wall", any);
      settings = {{before, usual}, {scene_.target_, usual},
                  {after, usual},  {wall, usual},
                  {before, 0},     {after, 0}};
      break;
    }
    case StoreState::kFullTable:
    case StoreState::kFullSegment:
    case StoreState::kFirstBlock:
    case StoreState::kLastBlock:
      if (absl::Status status = Fill(); !status.ok()) return status;
      break;
    default:
      settings = {{scene_.elsewhere_, usual}, {scene_.target_, usual}};
      break;
  }
  if (scene_.state_ == StoreState::kOneEntry) {
    const bool large = IsOfLargeValues(scene_.operation_);
    settings = {{scene_.target_, large ? kLargeBytes : usual}};
  }
  return settings;
}

absl::Status SceneMaker::Make(uint64_t size_bytes) {
  if (absl::Status status = CreateSegment(size_bytes); !status.ok()) return status;
  auto any = [](uint64_t) { return true; };
  absl::StatusOr<std::unique_ptr<Store>> store = scene_.variant_.Attach(scene_.segment_);
  if (!store.ok()) return store.status();
  store_ = *std::move(store);
  // The victim's value is to fit, too, not only as much of it as the state has.
  if (store_->max_value_bytes() < BytesWritten(scene_.sizes(), scene_.operation_)) {
    return absl::ResourceExhaustedError("the victim's value does not fit");
  }
  scene_.target_ = NewKey("target", any);
  if (IsOfTheLongestKey(scene_.operation_)) {
    scene_.keys_[scene_.target_].resize(store_->max_key_bytes(), 'k');
  }
  const uint64_t hash = scene_.segment_->Hash(scene_.keys_[scene_.target_]);
  const bool collide =
      scene_.state_ == StoreState::kCollisionPair || scene_.state_ == StoreState::kCollisionChain;
  const uint64_t bits = collide ? kChainBits : kNearBits;
  auto beside = [hash, bits](uint64_t other) { return ((hash ^ other) & bits) == 0; };
  scene_.insert_ = NewKey("insert", beside);
  scene_.elsewhere_ = NewKey("elsewhere", [hash](uint64_t other) { return Apart(hash, other); });
  scene_.same_stripe_ = NewKey("same-stripe", beside);

  absl::StatusOr<std::vector<Setting>> settings = Settings(any, beside);
  if (!settings.ok()) return settings.status();
  for (const Setting& setting : *settings) {
    absl::Status status = setting.bytes == 0 ? Erase(setting.key) : Put(setting.key, setting.bytes);
    if (!status.ok()) return status;
  }
  if (scene_.operation_ == StoreOperation::kGetExpired) {
    if (absl::Status status = LetExpire(scene_.target_); !status.ok()) return status;
  }
  if (scene_.operation_ == StoreOperation::kGetAging) {
    if (absl::Status status = LetAge(); !status.ok()) return status;
  }
  if (scene_.state_ == StoreState::kEmptied) {
    if (absl::Status status = FillAndEmpty(); !status.ok()) return status;
  }
  store_.reset();
  for (uint32_t key = 0; key < scene_.keys_.size(); ++key) {
    scene_.numbers_[scene_.keys_[key]] = key;
  }
  if (scene_.keys_.size() >= kFillKeys)
    return absl::OutOfRangeError("more keys than numbers for them");
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<StoreScene>> MakeStoreScene(const Variant& variant,
                                                           StoreOperation operation,
                                                           StoreState state,
                                                           const SweepShape& shape) {
  return MakeInSmallestSegment(
      absl::StrCat(std::string(StoreStateNames()[static_cast<size_t>(state)]), " for ",
                   std::string(variant.name())),
      [&] { return std::make_unique<StoreScene>(variant, operation, state, shape); },
      [](StoreScene& scene, uint64_t bytes) { return SceneMaker(scene).Make(bytes); });
}

}  // namespace kill9::sweep
