#include "harness/explore/scenes/store_scene.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace kill9::explore {
namespace {

constexpr std::string_view kStoreNames[] = {"put",     "get",  "erase", "swap",  "pin",  "draft",
                                            "recover", "join", "clear", "lapse", "lease"};
constexpr std::string_view kStoreBeginnings[] = {"", "@empty", "@full"};
constexpr std::string_view kKeyText = "key";
constexpr std::string_view kOtherKey = "other";
constexpr size_t kValueBytes = 24;
constexpr size_t kFillers = 100'000;  // more than any scene has room for
constexpr std::string_view kLargerStoreScenes[] = {"put,put,put+get@full",
                                                   "put,put,put+pin@full",
                                                   "put,put+put,put@full",
                                                   "put,put,put+get,get@full",
                                                   "put,swap,put+swap,pin@full",
                                                   "erase,put+swap,get@full",
                                                   "put,erase+put,erase@full",
                                                   "put,erase,put+pin@full",
                                                   "swap,swap+pin,pin",
                                                   "swap+swap+get",
                                                   "put+put+get@full",
                                                   "put,erase,put+put+get@full",
                                                   "put,put+get@fences",
                                                   "put,put,put+pin@full@fences",
                                                   "swap,erase,put+pin,get@full@fences"};

constexpr std::string_view kWiderStoreScenes[] = {"put+get+erase",  "put+put+get",
                                                  "swap+draft+get", "put+erase+recover",
                                                  "put+pin+join",   "put+get+recover@full"};
constexpr std::string_view kScenesOfTerms[] = {
    "clear+put",   "clear+get",         "clear+erase",       "clear+swap",
    "clear+draft", "lapse+get",         "lapse+put",         "lapse+erase",
    "lapse+lapse", "lapse+draft",       "lapse+swap",        "lapse,get+put@full",
    "lease+get",   "lease+put",         "lease+erase@empty", "lease+clear",
    "lease+lapse", "lease+lease@empty", "lease+clear@empty"};

Function FunctionOf(StoreCall call) {
  switch (call) {
    case StoreCall::kPut:
      return Function::kPut;
    case StoreCall::kGet:
      return Function::kGet;
    case StoreCall::kErase:
    case StoreCall::kClear:
    case StoreCall::kLapse:
      return Function::kErase;
    case StoreCall::kLease:
      return Function::kGet;
    case StoreCall::kSwap:
      return Function::kCompareAndSwap;
    case StoreCall::kPin:
      return Function::kPin;
    case StoreCall::kDraft:
      return Function::kCommit;
    case StoreCall::kRecover:
    case StoreCall::kJoin:
      return Function::kRecover;
  }
  return Function::kRecover;
}

bool Writes(StoreCall call) {
  return call == StoreCall::kPut || call == StoreCall::kSwap || call == StoreCall::kDraft;
}

}  // namespace

const ScenarioWords& StoreWords() {
  static constexpr ScenarioWords kWords = {kStoreNames, kStoreBeginnings};
  return kWords;
}

bool HasStoreCall(const Traits& traits, size_t call) {
  switch (static_cast<StoreCall>(call)) {
    case StoreCall::kSwap:
      return traits.has_compare_and_swap;
    case StoreCall::kPin:
      return traits.has_pin;
    case StoreCall::kDraft:
      return traits.has_draft;
    case StoreCall::kRecover:
    case StoreCall::kJoin:
      return traits.has_recovery;
    case StoreCall::kClear:
    case StoreCall::kLapse:
    case StoreCall::kLease:
      return traits.can_keep_terms;
    default:
      return true;
  }
}

std::span<const std::string_view> LargerStoreScenes() { return kLargerStoreScenes; }

std::span<const std::string_view> WiderStoreScenes() { return kWiderStoreScenes; }

std::span<const std::string_view> StoreScenesOfTerms() { return kScenesOfTerms; }

StoreScene::StoreScene(const Variant& variant, const Scenario& scenario)
    : ObjectScene(variant, scenario),
      variant_(variant),
      tells_versions_(variant.traits().has_versions &&
                      !Has(static_cast<size_t>(StoreCall::kLease))) {}

