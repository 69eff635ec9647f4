// A store with one planted defect, to see that the harness gives the verdict that it must: every
// operation goes to a sound store (global_mutex), and the defect shows in what comes back.
#ifndef KILL9_PROPERTY_SCAFFOLD_PLANTED_STORE_H_
#define KILL9_PROPERTY_SCAFFOLD_PLANTED_STORE_H_

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "harness/store_driver/value.h"
#include "variants/registry.h"

namespace kill9 {

enum class Defect : uint8_t {
  kNone,
  kHangs,        // a call never returns
  kCrashes,      // a survivor dies of a signal of its own
  kExits,        // a survivor ends without a signal, and without being asked
  kStopsItself,  // looks unkillable: it is stopped inside the store, by nobody the harness knows of
  kKilledByOthers,   // a SIGKILL that the harness did not send
  kTorn,             // half of a value is another one's
  kForeign,          // another key's value
  kUnknown,          // a sound value that nobody wrote
  kCutShort,         // a value without its last byte
  kLosesWrites,      // acknowledges a Put that it does not do
  kForgets,          // Get says not found
  kRepeatsVersions,  // two writes, one version
  kPinChanges,       // a pinned value changes before its release
  kForEachTwice,     // a key is shown twice
  kForEachSkips,     // a key is not shown
  kKeepsDrafts,      // a dropped draft keeps its block
  kForgetsRecovery,  // the dead are never recovered, and Recover says that all is well
  kAuditLies,        // the account does not add up
  kWrongStatus,      // a status that the contract does not allow
  kReturnsLate,      // none: a write can be seen long before its call returns
};

class PlantedStore final : public Store {
 public:
  PlantedStore(std::unique_ptr<Store> inner, Defect defect)
      : Store(ForkGuard()), inner_(std::move(inner)), defect_(defect) {}

  size_t max_key_bytes() const override { return inner_->max_key_bytes(); }
  size_t max_value_bytes() const override { return inner_->max_value_bytes(); }

 private:
  bool Now(Defect defect, uint64_t every = 200) {
    return defect_ == defect && ++calls_ % every == 0;
  }
  void Misbehave() {
    if (Now(Defect::kHangs)) {
      for (;;) pause();
    }
    if (Now(Defect::kCrashes)) std::abort();
    if (Now(Defect::kExits)) _exit(1);
    if (Now(Defect::kStopsItself)) raise(SIGSTOP);
    if (Now(Defect::kKilledByOthers)) raise(SIGKILL);
  }

