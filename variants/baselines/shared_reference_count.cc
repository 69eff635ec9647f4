// shared_reference_count: pinned values are counted by an integer in their block.
//
// All else is as it should be: values are never overwritten in place, an entry is linked and
// unlinked by one store, the mutex is robust, and whoever finds that its owner has died frees what
// no chain reaches and nobody pins before it marks the mutex consistent.
//
// Its author's case for it: the count is changed under the mutex only, so it is always exact.
#include "variants/baselines/baseline.h"
#include "variants/baselines/dead_slots.h"
#include "variants/segment/robust_mutex.h"

namespace kill9 {
namespace {

struct RobustRepaired {
  void Format() { mutex.Format(); }
  bool Enter() { return mutex.Lock() == RobustMutex::Acquired::kOwnerDied; }
  void Leave() { mutex.Unlock(); }

  RobustMutex mutex;
};

class ReferenceCountStore final : public baselines::BaselineStore<RobustRepaired> {
 public:
  ReferenceCountStore(std::shared_ptr<Segment> segment, baselines::Table::Overwrite overwrite,
                      Participant participant)
      : BaselineStore(std::move(segment), overwrite), participant_(std::move(participant)) {}

  static absl::StatusOr<std::unique_ptr<Store>> Attach(std::shared_ptr<Segment> segment,
                                                       baselines::Table::Overwrite overwrite) {
    absl::StatusOr<Participant> participant = segment->participants().Claim();
    if (absl::IsResourceExhausted(participant.status())) {
      baselines::ReturnSlotsOfTheDead(segment->participants());
      participant = segment->participants().Claim();
    }
    if (!participant.ok()) return participant.status();
    return std::make_unique<ReferenceCountStore>(std::move(segment), overwrite,
                                                 *std::move(participant));
  }

 private:
  void AfterDeathInside() override {
    table().Sweep();
    reinterpret_cast<RobustRepaired*>(table().header().guard)->mutex.Consistent();
  }
  absl::StatusOr<PinnedValue> DoPin(std::string_view key) override {
    Inside inside(*this);
    baselines::Entry* entry = table().Find(key);
    if (entry == nullptr) return absl::NotFoundError("");
    ++entry->references;
    return PinnedValue(this, table().OffsetOf(*entry), table().ValueOf(*entry), entry->version);
  }
  void DoReleasePin(uint64_t hold) override {
    Inside inside(*this);
    table().Unpin(table().At(hold));
  }
  absl::StatusOr<RecoveryReport> DoRecover() override {
    RecoveryReport report;
    report.participants = baselines::ReturnSlotsOfTheDead(segment().participants());
    return report;
  }
  absl::StatusOr<AuditReport> DoAudit() override {
    Inside inside(*this);
    AuditReport report = table().Audit();
    const ParticipantTable participants = segment().participants();
    for (uint32_t slot = 0; slot < participants.size(); ++slot) {
      if (participants.state(slot) != ParticipantState::kFree) ++report.participants;
    }
    return report;
  }

  Participant participant_;
};

baselines::Description Describe() {
  Traits traits;
  traits.has_draft = false;
  traits.recovery_trigger = "the next locker sweeps the table";
  traits.recovery_cost = "the size of the table";
  return {.name = "shared_reference_count",
          .summary = "a repaired robust mutex, and pins that an integer in the block counts",
          .expected_verdict = "leak",
          .overwrite = baselines::Table::Overwrite::kNever,
          .traits = traits};
}

}  // namespace

const Variant& SharedReferenceCount();
const Variant& SharedReferenceCount() {
  static const baselines::BaselineVariant<RobustRepaired, ReferenceCountStore> variant(Describe());
  return variant;
}

}  // namespace kill9
