#include "harness/explore/scenes/store_scene.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace kill9::explore {
namespace {

constexpr size_t kValueBytes = 24;
// The key, and others of drawn scenes: as long as it, and longer.
constexpr std::string_view kKeys[] = {"key", "kez",
                                      "a key that is longer than the others are, and odd"};
constexpr std::string_view kKeyText = kKeys[0];
// How long values are, and for how many entries a store is made, in drawn scenes; the first in all.
constexpr size_t kDrawnValueBytes[] = {kValueBytes, 8, 0, 7, 9, 31, 64, 197, 24, 700, 1500};
constexpr uint64_t kDrawnEntries[] = {4, 1, 16, 64};
constexpr std::string_view kOtherKey = "other";
constexpr size_t kFillers = 100'000;  // more than any scene has room for
Function FunctionOf(StoreCall call) {
  switch (call) {
    case StoreCall::kPut:
    case StoreCall::kModify:
      return Function::kPut;
    case StoreCall::kBrief:
      return Function::kPutUntil;
    case StoreCall::kGet:
    case StoreCall::kVisit:
      return Function::kGet;
    case StoreCall::kErase:
    case StoreCall::kClear:
    case StoreCall::kLapse:
      return Function::kErase;
    case StoreCall::kLease:
    case StoreCall::kWaitLease:
    case StoreCall::kBriefLease:
      return Function::kGet;
    case StoreCall::kSwap:
    case StoreCall::kAdd:
      return Function::kCompareAndSwap;
    case StoreCall::kPin:
    case StoreCall::kKeep:
      return Function::kPin;
    case StoreCall::kDraft:
      return Function::kCommit;
    case StoreCall::kRecover:
    case StoreCall::kJoin:
    case StoreCall::kCome:
    case StoreCall::kTick:
    case StoreCall::kGlance:
      return Function::kRecover;
  }
  return Function::kRecover;
}

bool Writes(StoreCall call) {
  return call == StoreCall::kPut || call == StoreCall::kSwap || call == StoreCall::kDraft ||
         call == StoreCall::kModify || call == StoreCall::kAdd || call == StoreCall::kBrief;
}

}  // namespace

StoreScene::StoreScene(const Variant& variant, const Scenario& scenario)
    : ObjectScene(variant, scenario),
      variant_(variant),
      tells_versions_(variant.traits().has_versions && !HasAny(IsLease)) {}

bool StoreScene::KeepsTerms() const {
  const bool by_chance = variant_.traits().can_keep_terms && Pick(Aspect::kTerms, 4) == 3;
  return by_chance || HasAny(IsStoreCallOfTerms);
}

// The stores and their segment lie in the arena, which forgets them.
StoreScene::~StoreScene() = default;

absl::StatusOr<std::shared_ptr<Segment>> StoreScene::NewSegment() const {
  SegmentOptions options;
  options.max_participants =
      Places(static_cast<size_t>(StoreCall::kJoin), static_cast<size_t>(StoreCall::kCome)) +
      static_cast<uint32_t>(Pick(Aspect::kPlaces, 3) + CountOf(StoreCall::kGlance));
  // Full of bytes, before its index is.
  options.expected_entries = beginning() == StoreBeginning::kFull
                                 ? 1024
                                 : kDrawnEntries[Pick(Aspect::kEntries, std::size(kDrawnEntries))];
  options.stripes = uint32_t{1} << Pick(Aspect::kStripes, 3);
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

std::string_view StoreScene::KeyText(uint64_t key) { return kKeys[key]; }

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

absl::StatusOr<std::unique_ptr<SharedObject>> StoreScene::AttachOneMore(int) {
  return variant_.Attach(*segment_);
}

uint64_t StoreScene::CountOf(StoreCall call) const {
  uint64_t count = 0;
  for (const std::vector<size_t>& calls : scenario().calls) {
    count +=
        static_cast<uint64_t>(std::count(calls.begin(), calls.end(), static_cast<size_t>(call)));
  }
  return count;
}

bool StoreScene::IsGlance(int participant, size_t number) const {
  const std::vector<size_t>& calls = scenario().calls[static_cast<size_t>(participant)];
  return !is_past() && calls[number] == static_cast<size_t>(StoreCall::kGlance);
}

void StoreScene::DoAsGuest(int participant, size_t number) {
  if (IsGlance(participant, number)) {
    return Do(participant, number, static_cast<size_t>(StoreCall::kPin));
  }
  Do(participant, number, static_cast<size_t>(StoreCall::kPut));
  Do(participant, number, static_cast<size_t>(StoreCall::kGet));
}

uint64_t StoreScene::KeyOf(int participant, size_t number) const {
  const uint64_t keys = Pick(Aspect::kKeys, kMostKeys) + 1;
  return PickOf(Mix(static_cast<uint64_t>(Aspect::kKeyOf), IdOfWrite(participant, number)), keys);
}

size_t StoreScene::BytesOf(ValueId id) const {
  return kDrawnValueBytes[PickOf(Mix(static_cast<uint64_t>(Aspect::kBytes), id),
                                 std::size(kDrawnValueBytes))];
}

std::string StoreScene::ValueOf(ValueId id, uint64_t key) const {
  std::string value(BytesOf(id), '\0');
  FillValue(id, key, value);
  return value;
}

ValueId StoreScene::Named(ValueId id) const {
  const size_t bytes = BytesOf(id);
  return bytes < kSmallestNamedValue ? TinyValueId(bytes) : id;
}

void StoreScene::Prepare(int participant, int what) {
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
      return store->GetOrLease(kOtherKey, &value, {.wait = LongEnough()}).IgnoreError();
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
  newest_ = {};
  if (beginning() == StoreBeginning::kEmpty) {
    maker.Erase(kKeyText).IgnoreError();
  } else {
    newest_[kKey] = *put;
    Operation first = {};
    first.function = Function::kPut;
    first.argument = MakeValueId(kMaker, 1);
    first.result_version = Recorded(*put);
    Before(first);
    if (full && lossless) Fill(maker);
  }
  for (size_t i = 0; i < beside_the_key; ++i) PutFiller(maker, i).IgnoreError();
  for (int i = 0; i < participants(); ++i) stage.As(i, kAttach);
  if (HasAny(IsLease)) AskForTakenLease();
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
    case StoreCall::kKeep:
      return traits.pin;
    case StoreCall::kRecover:
    case StoreCall::kJoin:
    case StoreCall::kCome:
    case StoreCall::kVisit:
    case StoreCall::kClear:
    case StoreCall::kLapse:
    case StoreCall::kLease:
    case StoreCall::kTick:
    case StoreCall::kWaitLease:
    case StoreCall::kBriefLease:
    case StoreCall::kGlance:
      return Progress::kBlocking;
    default:
      return traits.write;
  }
}

