// What a victim runs between the markers.
#ifndef KILL9_HARNESS_STORE_DRIVER_SWEEP_STORE_VICTIM_H_
#define KILL9_HARNESS_STORE_DRIVER_SWEEP_STORE_VICTIM_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "harness/store_driver/sweep/store_scene.h"
#include "harness/store_driver/value.h"

namespace kill9::sweep {

class StoreVictim final : public Victim {
 public:
  StoreVictim(const StoreScene& scene, StoreOperation operation, uint32_t number, bool tells_all,
              OperationLog log);

  absl::Status Prepare() override;
  void Run() override;
  void Record() override;

 private:
  // Takes what the operation needs: a version, a pin, a draft.
  absl::Status GetReady();
  void RunWithTerms();
  void NoteVisit(const EntryView& view);
  void RecordVisits();
  absl::Status Take(const absl::StatusOr<Version>& version);
  void TakeSwap(const absl::StatusOr<CasResult>& result);

  struct Visit {
    uint64_t key, value;
    Version version;
  };

  const StoreScene& scene_;
  const StoreOperation operation_;
  const uint32_t process_;
  const bool tells_all_;
  OperationLog log_;
  const uint32_t key_number_;
  const std::string& key_;
  ValueId id_;
  std::string value_, read_;
  std::unique_ptr<Store> store_;
  PinnedValue pin_;
  Draft draft_;
  LeaseToken lease_;
  std::vector<Visit> visits_;
  Operation* announced_ = nullptr;
  absl::Status status_;
  Version expected_ = kAbsent;  // by a compare-and-swap
  Version answered_ = kAbsent;
  bool yes_ = false;  // erased, swapped
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_STORE_DRIVER_SWEEP_STORE_VICTIM_H_
