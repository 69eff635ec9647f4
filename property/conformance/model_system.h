// A store under test beside the plain map that it must look like, for model_property_test: what
// each command does to both, and what it must find.
#ifndef KILL9_PROPERTY_CONFORMANCE_MODEL_SYSTEM_H_
#define KILL9_PROPERTY_CONFORMANCE_MODEL_SYSTEM_H_

#include "property/conformance/conformance.h"

namespace kill9 {

enum class ModelAction : uint8_t {
  kPut,
  kGet,
  kErase,
  kCompareAndSwap,
  kPin,
  kReleasePin,
  kReserve,
  kCommit,
  kDrop,
  kForEach,
  kRecover,
  kAudit,
  kReattach,
  kDie,
};
inline constexpr const char* kActionNames[] = {
    "Put",    "Get",  "Erase",   "CompareAndSwap", "Pin",   "ReleasePin", "Reserve",
    "Commit", "Drop", "ForEach", "Recover",        "Audit", "Reattach",   "Die"};

struct Step {
  ModelAction action = ModelAction::kGet;
  ModelAction dying_in = ModelAction::kPut;  // kDie: the victim's operation
  uint32_t participant = 0;
  uint32_t key = 0;
  uint32_t which = 0;  // of the pins or drafts held
  uint32_t size = 0;
  uint64_t seed = 0;
  uint32_t expected = 0;  // CompareAndSwap: 0 the present version, 1 absent, else a stale one
  uint32_t delay_ns = 0;  // kDie: the timer
  uint32_t held = 0;      // kDie: pins and drafts that the victim holds
};

struct Counts {
  uint64_t deaths = 0;
  uint64_t cut_off = 0;
  uint64_t happened = 0;
  uint64_t refused_full = 0;
  uint64_t commands = 0;
};

// The store, and the plain model of what it must show.
class System {
 public:
  static constexpr uint32_t kParticipants = 3;
  static constexpr uint32_t kKeys = 16;

  // `keys`: kKeys different ones.
  System(const Variant& variant, std::shared_ptr<Segment> segment, std::vector<std::string> keys,
         Counts& counts)
      : variant_(variant), segment_(std::move(segment)), keys_(std::move(keys)), counts_(counts) {
    for (uint32_t i = 0; i < kParticipants; ++i) stores_.push_back(Attach());
    empty_ = Audit();
  }

  void Do(const Step& step) {
    ++counts_.commands;
    Store& store = *stores_[step.participant];
    const std::string key = Key(step.key);
    switch (step.action) {
      case ModelAction::kPut:
        return DoPut(store, key, ValueOf(step));
      case ModelAction::kGet:
        return Observe(store, key);
      case ModelAction::kErase:
        return DoErase(store, key);
      case ModelAction::kCompareAndSwap:
        return DoCompareAndSwap(store, key, step);
      case ModelAction::kPin:
        return DoPin(step.participant, key);
      case ModelAction::kReleasePin:
        if (pins_.empty()) return;
        std::swap(pins_[step.which % pins_.size()], pins_.back());
        RC_ASSERT(pins_.back().pin.value() == pins_.back().value);
        pins_.pop_back();
        return;
      case ModelAction::kReserve:
        return DoReserve(step.participant, key, ValueOf(step));
      case ModelAction::kCommit:
      case ModelAction::kDrop:
        return EndDraft(step);
      case ModelAction::kForEach:
        return DoForEach(store);
      case ModelAction::kRecover:
        return DoRecover(store);
      case ModelAction::kAudit:
        Audit();
        return;
      case ModelAction::kReattach:
        return Reattach(step.participant);
      case ModelAction::kDie:
        return Die(step);
    }
  }

  // All holds end; then exactly the model is there, and erasing it gives all room back.
  void Finish() {
    for (const Held& held : pins_) RC_ASSERT(held.pin.value() == held.value);
    pins_.clear();
    drafts_.clear();
    DoRecover(*stores_[0]);
    AuditReport audit = Audit();
    RC_ASSERT(audit.held.blocks == 0u);
    DoForEach(*stores_[0]);
    for (uint32_t key = 0; key < kKeys; ++key) Observe(*stores_[1], Key(key));
    for (uint32_t key = 0; key < kKeys; ++key) DoErase(*stores_[2], Key(key));
    audit = Audit();
    RC_ASSERT(audit.entries == 0u);
    if (variant_.traits().lossless) RC_ASSERT(audit.free.bytes == empty_.free.bytes);
  }

