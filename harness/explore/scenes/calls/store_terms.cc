// What scenes of stores do with terms: clears and leases; and what must hold of deadlines.
#include <chrono>
#include <string>

#include "harness/explore/scenes/store_scene.h"

namespace kill9::explore {

// Of all keys at once.
void StoreScene::Clear(int participant) {
  Operation asked = {};
  asked.function = Function::kErase;
  Operation& clearing = Begin(participant, "clear", /*must_not_wait=*/false, asked);
  for (uint64_t key = 1; key < Keys(); ++key) {
    asked.key = key;
    BeginBeside(participant, asked);
  }
  const absl::Status status = stores_[static_cast<size_t>(participant)]->Clear();
  if (!status.ok()) FailStatus(status);
  if (is_past()) newest_ = {};
  End(clearing, Outcome::kOk, kErasedUntold, 0);
  for (uint64_t key = 1; key < Keys(); ++key) EndBeside(clearing, key, kErasedUntold, 0);
}

// The value is told, or what it is to be; a put that comes too late changes nothing.
void StoreScene::Lease(int participant, size_t number, StoreCall call) {
  Store& store = *stores_[static_cast<size_t>(participant)];
  const ValueId id = IdOfWrite(participant, number);
  const uint64_t key = KeyOf(participant, number);
  std::string read;
  Operation asked = {};
  asked.function = Function::kGet;
  asked.key = key;
  Operation& getting = Begin(participant, StoreWords().calls[static_cast<size_t>(call)].data(),
                             /*must_not_wait=*/false, asked);
  LeaseOptions options;
  // So it is the wait that ends first: who is overlooked is not saved by the lease's end.
  options.lease_for = std::chrono::hours(2);
  if (call == StoreCall::kWaitLease) options.wait = AnHour();
  if (call == StoreCall::kBriefLease) options.lease_for = kBrief;
  const absl::StatusOr<LeaseAnswer> answer = store.GetOrLease(KeyText(key), &read, options);
  const bool is_served = answer.ok() && answer->kind != LeaseAnswer::Kind::kBusy;
  if (call == StoreCall::kWaitLease && answer.ok()) {
    is_served ? CheckWoken(options.wait) : CheckPatience(options.wait);
  }
  if (absl::IsResourceExhausted(answer.status()) ||
      (answer.ok() && answer->kind == LeaseAnswer::Kind::kBusy)) {
    return End(getting, Outcome::kRefused, kNothing, 0);
  }
  if (!answer.ok()) FailStatus(answer.status());
  End(getting, Outcome::kOk, answer->has_value ? IdOf(key, read) : kNothing, 0);
  if (answer->kind != LeaseAnswer::Kind::kLease) return;
  asked.function = Function::kPut;
  asked.argument = Named(id);
  Operation& putting = Begin(participant, "put leased", /*must_not_wait=*/false, asked);
  const absl::StatusOr<CasResult> put = store.PutLeased(answer->lease, ValueOf(id, key));
  if (!put.ok() && !absl::IsResourceExhausted(put.status())) FailStatus(put.status());
  const bool swapped = put.ok() && put->swapped;
  End(putting, swapped ? Outcome::kOk : Outcome::kRefused, kNothing, 0);
  if (put.ok()) return;
  // There is no room for it: another may have a smaller one.
  asked = {};
  asked.function = Function::kRecover;
  Operation& dropping = Begin(participant, "drop lease", /*must_not_wait=*/false, asked);
  const absl::Status dropped = store.DropLease(answer->lease).status();
  if (!dropped.ok()) FailStatus(dropped);
  End(dropping, Outcome::kOk, kNothing, 0);
}

// Not where others write the same value: a short one has no name of its own.
bool StoreScene::IsShownLate(const Operation& got) const {
  const Operation* put = nullptr;
  for (int i = 0; i < participants(); ++i) {
    for (const Operation& one : OperationsOf(i)) {
      if (one.key != got.key || one.argument != got.result || one.argument == kNothing) continue;
      if (put != nullptr) return false;
      put = &one;
    }
  }
  const bool is_brief = put != nullptr && put->function == Function::kPutUntil;
  return is_brief && HasTicked(put->finish, got.invoke);
}

Finding StoreScene::CheckDeadlines() const {
  for (int i = 0; i < participants(); ++i) {
    for (const Operation& one : OperationsOf(i)) {
      const bool gets = one.function == Function::kGet || one.function == Function::kPin;
      if (gets && IsShownLate(one)) return {Verdict::kViolation, kShownLate};
    }
  }
  return {};
}

}  // namespace kill9::explore