uint64_t StoreScene::IdOf(uint64_t key, std::string_view value) const {
  const ValueCheck check = CheckValue(key, value);
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
  if (outcome == Outcome::kOk && operation.function != Function::kRecover) {
    newest_[operation.key] = operation.function == Function::kErase ? kAbsent : version;
  }
  End(operation, outcome, result, Recorded(version));
}

void StoreScene::Do(int participant, size_t number, size_t which) {
  const auto call = static_cast<StoreCall>(which);
  if (call == StoreCall::kJoin) return Join(participant);
  if (call == StoreCall::kCome || call == StoreCall::kGlance) return Come(participant, number);
  if (IsLease(which)) return Lease(participant, number, call);
  if (call == StoreCall::kTick) return Tick(participant);
  if (call == StoreCall::kVisit) return Visit(participant);
  if (call == StoreCall::kKeep) return Keep(participant, number);
  if (call == StoreCall::kClear) return Clear(participant);
  Store& store = *stores_[static_cast<size_t>(participant)];
  const ValueId id = IdOfWrite(participant, number);
  const uint64_t key = KeyOf(participant, number);
  const std::string_view text = kKeys[key];
  std::string value, read;
  if (Writes(call)) value = ValueOf(id, key);
  Operation asked = {};
  asked.function = FunctionOf(call);
  asked.key = key;
  if (Writes(call)) asked.argument = Named(id);
  if (call == StoreCall::kSwap) asked.expected = is_past() ? newest_[key] : expected_[key];
  Operation& operation =
      Begin(participant, StoreWords().calls[which].data(), MustNotWait(ProgressOf(call)), asked);
  const auto finish = [&](const absl::Status& status, uint64_t result, Version version) {
    Finish(operation, status, result, version);
  };
  switch (call) {
    case StoreCall::kPut: {
      const absl::StatusOr<Version> version = store.Put(text, value);
      return finish(version.status(), kNothing, version.ok() ? *version : kAbsent);
    }
    case StoreCall::kModify: {
      const absl::StatusOr<Modified> modified =
          store.Modify(text, [&value](const EntryView*) { return Change::Set(value); });
      return finish(modified.status(), kNothing, modified.ok() ? modified->version : kAbsent);
    }
    case StoreCall::kGet: {
      const absl::StatusOr<Version> version = store.Get(text, &read);
      return finish(version.status(), version.ok() ? IdOf(key, read) : kNothing,
                    version.ok() ? *version : kAbsent);
    }
    case StoreCall::kErase: {
      const absl::StatusOr<bool> erased = store.Erase(text);
      return finish(erased.status(), erased.ok() && *erased, kAbsent);
    }
    case StoreCall::kAdd:
    case StoreCall::kSwap: {
      const absl::StatusOr<CasResult> swap =
          call == StoreCall::kAdd ? store.Add(text, value)
                                  : store.CompareAndSwap(text, asked.expected, value);
      return finish(swap.status(), swap.ok() && swap->swapped, swap.ok() ? swap->version : kAbsent);
    }
    case StoreCall::kPin: {
      absl::StatusOr<PinnedValue> pin = store.Pin(text);
      const uint64_t shown = pin.ok() ? IdOf(key, std::string(pin->value())) : kNothing;
      const Version version = pin.ok() ? pin->version() : kAbsent;
      if (pin.ok()) pin->Release();
      return finish(pin.status(), shown, version);
    }
    case StoreCall::kDraft: {
      const absl::StatusOr<Version> version = PutByDraft(store, text, value);
      return finish(version.status(), kNothing, version.ok() ? *version : kAbsent);
    }
    case StoreCall::kLapse:
      return finish(store.Put(text, ValueOf(id, key), {.expires = Expiry::AtNs(1)}).status(),
                    kErasedUntold, kAbsent);
    case StoreCall::kBrief: {
      const absl::StatusOr<Version> version =
          store.Put(text, value, {.expires = Expiry::After(kBrief)});
      return finish(version.status(), kNothing, version.ok() ? *version : kAbsent);
    }
    default:  // the others are done above
      return finish(store.Recover().status(), kNothing, kAbsent);
  }
}