 private:
  struct Present {
    std::string value;
    Version version = kAbsent;
  };
  struct Held {
    uint32_t participant;
    PinnedValue pin;
    std::string value;
  };
  struct Drafted {
    uint32_t participant;
    Draft draft;
    std::string key;
    std::string value;
  };

  const std::string& Key(uint32_t key) const { return keys_[key]; }
  std::string ValueOf(const Step& step) const {
    return Bytes(std::min<size_t>(step.size, stores_[0]->max_value_bytes()), step.seed);
  }
  std::unique_ptr<Store> Attach() {
    absl::StatusOr<std::unique_ptr<Store>> store = variant_.Attach(segment_);
    RC_ASSERT(store.ok());
    return *std::move(store);
  }
  // An operation may fail for want of room only; then nothing has changed (Observe checks it).
  bool Refused(const absl::Status& status) {
    if (status.ok()) return false;
    if (status.code() != absl::StatusCode::kResourceExhausted) RC_FAIL(status.ToString());
    ++counts_.refused_full;
    return true;
  }
  void SetVersion(const std::string& key, const std::string& value, Version version) {
    RC_ASSERT(version > last_version_[key]);
    last_version_[key] = version;
    model_[key] = {value, version};
  }
  // A lossy store may have forgotten it; then it stays forgotten.
  bool MayForget(const std::string& key) {
    if (variant_.traits().lossless) return false;
    model_.erase(key);
    return true;
  }

