// A store in the hands of a survivor: a judge's, an interferer or a prober. Every operation is
// recorded; what a history does not show (a status that the contract does not allow, a pinned value
// that changes, a key that for_each shows twice) is a finding.
#ifndef KILL9_HARNESS_STORE_DRIVER_SWEEP_STORE_SURVIVOR_H_
#define KILL9_HARNESS_STORE_DRIVER_SWEEP_STORE_SURVIVOR_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/store_driver/sweep/store_scene.h"
#include "harness/store_driver/value.h"

namespace kill9::sweep {

class StoreSurvivor final : public Survivor {
 public:
  StoreSurvivor(const StoreScene& scene, CellProcess process, std::unique_ptr<Store> store,
                Findings& findings, OperationLog log);

  SharedObject& object() override { return *store_; }
  void Look() override;
  void Work(Nearness where) override;
  void Write(Nearness where) override { PutAndLook(scene_.At(where)); }
  uint32_t Fill() override;
  void Empty(uint32_t filled) override;
  void CheckContents(const AuditReport& audit) override;
  void Interfere(uint32_t way) override;
  void EndInterference() override;
  void Churn() override;
  void Probe(uint32_t probe, Nearness where) override;

 private:
  // What a call answered, for those that need to know.
  struct Shown {
    bool present = false;
    Version version = kAbsent;
  };

  // Each is one recorded operation. `name`: of a key that is none of the scene's.
  Shown Get(uint64_t key);
  Shown Get(uint64_t key, const std::string& name);
  bool Put(uint64_t key, uint32_t bytes);  // false: there is no room
  bool Put(uint64_t key, const std::string& name, uint32_t bytes);
  bool Erase(uint64_t key);
  bool Erase(uint64_t key, const std::string& name);
  void CompareAndSwap(uint64_t key, Version expected);
  absl::StatusOr<PinnedValue> Pin(uint64_t key);
  void PutDraft(uint64_t key, bool commit);
  void ForEach();

  Shown PutAndLook(uint64_t key);
  void PinAndOverwrite(uint64_t key);
  // As Churn; of a store that moves what is read, `kept` is read all the while, and so kept.
  void ChurnBeside(std::optional<uint64_t> kept);
  ValueId NextId() { return MakeValueId(process_, ++sequence_); }
  void Allow(const char* what, const absl::Status& status, bool also_absent = false);

  const StoreScene& scene_;
  const uint32_t process_;
  Findings& findings_;
  OperationLog log_;
  std::string value_, read_;
  uint32_t sequence_ = 0;
  uint64_t present_ = 0;  // keys of the scene that were there when last looked at
  std::vector<bool> visited_;
  std::vector<bool> shown_;  // by get, of the last look
  uint32_t churns_ = 0;
  std::vector<uint32_t> left_;  // keys that an interferer has left there
  std::unique_ptr<Store> store_;
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_STORE_DRIVER_SWEEP_STORE_SURVIVOR_H_
