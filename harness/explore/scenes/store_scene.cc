#include "harness/explore/scenes/store_scene.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "harness/checker/checker.h"
#include "harness/checker/counterexample/counterexample.h"
#include "harness/explore/base/arena.h"
#include "harness/store_driver/value.h"
#include "variants/segment/hash.h"

namespace kill9::explore {
namespace {

constexpr std::string_view kNames[] = {"put", "get", "erase", "swap", "pin", "draft", "recover"};
constexpr std::string_view kKeyText = "key";
constexpr size_t kValueBytes = 24;
constexpr size_t kFillers = 100'000;  // more than any scene has room for
using Beginning = StoreScenario::Beginning;
constexpr std::pair<std::string_view, Beginning> kBeginnings[] = {{"@empty", Beginning::kEmpty},
                                                                  {"@full", Beginning::kFull}};

[[noreturn]] void CannotMake(const absl::Status& status) {
  std::fprintf(stderr, "kill9-explore: cannot make the scene: %s\n",
               std::string(status.message()).c_str());
  std::exit(kExitUsage);
}

Function FunctionOf(StoreCall call) {
  switch (call) {
    case StoreCall::kPut:
      return Function::kPut;
    case StoreCall::kGet:
      return Function::kGet;
    case StoreCall::kErase:
      return Function::kErase;
    case StoreCall::kSwap:
      return Function::kCompareAndSwap;
    case StoreCall::kPin:
      return Function::kPin;
    case StoreCall::kDraft:
      return Function::kCommit;
    case StoreCall::kRecover:
      return Function::kRecover;
  }
  return Function::kRecover;
}

bool Writes(StoreCall call) {
  return call == StoreCall::kPut || call == StoreCall::kSwap || call == StoreCall::kDraft;
}

ValueId IdOfWrite(int participant, size_t number) {
  return MakeValueId(static_cast<uint32_t>(participant) + 1, static_cast<uint32_t>(number) + 1);
}

}  // namespace

std::span<const std::string_view> StoreCallNames() { return kNames; }

absl::StatusOr<StoreScenario> ParseStoreScenario(std::string_view name) {
  StoreScenario scenario;
  scenario.name = std::string(name);
  std::string_view text = name;
  for (const auto& [suffix, beginning] : kBeginnings) {
    if (!text.ends_with(suffix)) continue;
    scenario.beginning = beginning;
    text.remove_suffix(suffix.size());
  }
  for (const std::string& participant :
       std::vector<std::string>(absl::StrSplit(std::string(text), '+'))) {
    std::vector<StoreCall>& calls = scenario.calls.emplace_back();
    for (const std::string& call : std::vector<std::string>(absl::StrSplit(participant, ','))) {
      const auto found = std::find(std::begin(kNames), std::end(kNames), call);
      if (found == std::end(kNames)) {
        return absl::InvalidArgumentError(absl::StrCat(
            "there is no operation '", call, "' in the scenario '", std::string(name),
            "'; participants are joined by '+', their operations by ',': ",
            absl::StrJoin(kNames, ", ",
                          [](std::string* out, std::string_view one) { out->append(one); }),
            "; at the end '@empty' begins with an empty store, '@full' with a full one"));
      }
      calls.push_back(static_cast<StoreCall>(found - std::begin(kNames)));
    }
  }
  if (scenario.calls.size() > kMostParticipants) {
    return absl::InvalidArgumentError(
        absl::StrCat("a scenario has at most ", kMostParticipants, " participants"));
  }
  for (const std::vector<StoreCall>& calls : scenario.calls) {
    if (calls.size() <= 6) continue;
    return absl::InvalidArgumentError("a participant does at most 6 operations");
  }
  return scenario;
}

std::vector<std::string> AllPairs(const Traits& traits) {
  std::vector<std::string_view> calls;
  for (const std::string_view name : kNames) {
    if (name == "swap" && !traits.has_compare_and_swap) continue;
    if (name == "pin" && !traits.has_pin) continue;
    if (name == "draft" && !traits.has_draft) continue;
    if (name == "recover" && !traits.has_recovery) continue;
    calls.push_back(name);
  }
  std::vector<std::string> pairs;
  for (size_t i = 0; i < calls.size(); ++i) {
    for (size_t j = i; j < calls.size(); ++j) {
      pairs.push_back(absl::StrCat(std::string(calls[i]), "+", std::string(calls[j])));
    }
  }
  return pairs;
}

StoreScene::StoreScene(const Variant& variant, const StoreScenario& scenario)
    : variant_(variant), scenario_(scenario), model_(FindModel(variant.model())) {
  history_.reserve(64);
}

// The stores and their segment lie in the arena, which forgets them.
StoreScene::~StoreScene() = default;

absl::StatusOr<std::shared_ptr<Segment>> StoreScene::NewSegment() const {
  SegmentOptions options;
  options.max_participants = static_cast<uint32_t>(participants()) + 1;
  // Full of bytes, before its index is.
  options.expected_entries = scenario_.beginning == Beginning::kFull ? 1024 : 4;
  options.stripes = 1;
  options.hash_seed = 1;
  absl::StatusOr<std::shared_ptr<Segment>> segment = absl::UnknownError("");
  for (uint64_t bytes = 64u << 10; !segment.ok() && bytes <= 4u << 20; bytes *= 2) {
    options.size_bytes = bytes;
    segment = variant_.Create(options);
  }
  return segment;
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

void StoreScene::Make() {
  Machine& machine = Machine::Get();
  machine.ActAs(kAuditor);
  const bool lossless = variant_.object_traits().lossless;
  const bool full = scenario_.beginning == Beginning::kFull;
  const auto attach = [&](const std::shared_ptr<Segment>& segment, int number) {
    machine.ActAs(number);
    absl::StatusOr<std::unique_ptr<Store>> store = variant_.Attach(segment);
    if (!store.ok()) CannotMake(store.status());
    of_[static_cast<size_t>(number)].store = store->release();
  };
  // Before the scene's own segment: the machine knows one at a time.
  const size_t beside_the_key = full && !lossless ? MostBesideTheKey() : 0;
  const absl::StatusOr<std::shared_ptr<Segment>> segment = NewSegment();
  if (!segment.ok()) CannotMake(segment.status());
  attach(*segment, kAuditor);
  Store& maker = *of_[kAuditor].store;
  // Once more than it stays: what a first operation sets up is there.
  if (lossless || !full) {
    PutKey(maker).IgnoreError();
    maker.Erase(kKeyText).IgnoreError();
  }
  const absl::StatusOr<Version> put = PutKey(maker);
  if (!put.ok()) CannotMake(put.status());
  version_at_beginning_ = *put;
  if (scenario_.beginning == Beginning::kEmpty) {
    maker.Erase(kKeyText).IgnoreError();
    version_at_beginning_ = kAbsent;
  } else if (full && lossless) {
    Fill(maker);
  }
  for (size_t i = 0; i < beside_the_key; ++i) PutFiller(maker, i).IgnoreError();
  for (int i = 0; i < participants(); ++i) attach(*segment, i);
  if (full && !lossless) return;  // who reads the key may make it stay
  // Each knows the store before the schedule begins, as one that has run for a while does.
  for (int i = 0; i < participants(); ++i) {
    machine.ActAs(i);
    std::string read;
    of_[static_cast<size_t>(i)].store->Get(kKeyText, &read).IgnoreError();
  }
}

bool StoreScene::MustNotWait(StoreCall call) const {
  const Traits& traits = variant_.traits();
  if (variant_.role() != Design::Role::kDesign) return false;
  switch (call) {
    case StoreCall::kGet:
      return traits.read != Progress::kBlocking;
    case StoreCall::kPin:
      return traits.pin != Progress::kBlocking;
    case StoreCall::kRecover:
      return false;
    default:
      return traits.write != Progress::kBlocking;
  }
}

uint64_t StoreScene::IdOf(std::string_view value) const {
  const ValueCheck check = CheckValue(kKey, value);
  return check.defect == ValueDefect::kNone ? check.id : kUnreadValue;
}

void StoreScene::Finish(Operation& operation, const absl::Status& status, uint64_t result,
                        Version version) {
  Machine& machine = Machine::Get();
  Outcome outcome = Outcome::kOk;
  if (absl::IsResourceExhausted(status)) {
    outcome = Outcome::kRefused;
  } else if (absl::IsNotFound(status)) {
    result = kNothing;
    version = kAbsent;
  } else if (!status.ok()) {
    machine.Fail(Verdict::kViolation,
                 absl::StrCat("an operation fails: ", std::string(status.message())));
  } else if (operation.function == Function::kCompareAndSwap && result == 0) {
    outcome = Outcome::kFail;
  }
  machine.EndOperation(Mix(Mix(static_cast<uint64_t>(outcome), result), version));
  operation.outcome = outcome;
  operation.result = operation.function == Function::kCompareAndSwap ? kNothing : result;
  operation.result_version = variant_.traits().has_versions ? version : 0;
  operation.finish = machine.Tick();
  machine.AfterOperation();
}

void StoreScene::Do(int participant, size_t number, StoreCall call) {
  Machine& machine = Machine::Get();
  Participant& of = of_[static_cast<size_t>(participant)];
  Store& store = *of.store;
  const ValueId id = IdOfWrite(participant, number);
  std::string value(kValueBytes, '\0'), read;
  if (Writes(call)) FillValue(id, kKey, value);
  machine.BeginOperation(kNames[static_cast<size_t>(call)].data(), MustNotWait(call));
  Operation& operation = of.operations[of.count++];
  operation = {.invoke = machine.Tick(),
               .finish = kNever,
               .process = static_cast<uint32_t>(participant) + 1,
               .function = FunctionOf(call),
               .outcome = Outcome::kOpen,
               .reserved = 0,
               .key = kKey,
               .argument = Writes(call) ? id : kNothing,
               .expected = call == StoreCall::kSwap ? version_at_beginning_ : 0,
               .result = kNothing,
               .result_version = 0};
  switch (call) {
    case StoreCall::kPut: {
      const absl::StatusOr<Version> version = store.Put(kKeyText, value);
      return Finish(operation, version.status(), kNothing, version.ok() ? *version : kAbsent);
    }
    case StoreCall::kGet: {
      const absl::StatusOr<Version> version = store.Get(kKeyText, &read);
      return Finish(operation, version.status(), version.ok() ? IdOf(read) : kNothing,
                    version.ok() ? *version : kAbsent);
    }
    case StoreCall::kErase: {
      const absl::StatusOr<bool> erased = store.Erase(kKeyText);
      return Finish(operation, erased.status(), erased.ok() && *erased, kAbsent);
    }
    case StoreCall::kSwap: {
      const absl::StatusOr<CasResult> swap =
          store.CompareAndSwap(kKeyText, version_at_beginning_, value);
      return Finish(operation, swap.status(), swap.ok() && swap->swapped,
                    swap.ok() ? swap->version : kAbsent);
    }
    case StoreCall::kPin: {
      absl::StatusOr<PinnedValue> pin = store.Pin(kKeyText);
      const uint64_t shown = pin.ok() ? IdOf(std::string(pin->value())) : kNothing;
      const Version version = pin.ok() ? pin->version() : kAbsent;
      if (pin.ok()) pin->Release();
      return Finish(operation, pin.status(), shown, version);
    }
    case StoreCall::kDraft: {
      absl::StatusOr<Draft> draft = store.Reserve(kKeyText, value.size());
      if (!draft.ok()) return Finish(operation, draft.status(), kNothing, kAbsent);
      std::copy(value.begin(), value.end(), draft->bytes().begin());
      const absl::StatusOr<Version> version = store.Commit(*std::move(draft));
      return Finish(operation, version.status(), kNothing, version.ok() ? *version : kAbsent);
    }
    case StoreCall::kRecover:
      return Finish(operation, store.Recover().status(), kNothing, kAbsent);
  }
}

void StoreScene::Run(int participant) {
  of_[static_cast<size_t>(participant)].count = 0;
  const std::vector<StoreCall>& calls = scenario_.calls[static_cast<size_t>(participant)];
  for (size_t i = 0; i < calls.size(); ++i) Do(participant, i, calls[i]);
}

Finding StoreScene::CheckAudit() {
  const absl::StatusOr<AuditReport> report = of_[kAuditor].store->Audit();
  if (!report.ok()) {
    return {Verdict::kAuditFailed, absl::StrCat("Audit: ", std::string(report.status().message()))};
  }
  if (!report->violations.empty()) return {Verdict::kAuditFailed, report->violations.front()};
  if (report->doubly_owned > 0) {
    return {Verdict::kAuditFailed, absl::StrCat(report->doubly_owned, " blocks are owned twice")};
  }
  if (report->leaked.blocks > 0) {
    return {Verdict::kLeak, absl::StrCat(report->leaked.blocks, " blocks leaked")};
  }
  if (report->held.blocks > 0) {
    return {Verdict::kLeak, absl::StrCat(report->held.blocks,
                                         " blocks are still held, though nobody is in an operation "
                                         "and the dead are recovered")};
  }
  return {};
}

Finding StoreScene::Judge() {
  Store& auditor = *of_[kAuditor].store;
  if (variant_.traits().has_recovery) {
    if (const absl::Status status = auditor.Recover().status(); !status.ok()) {
      return {Verdict::kAuditFailed, absl::StrCat("Recover: ", std::string(status.message()))};
    }
  }
  if (variant_.traits().has_audit) {
    if (Finding found = CheckAudit(); found.verdict != Verdict::kPass) return found;
  }
  std::string value;
  const absl::StatusOr<Version> version = auditor.Get(kKeyText, &value);
  if (!version.ok() && !absl::IsNotFound(version.status())) {
    return {Verdict::kViolation,
            absl::StrCat("Get after recovery: ", std::string(version.status().message()))};
  }
  const OutsideArena outside;
  return CheckHistoryNow(version.ok() ? IdOf(value) : kNothing, version.ok() ? *version : kAbsent);
}

// The history of the schedule, and what the auditor was shown after it.
Finding StoreScene::CheckHistoryNow(uint64_t shown, Version version) {
  Machine& machine = Machine::Get();
  const bool has_versions = variant_.traits().has_versions;
  history_.clear();
  constexpr Operation kNone = {};
  if (scenario_.beginning != Beginning::kEmpty) {
    Operation first = kNone;
    first.function = Function::kPut;
    first.process = kMaker;
    first.argument = MakeValueId(kMaker, 1);
    first.outcome = Outcome::kOk;
    first.result_version = has_versions ? version_at_beginning_ : 0;
    first.finish = 1;
    history_.push_back(first);
  }
  for (int i = 0; i < participants(); ++i) {
    const Participant& of = of_[static_cast<size_t>(i)];
    for (size_t n = 0; n < of.count; ++n) {
      Operation operation = of.operations[n];
      operation.invoke += 2;
      if (operation.outcome == Outcome::kOpen) {
        operation.outcome = Outcome::kCrashed;
        operation.finish = machine.time_of_death(i);
      }
      operation.finish += 2;
      history_.push_back(operation);
    }
  }
  Operation last = kNone;
  last.function = Function::kGet;
  last.process = kMaker + 1;
  last.outcome = Outcome::kOk;
  last.result = shown;
  last.result_version = has_versions ? version : 0;
  last.invoke = machine.Tick() + 2;
  last.finish = last.invoke + 1;
  history_.push_back(last);
  const uint64_t hash = XXH3_64bits(history_.data(), history_.size() * sizeof(Operation));
  if (legal_.contains(hash)) return {};
  const absl::StatusOr<CheckOutcome> outcome = CheckHistory(
      *model_, history_, {.condition = Condition::kStrict, .threads = 1, .explain = true});
  if (!outcome.ok()) return {Verdict::kUndecided, std::string(outcome.status().message())};
  if (outcome->verdict == Verdict::kPass) {
    legal_.insert(hash);
    return {};
  }
  if (!outcome->counterexample.has_value()) {
    return {outcome->verdict, "the checker could not decide the history"};
  }
  return {outcome->verdict, RenderText(*outcome->counterexample, {})};
}

}  // namespace kill9::explore