  void Observe(Store& store, const std::string& key) {
    std::string found = "rubbish from an earlier use";
    absl::StatusOr<Version> got = store.Get(key, &found);
    auto present = model_.find(key);
    if (absl::IsNotFound(got.status())) {
      RC_ASSERT(present == model_.end() || MayForget(key));
      return;
    }
    if (!got.ok()) RC_FAIL(got.status().ToString());
    RC_ASSERT(present != model_.end());
    RC_ASSERT(*got == present->second.version);
    RC_ASSERT(found == present->second.value);
  }
  void DoPut(Store& store, const std::string& key, const std::string& value) {
    absl::StatusOr<Version> version = store.Put(key, value);
    if (!Refused(version.status())) SetVersion(key, value, *version);
    Observe(store, key);
  }
  void DoErase(Store& store, const std::string& key) {
    absl::StatusOr<bool> erased = store.Erase(key);
    if (!erased.ok()) RC_FAIL(erased.status().ToString());
    if (variant_.traits().lossless || *erased) RC_ASSERT(*erased == model_.contains(key));
    model_.erase(key);
    Observe(store, key);
  }
  void DoCompareAndSwap(Store& store, const std::string& key, const Step& step) {
    if (!variant_.traits().has_compare_and_swap) return;
    const Version present = model_.contains(key) ? model_[key].version : kAbsent;
    const Version expected = step.expected == 0   ? present
                             : step.expected == 1 ? kAbsent
                                                  : last_version_[key] + step.expected % 3 - 1;
    const std::string value = ValueOf(step);
    absl::StatusOr<CasResult> cas = store.CompareAndSwap(key, expected, value);
    if (!Refused(cas.status())) {
      if (cas->swapped) {
        RC_ASSERT(expected == present || (expected == kAbsent && MayForget(key)));
        SetVersion(key, value, cas->version);
      } else {
        RC_ASSERT(cas->version == present || (cas->version == kAbsent && MayForget(key)));
        RC_ASSERT(expected != cas->version);
      }
    }
    Observe(store, key);
  }
  void DoPin(uint32_t participant, const std::string& key) {
    if (!variant_.traits().has_pin) return;
    absl::StatusOr<PinnedValue> pin = stores_[participant]->Pin(key);
    if (absl::IsNotFound(pin.status())) {
      RC_ASSERT(!model_.contains(key) || MayForget(key));
      return;
    }
    if (Refused(pin.status())) return;
    RC_ASSERT(model_.contains(key));
    RC_ASSERT(pin->version() == model_[key].version);
    RC_ASSERT(pin->value() == model_[key].value);
    pins_.push_back({participant, *std::move(pin), model_[key].value});
  }
  void DoReserve(uint32_t participant, const std::string& key, const std::string& value) {
    if (!variant_.traits().has_draft) return;
    absl::StatusOr<Draft> draft = stores_[participant]->Reserve(key, value.size());
    if (Refused(draft.status())) return;
    RC_ASSERT(draft->bytes().size() == value.size());
    value.copy(draft->bytes().data(), value.size());
    drafts_.push_back({participant, *std::move(draft), key, value});
    Observe(*stores_[participant], key);
  }
  void EndDraft(const Step& step) {
    if (drafts_.empty()) return;
    std::swap(drafts_[step.which % drafts_.size()], drafts_.back());
    Drafted drafted = std::move(drafts_.back());
    drafts_.pop_back();
    Store& store = *stores_[drafted.participant];
    if (step.action == ModelAction::kCommit) {
      absl::StatusOr<Version> version = store.Commit(std::move(drafted.draft));
      if (!Refused(version.status())) SetVersion(drafted.key, drafted.value, *version);
    } else {
      drafted.draft.Drop();
    }
    Observe(store, drafted.key);
  }
  void DoForEach(Store& store) {
    std::map<std::string, Present> seen;
    absl::Status status = store.ForEach([&](const EntryView& entry) {
      RC_ASSERT(
          seen.emplace(std::string(entry.key), Present{std::string(entry.value), entry.version})
              .second);
      return true;
    });
    if (!status.ok()) RC_FAIL(status.ToString());
    for (const auto& [key, present] : seen) {
      RC_ASSERT(model_.contains(key));
      RC_ASSERT(model_[key].value == present.value);
      RC_ASSERT(model_[key].version == present.version);
    }
    if (variant_.traits().lossless) RC_ASSERT(seen.size() == model_.size());
  }
  void DoRecover(Store& store) {
    absl::StatusOr<RecoveryReport> report = store.Recover();
    if (!report.ok()) RC_FAIL(report.status().ToString());
    RC_ASSERT(report->participants <= unrecovered_);
    unrecovered_ = 0;
    absl::StatusOr<RecoveryReport> again = store.Recover();
    RC_ASSERT(again.ok());
    RC_ASSERT(again->participants + again->blocks + again->rolled_back + again->rolled_forward ==
              0u);
    recovered_ = true;
  }
  AuditReport Audit() {
    if (!variant_.traits().has_audit) return {};
    absl::StatusOr<AuditReport> audit = stores_[0]->Audit();
    if (!audit.ok()) RC_FAIL(audit.status().ToString());
    for (const std::string& violation : audit->violations) RC_FAIL(violation);
    RC_ASSERT(audit->clean());
    RC_ASSERT(audit->free.blocks + audit->live.blocks + audit->held.blocks ==
              audit->capacity.blocks);
    RC_ASSERT(audit->free.bytes + audit->live.bytes + audit->held.bytes == audit->capacity.bytes);
    if (variant_.traits().lossless) RC_ASSERT(audit->entries == model_.size());
    if (recovered_ && unrecovered_ == 0) RC_ASSERT(audit->participants == kParticipants);
    return *audit;
  }
  void Reattach(uint32_t participant) {
    auto is_its = [&](const auto& held) { return held.participant == participant; };
    std::erase_if(pins_, is_its);
    std::erase_if(drafts_, is_its);
    stores_[participant].reset();
    stores_[participant] = Attach();
  }

