#include "harness/kinds/sweep_kinds.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/channel_driver/sweep/channel_sweep.h"
#include "harness/heap_driver/sweep/heap_sweep.h"
#include "harness/pool_driver/sweep/pool_sweep.h"
#include "harness/store_driver/sweep/store_sweep.h"

namespace kill9 {
namespace {

std::vector<const sweep::SweepDriver*>& Drivers() {
  static auto* drivers = new std::vector<const sweep::SweepDriver*>{
      new sweep::StoreSweep, new sweep::ChannelSweep, new sweep::HeapSweep, new sweep::PoolSweep};
  return *drivers;
}

}  // namespace

std::span<const sweep::SweepDriver* const> AllSweepDrivers() { return Drivers(); }

const sweep::SweepDriver* FindSweepDriver(std::string_view kind) {
  for (const sweep::SweepDriver* driver : Drivers()) {
    if (driver->kind() == kind) return driver;
  }
  return nullptr;
}

std::vector<SweepCell> SweepCellsOf(const Design& design) {
  std::vector<SweepCell> cells;
  const sweep::SweepDriver* driver = FindSweepDriver(design.kind());
  if (driver == nullptr) return cells;
  for (uint32_t operation = 0; operation < driver->operations().size(); ++operation) {
    for (uint32_t state = 0; state < driver->states().size(); ++state) {
      if (!driver->Applies(design, operation, state)) continue;
      cells.push_back({driver->operations()[operation], driver->states()[state]});
    }
  }
  return cells;
}

absl::Status AddSweepDrivers(std::span<const sweep::SweepDriver* const> drivers) {
  for (const sweep::SweepDriver* driver : drivers) {
    if (FindSweepDriver(driver->kind()) == nullptr) continue;
    return absl::AlreadyExistsError(
        absl::StrCat("there is a sweep of the kind '", std::string(driver->kind()), "' already"));
  }
  Drivers().insert(Drivers().end(), drivers.begin(), drivers.end());
  return absl::OkStatus();
}

}  // namespace kill9
