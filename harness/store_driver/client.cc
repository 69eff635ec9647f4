#include "harness/store_driver/client.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/torture/machine_check.h"

namespace kill9 {
namespace {

// The floor of a key whose store has no versions: the key has been there, more is not known.
constexpr Version kSomeVersion = 1;

// The id at the head of a value, before its bytes are checked.
ValueId PeekId(std::string_view value) {
  if (value.size() < kSmallestNamedValue) return TinyValueId(value.size());
  ValueId id;
  std::memcpy(&id, value.data(), sizeof id);
  return id == kNothing ? kNothing + 1 : id;
}

// Raises `word` to at least `value`; returns what it was before.
uint64_t Raise(std::atomic<uint64_t>& word, uint64_t value) {
  // Acquire and release: who reads the raised floor before an operation has seen the operation that
  // raised it.
  uint64_t seen = word.load(std::memory_order_acquire);
  while (seen < value && !word.compare_exchange_weak(seen, value, std::memory_order_acq_rel,
                                                     std::memory_order_acquire)) {
  }
  return seen;
}

}  // namespace

Client::Client(const RunContext& context, uint32_t slot, uint32_t process)
    : context_(context),
      control_(context.control()),
      board_(context.control().boards[slot]),
      process_(process),
      lossless_(context.variant.traits().lossless),
      has_versions_(context.variant.traits().has_versions),
      recorder_(context.recording->recorder(slot)) {
  if (!timer_.ok()) {
    FailMachine(absl::StrCat("cannot make a kill timer: ", std::strerror(errno)));
  }
}

void Client::Progress() {
  // Relaxed, here and for the other fields of the board: they are this worker's own, and hints to
  // the watchdog.
  board_.progress.store(board_.progress.load(std::memory_order_relaxed) + 1,
                        std::memory_order_relaxed);
}

void Client::Begin(Function function, uint64_t key, uint64_t argument, uint64_t expected) {
  board_.action.store(static_cast<uint8_t>(function), std::memory_order_relaxed);
  board_.key.store(key, std::memory_order_relaxed);
  recorder_.Begin(function, key, argument, expected);
  const Activity activity = function == Function::kRecover  ? Activity::kRecovering
                            : function == Function::kAttach ? Activity::kAttaching
                            : function == Function::kDetach ? Activity::kDetaching
                                                            : Activity::kOperation;
  board_.activity.store(activity, std::memory_order_relaxed);
}

void Client::End(Outcome outcome, uint64_t result, uint64_t version) {
  recorder_.End(outcome, result, version);
  board_.activity.store(Activity::kBetween, std::memory_order_relaxed);
  board_.operations.store(board_.operations.load(std::memory_order_relaxed) + 1,
                          std::memory_order_relaxed);
  Progress();
}

std::string Client::Name(uint64_t key) const {
  std::string text(context_.keys.text(key));
  return absl::StrCat("key ", key, " (\"", absl::CHexEscape(text.substr(0, 24)), "\")");
}

void Client::Fail(Verdict verdict, const std::string& message) {
  timer_.Clear();
  control_.finding.Report(verdict, process_, absl::StrCat("process ", process_, ": ", message));
  _exit(kExitFinding);
}

void Client::FailMachine(const std::string& message) {
  control_.machine_refused.store(1, std::memory_order_relaxed);
  Fail(Verdict::kUndecided, message);
}

// A design is blamed only where the machine gives what attaching needs.
void Client::FailToAttach(Verdict verdict, const char* what, const absl::Status& status) {
  const std::string refused = WhatTheMachineRefuses(context_.scenario.segment_bytes);
  if (!refused.empty()) FailMachine(absl::StrCat(what, ": ", refused));
  Fail(verdict, absl::StrCat(what, ": ", status.ToString()));
}

void Client::FailStatus(const char* operation, uint64_t key, const absl::Status& status) {
  Fail(Verdict::kViolation,
       absl::StrCat(operation, " of ", Name(key), " failed: ", status.ToString()));
}

void Client::Attach() {
  Begin(Function::kAttach, 0);
  segment_ = context_.segment;
  if (segment_ == nullptr) {
    absl::StatusOr<std::shared_ptr<Segment>> opened = context_.variant.Open(context_.location);
    if (!opened.ok()) {
      FailToAttach(Verdict::kAuditFailed, "cannot open the segment", opened.status());
    }
    segment_ = *std::move(opened);
  }
  absl::StatusOr<std::unique_ptr<Store>> store = context_.variant.Attach(segment_);
  if (!store.ok()) {
    const bool full = absl::IsResourceExhausted(store.status());
    FailToAttach(full ? Verdict::kLeak : Verdict::kAuditFailed, "cannot attach", store.status());
  }
  store_ = *std::move(store);
  board_.attached.store(1, std::memory_order_relaxed);
  End(Outcome::kOk);
}

void Client::Detach() {
  ReleaseAll();
  Begin(Function::kDetach, 0);
  store_.reset();
  segment_.reset();
  board_.attached.store(0, std::memory_order_relaxed);
  End(Outcome::kOk);
}

Client::Seen Client::Look(uint64_t key) const {
  const KeyBoard& board = context_.memory.key(key);
  // Acquire: pairs with Raise; whatever raised the floor has returned before this operation is
  // called.
  Seen seen{};
  const uint64_t emptied_at = board.emptied_at.load(std::memory_order_acquire);
  seen.floor = board.floor.load(std::memory_order_acquire);
  seen.must_exist = lossless_ && IsPermanent(key) && seen.floor > emptied_at;
  return seen;
}

ValueId Client::NextId() {
  // Relaxed: whoever reads the value back got it through the store, after this.
  context_.memory.sequence(process_).store(++sequence_, std::memory_order_relaxed);
  return MakeValueId(process_, sequence_);
}

void Client::CheckBytes(const char* operation, uint64_t key, std::string_view value) {
  const ValueCheck check = CheckValue(key, value);
  if (check.defect == ValueDefect::kTorn) {
    Fail(Verdict::kViolation, absl::StrCat(operation, " of ", Name(key),
                                           " returned a torn value of ", value.size(), " bytes"));
  }
  const uint32_t writer = ProcessOf(check.id);
  if (check.defect == ValueDefect::kForeign) {
    Fail(Verdict::kViolation,
         absl::StrCat(operation, " of ", Name(key),
                      " returned another key's value, written by process ", writer));
  }
  if (IsTiny(check.id)) return;
  if (writer == 0 || writer > control_.next_process.load(std::memory_order_relaxed) ||
      SequenceOf(check.id) > context_.memory.sequence(writer).load(std::memory_order_relaxed)) {
    Fail(Verdict::kViolation,
         absl::StrFormat("%s of %s returned value %#x, which nobody has written", operation,
                         Name(key), check.id));
  }
}

void Client::CheckVersion(const char* operation, uint64_t key, const Seen& seen, Version version) {
  if (!has_versions_) {
    Raise(context_.memory.key(key).floor, kSomeVersion);
    return;
  }
  if (version != kAbsent && version >= seen.floor) {
    Raise(context_.memory.key(key).floor, version);
    return;
  }
  control_.lost_writes.fetch_add(1, std::memory_order_relaxed);
  Fail(Verdict::kViolation,
       absl::StrCat(operation, " of ", Name(key), " returned version ", version, " after version ",
                    seen.floor, " had been seen: an acknowledged write was lost"));
}

void Client::CheckRead(const char* operation, uint64_t key, const Seen& seen, Version version,
                       std::string_view value) {
  CheckVersion(operation, key, seen, version);
  CheckBytes(operation, key, value);
}

void Client::CheckMiss(const char* operation, uint64_t key, const Seen& seen) {
  board_.misses.store(board_.misses.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  if (!seen.must_exist) return;
  control_.lost_writes.fetch_add(1, std::memory_order_relaxed);
  Fail(Verdict::kViolation,
       absl::StrCat(operation, " of ", Name(key), " found nothing, though version ", seen.floor,
                    " had been seen and nobody erases this key: an acknowledged write was lost"));
}

void Client::CheckWritten(const char* operation, uint64_t key, const Seen& seen, Version version) {
  KeyBoard& board = context_.memory.key(key);
  if (!has_versions_) {
    Raise(board.floor, kSomeVersion);
    return;
  }
  const uint64_t written_before = Raise(board.last_written, version);
  if (version <= seen.floor || written_before == version) {
    Fail(Verdict::kViolation,
         absl::StrCat(operation, " of ", Name(key), " returned version ", version, ", but version ",
                      std::max(seen.floor, written_before), " had been given out before"));
  }
  Raise(board.floor, version);
}

Version Client::Get(uint64_t key) {
  const Seen seen = Look(key);
  Begin(Function::kGet, key);
  const absl::StatusOr<Version> version = store_->Get(context_.keys.text(key), &buffer_);
  if (version.ok()) {
    End(Outcome::kOk, PeekId(buffer_), *version);
    CheckRead("Get", key, seen, *version, buffer_);
    return *version;
  }
  if (!absl::IsNotFound(version.status())) FailStatus("Get", key, version.status());
  End(Outcome::kOk);
  CheckMiss("Get", key, seen);
  return kAbsent;
}

bool Client::Put(uint64_t key, uint32_t size) {
  const ValueId id = NextId();
  value_.resize(size);
  FillValue(id, key, value_);
  const Seen seen = Look(key);
  Begin(Function::kPut, key, size < kSmallestNamedValue ? TinyValueId(size) : id);
  const absl::StatusOr<Version> version = store_->Put(context_.keys.text(key), value_);
  if (version.ok()) {
    End(Outcome::kOk, kNothing, *version);
    CheckWritten("Put", key, seen, *version);
    return true;
  }
  if (!absl::IsResourceExhausted(version.status())) FailStatus("Put", key, version.status());
  End(Outcome::kRefused);
  board_.refused.store(board_.refused.load(std::memory_order_relaxed) + 1,
                       std::memory_order_relaxed);
  return false;
}

bool Client::Erase(uint64_t key) {
  Begin(Function::kErase, key);
  const absl::StatusOr<bool> was_there = store_->Erase(context_.keys.text(key));
  if (!was_there.ok()) FailStatus("Erase", key, was_there.status());
  End(Outcome::kOk, *was_there ? 1 : 0);
  return *was_there;
}

void Client::CompareAndSwap(uint64_t key, Version expected, uint32_t size) {
  const ValueId id = NextId();
  value_.resize(size);
  FillValue(id, key, value_);
  const Seen seen = Look(key);
  Begin(Function::kCompareAndSwap, key, size < kSmallestNamedValue ? TinyValueId(size) : id,
        expected);
  const absl::StatusOr<CasResult> result =
      store_->CompareAndSwap(context_.keys.text(key), expected, value_);
  if (!result.ok()) {
    if (!absl::IsResourceExhausted(result.status())) {
      FailStatus("CompareAndSwap", key, result.status());
    }
    End(Outcome::kRefused);
    board_.refused.store(board_.refused.load(std::memory_order_relaxed) + 1,
                         std::memory_order_relaxed);
    return;
  }
  End(result->swapped ? Outcome::kOk : Outcome::kFail, kNothing, result->version);
  if (result->swapped) return CheckWritten("CompareAndSwap", key, seen, result->version);
  if (result->version == expected) {
    Fail(Verdict::kViolation, absl::StrCat("CompareAndSwap of ", Name(key), " refused version ",
                                           expected, " and says that it is the present one"));
  }
  if (result->version == kAbsent) return CheckMiss("CompareAndSwap", key, seen);
  CheckVersion("CompareAndSwap", key, seen, result->version);
}

void Client::Pin(uint64_t key) {
  const Seen seen = Look(key);
  Begin(Function::kPin, key);
  absl::StatusOr<PinnedValue> pin = store_->Pin(context_.keys.text(key));
  if (pin.ok()) {
    const ValueId id = PeekId(pin->value());
    End(Outcome::kOk, id, pin->version());
    CheckRead("Pin", key, seen, pin->version(), pin->value());
    pins_.push_back({*std::move(pin), key, id});
    board_.held.store(static_cast<uint32_t>(holds()), std::memory_order_relaxed);
    return;
  }
  if (absl::IsResourceExhausted(pin.status())) return End(Outcome::kRefused);
  if (!absl::IsNotFound(pin.status())) FailStatus("Pin", key, pin.status());
  End(Outcome::kOk);
  CheckMiss("Pin", key, seen);
}

void Client::Draft(uint64_t key, uint32_t size, Random& random) {
  board_.action.store(static_cast<uint8_t>(Function::kCommit), std::memory_order_relaxed);
  board_.key.store(key, std::memory_order_relaxed);
  Enter(Activity::kOperation);
  absl::StatusOr<kill9::Draft> draft = store_->Reserve(context_.keys.text(key), size);
  Enter(Activity::kBetween);
  Progress();
  if (!draft.ok()) {
    if (!absl::IsResourceExhausted(draft.status())) FailStatus("Reserve", key, draft.status());
    board_.refused.store(board_.refused.load(std::memory_order_relaxed) + 1,
                         std::memory_order_relaxed);
    return;
  }
  if (draft->bytes().size() != size) {
    Fail(Verdict::kViolation, absl::StrCat("Reserve of ", Name(key), " gave ",
                                           draft->bytes().size(), " bytes instead of ", size));
  }
  const ValueId id = NextId();
  FillValue(id, key, draft->bytes());
  drafts_.push_back({*std::move(draft), key, size < kSmallestNamedValue ? TinyValueId(size) : id});
  board_.held.store(static_cast<uint32_t>(holds()), std::memory_order_relaxed);
  if (random.Chance(700)) ReleaseOne(/*commit=*/random.Chance(850));
}

void Client::CommitDraft(HeldDraft held) {
  const uint64_t key = held.key;
  const Seen seen = Look(key);
  Begin(Function::kCommit, key, held.id);
  const absl::StatusOr<Version> version = store_->Commit(std::move(held.draft));
  if (version.ok()) {
    End(Outcome::kOk, kNothing, *version);
    return CheckWritten("Commit", key, seen, *version);
  }
  if (!absl::IsResourceExhausted(version.status())) FailStatus("Commit", key, version.status());
  End(Outcome::kRefused);
}

void Client::ReleasePin(HeldPin held) {
  if (PeekId(held.pin.value()) != held.id ||
      CheckValue(held.key, held.pin.value()).defect != ValueDefect::kNone) {
    Fail(Verdict::kViolation,
         absl::StrCat("a pinned value of ", Name(held.key), " changed before its release"));
  }
  board_.action.store(static_cast<uint8_t>(Function::kPin), std::memory_order_relaxed);
  Enter(Activity::kOperation);
  held.pin.Release();
  Enter(Activity::kBetween);
  Progress();
}

void Client::ReleaseOne(bool commit) {
  if (!drafts_.empty()) {
    HeldDraft held = std::move(drafts_.front());
    drafts_.erase(drafts_.begin());
    if (commit) {
      CommitDraft(std::move(held));
    } else {
      Enter(Activity::kOperation);
      held.draft.Drop();
      Enter(Activity::kBetween);
      Progress();
    }
  } else if (!pins_.empty()) {
    HeldPin held = std::move(pins_.front());
    pins_.erase(pins_.begin());
    ReleasePin(std::move(held));
  }
  board_.held.store(static_cast<uint32_t>(holds()), std::memory_order_relaxed);
}

void Client::ReleaseAll() {
  while (holds() > 0) ReleaseOne(/*commit=*/false);
}

void Client::ForEach() {
  const uint64_t keys = context_.keys.workload_keys();
  std::vector<Seen> before(keys);
  for (uint64_t key = 0; key < keys; ++key) before[key] = Look(key);
  std::vector<bool> visited(keys);
  Begin(Function::kForEach, 0);
  const absl::Status status = store_->ForEach([&](const EntryView& entry) {
    const uint64_t key = context_.keys.Find(entry.key);
    if (key >= keys) {
      Fail(Verdict::kViolation, absl::StrCat("ForEach showed a key that nobody has written: \"",
                                             absl::CHexEscape(std::string(entry.key)), "\""));
    }
    if (visited[key]) {
      Fail(Verdict::kViolation, absl::StrCat("ForEach showed ", Name(key), " twice"));
    }
    visited[key] = true;
    CheckRead("ForEach", key, before[key], entry.version, entry.value);
    Progress();
    return true;
  });
  if (!status.ok()) FailStatus("ForEach", 0, status);
  End(Outcome::kOk);
  for (uint64_t key = 0; key < keys; ++key) {
    if (!visited[key]) CheckMiss("ForEach", key, before[key]);
  }
}

RecoveryReport Client::Recover() {
  const uint64_t deaths = control_.deaths_reaped.load(std::memory_order_acquire);
  const uint64_t begin = MonotonicNs();
  Begin(Function::kRecover, 0);
  const absl::StatusOr<RecoveryReport> report = store_->Recover();
  if (!report.ok()) {
    Fail(Verdict::kAuditFailed, absl::StrCat("Recover failed: ", report.status().ToString()));
  }
  End(Outcome::kOk);
  // Relaxed: statistics, read when the run is over.
  const uint64_t took = MonotonicNs() - begin;
  const uint64_t average = control_.recovery_ns.load(std::memory_order_relaxed);
  control_.recovery_ns.store(average == 0 ? took : (average * 15 + took) / 16,
                             std::memory_order_relaxed);
  const bool did_something =
      report->participants + report->blocks + report->rolled_back + report->rolled_forward > 0;
  if (did_something) control_.recoveries.fetch_add(1, std::memory_order_relaxed);
  control_.recovered_participants.fetch_add(report->participants, std::memory_order_relaxed);
  control_.recovered_blocks.fetch_add(report->blocks, std::memory_order_relaxed);
  control_.rolled_back.fetch_add(report->rolled_back, std::memory_order_relaxed);
  control_.rolled_forward.fetch_add(report->rolled_forward, std::memory_order_relaxed);
  Raise(control_.recovery_completed, deaths);
  return *report;
}

}  // namespace kill9
