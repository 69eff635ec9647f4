#include "harness/store_driver/sweep/store_scene.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "harness/store_driver/sweep/store_survivor.h"
#include "harness/store_driver/sweep/store_victim.h"
#include "harness/store_driver/value.h"
#include "variants/room.h"
#include "variants/segment/hash.h"

namespace kill9::sweep {
namespace {

constexpr char kInterferencePrefix[] = "interference-";

}  // namespace

std::string FillKey(uint32_t number) { return absl::StrCat("fill-", number); }
std::string InterferenceKey(uint32_t number) { return absl::StrCat(kInterferencePrefix, number); }
bool IsInterferenceKey(std::string_view key) { return key.starts_with(kInterferencePrefix); }

uint64_t ReadId(uint64_t key, std::string_view bytes) {
  const ValueCheck check = CheckValue(key, bytes);
  if (check.defect == ValueDefect::kNone) return check.id;
  constexpr uint64_t kUnwritten = uint64_t{1} << 62;  // no process has such a number
  return kUnwritten | XXH3_64bits(bytes.data(), bytes.size()) >> 2;
}

Scene::Making StoreScene::making() const {
  Making making;
  making.live_holder = state_ == StoreState::kPinnedByLive;
  making.dead_holder = state_ == StoreState::kPinnedByDead;
  making.all_participants_alive = state_ == StoreState::kAllParticipantsAlive;
  making.all_participants_dead = state_ == StoreState::kAllParticipantsDead;
  const bool all_taken = making.all_participants_dead || making.all_participants_alive;
  making.dead_beside = all_taken ? 0 : shape_.dead;
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
  auto scene = std::make_unique<StoreScene>(variant_, operation_, StoreState::kEmpty, shape_);
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
  absl::StatusOr<std::unique_ptr<Store>> store = variant_.Attach(segment_);
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

// A pin, where the key is present: it takes no room.
std::shared_ptr<void> StoreScene::HoldUnseen(SharedObject& object) const {
  auto held = std::make_shared<PinnedValue>();
  absl::StatusOr<PinnedValue> pin = static_cast<Store&>(object).Pin(keys_[target_]);
  if (pin.ok()) *held = *std::move(pin);
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