bool StoreScene::KeepsTerms() const {
  return Has(static_cast<size_t>(StoreCall::kClear)) ||
         Has(static_cast<size_t>(StoreCall::kLapse)) || Has(static_cast<size_t>(StoreCall::kLease));
}

// The stores and their segment lie in the arena, which forgets them.
StoreScene::~StoreScene() = default;

absl::StatusOr<std::shared_ptr<Segment>> StoreScene::NewSegment() const {
  SegmentOptions options;
  options.max_participants = Places(static_cast<size_t>(StoreCall::kJoin));
  // Full of bytes, before its index is.
  options.expected_entries = beginning() == StoreBeginning::kFull ? 1024 : 4;
  options.stripes = 1;
  options.hash_seed = 1;
  options.keeps_terms = KeepsTerms();
  return SmallestSegment(variant_, options);
}

absl::StatusOr<Version> StoreScene::PutKey(Store& store) const {
  std::string value(kValueBytes, '\0');
  FillValue(MakeValueId(kMaker, 1), kKey, value);
  return store.Put(kKeyText, value);
}

absl::Status StoreScene::PutFiller(Store& store, size_t number) const {
  return store.Put(absl::StrCat("f", number), std::string(kValueBytes, 'x')).status();
}

// Until there is no room; then there is for one.
void StoreScene::Fill(Store& store) const {
  for (size_t i = 0; i < kFillers; ++i) {
    if (PutFiller(store, i).ok()) continue;
    store.Erase(absl::StrCat("f", i - 1)).IgnoreError();
    return;
  }
}

// Whether the key is forgotten after so many other entries: tried out in a segment of its own, and
// looked at once, since a store may keep for longer what is read.
bool StoreScene::IsForgottenAfter(size_t entries) const {
  absl::StatusOr<std::shared_ptr<Segment>> segment = NewSegment();
  if (!segment.ok()) CannotMake(segment.status());
  absl::StatusOr<std::unique_ptr<Store>> trial = variant_.Attach(*segment);
  if (!trial.ok()) CannotMake(trial.status());
  PutKey(**trial).IgnoreError();
  for (size_t i = 0; i < entries; ++i) PutFiller(**trial, i).IgnoreError();
  return !(*trial)->Get(kKeyText, nullptr).ok();
}

// As many as leave it there.
size_t StoreScene::MostBesideTheKey() const {
  size_t fits = 0, too_many = 1;
  for (; too_many < kFillers && !IsForgottenAfter(too_many); too_many *= 2) fits = too_many;
  while (too_many - fits > 1) {
    const size_t middle = (fits + too_many) / 2;
    (IsForgottenAfter(middle) ? too_many : fits) = middle;
  }
  return fits;
}

void StoreScene::Act(int participant, int what) {
  Store*& store = stores_[static_cast<size_t>(participant)];
  std::string value;
  switch (what) {
    case kAttach: {
      absl::StatusOr<std::unique_ptr<Store>> attached = variant_.Attach(*segment_);
      if (!attached.ok()) CannotMake(attached.status());
      store = attached->release();
      return;
    }
    case kGetKey:
      return store->Get(kKeyText, &value).IgnoreError();
    default:
      return store->GetOrLease(kOtherKey, &value).IgnoreError();
  }
}

