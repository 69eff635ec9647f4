#include "harness/store_driver/store_client.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kill9 {
namespace {

// The floor of a key whose store has no versions: the key has been there, more is not known.
constexpr Version kSomeVersion = 1;

constexpr uint64_t kMostFilledBytes = 64u << 20;
constexpr size_t kFewHolds = 16;  // as many pins and drafts every ledger has room for
constexpr int kPutsOfVisit = 32;

}  // namespace

ValueId StoreClient::PeekId(std::string_view value) {
  if (value.size() < kSmallestNamedValue) return TinyValueId(value.size());
  ValueId id;
  std::memcpy(&id, value.data(), sizeof id);
  return id == kNothing ? kNothing + 1 : id;
}

StoreClient::StoreClient(const RunContext& context, const StoreRun& run, uint32_t slot,
                         uint32_t process)
    : Client(context, slot, process),
      run_(run),
      boards_(run.boards()),
      last_to_wait_(context.control(), slot),
      lossless_(run.traits().lossless),
      has_versions_(run.traits().has_versions),
      design_is_own_(context.design.role() == Design::Role::kDesign) {}

bool StoreClient::Act(Random& random) {
  const WorkloadGenerator& generator = run_.generator();
  if (run_.terms().all_wait && random.Chance(500)) {
    LeaseInTurn(random);
    return true;
  }
  const Action action = generator.NextAction(random);
  if (holds() > 0 && random.Chance(holds() > 2 ? 600 : 250)) {
    ReleaseOne(/*commit=*/random.Chance(700));
  }
  const uint64_t key =
      generator.NextKey(random, boards_.counts().inserts.load(std::memory_order_relaxed));
  switch (action) {
    case Action::kGet:
      Get(key);
      return true;
    case Action::kPut:
      Put(key, SizeFor(key, random));
      return true;
    case Action::kErase: {
      const uint64_t erasable = generator.ErasableKey(key);
      if (erasable < generator.keys()) Erase(erasable);
      return true;
    }
    case Action::kCompareAndSwap: {
      Version expected = Get(key);
      if (random.Chance(100)) expected = expected > 1 ? expected - 1 : 1;
      CompareAndSwap(key, expected, SizeFor(key, random));
      return true;
    }
    case Action::kPin:
      Pin(key);
      return true;
    case Action::kDraft:
      Draft(key, SizeFor(key, random), random);
      return true;
    case Action::kReadModifyWrite:
      Get(key);
      Put(key, SizeFor(key, random));
      return true;
    case Action::kInsert:
      Insert(random);
      return true;
    case Action::kForEach:
      ForEach();
      return true;
    case Action::kIdle:
      return false;
    case Action::kPutUntil:
      PutUntil(key, SizeFor(key, random), random);
      return true;
    case Action::kReplace:
      Replace(key, SizeFor(key, random));
      return true;
    case Action::kGetMany:
      GetMany(random);
      return true;
    case Action::kLease:
      Lease(key, SizeFor(key, random), random);
      return true;
    case Action::kClear:
      ClearAll();
      return true;
  }
  std::abort();
}

uint32_t StoreClient::SizeFor(uint64_t key, Random& random) const {
  return run_.generator().NextSize(random, run_.keys().text(key).size());
}

void StoreClient::Insert(Random& random) {
  std::atomic<uint64_t>& inserts = boards_.counts().inserts;
  const uint64_t key = inserts.fetch_add(1, std::memory_order_relaxed) % run_.generator().keys();
  Put(key, SizeFor(key, random));
}

std::string StoreClient::Name(uint64_t key) const {
  std::string text(run_.keys().text(key));
  return absl::StrCat("key ", key, " (\"", absl::CHexEscape(text.substr(0, 24)), "\")");
}

void StoreClient::FailLostWrite(const std::string& message) {
  boards_.counts().lost_writes.fetch_add(1, std::memory_order_relaxed);
  Fail(Verdict::kViolation, message);
}

void StoreClient::FailStatus(const char* operation, uint64_t key, const absl::Status& status) {
  Fail(Verdict::kViolation,
       absl::StrCat(operation, " of ", Name(key), " failed: ", status.ToString()));
}

