// The list of kinds. Adding one: its driver, and a line here.
#include "harness/kinds/kinds.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/channel_driver/channel_driver.h"
#include "harness/heap_driver/heap_driver.h"
#include "harness/kinds/sweep_kinds.h"
#include "harness/pool_driver/pool_driver.h"
#include "harness/store_driver/store_driver.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

std::vector<const TortureDriver*>& TortureDrivers() {
  static auto* drivers = new std::vector<const TortureDriver*>{new StoreDriver, new ChannelDriver,
                                                               new HeapDriver, new PoolDriver};
  return *drivers;
}

}  // namespace

std::span<const TortureDriver* const> AllTortureDrivers() { return TortureDrivers(); }

const TortureDriver* FindTortureDriver(std::string_view kind) {
  for (const TortureDriver* driver : AllTortureDrivers()) {
    if (driver->kind() == kind) return driver;
  }
  return nullptr;
}

absl::Status RegisterOwn(const Own& own) {
  for (const TortureDriver* driver : own.torture_drivers) {
    if (FindTortureDriver(driver->kind()) != nullptr) {
      return absl::AlreadyExistsError(
          absl::StrCat("there is a kind '", std::string(driver->kind()), "' already"));
    }
    TortureDrivers().push_back(driver);
  }
  if (absl::Status status = AddSweepDrivers(own.sweep_drivers); !status.ok()) return status;
  if (absl::Status status = AddModels(own.models); !status.ok()) return status;
  return AddDesigns(own.designs);
}

}  // namespace kill9
