// The C interface of the stores (include/kill9/store.h).
#include "variants/store.h"

#include <kill9/store.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "variants/registry.h"
#include "variants/segment.h"
#include "variants/segment/participants.h"

namespace kill9 {

const Variant& GlobalMutex();
const Variant& StripedLocks();
const Variant& SeqlockRing();
const Variant& CasSlots();

namespace {

using Designs = const Variant* const[4];
const Designs& AllStores() {
  static const Designs designs = {&GlobalMutex(), &StripedLocks(), &SeqlockRing(), &CasSlots()};
  return designs;
}

std::string& LastMessage() {
  thread_local std::string message;
  return message;
}

int Fail(int outcome, std::string message) {
  LastMessage() = std::move(message);
  return outcome;
}

int OutcomeOf(const absl::Status& status) {
  if (status.ok()) return KILL9_STORE_OK;
  LastMessage() = std::string(status.message());
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
      return KILL9_STORE_ABSENT;
    case absl::StatusCode::kResourceExhausted:
      return KILL9_STORE_FULL;
    case absl::StatusCode::kDataLoss:
      return KILL9_STORE_DAMAGED;
    case absl::StatusCode::kInvalidArgument:
      return KILL9_STORE_INVALID;
    case absl::StatusCode::kAlreadyExists:
      return KILL9_STORE_EXISTS;
    case absl::StatusCode::kUnimplemented:
      return KILL9_STORE_UNKNOWN;
    default:
      return KILL9_STORE_REFUSED;
  }
}

// A structure of a caller's version, as this one's: what it does not have is zero.
template <typename Struct>
Struct Known(const Struct* given) {
  Struct known = {};
  if (given == nullptr) return known;
  std::memcpy(&known, given, std::min(given->struct_size, sizeof known));
  return known;
}
template <typename Struct>
void Answer(Struct answer, Struct* to) {
  if (to == nullptr) return;
  answer.struct_size = to->struct_size;
  std::memcpy(to, &answer, std::min(answer.struct_size, sizeof answer));
}

SegmentLocation LocationOf(const char* name) {
  if (name == nullptr) return {};
  const std::string_view text = name;
  const bool is_path = text.find('/') != text.npos;
  return {.kind = is_path ? SegmentKind::kFile : SegmentKind::kNamed, .name = std::string(text)};
}

}  // namespace
}  // namespace kill9

struct kill9_store {
  const kill9::Variant* variant;
  std::shared_ptr<kill9::Segment> segment;
  std::unique_ptr<kill9::Store> store;
  kill9::ForkGuard guard;  // of the process that `store` is a participant of
  std::string value;       // what kill9_store_get shows

  // Attaches whoever works with it: after a fork, the child. What died meanwhile is repaired.
  absl::Status Attach() {
    if (store != nullptr && guard.mine()) return absl::OkStatus();
    store.reset();  // the parent's: nothing happens to the segment
    guard = kill9::ForkGuard();
    absl::StatusOr<std::unique_ptr<kill9::Store>> attached = variant->Attach(segment);
    if (!attached.ok()) return attached.status();
    store = *std::move(attached);
    return store->Recover().status();
  }
};

namespace kill9 {
namespace {

struct Pin {
  PinnedValue value;
  ForkGuard guard;  // of the process that it is a hold of
};

absl::StatusOr<const Variant*> DesignNamed(const std::string& name) {
  std::string names;
  for (const Variant* variant : AllStores()) {
    if (variant->name() == name) return variant;
    absl::StrAppend(&names, names.empty() ? "" : ", ", std::string(variant->name()));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("there is no design '", name, "'; there are ", names));
}

int Attached(const Variant& variant, absl::StatusOr<std::shared_ptr<Segment>> segment,
             kill9_store** store) {
  if (!segment.ok()) return OutcomeOf(segment.status());
  auto made = std::make_unique<kill9_store>();
  made->variant = &variant;
  made->segment = *std::move(segment);
  if (absl::Status status = made->Attach(); !status.ok()) return OutcomeOf(status);
  *store = made.release();
  return KILL9_STORE_OK;
}

int Create(const kill9_store_options& options, kill9_store** store) {
  SegmentOptions wanted;
  wanted.location = LocationOf(options.name);
  if (options.bytes != 0) wanted.size_bytes = options.bytes;
  if (options.participants != 0) wanted.max_participants = options.participants;
  wanted.expected_entries = options.entries;
  absl::StatusOr<const Variant*> variant =
      DesignNamed(options.design == nullptr ? "global_mutex" : options.design);
  if (!variant.ok()) return OutcomeOf(variant.status());
  return Attached(**variant, (*variant)->Create(wanted), store);
}

int Open(const kill9_store_options& options, kill9_store** store) {
  if (options.name == nullptr) {
    return Fail(KILL9_STORE_INVALID, "what has no name cannot be opened: it is inherited by fork");
  }
  const SegmentLocation location = LocationOf(options.name);
  absl::StatusOr<std::string> name = Segment::DesignOf(location);
  if (!name.ok()) return OutcomeOf(name.status());
  if (options.design != nullptr && *name != options.design) {
    return Fail(KILL9_STORE_REFUSED, absl::StrCat("it is of design ", *name));
  }
  absl::StatusOr<const Variant*> variant = DesignNamed(*name);
  if (!variant.ok()) return OutcomeOf(variant.status());
  return Attached(**variant, (*variant)->Open(location), store);
}

// Runs `operation` with the store of this process.
template <typename Operation>
int With(kill9_store* store, const Operation& operation) {
  if (absl::Status status = store->Attach(); !status.ok()) return OutcomeOf(status);
  return operation(*store->store);
}

}  // namespace
}  // namespace kill9