StoreClient::Seen StoreClient::Look(uint64_t key) const {
  const KeyBoard& board = boards_.key(key);
  // Acquire: pairs with Raise; whatever raised the floor has returned before this operation is
  // called.
  Seen seen{};
  const uint64_t emptied_at = board.emptied_at.load(std::memory_order_acquire);
  seen.floor = board.floor.load(std::memory_order_acquire);
  // Where deadlines and clears are, the history's checker alone knows what must be there.
  seen.must_exist = lossless_ && !keeps_terms() && IsPermanent(key) && seen.floor > emptied_at;
  return seen;
}

ValueId StoreClient::NextId() {
  // Relaxed: whoever reads the value back got it through the store, after this.
  boards_.sequence(process()).store(++sequence_, std::memory_order_relaxed);
  return MakeValueId(process(), sequence_);
}

void StoreClient::CheckBytes(const char* operation, uint64_t key, std::string_view value) {
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
  if (writer == 0 || writer > context().control().next_process.load(std::memory_order_relaxed) ||
      SequenceOf(check.id) > boards_.sequence(writer).load(std::memory_order_relaxed)) {
    Fail(Verdict::kViolation,
         absl::StrFormat("%s of %s returned value %#x, which nobody has written", operation,
                         Name(key), check.id));
  }
}

void StoreClient::CheckVersion(const char* operation, uint64_t key, const Seen& seen,
                               Version version) {
  if (!has_versions_) {
    Raise(boards_.key(key).floor, kSomeVersion);
    return;
  }
  if (version != kAbsent && version >= seen.floor) {
    Raise(boards_.key(key).floor, version);
    return;
  }
  FailLostWrite(absl::StrCat(operation, " of ", Name(key), " returned version ", version,
                             " after version ", seen.floor,
                             " had been seen: an acknowledged write was lost"));
}

void StoreClient::CheckRead(const char* operation, uint64_t key, const Seen& seen, Version version,
                            std::string_view value) {
  CheckVersion(operation, key, seen, version);
  CheckBytes(operation, key, value);
}

void StoreClient::CheckMiss(const char* operation, uint64_t key, const Seen& seen) {
  if (!seen.must_exist) return;
  FailLostWrite(
      absl::StrCat(operation, " of ", Name(key), " found nothing, though version ", seen.floor,
                   " had been seen and nobody erases this key: an acknowledged write was lost"));
}