  absl::StatusOr<Version> DoPut(std::string_view key, std::string_view value) override {
    Misbehave();
    if (Now(Defect::kWrongStatus)) return absl::InternalError("planted");
    absl::StatusOr<Version> before = inner_->Get(key, nullptr);
    if (Now(Defect::kLosesWrites) && before.ok()) return *before + 1;
    absl::StatusOr<Version> version = inner_->Put(key, value);
    if (Now(Defect::kRepeatsVersions) && before.ok()) return *before;
    if (Now(Defect::kReturnsLate, 20)) usleep(2'000);
    return version;
  }
  absl::StatusOr<Version> DoGet(std::string_view key, std::string* value) override {
    Misbehave();
    absl::StatusOr<Version> version = inner_->Get(key, value);
    if (!version.ok() || value == nullptr) return version;
    if (Now(Defect::kForgets, 50)) return absl::NotFoundError("");
    if (value->size() < 32) return version;
    if (Now(Defect::kTorn)) (*value)[value->size() / 2] ^= 1;
    if (Now(Defect::kCutShort)) value->pop_back();
    if (Now(Defect::kForeign)) FillValue(MakeValueId(1, 1), 1'000'000, *value);
    if (Now(Defect::kUnknown)) FillValue(MakeValueId(1, 3'000'000'000), KeyOf(key), *value);
    return version;
  }
  // The number of a workload's key, from its text "key-<number>"; the defects spare the others.
  static uint64_t KeyOf(std::string_view key) {
    return key.size() < 5 ? 0 : std::strtoull(std::string(key.substr(4)).c_str(), nullptr, 10);
  }
  absl::StatusOr<bool> DoErase(std::string_view key) override { return inner_->Erase(key); }
  absl::StatusOr<CasResult> DoCompareAndSwap(std::string_view key, Version expected,
                                             std::string_view value) override {
    return inner_->CompareAndSwap(key, expected, value);
  }
  absl::StatusOr<PinnedValue> DoPin(std::string_view key) override {
    absl::StatusOr<PinnedValue> pin = inner_->Pin(key);
    if (!pin.ok()) return pin.status();
    const uint64_t hold = ++holds_;
    auto& held = pins_[hold];
    held.first = *std::move(pin);
    held.second = std::string(held.first.value());
    PinnedValue shown(this, hold, held.second, held.first.version());
    if (planned_change_ != nullptr) (*planned_change_)[8] ^= 1;
    planned_change_ = nullptr;
    if (defect_ == Defect::kPinChanges && held.second.size() > 8) planned_change_ = &held.second;
    return shown;
  }
  absl::StatusOr<Draft> DoReserve(std::string_view key, size_t size) override {
    absl::StatusOr<Draft> draft = inner_->Reserve(key, size);
    if (!draft.ok()) return draft.status();
    const uint64_t hold = ++holds_;
    const std::span<char> bytes = draft->bytes();
    drafts_[hold] = *std::move(draft);
    return Draft(this, hold, bytes);
  }
  absl::StatusOr<Version> DoCommit(uint64_t hold) override {
    Draft draft = std::move(drafts_[hold]);
    drafts_.erase(hold);
    return inner_->Commit(std::move(draft));
  }
  absl::Status DoForEach(absl::FunctionRef<bool(const EntryView&)> visit) override {
    bool skipped = false;
    return inner_->ForEach([&](const EntryView& entry) {
      if (defect_ == Defect::kForEachSkips && !skipped && entry.key.substr(0, 4) == "key-" &&
          KeyOf(entry.key) % 2 == 0) {
        skipped = true;
        return true;
      }
      return visit(entry) && (defect_ != Defect::kForEachTwice || visit(entry));
    });
  }
  absl::StatusOr<RecoveryReport> DoRecover() override {
    if (defect_ == Defect::kForgetsRecovery) return RecoveryReport{};
    return inner_->Recover();
  }
  absl::StatusOr<AuditReport> DoAudit() override {
    absl::StatusOr<AuditReport> report = inner_->Audit();
    if (report.ok() && defect_ == Defect::kAuditLies) report->free.bytes -= 64;
    return report;
  }
  void DoReleasePin(uint64_t hold) override {
    if (planned_change_ == &pins_[hold].second) planned_change_ = nullptr;
    pins_.erase(hold);
  }
  void DoDropDraft(uint64_t hold) override {
    if (defect_ != Defect::kKeepsDrafts) drafts_.erase(hold);
  }

  std::unique_ptr<Store> inner_;
  Defect defect_;
  uint64_t calls_ = 0;
  uint64_t holds_ = 0;
  std::string* planned_change_ = nullptr;
  std::map<uint64_t, std::pair<PinnedValue, std::string>> pins_;
  std::map<uint64_t, Draft> drafts_;
};

class PlantedVariant final : public Variant {
 public:
  explicit PlantedVariant(Defect defect) : defect_(defect) {}
  std::string_view name() const override { return "planted"; }
  std::string_view summary() const override { return "a sound store with one planted defect"; }
  const Traits& traits() const override { return inner_.traits(); }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return inner_.Create(options);
  }
  absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const override {
    return inner_.Open(location);
  }
  absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const override {
    return inner_.FromFd(fd);
  }
  absl::StatusOr<std::unique_ptr<Store>> Attach(std::shared_ptr<Segment> segment) const override {
    absl::StatusOr<std::unique_ptr<Store>> store = inner_.Attach(std::move(segment));
    if (!store.ok()) return store.status();
    return std::make_unique<PlantedStore>(*std::move(store), defect_);
  }

 private:
  const Variant& inner_ = *FindVariant("global_mutex");
  Defect defect_;
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_SCAFFOLD_PLANTED_STORE_H_
