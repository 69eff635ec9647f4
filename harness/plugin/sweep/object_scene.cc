#include "harness/plugin/sweep/object_scene.h"

#include <algorithm>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "harness/history/reads_clock.h"
#include "harness/plugin/sweep/object_survivor.h"
#include "harness/programs/protocol/workload.h"

namespace kill9::sweep {
namespace {

using programs::ValueText;

constexpr uint64_t kMostValueBytes = 100;  // stepped through, one by one
constexpr uint64_t kItems = 3;             // of a used object
// A removal takes the first of two that are equal.
constexpr uint64_t kItemsOfList[kItems] = {2, 1, 2};
constexpr uint32_t kEntries = 16;
constexpr uint32_t kParticipants = 8;
constexpr uint32_t kHolderProcess = 100;
constexpr uint64_t kTermNs = 10'000'000;               // a hundred readings of an ObjectClock
constexpr uint64_t kForeignValue = uint64_t{1} << 48;  // that nobody wrote

uint64_t MostValueBytes(const kill9_object& object) {
  return std::min(object.max_value_bytes, kMostValueBytes);
}

// An operation of a victim: what it needs is got before.
class ObjectVictim final : public Victim {
 public:
  ObjectVictim(const ObjectScene& scene, Function function, uint32_t number, OperationLog log)
      : scene_(scene), function_(function), user_(scene, kVictims + number, log) {}

  absl::Status Prepare() override {
    if (absl::Status attached = user_.Attach(scene_.segment()); !attached.ok()) return attached;
    if (scene_.IsLock()) user_.TellThatItMayDie();
    // The lease of one that has died is over.
    if (scene_.IsLease()) user_.LetTermsEnd();
    if (function_ == Function::kRelease || function_ == Function::kRenew) {
      const absl::StatusOr<Operation> taken = user_.Do(scene_.acquire(), 0);
      if (!taken.ok()) return taken.status();
      if (taken->result == kHeldByOther) return absl::UnavailableError("another one has it");
    }
    if (function_ == Function::kWait) {
      const absl::StatusOr<Operation> signal = user_.Do(Function::kSignal, 0);
      if (!signal.ok()) return signal.status();
    }
    user_.Announce(function_, 0);
    return absl::OkStatus();
  }
  void Run() override { user_.Call(); }
  void Record() override {
    const absl::StatusOr<Operation> done = user_.Record();
    const bool asked = function_ == scene_.acquire() || function_ == Function::kRenew;
    if (asked && done.ok() && done->result != kHeldByOther) user_.GiveBack();
  }