void StoreScene::MakeObject() {
  Stage& stage = Stage::Get();
  const bool lossless = variant_.object_traits().lossless;
  const bool full = beginning() == StoreBeginning::kFull;
  // Before the scene's own segment: the machine knows one at a time.
  const size_t beside_the_key = full && !lossless ? MostBesideTheKey() : 0;
  const absl::StatusOr<std::shared_ptr<Segment>> segment = NewSegment();
  if (!segment.ok()) CannotMake(segment.status());
  segment_ = new std::shared_ptr<Segment>(*segment);
  stage.As(kAuditor, kAttach);
  Store& maker = *stores_[kAuditor];
  // Once more than it stays: what a first operation sets up is there.
  if (lossless || !full) {
    PutKey(maker).IgnoreError();
    maker.Erase(kKeyText).IgnoreError();
  }
  const absl::StatusOr<Version> put = PutKey(maker);
  if (!put.ok()) CannotMake(put.status());
  version_at_beginning_ = *put;
  if (beginning() == StoreBeginning::kEmpty) {
    maker.Erase(kKeyText).IgnoreError();
    version_at_beginning_ = kAbsent;
  } else {
    Operation first = {};
    first.function = Function::kPut;
    first.argument = MakeValueId(kMaker, 1);
    first.result_version = Recorded(version_at_beginning_);
    Before(first);
    if (full && lossless) Fill(maker);
  }
  for (size_t i = 0; i < beside_the_key; ++i) PutFiller(maker, i).IgnoreError();
  for (int i = 0; i < participants(); ++i) stage.As(i, kAttach);
  if (Has(static_cast<size_t>(StoreCall::kLease))) AskForTakenLease();
  if (full && !lossless) return;  // who reads the key may make it stay
  // Each knows the store before the schedule begins, as one that has run for a while does.
  for (int i = 0; i < participants(); ++i) stage.As(i, kGetKey);
}

// All have found a lease taken before: what that sets up is there.
void StoreScene::AskForTakenLease() {
  std::string value;
  const absl::StatusOr<LeaseAnswer> taken = stores_[kAuditor]->GetOrLease(kOtherKey, &value);
  if (!taken.ok()) CannotMake(taken.status());
  for (int i = 0; i < participants(); ++i) Stage::Get().As(i, kAskForLease);
  stores_[kAuditor]->DropLease(taken->lease).IgnoreError();
}

Progress StoreScene::ProgressOf(StoreCall call) const {
  const Traits& traits = variant_.traits();
  switch (call) {
    case StoreCall::kGet:
      return traits.read;
    case StoreCall::kPin:
      return traits.pin;
    case StoreCall::kRecover:
    case StoreCall::kJoin:
    case StoreCall::kClear:
    case StoreCall::kLapse:
    case StoreCall::kLease:
      return Progress::kBlocking;
    default:
      return traits.write;
  }
}

uint64_t StoreScene::IdOf(std::string_view value) const {
  const ValueCheck check = CheckValue(kKey, value);
  return check.defect == ValueDefect::kNone ? check.id : kUnreadValue;
}

void StoreScene::Finish(Operation& operation, const absl::Status& status, uint64_t result,
                        Version version) {
  Outcome outcome = Outcome::kOk;
  if (absl::IsResourceExhausted(status)) {
    outcome = Outcome::kRefused;
  } else if (absl::IsNotFound(status)) {
    result = kNothing;
    version = kAbsent;
  } else if (!status.ok()) {
    FailStatus(status);
  } else if (operation.function == Function::kCompareAndSwap) {
    if (result == 0) outcome = Outcome::kFail;
    result = kNothing;
  }
  End(operation, outcome, result, Recorded(version));
}