  // A victim attaches, takes some holds, and is killed by its own timer in, before or after one
  // operation.
  void Die(const Step& step) {
    if (variant_.expected_verdict() != "pass") return;
    const std::string key = Key(step.key);
    const std::string value = ValueOf(step);
    struct Moment {
      std::atomic<bool> began;
      std::atomic<bool> acknowledged;
      std::atomic<bool> refused;
    };
    Shared<Moment> moment;
    Child victim([&](Line& parent) {
      auto attached = variant_.Attach(segment_);
      CHILD_REQUIRE(attached.ok());
      Store& store = **attached;
      std::vector<PinnedValue> pins;
      std::vector<Draft> drafts;
      for (uint32_t i = 0; i < step.held; ++i) {
        absl::StatusOr<PinnedValue> pin = store.Pin(Key((step.key + i) % kKeys));
        if (pin.ok()) pins.push_back(*std::move(pin));
        absl::StatusOr<Draft> draft = store.Reserve(key, 100 + i);
        if (draft.ok()) drafts.push_back(*std::move(draft));
      }
      struct sigevent event {};
      event.sigev_notify = SIGEV_SIGNAL;
      event.sigev_signo = SIGKILL;
      timer_t timer{};
      CHILD_REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
      struct itimerspec time {};
      time.it_value.tv_nsec = static_cast<long>(step.delay_ns) + 1;
      parent.Tell();
      CHILD_REQUIRE(timer_settime(timer, 0, &time, nullptr) == 0);
      moment->began.store(true, std::memory_order_release);
      absl::Status status;
      switch (step.dying_in) {
        case ModelAction::kErase:
          status = store.Erase(key).status();
          break;
        case ModelAction::kGet: {
          std::string ignored;
          store.Get(key, &ignored).status().IgnoreError();
          break;
        }
        case ModelAction::kReserve: {
          absl::StatusOr<Draft> draft = store.Reserve(key, value.size());
          status = draft.status();
          if (!draft.ok()) break;
          value.copy(draft->bytes().data(), value.size());
          status = store.Commit(*std::move(draft)).status();
          break;
        }
        case ModelAction::kRecover:
          status = store.Recover().status();
          break;
        case ModelAction::kReattach: {
          pins.clear();
          drafts.clear();
          attached->reset();
          attached = variant_.Attach(segment_);
          break;
        }
        default:
          status = store.Put(key, value).status();
      }
      if (absl::IsResourceExhausted(status)) moment->refused.store(true, std::memory_order_release);
      CHILD_REQUIRE(status.ok() || absl::IsResourceExhausted(status));
      moment->acknowledged.store(true, std::memory_order_release);
      for (;;) pause();
    });
    RC_ASSERT(victim.Await());
    RC_ASSERT(victim.ExitStatus() == 1000 + SIGKILL);
    ++unrecovered_;
    recovered_ = false;
    ++counts_.deaths;
    const bool acknowledged = moment->acknowledged.load(std::memory_order_acquire);
    const bool cut_off = !acknowledged && moment->began.load(std::memory_order_acquire);
    if (cut_off) ++counts_.cut_off;
    if (step.dying_in == ModelAction::kGet || step.dying_in == ModelAction::kRecover ||
        step.dying_in == ModelAction::kReattach ||
        moment->refused.load(std::memory_order_acquire)) {
      return Observe(*stores_[step.participant], key);
    }
    // It happened, or it did not: what a survivor finds now must stay.
    const bool erases = step.dying_in == ModelAction::kErase;
    std::string found;
    absl::StatusOr<Version> got = stores_[step.participant]->Get(key, &found);
    if (absl::IsNotFound(got.status())) {
      if (erases && model_.contains(key)) counts_.happened += cut_off;
      RC_ASSERT(erases || (!model_.contains(key) && !acknowledged) || MayForget(key));
      model_.erase(key);
    } else {
      if (!got.ok()) RC_FAIL(got.status().ToString());
      const bool is_old = model_.contains(key) && model_[key].version == *got;
      if (is_old) {
        RC_ASSERT(found == model_[key].value);
        RC_ASSERT(!acknowledged);
      } else {
        RC_ASSERT(!erases);
        RC_ASSERT(found == value);
        counts_.happened += cut_off;
        SetVersion(key, value, *got);
      }
    }
    Observe(*stores_[(step.participant + 1) % kParticipants], key);
  }

  const Variant& variant_;
  std::shared_ptr<Segment> segment_;
  const std::vector<std::string> keys_;
  Counts& counts_;
  std::vector<std::unique_ptr<Store>> stores_;
  std::map<std::string, Present> model_;
  std::map<std::string, Version> last_version_;  // seen for each key, erased ones too
  std::vector<Held> pins_;
  std::vector<Drafted> drafts_;
  uint64_t unrecovered_ = 0;
  bool recovered_ = true;
  AuditReport empty_;
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_CONFORMANCE_MODEL_SYSTEM_H_