 private:
  const ObjectScene& scene_;
  const Function function_;
  ObjectUser user_;
};

}  // namespace

ObjectUser::ObjectUser(const ObjectScene& scene, uint32_t process, OperationLog log)
    : object_design_(static_cast<const PluginObjectDesign&>(scene.design())),
      process_(process),
      log_(log) {
  ObjectClock::Set(scene.IsLease() ? log.time : nullptr);
}

absl::Status ObjectUser::Attach(const std::shared_ptr<Segment>& segment) {
  absl::StatusOr<std::unique_ptr<SharedObject>> object = object_design_.AttachObject(segment);
  if (!object.ok()) return object.status();
  object_.reset(static_cast<PluginObject*>(object->release()));
  return absl::OkStatus();
}

Operation& ObjectUser::Announce(Function function, uint64_t key, uint64_t argument) {
  const FunctionRow& row = RowOf(function);
  if (argument == kNothing) {
    if (row.argument == Field::kCaller) argument = uint64_t{process_} + 1;
    if (row.effect == Effect::kAdds) argument = 1;
    if (ReadsClock(function)) argument = kTermNs;
    if (row.effect == Effect::kWrites) argument = 1000 * (process_ + 1) + ++values_;
    if (function == Function::kRemoveItem) argument = kItemsOfList[0];
  }
  key_ = programs::Workload::KeyText(key);
  value_.clear();
  if (row.argument == Field::kRequiredValue) {
    value_ = ValueText(argument, MostValueBytes(object_design_.object()));
  }
  announced_ = &log_.Begin(process_, function, key, argument);
  if (ReadsClock(function)) announced_->expected = announced_->invoke;
  return *announced_;
}

void ObjectUser::Call() {
  const bool is_number = RowOf(announced_->function).argument == Field::kNumber;
  answer_ = object_->Call({.function = announced_->function,
                           .key = key_,
                           .value = value_,
                           .number = is_number ? announced_->argument : 0});
}

absl::StatusOr<Operation> ObjectUser::Record() {
  Operation& done = *announced_;
  absl::StatusOr<ObjectEnd> end = EndOf(object_design_.object(), done.function, answer_);
  if (!end.ok()) return end.status();
  if (answer_.value.has_value() && RowOf(done.function).result == Field::kValue) {
    end->result = programs::NumberOfValue(*answer_.value, MostValueBytes(object_design_.object()))
                      .value_or(kForeignValue);
  }
  log_.End(done, end->outcome, end->result);
  if (ReadsClock(done.function)) done.result_version = done.finish;
  return done;
}

absl::StatusOr<Operation> ObjectUser::Do(Function function, uint64_t key, uint64_t argument) {
  Announce(function, key, argument);
  Call();
  return Record();
}

void ObjectUser::LetTermsEnd() {
  log_.time->fetch_add(2 * kTermNs, std::memory_order_relaxed);  // as Tick()
}

void ObjectUser::TellThatItMayDie() {
  Operation& death = log_.Begin(CompanionOf(process_, 1), Function::kDie, 0, process_ + 1);
  death.finish = kNever;
  death.outcome = Outcome::kUnknown;
}

void ObjectUser::GiveBack() {
  Operation& release =
      log_.Begin(CompanionOf(process_, 2), Function::kRelease, announced_->key, process_ + 1);
  release.invoke = announced_->invoke;
  object_->Call({.function = Function::kRelease, .key = key_});
  log_.End(release, Outcome::kOk);
}

// The holder itself comes later (Hold), within the times that are told of it here, and dies.
void ObjectScene::RecordDeadHolder(OperationLog log) {
  const uint64_t argument = IsLease() ? kTermNs : kHolderProcess + 1;
  Operation& held = log.Begin(kHolderProcess, acquire(), 0, argument);
  if (IsLease()) log.time->fetch_add(kTermNs, std::memory_order_relaxed);  // of this process alone
  log.End(held, Outcome::kOk, kAcquired);
  if (IsLease()) {
    held.expected = held.invoke;
    held.result_version = held.finish;
  }
  log.End(log.Begin(kHolderProcess, Function::kDie, 0, kHolderProcess + 1), Outcome::kOk);
}

bool ObjectScene::Has(Function function) const {
  return absl::c_linear_search(functions_, function);
}

absl::Status ObjectScene::Make() {
  options_.size_bytes = 64 << 10;
  options_.max_participants = kParticipants;
  options_.expected_entries = kEntries;
  options_.hash_seed = kHashSeed;
  options_.location = {SegmentKind::kNamed, SegmentNameOf(kSceneName)};
  Segment::Unlink(options_.location).IgnoreError();  // of a cell that was cut off
  std::atomic<uint64_t> time = 0;
  std::atomic<uint32_t> count = 0;
  beginning_.resize(2 * kItems);
  OperationLog log{&time, &count, beginning_};
  ObjectUser maker(*this, kMaker, log);
  absl::StatusOr<std::shared_ptr<Segment>> segment = design_.Create(options_);
  if (!segment.ok()) return segment.status();
  segment_ = *std::move(segment);
  if (state_ == ObjectState::kUsed && IsLock()) {
    RecordDeadHolder(log);
  } else if (state_ == ObjectState::kUsed) {
    if (absl::Status attached = maker.Attach(segment_); !attached.ok()) return attached;
    for (uint64_t n = 1; n <= kItems; ++n) {
      const bool writes = RowOf(functions_.front()).effect == Effect::kWrites;
      const Function function = Has(Function::kSignal) ? Function::kSignal : functions_.front();
      const uint64_t value = Has(Function::kAppend) ? kItemsOfList[n - 1] : n;
      const absl::StatusOr<Operation> done =
          maker.Do(function, Has(Function::kAddMember) ? n - 1 : 0, writes ? value : kNothing);
      if (!done.ok()) return done.status();
    }
  }
  beginning_.resize(count);
  ObjectClock::Set(nullptr);  // `time` ends
  return absl::OkStatus();
}

Scene::Making ObjectScene::making() const {
  Making making;
  if (state_ == ObjectState::kHalfDone) making.half_done = 0;
  making.dead_holder = state_ == ObjectState::kUsed && IsLock();
  return making;
}

Naming ObjectScene::naming() const {
  Naming naming;
  naming.key = programs::Workload::KeyText;
  naming.value = [](uint64_t id) {
    if (id == kNothing) return std::string("nil");
    return id == kForeignValue ? "a value that nobody wrote" : absl::StrCat("v", id);
  };
  return naming;
}

std::unique_ptr<Scene> ObjectScene::In(std::shared_ptr<Segment> other) const {
  auto scene = std::make_unique<ObjectScene>(design_, functions_, ObjectState::kNew);
  scene->options_ = options_;
  scene->segment_ = std::move(other);
  return scene;
}

std::unique_ptr<Victim> ObjectScene::NewVictim(uint32_t operation, uint32_t number, bool,
                                               OperationLog log) const {
  return std::make_unique<ObjectVictim>(*this, functions_[operation], number, log);
}

absl::StatusOr<std::unique_ptr<Survivor>> ObjectScene::NewSurvivor(CellProcess process,
                                                                   Findings& findings,
                                                                   OperationLog log) const {
  auto survivor = std::make_unique<ObjectSurvivor>(*this, process, findings, log);
  if (absl::Status attached = survivor->Attach(); !attached.ok()) return attached;
  return survivor;
}

std::shared_ptr<void> ObjectScene::Hold(SharedObject& object) const {
  std::atomic<uint64_t> time = beginning_.front().invoke;
  if (IsLease()) ObjectClock::Set(&time);
  const ObjectAnswer answer = static_cast<PluginObject&>(object).Call(
      {.function = acquire(), .key = "k0", .number = IsLease() ? kTermNs : 0});
  ObjectClock::Set(nullptr);
  const bool holds = answer.outcome == KILL9_OK;
  return holds ? std::make_shared<bool>(true) : nullptr;
}

}  // namespace kill9::sweep
