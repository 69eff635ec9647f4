// A baseline: the shared table (table.h) behind one way to let processes in. The way is all that
// differs, and it is all that a baseline's own file contains:
//
//     struct LockPolicy {                        // lives in TableHeader::guard; zeroed at creation
//       void Format();                    // once, by the creator
//       bool Enter();                     // true: whoever was in before has died there
//       void Leave();
//     };
//
// Operations enter, use the table, and leave. An iteration copies what it shows, so that its
// visitor can call the store.
#ifndef KILL9_VARIANTS_BASELINES_BASELINE_H_
#define KILL9_VARIANTS_BASELINES_BASELINE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "variants/baselines/table.h"
#include "variants/registry.h"
#include "variants/stores/copying_store.h"

namespace kill9::baselines {

// The verdict where a death leaves the table torn. Nearly always a wrong answer. But an entry that
// is both linked and free can, once it is used again, lead back to itself, and who walks that chain
// never leaves.
inline constexpr std::string_view kTornTable = "violation|stuck";

// A store that overwrites in place is torn for as long as one value takes to be copied: random
// kills may miss that ten thousand times.
inline constexpr std::string_view kKillInAnOverwrite =
    "sweep --operation=put_same --state=one_entry";
inline constexpr std::string_view kRandomKills = "torture --scenario=steady";

// What the registry says of a baseline.
struct Description {
  std::string_view name;
  std::string_view summary;
  std::string_view expected_verdict;
  std::string_view shown_by = kRandomKills;
  Table::Overwrite overwrite = Table::Overwrite::kInPlace;
  Traits traits;
};

// The traits of those that only copy values in and out, and have nobody who could be recovered.
inline Traits CopyingTraits(std::string_view recovery_trigger, std::string_view recovery_cost) {
  Traits traits;
  traits.has_pin = false;
  traits.has_draft = false;
  traits.has_audit = false;
  traits.has_recovery = false;
  traits.recovery_trigger = recovery_trigger;
  traits.recovery_cost = recovery_cost;
  return traits;
}

template <typename LockPolicy>
class BaselineStore : public CopyingStore {
 public:
  BaselineStore(std::shared_ptr<Segment> segment, Table::Overwrite overwrite)
      : CopyingStore("this baseline", std::move(segment)), table_(this->segment(), overwrite) {
    static_assert(sizeof(LockPolicy) <= sizeof(TableHeader::guard) &&
                  std::is_standard_layout_v<LockPolicy>);
  }

  static absl::StatusOr<std::unique_ptr<Store>> Attach(std::shared_ptr<Segment> segment,
                                                       Table::Overwrite overwrite) {
    return std::make_unique<BaselineStore>(std::move(segment), overwrite);
  }

  size_t max_key_bytes() const override { return Table::kMaxKeyBytes; }
  size_t max_value_bytes() const override { return table_.max_value_bytes(); }

 protected:
  Table& table() { return table_; }

  // Inside for as long as it lives.
  class Inside {
   public:
    explicit Inside(BaselineStore& store)
        : policy_(*reinterpret_cast<LockPolicy*>(store.table_.header().guard)) {
      if (policy_.Enter()) store.AfterDeathInside();
    }
    ~Inside() { policy_.Leave(); }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    LockPolicy& policy_;
  };

 private:
  // Called inside, before anything else is done there.
  virtual void AfterDeathInside() {}

  absl::StatusOr<Version> DoPut(std::string_view key, std::string_view value) override {
    Inside inside(*this);
    return table_.Put(key, value);
  }
  absl::StatusOr<Version> DoGet(std::string_view key, std::string* value) override {
    Inside inside(*this);
    const Entry* entry = table_.Find(key);
    if (entry == nullptr) return absl::NotFoundError("");
    if (value != nullptr) value->assign(table_.ValueOf(*entry));
    return entry->version;
  }
  absl::StatusOr<bool> DoErase(std::string_view key) override {
    Inside inside(*this);
    return table_.Erase(key);
  }
  absl::StatusOr<CasResult> DoCompareAndSwap(std::string_view key, Version expected,
                                             std::string_view value) override {
    Inside inside(*this);
    const Entry* entry = table_.Find(key);
    const Version present = entry == nullptr ? kAbsent : entry->version;
    if (present != expected) return CasResult{false, present};
    absl::StatusOr<Version> version = table_.Put(key, value);
    if (!version.ok()) return version.status();
    return CasResult{true, *version};
  }
  absl::Status DoForEach(absl::FunctionRef<bool(const EntryView&)> visit) override {
    struct Copy {
      std::string key;
      std::string value;
      Version version;
    };
    std::vector<Copy> copies;
    {
      Inside inside(*this);
      table_.ForEachEntry([&](const Entry& entry) {
        copies.push_back(
            {std::string(table_.KeyOf(entry)), std::string(table_.ValueOf(entry)), entry.version});
        return true;
      });
    }
    for (const Copy& copy : copies) {
      if (!visit({copy.key, copy.value, copy.version})) break;
    }
    return absl::OkStatus();
  }

  Table table_;
};

template <typename LockPolicy, typename StoreType = BaselineStore<LockPolicy>>
class BaselineVariant final : public Variant {
 public:
  explicit BaselineVariant(Description description) : description_(std::move(description)) {}

  std::string_view name() const override { return description_.name; }
  std::string_view summary() const override { return description_.summary; }
  Role role() const override { return Role::kBaseline; }
  const Traits& traits() const override { return description_.traits; }
  std::string_view expected_verdict() const override { return description_.expected_verdict; }
  std::string_view shown_by() const override { return description_.shown_by; }

  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return Segment::Create(options, {.design = name()}, [&](Segment& segment, SegmentHeader&) {
      absl::Status status = Table::Format(segment, options.expected_entries);
      if (status.ok()) reinterpret_cast<LockPolicy*>(segment.body().data())->Format();
      return status;
    });
  }
  absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const override {
    return Segment::Open(location, {.design = name()});
  }
  absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const override {
    return Segment::FromFd(fd, {.design = name()});
  }
  absl::StatusOr<std::unique_ptr<Store>> Attach(std::shared_ptr<Segment> segment) const override {
    return StoreType::Attach(std::move(segment), description_.overwrite);
  }

 private:
  Description description_;
};

}  // namespace kill9::baselines

#endif  // KILL9_VARIANTS_BASELINES_BASELINE_H_
