// A store client's operations where the segment keeps terms: deadlines, changes in one step, many
// keys, leases, clears; and what a cache moves by itself.
#include <algorithm>
#include <array>
#include <chrono>
#include <thread>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "harness/store_driver/store_client.h"

namespace kill9 {
namespace {

// Expected by a compare-and-swap that has not yet looked: nobody's version.
constexpr Version kNotLookedYet = Version{1} << 62;
constexpr double kMovingChance = 0.3;
constexpr int64_t kLongestBriefLifeUs = 3000;
// By how much the store's clock and the history's may disagree over so short a time.
constexpr uint64_t kClockDoubtNs = 1'000'000;

bool HasNoRoom(const absl::Status& status) { return absl::IsResourceExhausted(status); }

}  // namespace

// Half of the workers read without moving anything.
void StoreClient::Attached() {
  moves_hot_ = run_.traits().moves_hot ? dynamic_cast<MovesHot*>(&store()) : nullptr;
  moved_ = 0;
  if (moves_hot_ != nullptr && process() % 2 == 0) moves_hot_->SetPromotionChance(kMovingChance);
}

// What has a deadline was put with its id as its mark, all else without one.
void StoreClient::CheckTerms(const char* operation, uint64_t key, const Terms& terms, Expiry before,
                             std::string_view value) {
  if (terms.mark != (terms.expires.never() ? 0 : PeekId(value))) {
    Fail(Verdict::kViolation, absl::StrCat(operation, " of ", Name(key), " returned mark ",
                                           terms.mark, ", which is not that of its value"));
  }
  if (terms.expires > before) return;
  Fail(Verdict::kViolation,
       absl::StrCat(operation, " of ", Name(key), " returned a value whose deadline was over ",
                    (before.unix_ns() - terms.expires.unix_ns()) / 1000,
                    " us before the call: what has expired is absent"));
}

uint64_t StoreClient::NewValue(uint64_t key, uint32_t size) {
  const ValueId id = NextId();
  value_.resize(size);
  FillValue(id, key, value_);
  return size < kSmallestNamedValue ? TinyValueId(size) : id;
}

// Half of the keys have deadlines that are far off: what expires there expired too early.
void StoreClient::PutUntil(uint64_t key, uint32_t size, Random& random) {
  const uint64_t id = NewValue(key, size);
  const std::chrono::nanoseconds life =
      IsPermanent(key)
          ? std::chrono::nanoseconds(std::chrono::hours(1))
          : std::chrono::microseconds(random.Below(static_cast<uint64_t>(kLongestBriefLifeUs)));
  const auto life_ns = static_cast<uint64_t>(life.count());
  const Seen seen = Look(key);
  const uint64_t doubt_ns = kClockDoubtNs + life_ns / 1000;
  const uint64_t now = context().clock.BeforeOperation();
  const Terms terms{Expiry::After(life), id};
  const uint64_t fades = now + context().clock.ToTicks(life_ns > doubt_ns ? life_ns - doubt_ns : 1);
  Begin(Function::kPutUntil, key, id, fades);
  const absl::StatusOr<Version> version = store().Put(run_.keys().text(key), value_, terms);
  if (version.ok()) {
    End(Outcome::kOk, kNothing, *version);
    return CheckWritten("Put", key, seen, *version);
  }
  if (!absl::IsResourceExhausted(version.status())) FailStatus("Put", key, version.status());
  End(Outcome::kRefused);
  NoteRefused();
}

void StoreClient::Replace(uint64_t key, uint32_t size) {
  const uint64_t id = NewValue(key, size);
  const Seen seen = Look(key);
  Begin(Function::kCompareAndSwap, key, id, kNotLookedYet);
  const absl::StatusOr<Modified> modified =
      store().Modify(run_.keys().text(key), [&](const EntryView* present) {
        TellExpected(present == nullptr ? kNotLookedYet : present->version);
        return present == nullptr ? Change::Keep() : Change::Set(value_);
      });
  if (modified.ok()) {
    End(modified->changed ? Outcome::kOk : Outcome::kFail, kNothing, modified->version);
    if (modified->changed) CheckWritten("Modify", key, seen, modified->version);
    return;
  }
  if (!absl::IsResourceExhausted(modified.status())) FailStatus("Modify", key, modified.status());
  End(Outcome::kRefused);
  NoteRefused();
}

void StoreClient::GetMany(Random& random) {
  constexpr size_t kMost = 24;  // more than are fetched at a time
  std::vector<uint64_t> keys;
  std::vector<std::string_view> texts;
  // Each key once: of a hot one so many Gets at a time are more than the checker follows.
  for (uint64_t left = 1 + random.Below(kMost); left > 0; --left) {
    const uint64_t key = run_.generator().NextKey(random, 0);
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    keys.push_back(key);
    texts.push_back(run_.keys().text(key));
  }
  std::vector<std::pair<ValueId, Version>> found(keys.size());
  const Expiry before = Expiry::Now();
  BeginKeys(Function::kGet, keys);
  const absl::Status status = store().GetMany(texts, [&](size_t i, const EntryView* entry) {
    if (entry == nullptr) return;
    CheckTerms("GetMany", keys[i], entry->terms, before, entry->value);
    CheckBytes("GetMany", keys[i], entry->value);
    found[i] = {PeekId(entry->value), entry->version};
  });
  if (!status.ok()) FailStatus("GetMany", keys.front(), status);
  EndRow(keys.size(), [&](size_t i, Operation& operation) {
    operation.result = found[i].first;
    operation.result_version = found[i].second;
    return Outcome::kOk;
  });
}

LeaseAnswer::Kind StoreClient::EndLease(uint64_t key, const Seen& seen, Expiry before,
                                        const absl::StatusOr<LeaseAnswer>& answer) {
  if (!answer.ok()) {
    if (!absl::IsResourceExhausted(answer.status())) {
      FailStatus("GetOrLease", key, answer.status());
    }
    End(Outcome::kRefused);
    NoteRefused();
    return LeaseAnswer::Kind::kOld;
  }
  if (answer->kind == LeaseAnswer::Kind::kHit) {
    End(Outcome::kOk, PeekId(buffer_), answer->version);
    // It may have slept: its clock was read then, not at the call.
    CheckTerms("GetOrLease", key, answer->terms, before, buffer_);
    CheckRead("GetOrLease", key, seen, answer->version, buffer_);
    return answer->kind;
  }
  End(Outcome::kOk);
  if (answer->kind != LeaseAnswer::Kind::kLease || answer->has_value) {
    Fail(Verdict::kViolation,
         absl::StrCat("GetOrLease of ", Name(key), " gave neither a value nor a lease"));
  }
  return answer->kind;
}

bool StoreClient::PutLeased(uint64_t key, uint32_t size, const LeaseToken& lease) {
  const uint64_t id = NewValue(key, size);
  const Seen before_put = Look(key);
  Begin(Function::kCompareAndSwap, key, id, kAbsent);
  const absl::StatusOr<CasResult> put = store().PutLeased(lease, value_);
  if (put.ok() && put->swapped) {
    End(Outcome::kOk, kNothing, put->version);
    CheckWritten("PutLeased", key, before_put, put->version);
    return true;
  }
  if (!put.ok() && !absl::IsResourceExhausted(put.status())) {
    FailStatus("PutLeased", key, put.status());
  }
  End(Outcome::kRefused);
  // There is no room for it: somebody else may have a smaller one, and waits for the lease.
  if (put.ok()) return false;
  const absl::StatusOr<bool> dropped = store().DropLease(lease);
  if (!dropped.ok()) FailStatus("DropLease", key, dropped.status());
  return false;
}

absl::StatusOr<LeaseAnswer> StoreClient::AskForLease(std::string_view key,
                                                     const LeaseOptions& options) {
  StoreCounts& counts = boards_.counts();
  // Relaxed: read by audits, while nobody works.
  counts.asked.fetch_add(1, std::memory_order_relaxed);
  if (options.wait.waits()) counts.asked_to_wait.fetch_add(1, std::memory_order_relaxed);
  return store().GetOrLease(key, &buffer_, options);
}

// Nobody waits for two leases, or holds one while it waits.
void StoreClient::Lease(uint64_t key, uint32_t size, Random& random) {
  LeaseOptions options;
  options.wait = Deadline::Never();
  options.lease_for = std::chrono::hours(1);
  const Seen seen = Look(key);
  const Expiry before = Expiry::Now();
  Begin(Function::kGet, key);
  const absl::StatusOr<LeaseAnswer> answer = AskForLease(run_.keys().text(key), options);
  if (EndLease(key, seen, before, answer) != LeaseAnswer::Kind::kLease) return;
  // Often the value takes a while, in which others are woken by what else happens, and sleep on.
  if (random.Chance(300)) {
    std::this_thread::sleep_for(
        std::chrono::microseconds(random.Below(static_cast<uint64_t>(kLongestBriefLifeUs))));
  }
  PutLeased(key, size, answer->lease);
}

// Of each key, an erase that does not tell whether it was there.
void StoreClient::ClearAll(absl::FunctionRef<absl::Status()> clear) {
  std::vector<uint64_t> keys(run_.keys().workload_keys());
  for (uint64_t key = 0; key < keys.size(); ++key) keys[key] = key;
  BeginKeys(Function::kErase, keys);
  const absl::Status status = clear();
  if (!status.ok()) FailStatus("Clear", 0, status);
  EndRow(keys.size(), [](size_t, Operation& operation) {
    operation.result = kErasedUntold;
    return Outcome::kOk;
  });
}

void StoreClient::NoteCounted() {
  const absl::StatusOr<StoreCounters> counted = store().Counted();
  if (!counted.ok()) FailStatus("Counted", 0, counted.status());
  StoreCounts& counts = boards_.counts();
  // Relaxed: audits follow each other.
  Raise(counts.expired, counted->expired - counts.expired_in_quiet.load(std::memory_order_relaxed));
  Raise(counts.waits, counted->waits);
  const uint64_t asked = counts.asked.load(std::memory_order_relaxed);
  const uint64_t asked_to_wait = counts.asked_to_wait.load(std::memory_order_relaxed);
  if (counted->leases <= asked && counted->waits <= asked_to_wait) return;
  Fail(Verdict::kViolation,
       absl::StrCat("counted are ", counted->leases, " leases and ", counted->waits,
                    " waits for one, of ", asked, " calls that asked, ", asked_to_wait,
                    " of which may have waited"));
}

// ---- In audits, while nobody else works ---------------------------------------------------------

bool StoreClient::RequireEnded(const char* when, uint32_t call, Version version) {
  const std::string_view key = QuietKey(0);
  const auto is_absent = [](const absl::Status& told) {
    return absl::IsNotFound(told) || HasNoRoom(told);
  };
  // Each is the first one that comes to the entry.
  absl::Status status;
  bool right = true;
  switch (call) {
    case 0:
      right = is_absent(store().Get(key, &buffer_).status());
      break;
    case 1:
      right = is_absent(store().Pin(key).status());
      break;
    case 2:
      status = store().GetMany(
          {&key, 1}, [&right](size_t, const EntryView* entry) { right = entry == nullptr; });
      break;
    case 3:
      status = store().ForEach([&](const EntryView& entry) {
        right &= entry.key != key;
        return true;
      });
      break;
    case 4:
      right = is_absent(store().Append(key, "x").status());
      break;
    case 5:
      right = is_absent(store().Touch(key, Expiry()).status());
      break;
    case 6: {
      const absl::StatusOr<bool> erased = store().Erase(key);
      status = erased.status();
      right = erased.ok() && !*erased;
      break;
    }
    case 7: {
      const absl::StatusOr<CasResult> set = store().CompareAndSwap(key, version, "set", Terms());
      status = set.status();
      right = set.ok() && !set->swapped;
      break;
    }
    case 8: {
      const absl::StatusOr<CasResult> set = store().Replace(key, "set");
      status = set.status();
      right = set.ok() && !set->swapped;
      break;
    }
    case 9: {
      const absl::StatusOr<CasResult> set = store().Add(key, "set");
      if (!Expect(when, set.status(), set.ok() && set->swapped)) return false;
      return Expect("Erase", store().Erase(key).status(), true);
    }
    default: {
      LeaseToken lease;
      if (!TryLease(LeaseAnswer::Kind::kLease, false, {.lease_for = std::chrono::hours(1)}, &lease))
        return false;
      const absl::StatusOr<bool> dropped = store().DropLease(lease);
      return Expect("DropLease", dropped.status(), dropped.ok() && *dropped);
    }
  }
  if (HasNoRoom(status)) return false;
  if (!status.ok() || !right) {
    FailInQuiet(absl::StrCat(when, " call ", call, " finds the key: ", status.ToString()));
  }
  return true;
}

// Each call that looks comes first to an entry whose deadline is over.
bool StoreClient::TryOver() {
  const uint64_t before = Tally().expired;
  const absl::Cleanup note = [this, before] {
    boards_.counts().expired_in_quiet.fetch_add(Tally().expired - before,
                                                std::memory_order_relaxed);
  };
  for (uint32_t call = 0; call < kCallsThatLook; ++call) {
    const absl::StatusOr<Version> put = store().Put(QuietKey(0), "over", {Expiry::AtNs(1), 0});
    if (!Expect("Put", put.status(), true)) return false;
    if (!RequireEnded("after its deadline", call, *put)) return false;
  }
  return true;
}

}  // namespace kill9
