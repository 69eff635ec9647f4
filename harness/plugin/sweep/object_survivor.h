// A survivor of the sweep that works on an object that is no store.
#ifndef KILL9_HARNESS_PLUGIN_SWEEP_OBJECT_SURVIVOR_H_
#define KILL9_HARNESS_PLUGIN_SWEEP_OBJECT_SURVIVOR_H_

#include <cstdint>
#include <vector>

#include "harness/plugin/sweep/object_scene.h"

namespace kill9::sweep {

class ObjectSurvivor final : public Survivor {
 public:
  ObjectSurvivor(const ObjectScene& scene, CellProcess process, Findings& findings,
                 OperationLog log)
      : scene_(scene), findings_(findings), user_(scene, process, log) {}

  absl::Status Attach() { return user_.Attach(scene_.segment()); }

  SharedObject& object() override { return user_.object(); }
  void Look() override;
  void Work(Nearness where) override;
  void Write(Nearness where) override;
  uint32_t Fill() override { return 0; }
  void Empty(uint32_t filled) override;
  void CheckContents(const AuditReport&) override {}
  void Interfere(uint32_t) override { Work(Nearness::kSame); }
  void Churn() override {}
  void Probe(uint32_t probe, Nearness where) override;

 private:
  Operation Do(Function function, uint64_t key, uint64_t argument = kNothing);
  // Takes it, renews a lease, and gives it back. A refusal is the model's to judge.
  void Take();
  void Call(Function function, uint64_t key);
  uint64_t KeyAt(Nearness where) const;

  const ObjectScene& scene_;
  Findings& findings_;
  ObjectUser user_;
  std::vector<uint64_t> seen_;  // items of a list, by the last look
  uint64_t wake_ups_ = 0;       // the same of a condition
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_PLUGIN_SWEEP_OBJECT_SURVIVOR_H_
