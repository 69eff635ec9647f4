#include "harness/store_driver/sweep/store_scene.h"

#include <unistd.h>

#include <algorithm>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/store_driver/sweep/store_survivor.h"
#include "harness/store_driver/sweep/store_victim.h"
#include "harness/store_driver/value.h"
#include "harness/sweep/driver/smallest_segment.h"
#include "variants/room.h"
#include "variants/segment/hash.h"

namespace kill9::sweep {
namespace {

constexpr char kInterferencePrefix[] = "interference-";
constexpr uint64_t kHashSeed = 9;
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

// One a process that makes scenes, always of the same length.
std::string SceneName() { return absl::StrFormat("kill9-sweep-scene-%08d", getpid()); }

}  // namespace

// Fills a scene through one participant.
class SceneMaker {
 public:
  explicit SceneMaker(StoreScene& scene) : scene_(scene) {}

  absl::Status Make(uint64_t size_bytes);

 private:
  template <typename Fits>
  uint32_t NewKey(std::string_view prefix, Fits fits) {
    for (uint32_t n = 0;; ++n) {
      std::string key = absl::StrCat(std::string(prefix), "-", n);
      if (fits(scene_.segment_->Hash(key)) &&
          std::find(scene_.keys_.begin(), scene_.keys_.end(), key) == scene_.keys_.end()) {
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
  // Puts new keys until there is no room; the last one put in *last.
  absl::Status FillWith(uint32_t bytes, uint32_t* last);
  // Until a Get of the target would move it.
  absl::Status LetAge();
  absl::Status Fill();

  StoreScene& scene_;
  std::unique_ptr<Store> store_;
  uint64_t time_ = 0;
  uint32_t sequence_ = 0;  // of values
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
  const uint32_t most = scene_.variant_.traits().lossless ? kMostFillers : kLossyFillers;
  for (uint32_t count = 0; count < most; ++count) {
    uint32_t key = NewKey(absl::StrCat("filler", bytes), [](uint64_t) { return true; });
    absl::Status status = Put(key, bytes);
    if (absl::IsResourceExhausted(status)) {
      scene_.keys_.pop_back();
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

absl::Status SceneMaker::CreateSegment(uint64_t size_bytes) {
  SegmentOptions& options = scene_.options_;
  options.size_bytes = size_bytes;
  options.max_participants = kParticipants;
  options.expected_entries = 16;
  options.stripes = 4;
  options.hash_seed = kHashSeed;
  options.keeps_terms = IsOfTerms(scene_.operation_);
  if (scene_.traits().needs_name) {
    options.location = {SegmentKind::kNamed, SceneName()};
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
  store_.reset();
  for (uint32_t key = 0; key < scene_.keys_.size(); ++key) {
    scene_.numbers_[scene_.keys_[key]] = key;
  }
  if (scene_.keys_.size() >= kFillKeys)
    return absl::OutOfRangeError("more keys than numbers for them");
  return absl::OkStatus();
}

std::string FillKey(uint32_t number) { return absl::StrCat("fill-", number); }
std::string InterferenceKey(uint32_t number) { return absl::StrCat(kInterferencePrefix, number); }
bool IsInterferenceKey(std::string_view key) { return key.starts_with(kInterferencePrefix); }

uint64_t ReadId(uint64_t key, std::string_view bytes) {
  const ValueCheck check = CheckValue(key, bytes);
  if (check.defect == ValueDefect::kNone) return check.id;
  constexpr uint64_t kUnwritten = uint64_t{1} << 62;  // no process has such a number
  return kUnwritten | XXH3_64bits(bytes.data(), bytes.size()) >> 2;
}

absl::StatusOr<std::unique_ptr<StoreScene>> MakeStoreScene(const Variant& variant,
                                                           StoreOperation operation,
                                                           StoreState state) {
  return MakeInSmallestSegment(
      absl::StrCat(std::string(StoreStateNames()[static_cast<size_t>(state)]), " for ",
                   std::string(variant.name())),
      [&] { return std::make_unique<StoreScene>(variant, operation, state); },
      [](StoreScene& scene, uint64_t bytes) { return SceneMaker(scene).Make(bytes); });
}

Scene::Making StoreScene::making() const {
  Making making;
  making.live_holder = state_ == StoreState::kPinnedByLive;
  making.dead_holder = state_ == StoreState::kPinnedByDead;
  making.all_participants_alive = state_ == StoreState::kAllParticipantsAlive;
  making.all_participants_dead = state_ == StoreState::kAllParticipantsDead;
  if (state_ == StoreState::kHalfDonePut || making.all_participants_dead) {
    making.half_done = static_cast<uint32_t>(StoreOperation::kPutLarger);
  }
  if (state_ == StoreState::kHalfDoneErase) {
    making.half_done = static_cast<uint32_t>(StoreOperation::kErase);
  }
  return making;
}

Naming StoreScene::naming() const {
  Naming naming;
  naming.key = [this](uint64_t key) {
    if (key < keys_.size()) return keys_[key];
    if (key >= kFillKeys && key != kStrangeKey)
      return FillKey(static_cast<uint32_t>(key - kFillKeys));
    return std::string("(that nobody put)");
  };
  naming.value = [](uint64_t id) {
    if (IsTiny(id)) return absl::StrCat("tiny-", (id & ~(ValueId{1} << 63)) - 1);
    if (id >> 62 != 0) return std::string("(that nobody wrote)");
    return absl::StrCat("v", ProcessOf(id), ".", SequenceOf(id));
  };
  return naming;
}

std::unique_ptr<Scene> StoreScene::In(std::shared_ptr<Segment> segment) const {
  auto scene = std::make_unique<StoreScene>(variant_, operation_, StoreState::kEmpty);
  scene->options_ = options_;
  scene->segment_ = std::move(segment);
  scene->keys_ = keys_;
  for (uint32_t key = 0; key < keys_.size(); ++key) scene->numbers_[scene->keys_[key]] = key;
  return scene;
}

std::unique_ptr<Victim> StoreScene::NewVictim(uint32_t operation, uint32_t number, bool tells_all,
                                              OperationLog log) const {
  return std::make_unique<StoreVictim>(*this, static_cast<StoreOperation>(operation), number,
                                       tells_all, log);
}

absl::StatusOr<std::unique_ptr<Survivor>> StoreScene::NewSurvivor(CellProcess process,
                                                                  Findings& findings,
                                                                  OperationLog log) const {
  const bool elsewhere = remote_survivor_ != nullptr && process == kSurvivorAfter;
  absl::StatusOr<std::unique_ptr<Store>> store =
      elsewhere ? remote_survivor_->Attach([&findings](const std::string& how) {
        findings.Fail(Verdict::kSurvivorCrashed, how);
      })
                : variant_.Attach(segment_);
  if (!store.ok()) return store.status();
  return std::make_unique<StoreSurvivor>(*this, process, *std::move(store), findings, log);
}

// A pin, and a draft besides where there is room for one; a design without pins still has a
// participant.
std::shared_ptr<void> StoreScene::Hold(SharedObject& object) const {
  struct Held {
    PinnedValue pin;
    Draft draft;
  };
  Store& store = static_cast<Store&>(object);
  auto held = std::make_shared<Held>();
  absl::StatusOr<PinnedValue> pin = store.Pin(keys_[target_]);
  if (pin.ok()) held->pin = *std::move(pin);
  if (state_ != StoreState::kAllParticipantsDead) return pin.ok() ? held : nullptr;
  absl::StatusOr<Draft> draft = store.Reserve(keys_[target_], sizes().value);
  if (draft.ok()) held->draft = *std::move(draft);
  return held;
}

std::shared_ptr<void> StoreScene::HoldBeside(SharedObject& object, Findings& findings) const {
  constexpr char kDraftByte = 'h';
  struct Held {
    Findings& findings;
    PinnedValue pin;
    std::string pinned;
    std::vector<Draft> drafts;

    explicit Held(Findings& to_tell) : findings(to_tell) {}
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held() {
      const bool pin_stands = pinned.empty() || pin.value() == pinned;
      findings.Check(pin_stands, Verdict::kViolation, "what a participant has pinned has changed");
      for (Draft& draft : drafts) {
        const bool stands = std::all_of(draft.bytes().begin(), draft.bytes().end(),
                                        [](char byte) { return byte == kDraftByte; });
        findings.Check(stands, Verdict::kViolation,
                       "the bytes that a participant has reserved have changed");
      }
    }
  };
  Store& store = static_cast<Store&>(object);
  auto held = std::make_shared<Held>(findings);
  absl::StatusOr<PinnedValue> pin = store.Pin(keys_[target_]);
  if (pin.ok()) {
    held->pin = *std::move(pin);
    held->pinned = std::string(held->pin.value());
  }
  for (uint32_t bytes : {sizes().value, sizes().larger, sizes().smaller}) {
    absl::StatusOr<Draft> draft = store.Reserve(keys_[target_], bytes);
    if (!draft.ok()) continue;
    std::fill(draft->bytes().begin(), draft->bytes().end(), kDraftByte);
    held->drafts.push_back(*std::move(draft));
  }
  return held;
}

pid_t StoreScene::ForkRemoteSurvivor() {
  if (!traits().needs_name) return 0;
  remote_survivor_ = std::make_shared<RemoteSurvivor>(variant_, segment_);
  return remote_survivor_->pid();
}

std::optional<uint32_t> StoreScene::NumberOf(std::string_view key) const {
  const auto found = numbers_.find(key);
  if (found == numbers_.end()) return std::nullopt;
  return found->second;
}

uint32_t StoreScene::At(Nearness where) const {
  switch (where) {
    case Nearness::kSame:
      return Subject(operation_);
    case Nearness::kNear:
      return same_stripe_;
    case Nearness::kElsewhere:
      break;
  }
  return elsewhere_;
}

bool StoreScene::IsTried(uint32_t probe) const {
  switch (probe) {
    case kProbeCas:
      return traits().has_compare_and_swap;
    case kProbePin:
      return traits().has_pin;
    case kProbeDraft:
      return traits().has_draft;
    case kProbeRecover:
      return traits().has_recovery;
    case kProbeAttach:
      return !traits().needs_name;  // it may be attached twice in one process
    default:
      return true;
  }
}

bool StoreScene::DeclaredUnblocked(uint32_t probe, Nearness where) const {
  Progress progress = Progress::kBlocking;
  switch (probe) {
    case kProbeGet:
      progress = traits().read;
      break;
    case kProbePut:
    case kProbeErase:
    case kProbeCas:
    case kProbeDraft:
      progress = traits().write;
      break;
    case kProbePin:
      progress = traits().pin;
      break;
    default:
      return false;  // the traits do not speak of it
  }
  if (progress != Progress::kBlocking || traits().blocks == Traits::Reach::kNowhere) return true;
  const bool takes_room =
      operation_ == StoreOperation::kPutInsert || operation_ == StoreOperation::kPutLarger ||
      operation_ == StoreOperation::kPutSmaller || operation_ == StoreOperation::kReserve ||
      operation_ == StoreOperation::kReserveLarge;
  const bool borrowing = traits().borrows_room && full_ && takes_room;
  const bool wanders = borrowing || TakesNoKey(operation_);
  return traits().blocks == Traits::Reach::kStripe && where == Nearness::kElsewhere && !wanders;
}

}  // namespace kill9::sweep