absl::StatusOr<Version> StoreScene::PutByDraft(Store& store, std::string_view key,
                                               std::string_view value) {
  absl::StatusOr<Draft> draft = store.Reserve(key, value.size());
  if (!draft.ok()) return draft.status();
  std::copy(value.begin(), value.end(), draft->bytes().begin());
  return store.Commit(*std::move(draft));
}

// What a visit shows of a key is what a get of it at some moment of the visit would, each once.
void StoreScene::Visit(int participant) {
  struct Shown {
    uint64_t id = kNothing;
    Version version = kAbsent;
  };
  std::array<Shown, kMostKeys> shown;
  Operation asked = {};
  asked.function = Function::kGet;
  Operation& visiting = Begin(participant, "visit", /*must_not_wait=*/false, asked);
  const absl::Status status =
      stores_[static_cast<size_t>(participant)]->ForEach([&](const EntryView& entry) {
        const std::string text(entry.key);
        for (uint64_t key = 0; key < kMostKeys; ++key) {
          if (text != kKeys[key]) continue;
          if (shown[key].id != kNothing) {
            Stage::Get().Fail(Verdict::kViolation, "a visit shows a key twice");
          }
          shown[key] = {IdOf(key, std::string(entry.value)), entry.version};
        }
        return true;
      });
  if (!status.ok()) FailStatus(status);
  for (uint64_t key = 1; key < kMostKeys; ++key) {
    asked.key = key;
    BeginBeside(participant, asked);
  }
  End(visiting, Outcome::kOk, shown[kKey].id, Recorded(shown[kKey].version));
  for (uint64_t key = 1; key < kMostKeys; ++key) {
    EndBeside(visiting, key, shown[key].id, Recorded(shown[key].version));
  }
}

// A pinned value stays as it is, whatever its participant does meanwhile.
void StoreScene::Keep(int participant, size_t number) {
  Store& store = *stores_[static_cast<size_t>(participant)];
  const uint64_t key = KeyOf(participant, number);
  Operation asked = {};
  asked.function = Function::kPin;
  asked.key = key;
  Operation& pinning = Begin(participant, "keep", MustNotWait(ProgressOf(StoreCall::kKeep)), asked);
  absl::StatusOr<PinnedValue> pin = store.Pin(kKeys[key]);
  const uint64_t shown = pin.ok() ? IdOf(key, std::string(pin->value())) : kNothing;
  Finish(pinning, pin.status(), shown, pin.ok() ? pin->version() : kAbsent);
  DoAfter(participant, number);
  if (!pin.ok()) return;
  asked.function = Function::kRecover;  // no key changes by it
  Operation& releasing = Begin(participant, "release", MustNotWait(variant_.traits().pin), asked);
  if (IdOf(key, std::string(pin->value())) != shown) {
    FailStatus(absl::DataLossError("a pinned value has changed"));
  }
  pin->Release();
  End(releasing, Outcome::kOk, kNothing, 0);
}

Finding StoreScene::Look() {
  for (uint64_t key = 0; key < Keys(); ++key) {
    std::string value;
    const absl::StatusOr<Version> version = stores_[kAuditor]->Get(kKeys[key], &value);
    if (!version.ok() && !absl::IsNotFound(version.status())) {
      return {Verdict::kViolation,
              absl::StrCat("Get after recovery: ", std::string(version.status().message()))};
    }
    Operation got = {};
    got.function = Function::kGet;
    got.key = key;
    got.result = version.ok() ? IdOf(key, value) : kNothing;
    got.result_version = Recorded(version.ok() ? *version : kAbsent);
    After(got);
    got.invoke = kNever;
    if (IsShownLate(got)) return {Verdict::kViolation, kShownLate};
  }
  return CheckDeadlines();
}

}  // namespace kill9::explore
