#include "harness/plugin/sweep/object_survivor.h"

#include <utility>

namespace kill9::sweep {
namespace {

constexpr uint64_t kMostItems = 1000;
constexpr uint64_t kSetKeys = 4;

}  // namespace

Operation ObjectSurvivor::Do(Function function, uint64_t key, uint64_t argument) {
  const absl::StatusOr<Operation> done = user_.Do(function, key, argument);
  findings_.Check(done.ok(), Verdict::kViolation, done.status());
  return *done;
}

uint64_t ObjectSurvivor::KeyAt(Nearness where) const {
  return scene_.Has(Function::kAddMember) ? static_cast<uint64_t>(where) : 0;
}

void ObjectSurvivor::Take() {
  if (Do(scene_.acquire(), 0).result == kHeldByOther) return;
  if (scene_.IsLease()) Do(Function::kRenew, 0);
  Do(Function::kRelease, 0);
}

void ObjectSurvivor::Call(Function function, uint64_t key) {
  switch (function) {
    case Function::kAcquire:
    case Function::kAcquireFor:
      return Take();
    case Function::kRelease:
      return;  // Take does
    case Function::kWait:
      // Else it would sleep until somebody comes.
      Do(Function::kSignal, key);
      Do(Function::kWait, key);
      return;
    case Function::kAt:
      return Look();
    case Function::kRemoveItem:
      if (!seen_.empty()) Do(function, key, seen_.front());
      return;
    default:
      Do(function, key);
  }
}

void ObjectSurvivor::Look() {
  if (scene_.IsLock()) return Take();
  if (scene_.Has(Function::kWakeUps)) wake_ups_ = Do(Function::kWakeUps, 0).result;
  if (scene_.Has(Function::kRead)) Do(Function::kRead, 0);
  for (uint64_t key = 0; scene_.Has(Function::kContains) && key < kSetKeys; ++key) {
    Do(Function::kContains, key);
  }
  if (!scene_.Has(Function::kAt)) return;
  seen_.clear();
  for (uint64_t n = 0; n < kMostItems; ++n) {
    const Operation read = Do(Function::kAt, 0, n);
    if (read.result == kNothing) return;
    seen_.push_back(read.result);
  }
  findings_.Fail(Verdict::kViolation, "the list has no end");
}

void ObjectSurvivor::Work(Nearness where) {
  Look();
  for (const Function function : scene_.functions()) Call(function, KeyAt(where));
  // Whoever has a lease, dead or stopped, loses it.
  if (scene_.IsLease()) user_.LetTermsEnd();
  Look();
}

void ObjectSurvivor::Write(Nearness where) {
  for (const Function function : scene_.functions()) {
    const Effect effect = RowOf(function).effect;
    if (effect == Effect::kNone || effect == Effect::kRemoves) continue;
    return Call(function, KeyAt(where));
  }
}

void ObjectSurvivor::Empty(uint32_t) {
  if (scene_.Has(Function::kDequeue)) {
    uint64_t taken = 0;
    while (Do(Function::kDequeue, 0).result != kNothing) {
      findings_.Check(++taken < kMostItems, Verdict::kViolation, "the queue has no end");
    }
  }
  if (scene_.Has(Function::kRemoveItem)) {
    Look();
    for (const uint64_t item : std::exchange(seen_, {})) Do(Function::kRemoveItem, 0, item);
  }
  if (scene_.Has(Function::kWait)) {
    Look();
    for (; wake_ups_ > 0; --wake_ups_) Do(Function::kWait, 0);
  }
  for (uint64_t key = 0; scene_.Has(Function::kRemoveMember) && key < kSetKeys; ++key) {
    Do(Function::kRemoveMember, key);
  }
}

void ObjectSurvivor::Probe(uint32_t probe, Nearness where) {
  Call(scene_.functions()[probe], KeyAt(where));
}

}  // namespace kill9::sweep
