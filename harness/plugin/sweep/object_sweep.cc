#include "harness/plugin/sweep/object_sweep.h"

#include "harness/plugin/sweep/object_scene.h"
#include "harness/programs/protocol/workload.h"

namespace kill9::sweep {

ObjectSweep::ObjectSweep(std::string_view model)
    : model_(model), functions_(programs::Workload::FunctionsOfModel(model)) {
  for (const Function function : functions_) {
    operations_.push_back(RowOf(function).name);
    probes_.push_back({RowOf(function).name, function == Function::kAddMember});
  }
  for (const std::string_view common : {kAttachName, kDetachName, kRecoverName}) {
    operations_.push_back(common);
  }
}

std::span<const std::string_view> ObjectSweep::states() const {
  static constexpr std::string_view kNames[] = {"new", "used", "half_done"};
  return kNames;
}

bool ObjectSweep::Applies(const Design& design, uint32_t operation, uint32_t) const {
  return operations_[operation] != kRecoverName || design.object_traits().has_recovery;
}

absl::StatusOr<std::unique_ptr<Scene>> ObjectSweep::MakeScene(const Design& design, uint32_t,
                                                              uint32_t state,
                                                              const SweepShape&) const {
  auto scene = std::make_unique<ObjectScene>(design, functions_, static_cast<ObjectState>(state));
  if (absl::Status made = scene->Make(); !made.ok()) return made;
  return scene;
}

}  // namespace kill9::sweep