void StoreClient::CheckWritten(const char* operation, uint64_t key, const Seen& seen,
                               Version version) {
  KeyBoard& board = boards_.key(key);
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

Version StoreClient::Get(uint64_t key) {
  const Seen seen = Look(key);
  Begin(Function::kGet, key);
  Terms terms;
  const Expiry before = keeps_terms() ? Expiry::Now() : Expiry();
  const absl::StatusOr<Version> version = keeps_terms()
                                              ? store().Get(run_.keys().text(key), &buffer_, &terms)
                                              : store().Get(run_.keys().text(key), &buffer_);
  if (version.ok()) {
    End(Outcome::kOk, PeekId(buffer_), *version);
    if (keeps_terms()) CheckTerms("Get", key, terms, before, buffer_);
    CheckRead("Get", key, seen, *version, buffer_);
    if (moves_hot_ != nullptr && moves_hot_->Moved() != moved_) {
      moved_ = moves_hot_->Moved();
      boards_.counts().moved.fetch_add(1, std::memory_order_relaxed);
    }
    return *version;
  }
  if (!absl::IsNotFound(version.status())) FailStatus("Get", key, version.status());
  End(Outcome::kOk);
  CheckMiss("Get", key, seen);
  return kAbsent;
}

bool StoreClient::Put(uint64_t key, uint32_t size) {
  const ValueId id = NextId();
  value_.resize(size);
  FillValue(id, key, value_);
  const Seen seen = Look(key);
  Begin(Function::kPut, key, size < kSmallestNamedValue ? TinyValueId(size) : id);
  const absl::StatusOr<Version> version = store().Put(run_.keys().text(key), value_);
  if (version.ok()) {
    End(Outcome::kOk, kNothing, *version);
    CheckWritten("Put", key, seen, *version);
    return true;
  }
  if (!absl::IsResourceExhausted(version.status())) FailStatus("Put", key, version.status());
  End(Outcome::kRefused);
  // A peer's room may be taken up by its dead.
  if (!run_.traits().bounded && design_is_own_) {
    Fail(Verdict::kViolation,
         absl::StrCat("Put of ", Name(key), " was refused, though there is never too little room: ",
                      version.status().ToString()));
  }
  NoteRefused();
  return false;
}

bool StoreClient::Erase(uint64_t key) {
  Begin(Function::kErase, key);
  const absl::StatusOr<bool> was_there = store().Erase(run_.keys().text(key));
  if (!was_there.ok()) FailStatus("Erase", key, was_there.status());
  End(Outcome::kOk, *was_there ? 1 : 0);
  return *was_there;
}

void StoreClient::CompareAndSwap(uint64_t key, Version expected, uint32_t size) {
  const ValueId id = NextId();
  value_.resize(size);
  FillValue(id, key, value_);
  const Seen seen = Look(key);
  Begin(Function::kCompareAndSwap, key, size < kSmallestNamedValue ? TinyValueId(size) : id,
        expected);
  const absl::StatusOr<CasResult> result =
      store().CompareAndSwap(run_.keys().text(key), expected, value_);
  if (!result.ok()) {
    if (!absl::IsResourceExhausted(result.status())) {
      FailStatus("CompareAndSwap", key, result.status());
    }
    End(Outcome::kRefused);
    NoteRefused();
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

void StoreClient::Pin(uint64_t key) {
  const Seen seen = Look(key);
  Begin(Function::kPin, key);
  const Expiry before = keeps_terms() ? Expiry::Now() : Expiry();
  absl::StatusOr<PinnedValue> pin = store().Pin(run_.keys().text(key));
  if (pin.ok()) {
    if (keeps_terms()) CheckTerms("Pin", key, pin->terms(), before, pin->value());
    const ValueId id = PeekId(pin->value());
    End(Outcome::kOk, id, pin->version());
    CheckRead("Pin", key, seen, pin->version(), pin->value());
    pins_.push_back({*std::move(pin), key, id});
    NoteHeld(holds());
    return;
  }
  if (absl::IsResourceExhausted(pin.status())) {
    End(Outcome::kRefused);
    if (holds() >= kFewHolds) return;
    Fail(Verdict::kLeak,
         absl::StrCat("Pin of ", Name(key),
                      " was refused, though of all that this process has held ",
                      "it has given back all but ", holds(), ": ", pin.status().ToString()));
  }
  if (!absl::IsNotFound(pin.status())) FailStatus("Pin", key, pin.status());
  End(Outcome::kOk);
  CheckMiss("Pin", key, seen);
}

void StoreClient::Draft(uint64_t key, uint32_t size, Random& random) {
  BeginUnrecorded(Function::kCommit, key);
  absl::StatusOr<kill9::Draft> draft = store().Reserve(run_.keys().text(key), size);
  EndUnrecorded();
  if (!draft.ok()) {
    if (!absl::IsResourceExhausted(draft.status())) FailStatus("Reserve", key, draft.status());
    NoteRefused();
    return;
  }
  if (draft->bytes().size() != size) {
    Fail(Verdict::kViolation, absl::StrCat("Reserve of ", Name(key), " gave ",
                                           draft->bytes().size(), " bytes instead of ", size));
  }
  const ValueId id = NextId();
  FillValue(id, key, draft->bytes());
  drafts_.push_back({*std::move(draft), key, size < kSmallestNamedValue ? TinyValueId(size) : id});
  NoteHeld(holds());
  if (random.Chance(700)) ReleaseOne(/*commit=*/random.Chance(850));
}

void StoreClient::CommitDraft(HeldDraft held) {
  const uint64_t key = held.key;
  const Seen seen = Look(key);
  Begin(Function::kCommit, key, held.id);
  const absl::StatusOr<Version> version = store().Commit(std::move(held.draft));
  if (version.ok()) {
    End(Outcome::kOk, kNothing, *version);
    return CheckWritten("Commit", key, seen, *version);
  }
  if (!absl::IsResourceExhausted(version.status())) FailStatus("Commit", key, version.status());
  End(Outcome::kRefused);
}

void StoreClient::ReleasePin(HeldPin held) {
  if (PeekId(held.pin.value()) != held.id ||
      CheckValue(held.key, held.pin.value()).defect != ValueDefect::kNone) {
    Fail(Verdict::kViolation,
         absl::StrCat("a pinned value of ", Name(held.key), " changed before its release"));
  }
  BeginUnrecorded(Function::kPin, held.key);
  held.pin.Release();
  EndUnrecorded();
}

void StoreClient::ReleaseOne(bool commit) {
  if (!drafts_.empty()) {
    HeldDraft held = std::move(drafts_.front());
    drafts_.erase(drafts_.begin());
    if (commit) {
      CommitDraft(std::move(held));
    } else {
      BeginUnrecorded(Function::kCommit, held.key);
      held.draft.Drop();
      EndUnrecorded();
    }
  } else if (!pins_.empty()) {
    HeldPin held = std::move(pins_.front());
    pins_.erase(pins_.begin());
    ReleasePin(std::move(held));
  }
  NoteHeld(holds());
}

void StoreClient::ReleaseAll() {
  while (holds() > 0) ReleaseOne(/*commit=*/false);
}

void StoreClient::ForEach() {
  const uint64_t keys = run_.keys().workload_keys();
  std::vector<Seen> before(keys);
  for (uint64_t key = 0; key < keys; ++key) before[key] = Look(key);
  std::vector<bool> visited(keys);
  Begin(Function::kForEach, 0);
  const absl::Status status = store().ForEach([&](const EntryView& entry) {
    const uint64_t key = run_.keys().Find(entry.key);
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

void StoreClient::Visit() {
  if (keeps_terms()) NoteCounted();
  ForEach();
  CheckKept();
  TryAll();
}

// Nobody else works: what was just put is there, in a lossy store, too, and a Put that is refused
// needs a reason. The keys are the workers' own, of which many may share a place.
void StoreClient::CheckKept() {
  Random random(context().seed, process());
  for (int i = 0; i < kPutsOfVisit; ++i) {
    const uint64_t key = random.Below(run_.generator().keys());
    const uint32_t size = SizeFor(key, random);
    if (!Put(key, size)) {
      CheckRefusal(key, size);
    } else if (Get(key) == kAbsent && has_versions_) {
      Fail(Verdict::kViolation, absl::StrCat(Name(key),
                                             " is not there, though this process has just "
                                             "put ",
                                             size, " bytes under it and nobody else works"));
    }
  }
}

// Nobody else works: a refusal needs a reason.
void StoreClient::CheckRefusal(uint64_t key, size_t value_bytes) {
  auto* tells_room = dynamic_cast<TellsRoom*>(&store());
  if (tells_room == nullptr) return;
  const absl::StatusOr<bool> has_room = tells_room->HasRoom(run_.keys().text(key), value_bytes);
  if (!has_room.ok()) FailStatus("HasRoom", key, has_room.status());
  if (!*has_room) return;
  Fail(Verdict::kViolation, absl::StrCat("Put of ", value_bytes, " bytes under ", Name(key),
                                         " was refused, though the segment has room for them"));
}

// Puts ever smaller values under keys of the auditor's own until the smallest is refused. Large
// segments are not filled: it would take longer than the run.
bool StoreClient::Fill() {
  if (context().segment_options.size_bytes > kMostFilledBytes) return false;
  const uint64_t first = run_.keys().workload_keys();
  const uint64_t most = run_.keys().size() - first;
  bool full = false;
  filled_ = 0;
  const size_t largest = std::min<size_t>(store().max_value_bytes(), 256u << 10);
  for (size_t size = largest; filled_ < most; size /= 8) {
    while (filled_ < most && Put(first + filled_, static_cast<uint32_t>(size))) ++filled_;
    if (filled_ < most) CheckRefusal(first + filled_, size);
    if (size < kSmallestNamedValue) {
      full = filled_ < most;
      break;
    }
  }
  boards_.counts().filled_keys.fetch_add(filled_, std::memory_order_relaxed);
  return full;
}

void StoreClient::RemoveFilling() {
  for (uint64_t i = 0; i < filled_; ++i) {
    if (!Erase(run_.keys().workload_keys() + i) && lossless_) {
      Fail(Verdict::kViolation,
           absl::StrCat("fill key ", i, " of ", filled_, ", just put, was gone"));
    }
  }
}

void StoreClient::Empty() {
  for (uint64_t key = 0; key < run_.keys().workload_keys(); ++key) {
    Erase(key);
    KeyBoard& board = boards_.key(key);
    // Relaxed: the segment is quiet, and the pause that ends orders it before the workers' next
    // operations.
    board.emptied_at.store(board.floor.load(std::memory_order_relaxed), std::memory_order_relaxed);
  }
}

}  // namespace kill9