using namespace kill9;  // NOLINT: what follows is C's

const char* kill9_store_design(uint32_t number) {
  const auto& designs = AllStores();
  return number < std::size(designs) ? designs[number]->name().data() : nullptr;
}

int kill9_store_create(const kill9_store_options* options, kill9_store** store) {
  *store = nullptr;
  return Create(Known(options), store);
}

int kill9_store_open(const kill9_store_options* options, kill9_store** store) {
  *store = nullptr;
  return Open(Known(options), store);
}

int kill9_store_open_or_create(const kill9_store_options* options, kill9_store** store) {
  *store = nullptr;
  const kill9_store_options known = Known(options);
  if (known.name == nullptr) return Create(known, store);
  // Others may make it, or take its name away, between the two.
  for (;;) {
    const int opened = Open(known, store);
    if (opened != KILL9_STORE_ABSENT) return opened;
    const int created = Create(known, store);
    if (created != KILL9_STORE_EXISTS) return created;
  }
}

int kill9_store_unlink(const char* name) { return OutcomeOf(Segment::Unlink(LocationOf(name))); }

void kill9_store_close(kill9_store* store) { delete store; }

int kill9_store_put(kill9_store* store, const char* key, size_t key_bytes, const char* value,
                    size_t value_bytes, uint64_t* version) {
  return With(store, [&](Store& own) {
    const absl::StatusOr<Version> put = own.Put({key, key_bytes}, {value, value_bytes});
    if (put.ok() && version != nullptr) *version = *put;
    return OutcomeOf(put.status());
  });
}

int kill9_store_get(kill9_store* store, const char* key, size_t key_bytes,
                    kill9_store_value* value) {
  return With(store, [&](Store& own) {
    const absl::StatusOr<Version> got = own.Get({key, key_bytes}, &store->value);
    if (!got.ok()) return OutcomeOf(got.status());
    Answer({.struct_size = 0,
            .bytes = store->value.data(),
            .size = store->value.size(),
            .version = *got,
            .pin = nullptr},
           value);
    return int{KILL9_STORE_OK};
  });
}

int kill9_store_erase(kill9_store* store, const char* key, size_t key_bytes) {
  return With(store, [&](Store& own) {
    const absl::StatusOr<bool> erased = own.Erase({key, key_bytes});
    if (erased.ok() && !*erased) return Fail(KILL9_STORE_ABSENT, "");
    return OutcomeOf(erased.status());
  });
}

int kill9_store_compare_and_swap(kill9_store* store, const char* key, size_t key_bytes,
                                 uint64_t expected, const char* value, size_t value_bytes,
                                 uint64_t* version) {
  return With(store, [&](Store& own) {
    const absl::StatusOr<CasResult> result =
        own.CompareAndSwap({key, key_bytes}, expected, {value, value_bytes});
    if (!result.ok()) return OutcomeOf(result.status());
    if (version != nullptr) *version = result->version;
    return result->swapped ? int{KILL9_STORE_OK} : Fail(KILL9_STORE_MISMATCH, "another version");
  });
}

int kill9_store_pin(kill9_store* store, const char* key, size_t key_bytes,
                    kill9_store_value* value) {
  return With(store, [&](Store& own) {
    absl::StatusOr<PinnedValue> pinned = own.Pin({key, key_bytes});
    if (!pinned.ok()) return OutcomeOf(pinned.status());
    Pin* pin = new Pin{*std::move(pinned), ForkGuard()};
    Answer({.struct_size = 0,
            .bytes = pin->value.value().data(),
            .size = pin->value.value().size(),
            .version = pin->value.version(),
            .pin = pin},
           value);
    return int{KILL9_STORE_OK};
  });
}

void kill9_store_release(kill9_store_value* value) {
  Pin* pin = static_cast<Pin*>(value->pin);
  value->pin = nullptr;
  // The parent's: its store may be gone in this process, and nothing is to be given back.
  if (pin != nullptr && pin->guard.mine()) delete pin;
}

int kill9_store_each(kill9_store* store,
                     int (*visit)(void* receiver, const char* key, size_t key_bytes,
                                  const char* value, size_t value_bytes, uint64_t version),
                     void* receiver) {
  return With(store, [&](Store& own) {
    return OutcomeOf(own.ForEach([&](const EntryView& entry) {
      return visit(receiver, entry.key.data(), entry.key.size(), entry.value.data(),
                   entry.value.size(), entry.version) != 0;
    }));
  });
}

int kill9_store_recover(kill9_store* store, kill9_store_recovered* recovered) {
  return With(store, [&](Store& own) {
    const absl::StatusOr<RecoveryReport> report = own.Recover();
    if (!report.ok()) return OutcomeOf(report.status());
    Answer({.struct_size = 0,
            .participants = report->participants,
            .rolled_back = report->rolled_back,
            .rolled_forward = report->rolled_forward},
           recovered);
    return int{KILL9_STORE_OK};
  });
}

int kill9_store_audit(kill9_store* store, kill9_store_account* account) {
  return With(store, [&](Store& own) {
    const absl::StatusOr<AuditReport> report = own.Audit();
    if (!report.ok()) return OutcomeOf(report.status());
    kill9_store_account answer = {};
    answer.entries = report->entries;
    answer.participants = report->participants;
    answer.leaked_blocks = report->leaked.blocks;
    answer.doubly_owned_blocks = report->doubly_owned;
    if (!report->violations.empty()) {
      report->violations[0].copy(answer.violation, sizeof answer.violation - 1);
    }
    Answer(answer, account);
    return int{KILL9_STORE_OK};
  });
}

const char* kill9_store_message(void) { return LastMessage().c_str(); }
