// The part of a store's client for a store in which nobody dies, and all but one wait without end
// for the lease of one key (harness/torture/worker/last_to_wait.h). Whatever ends the lease must
// wake them: one of them, to whom it passes on; or all, if there is a value.
#include <chrono>

#include "harness/store_driver/store_client.h"

namespace kill9 {

namespace {

// Nobody minds if it is gone (IsPermanent).
constexpr uint64_t kKeyInTurn = 1;

}  // namespace

void StoreClient::LeaseInTurn(Random& random) {
  const uint64_t key = run_.generator().ErasableKey(kKeyInTurn);
  if (key >= run_.generator().keys()) return;
  LeaseOptions options;
  options.wait = LastToWait::Far(random);
  options.lease_for = std::chrono::hours(1);
  const Seen seen = Look(key);
  const Expiry before = Expiry::Now();
  last_to_wait_.BeginAnyway();
  Begin(Function::kGet, key);
  const absl::StatusOr<LeaseAnswer> answer = AskForLease(run_.keys().text(key), options);
  last_to_wait_.End();
  switch (EndLease(key, seen, before, answer)) {
    case LeaseAnswer::Kind::kHit:
      if (random.Chance(500)) Erase(key);
      return;
    case LeaseAnswer::Kind::kLease:
      break;
    default:
      return;
  }
  const LastToWait::Others others = last_to_wait_.AwaitAllOthers(random);
  const bool has_value = EndLeaseInTurn(key, answer->lease, random);
  last_to_wait_.AwaitWoken(others, has_value ? LastToWait::Woken::kAll : LastToWait::Woken::kOne);
}

// Whether the key has a value then.
bool StoreClient::EndLeaseInTurn(uint64_t key, const LeaseToken& lease, Random& random) {
  const uint32_t size = SizeFor(key, random);
  switch (random.Below(7)) {
    case 0:
      return PutLeased(key, size, lease);
    case 1:
      if (Put(key, size)) return true;
      break;  // there was no room for it
    case 2:
      Erase(key);
      return false;
    case 3:
      ClearAll();
      return false;
    case 4:
      CompareAndSwap(key, kAbsent, size);
      if (Get(key) != kAbsent) return true;
      break;
    case 5:
      if (run_.traits().has_draft) Draft(key, size, random);
      while (holds() > 0) ReleaseOne(/*commit=*/true);
      if (Get(key) != kAbsent) return true;
      break;  // it was dropped, or there was no room for it
    default:
      break;
  }
  const absl::StatusOr<bool> dropped = store().DropLease(lease);
  if (!dropped.ok()) FailStatus("DropLease", key, dropped.status());
  return false;
}

}  // namespace kill9