void StoreScene::Do(int participant, size_t number, size_t which) {
  const auto call = static_cast<StoreCall>(which);
  if (call == StoreCall::kJoin) return Join(participant);
  if (call == StoreCall::kLease) return Lease(participant, IdOfWrite(participant, number));
  Store& store = *stores_[static_cast<size_t>(participant)];
  const ValueId id = IdOfWrite(participant, number);
  std::string value(kValueBytes, '\0'), read;
  if (Writes(call)) FillValue(id, kKey, value);
  Operation asked = {};
  asked.function = FunctionOf(call);
  asked.key = kKey;
  if (Writes(call)) asked.argument = id;
  if (call == StoreCall::kSwap) asked.expected = version_at_beginning_;
  Operation& operation =
      Begin(participant, kStoreNames[which].data(), MustNotWait(ProgressOf(call)), asked);
  const auto finish = [&](const absl::Status& status, uint64_t result, Version version) {
    Finish(operation, status, result, version);
  };
  switch (call) {
    case StoreCall::kPut: {
      const absl::StatusOr<Version> version = store.Put(kKeyText, value);
      return finish(version.status(), kNothing, version.ok() ? *version : kAbsent);
    }
    case StoreCall::kGet: {
      const absl::StatusOr<Version> version = store.Get(kKeyText, &read);
      return finish(version.status(), version.ok() ? IdOf(read) : kNothing,
                    version.ok() ? *version : kAbsent);
    }
    case StoreCall::kErase: {
      const absl::StatusOr<bool> erased = store.Erase(kKeyText);
      return finish(erased.status(), erased.ok() && *erased, kAbsent);
    }
    case StoreCall::kSwap: {
      const absl::StatusOr<CasResult> swap =
          store.CompareAndSwap(kKeyText, version_at_beginning_, value);
      return finish(swap.status(), swap.ok() && swap->swapped, swap.ok() ? swap->version : kAbsent);
    }
    case StoreCall::kPin: {
      absl::StatusOr<PinnedValue> pin = store.Pin(kKeyText);
      const uint64_t shown = pin.ok() ? IdOf(std::string(pin->value())) : kNothing;
      const Version version = pin.ok() ? pin->version() : kAbsent;
      if (pin.ok()) pin->Release();
      return finish(pin.status(), shown, version);
    }
    case StoreCall::kDraft: {
      absl::StatusOr<Draft> draft = store.Reserve(kKeyText, value.size());
      if (!draft.ok()) return finish(draft.status(), kNothing, kAbsent);
      std::copy(value.begin(), value.end(), draft->bytes().begin());
      const absl::StatusOr<Version> version = store.Commit(*std::move(draft));
      return finish(version.status(), kNothing, version.ok() ? *version : kAbsent);
    }
    case StoreCall::kClear:
      return finish(store.Clear(), kErasedUntold, kAbsent);
    case StoreCall::kLapse:
      FillValue(id, kKey, value);
      return finish(store.Put(kKeyText, value, {.expires = Expiry::AtNs(1)}).status(),
                    kErasedUntold, kAbsent);
    case StoreCall::kRecover:
    case StoreCall::kJoin:  // are done above
    case StoreCall::kLease:
      return finish(store.Recover().status(), kNothing, kAbsent);
  }
}

// The value is told, or what it is to be; a put that comes too late changes nothing.
void StoreScene::Lease(int participant, ValueId id) {
  Store& store = *stores_[static_cast<size_t>(participant)];
  std::string read;
  Operation asked = {};
  asked.function = Function::kGet;
  asked.key = kKey;
  Operation& getting = Begin(participant, "lease", /*must_not_wait=*/false, asked);
  const absl::StatusOr<LeaseAnswer> answer = store.GetOrLease(kKeyText, &read);
  if (absl::IsResourceExhausted(answer.status()) ||
      (answer.ok() && answer->kind == LeaseAnswer::Kind::kBusy)) {
    return End(getting, Outcome::kRefused, kNothing, 0);
  }
  if (!answer.ok()) FailStatus(answer.status());
  End(getting, Outcome::kOk, answer->has_value ? IdOf(read) : kNothing, 0);
  if (answer->kind != LeaseAnswer::Kind::kLease) return;
  std::string value(kValueBytes, '\0');
  FillValue(id, kKey, value);
  asked.function = Function::kPut;
  asked.argument = id;
  Operation& putting = Begin(participant, "put leased", /*must_not_wait=*/false, asked);
  const absl::StatusOr<CasResult> put = store.PutLeased(answer->lease, value);
  if (!put.ok() && !absl::IsResourceExhausted(put.status())) FailStatus(put.status());
  const bool swapped = put.ok() && put->swapped;
  End(putting, swapped ? Outcome::kOk : Outcome::kRefused, kNothing, 0);
}

Finding StoreScene::Look() {
  std::string value;
  const absl::StatusOr<Version> version = stores_[kAuditor]->Get(kKeyText, &value);
  if (!version.ok() && !absl::IsNotFound(version.status())) {
    return {Verdict::kViolation,
            absl::StrCat("Get after recovery: ", std::string(version.status().message()))};
  }
  Operation got = {};
  got.function = Function::kGet;
  got.result = version.ok() ? IdOf(value) : kNothing;
  got.result_version = Recorded(version.ok() ? *version : kAbsent);
  After(got);
  return {};
}

}  // namespace kill9::explore
