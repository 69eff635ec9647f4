// The part of a store's client that is for audits, while nobody else works: what is made of Modify,
// and, where the segment keeps terms, deadlines, marks, leases, clears and counters, each against
// what it must say then. None of it is in the history but the clears, and nothing of it is left.
#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <string>
#include <thread>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "harness/store_driver/store_client.h"

namespace kill9 {
namespace {

using std::chrono::hours;

constexpr uint64_t kVisitsToClear = 4;
constexpr uint64_t kManyExpired = 5;
constexpr uint64_t kMostAsked = 64;  // of the workers' keys

// Two that a history has never seen.
const Terms kFar = {Expiry::AtNs(int64_t{4'000'000'000} * 1'000'000'000), 0x1122334455667788};
const Terms kFarther = {Expiry::AtNs(int64_t{5'000'000'000} * 1'000'000'000), 0x8877665544332211};

bool IsFull(const absl::Status& status) { return absl::IsResourceExhausted(status); }

}  // namespace

void StoreClient::FailInQuiet(const std::string& what) {
  Fail(Verdict::kViolation, absl::StrCat("in a quiet store ", what));
}

// What a call must not have said; false: there was no room for it, and the trial ends.
bool StoreClient::Expect(const char* what, const absl::Status& status, bool right) {
  if (IsFull(status)) return false;
  if (!status.ok()) FailInQuiet(absl::StrCat(what, " failed: ", status.ToString()));
  if (!right) FailInQuiet(absl::StrCat(what, " told what is not so"));
  Progress();
  return true;
}

std::string_view StoreClient::QuietKey(uint64_t number) const {
  return run_.keys().text(run_.keys().size() - 1 - number);
}

void StoreClient::RequireIs(const char* when, std::string_view value, const Terms& terms) {
  Terms told;
  const absl::StatusOr<Version> version = keeps_terms() ? store().Get(QuietKey(0), &buffer_, &told)
                                                        : store().Get(QuietKey(0), &buffer_);
  if (!version.ok()) FailInQuiet(absl::StrCat(when, " Get: ", version.status().ToString()));
  if (buffer_ != value) FailInQuiet(absl::StrCat(when, " the value is another one"));
  if (!(told == terms)) FailInQuiet(absl::StrCat(when, " the value has another deadline or mark"));
}

void StoreClient::RequireAbsent(const char* when) {
  const absl::StatusOr<Version> version = store().Get(QuietKey(0), &buffer_);
  if (!absl::IsNotFound(version.status())) {
    FailInQuiet(absl::StrCat(when, " the key is there: ", version.status().ToString()));
  }
}

// REQUIRES: nobody works.
void StoreClient::TryAll() {
  if (!run_.traits().has_modify) return;
  // A store that forgets keeps what was just put, unless others hold nearly all of it.
  for (const WorkerBoard& board : context().control().boards) {
    // Relaxed: the workers are parked.
    if (!lossless_ && board.attached.load(std::memory_order_relaxed) != 0 &&
        board.held.load(std::memory_order_relaxed) != 0) {
      return;
    }
  }
  ++visits_;
  BeginUnrecorded(Function::kCompareAndSwap, 0);
  const absl::Cleanup leave_nothing = [this] {
    for (uint64_t number = 0; number < kManyExpired; ++number) {
      const absl::StatusOr<bool> erased = store().Erase(QuietKey(number));
      if (!erased.ok()) FailInQuiet(absl::StrCat("Erase: ", erased.status().ToString()));
    }
    EndUnrecorded();
  };
  if (!TryChanges()) return;
  if (!keeps_terms() || !TryLeasesOfTheDead() || !TryLeaseOfWhoLeaves() || !TryTerms() ||
      !TryOver() || !TryLeases() || !TryExpired()) {
    return;
  }
  // Both forget what the workers have put.
  const uint64_t turn = (process() + visits_) % kVisitsToClear;
  if (turn == 0) TryClears();
  if (turn == 1) TryForgottenLease();
}

bool StoreClient::TryChanges() {
  const std::string_view key = QuietKey(0);
  const auto is_absent = [&](const char* what, const absl::Status& status) {
    if (!absl::IsNotFound(status)) {
      FailInQuiet(absl::StrCat(what, " of an absent key: ", status.ToString()));
    }
  };
  is_absent("Append", store().Append(key, "x").status());
  is_absent("Prepend", store().Prepend(key, "x").status());
  is_absent("Increment", store().Increment(key, 1).status());
  absl::StatusOr<CasResult> set = store().Replace(key, "x");
  if (!Expect("Replace of an absent key", set.status(), set.ok() && !set->swapped)) return false;
  set = store().Add(key, "70");
  if (!Expect("Add of an absent key", set.status(), set.ok() && set->swapped)) return false;
  set = store().Add(key, "71");
  if (!Expect("Add of a present key", set.status(), set.ok() && !set->swapped)) return false;
  // By so much a number becomes what.
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  constexpr std::array<std::pair<int64_t, uint64_t>, 7> kSteps = {
      {{5, 75},
       {-80, 0},
       {std::numeric_limits<int64_t>::max(), kMost / 2},
       {std::numeric_limits<int64_t>::max(), kMost - 1},
       {3, 1},
       {std::numeric_limits<int64_t>::min(), 0},
       {12, 12}}};
  for (const auto& [by, number] : kSteps) {
    const absl::StatusOr<Incremented> changed = store().Increment(key, by);
    const bool right = changed.ok() && changed->number == number;
    if (!Expect("Increment", changed.status(), right)) return false;
    RequireIs("after Increment", absl::StrCat(number));
  }
  for (const char* const no_number : {"12x", "x12", " 12", "", "-1", "18446744073709551616"}) {
    set = store().Replace(key, no_number);
    if (!Expect("Replace", set.status(), set.ok() && set->swapped)) return false;
    const absl::Status refused = store().Increment(key, 1).status();
    if (!absl::IsOutOfRange(refused)) {
      FailInQuiet(absl::StrCat("Increment of \"", no_number, "\": ", refused.ToString()));
    }
    RequireIs("after a refused Increment", no_number);
  }
  set = store().Replace(key, "12");
  if (!Expect("Replace", set.status(), set.ok() && set->swapped)) return false;
  // From one size to the next.
  std::string wanted = "12";
  Random random(visits_, process());
  for (int i = 0; i < 3; ++i) {
    // All of them together are a value, too.
    const size_t most = std::min<size_t>(store().max_value_bytes() / 8, 1u << 10);
    value_.assign(std::min<size_t>(SizeFor(0, random), most), static_cast<char>('a' + i));
    if (!Expect("Append", store().Append(key, value_).status(), true)) return false;
    wanted += value_;
    RequireIs("after Append", wanted);
    if (!Expect("Prepend", store().Prepend(key, "p").status(), true)) return false;
    wanted = absl::StrCat("p", wanted);
    RequireIs("after Prepend", wanted);
  }
  set = store().Replace(key, "r");
  if (!Expect("Replace of a present key", set.status(), set.ok() && set->swapped)) return false;
  RequireIs("after Replace", "r");
  const absl::StatusOr<Modified> erased =
      store().Modify(key, [](const EntryView*) { return Change::Erase(); });
  // A design need not be able to erase what has just this version.
  if (!keeps_terms() && absl::IsUnimplemented(erased.status())) return store().Erase(key).ok();
  if (!Expect("Modify", erased.status(), erased.ok() && erased->changed)) return false;
  RequireAbsent("after Modify erased it");
  return true;
}

// ---- Terms --------------------------------------------------------------------------------------

bool StoreClient::TryTerms() {
  const std::string_view key = QuietKey(0);
  if (!Expect("Put", store().Put(key, "value", kFar).status(), true)) return false;
  RequireIs("after Put", "value", kFar);
  if (!Expect("Append", store().Append(key, "s").status(), true)) return false;
  RequireIs("after Append", "values", kFar);
  if (!Expect("Touch", store().Touch(key, kFarther.expires).status(), true)) return false;
  const Terms touched = {kFarther.expires, kFar.mark};
  RequireIs("after Touch", "values", touched);
  const absl::StatusOr<PinnedValue> pin = store().Pin(key);
  if (pin.ok() && (pin->value() != "values" || !(pin->terms() == touched))) {
    FailInQuiet("Pin shows another value, deadline or mark");
  }
  const std::array<std::string_view, 2> keys = {key, QuietKey(1)};
  size_t told = 0;
  const absl::Status many = store().GetMany(keys, [&](size_t i, const EntryView* entry) {
    told += i == told ? 1 : 0;
    const bool right = i == 0
                           ? entry != nullptr && entry->value == "values" && entry->terms == touched
                           : entry == nullptr;
    if (!right) FailInQuiet("GetMany shows another value, deadline or mark");
  });
  if (!Expect("GetMany", many, told == keys.size())) return false;
  const absl::StatusOr<CasResult> set =
      store().CompareAndSwap(key, *store().Get(key, nullptr), "swapped", kFarther);
  if (!Expect("CompareAndSwap", set.status(), set.ok() && set->swapped)) return false;
  RequireIs("after CompareAndSwap", "swapped", kFarther);
  return Expect("Erase", store().Erase(key).status(), true);
}

bool StoreClient::TryLease(LeaseAnswer::Kind kind, bool has_value, const LeaseOptions& options,
                           LeaseToken* lease) {
  absl::StatusOr<LeaseAnswer> answer = AskForLease(QuietKey(0), options);
  const bool right = answer.ok() && answer->kind == kind && answer->has_value == has_value;
  if (!Expect("GetOrLease", answer.status(), right)) return false;
  if (has_value) {
    const std::string told = buffer_;
    Terms terms;
    const absl::StatusOr<Version> version = store().Get(QuietKey(0), &buffer_, &terms);
    if (!version.ok() || *version != answer->version || buffer_ != told ||
        !(terms == answer->terms)) {
      FailInQuiet("GetOrLease told another value, version, deadline or mark than there is");
    }
  }
  if (lease != nullptr) *lease = std::move(answer->lease);
  return true;
}

// Nobody computes anything, so nobody is to be waited for: what the dead were to compute passes on,
// whoever has their places by now.
bool StoreClient::TryLeasesOfTheDead() {
  const uint64_t keys = std::min<uint64_t>(run_.keys().workload_keys(), kMostAsked);
  for (uint64_t key = 0; key < keys; ++key) {
    const absl::StatusOr<LeaseAnswer> answer =
        AskForLease(run_.keys().text(key), {.lease_for = hours(1)});
    const bool right = answer.ok() && answer->kind != LeaseAnswer::Kind::kBusy;
    if (!Expect("GetOrLease of what nobody computes", answer.status(), right)) return false;
    if (answer->kind != LeaseAnswer::Kind::kLease) continue;
    const absl::StatusOr<bool> dropped = store().DropLease(answer->lease);
    if (!Expect("DropLease", dropped.status(), dropped.ok() && *dropped)) return false;
  }
  return true;
}

// A lease that is over is over for both calls: what is there by now stays.
bool StoreClient::TryPast(const LeaseToken& lease) {
  const absl::StatusOr<CasResult> put = store().PutLeased(lease, "late");
  if (!Expect("PutLeased of a past lease", put.status(), put.ok() && !put->swapped)) return false;
  const absl::StatusOr<bool> dropped = store().DropLease(lease);
  return Expect("DropLease of a past lease", dropped.status(), dropped.ok() && !*dropped);
}

bool StoreClient::TryLeases() {
  using Kind = LeaseAnswer::Kind;
  const std::string_view key = QuietKey(0);
  const LeaseOptions long_lease = {.lease_for = hours(1)};
  LeaseToken lease;
  // Of nothing: absent for everybody; an erase ends the lease and tells that nothing was there.
  if (!TryLease(Kind::kLease, false, long_lease, &lease)) return false;
  RequireAbsent("while it is being computed");
  if (!TryLease(Kind::kBusy, false, long_lease, nullptr)) return false;
  const absl::Status visited = store().ForEach([&](const EntryView& entry) {
    if (entry.key == key) FailInQuiet("ForEach shows a key that is only being computed");
    return true;
  });
  if (!Expect("ForEach", visited, true)) return false;
  const absl::StatusOr<bool> erased = store().Erase(key);
  if (!Expect("Erase of a leased key", erased.status(), erased.ok() && !*erased)) return false;
  if (!TryPast(lease)) return false;
  if (!TryLease(Kind::kLease, false, long_lease, &lease)) return false;
  absl::StatusOr<bool> dropped = store().DropLease(lease);
  if (!Expect("DropLease", dropped.status(), dropped.ok() && *dropped)) return false;
  if (!TryPast(lease)) return false;
  // A lease that is over passes on, to who has waited for that, and would have waited longer: at
  // each time in which it may end between a look and the sleep.
  LeaseToken late;
  const LeaseOptions short_lease = {.lease_for = std::chrono::microseconds(1 << visits_ % 11)};
  const LeaseOptions patient = {.wait = Deadline::After(hours(1)), .lease_for = hours(1)};
  if (!TryLease(Kind::kLease, false, short_lease, &late)) return false;
  if (!TryLease(Kind::kLease, false, patient, &lease)) return false;
  if (!TryPast(late)) return false;
  const absl::StatusOr<CasResult> put = store().PutLeased(lease, "computed", kFar);
  if (!Expect("PutLeased", put.status(), put.ok() && put->swapped)) return false;
  if (!TryPast(late) || !TryPast(lease)) return false;
  RequireIs("after PutLeased", "computed", kFar);
  // Of an old value: it stays as it is, with its terms, until the next comes.
  const LeaseOptions renew = {
      .lease_for = hours(1), .renew_before = hours(1'000'000), .takes_old = true};
  if (!TryLease(Kind::kLease, true, renew, &lease)) return false;
  RequireIs("while it is computed anew", "computed", kFar);
  if (!TryLease(Kind::kOld, true, renew, nullptr)) return false;
  dropped = store().DropLease(lease);
  if (!Expect("DropLease", dropped.status(), dropped.ok() && *dropped)) return false;
  if (!TryPast(lease)) return false;
  RequireIs("after its lease was dropped", "computed", kFar);
  return Expect("Erase", store().Erase(key).status(), true);
}

// A lease is over once its holder has left, whoever has had its place since: nobody.
bool StoreClient::TryLeaseOfWhoLeaves() {
  const LeaseOptions options = {.lease_for = hours(1)};
  if (!Expect("Erase", store().Erase(QuietKey(0)).status(), true)) return false;
  {
    const auto other = static_cast<const Variant&>(context().design).Attach(segment());
    if (!other.ok()) return true;  // no place is left
    boards_.counts().asked.fetch_add(1, std::memory_order_relaxed);
    const absl::StatusOr<LeaseAnswer> its = (*other)->GetOrLease(QuietKey(0), &buffer_, options);
    const bool right = its.ok() && its->kind == LeaseAnswer::Kind::kLease;
    if (!Expect("GetOrLease of an absent key", its.status(), right)) return false;
  }
  return TryLease(LeaseAnswer::Kind::kLease, false, options, nullptr);
}

// Drafts that are never published take the room of a lease: who waits for it is told.
void StoreClient::TryForgottenLease() {
  constexpr int kDrafts = 4;
  constexpr size_t kMostBytes = 8u << 20;  // each is written to
  const std::string_view key = QuietKey(0);
  if (lossless_ || !run_.traits().has_draft || store().max_value_bytes() > kMostBytes) return;
  const absl::StatusOr<int> descriptor = store().LeaseDescriptor();
  if (!descriptor.ok()) return;
  const LeaseOptions long_lease = {.lease_for = hours(1)};
  if (!Expect("Erase", store().Erase(key).status(), true)) return;
  if (!TryLease(LeaseAnswer::Kind::kLease, false, long_lease, nullptr)) return;
  std::array<kill9::Draft, kDrafts> drafts;
  for (kill9::Draft& draft : drafts) {
    store().ForgetTold();
    // It waits from now on, and is told by the descriptor.
    absl::StatusOr<LeaseAnswer> answer = AskForLease(key, long_lease);
    if (!answer.ok() || answer->kind != LeaseAnswer::Kind::kBusy) break;
    absl::StatusOr<kill9::Draft> taken =
        store().Reserve(QuietKey(1), store().max_value_bytes() / 5 * 2);
    if (!taken.ok()) break;
    draft = *std::move(taken);
    pollfd told{*descriptor, POLLIN, 0};
    const bool is_told = poll(&told, 1, 0) == 1;
    answer = AskForLease(key, long_lease);
    if (!answer.ok() || answer->kind == LeaseAnswer::Kind::kBusy) continue;
    if (!is_told) FailInQuiet("a lease is forgotten, and who waits for it is not told");
    break;
  }
}

// What is counted of it.
StoreCounters StoreClient::Tally() {
  const absl::StatusOr<StoreCounters> counted = store().Counted();
  if (!counted.ok()) FailInQuiet(absl::StrCat("Counted: ", counted.status().ToString()));
  return *counted;
}

uint64_t StoreClient::CountOfWorkers() {
  uint64_t count = 0;
  const absl::Status visited = store().ForEach([&](const EntryView& entry) {
    uint64_t number = 0;
    while (number < kManyExpired && entry.key != QuietKey(number)) ++number;
    count += number == kManyExpired ? 1 : 0;
    return true;
  });
  Expect("ForEach", visited, true);
  return count;
}

// Meanwhile what the workers have set may expire as well: nothing did if as much is there at the
// end as at the beginning, since nobody sets anything.
bool StoreClient::TryExpired() {
  const Terms over = {Expiry::AtNs(1), 0};
  const uint64_t others = CountOfWorkers();
  absl::StatusOr<uint64_t> dropped = store().DropExpired();  // of the workers' keys
  if (!Expect("DropExpired", dropped.status(), true)) return false;
  const StoreCounters before = Tally();
  for (uint64_t number = 0; number < kManyExpired; ++number) {
    if (!Expect("Put", store().Put(QuietKey(number), "over", over).status(), true)) return false;
  }
  RequireAbsent("after its deadline");
  dropped = store().DropExpired();
  if (!Expect("DropExpired", dropped.status(), true)) return false;
  if (!Expect("Put", store().Put(QuietKey(0), "there", kFar).status(), true)) return false;
  RequireIs("after Put", "there", kFar);
  const StoreCounters after = Tally();
  const uint64_t expired = after.expired - before.expired;
  boards_.counts().expired_in_quiet.fetch_add(expired, std::memory_order_relaxed);
  const bool only_these = CountOfWorkers() == others;
  // A Put that found no room has removed some, and a store that forgets may have forgotten some.
  if (only_these && *dropped >= kManyExpired) {
    FailInQuiet(absl::StrCat("DropExpired told of ", *dropped));
  }
  if (after.hits - before.hits != 1 || after.misses - before.misses != 1 ||
      (lossless_ && expired < kManyExpired) || (only_these && expired > kManyExpired)) {
    FailInQuiet(absl::StrCat("of one hit, one miss and ", kManyExpired,
                             " entries that expired were counted ", after.hits - before.hits, ", ",
                             after.misses - before.misses, " and ", expired));
  }
  return true;
}

// The last trial: it ends what all keys have.
void StoreClient::TryClears() {
  Version version = kAbsent;
  const auto put = [this, &version] {
    const absl::StatusOr<Version> set = store().Put(QuietKey(0), "there", kFar);
    version = set.value_or(kAbsent);
    return Expect("Put", set.status(), true);
  };
  const uint32_t call = static_cast<uint32_t>(visits_ / kVisitsToClear) % kCallsThatLook;
  if (!put()) return;
  ClearAll();
  const uint64_t expired = Tally().expired;
  if (!RequireEnded("after a Clear", call, version)) return;
  if (Tally().expired != expired) FailInQuiet("what a Clear has ended is counted as expired");
  if (!put()) return;
  // Of one that is to come, and is overtaken by another.
  if (!Expect("ClearAt", store().ClearAt(Expiry::After(hours(1))), true)) return;
  RequireIs("before a Clear that is to come", "there", kFar);
  const std::chrono::milliseconds soon(2);
  const Expiry when = Expiry::After(soon);
  ClearAll([&] {
    const absl::Status status = store().ClearAt(when);
    while (Expiry::Now() < when) {
      const bool is_there = store().Get(QuietKey(0), nullptr).ok();
      if (!is_there && Expiry::Now() < when) FailInQuiet("a Clear has come before its moment");
    }
    // A clear is at a millisecond, and carried out by whoever comes next.
    std::this_thread::sleep_for(soon);
    RequireEnded("after the moment of a Clear", call, version);
    RequireAbsent("after the moment of a Clear");
    return status;
  });
}

}  // namespace kill9
