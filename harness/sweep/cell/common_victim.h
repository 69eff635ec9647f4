// Victims of the operations that every kind has: attach, detach, recover, create.
#ifndef KILL9_HARNESS_SWEEP_CELL_COMMON_VICTIM_H_
#define KILL9_HARNESS_SWEEP_CELL_COMMON_VICTIM_H_

#include <memory>
#include <string>
#include <string_view>

#include "harness/sweep/driver/driver.h"

namespace kill9::sweep {

// Null: the operation is none of them. `created_name`: of the segment that create makes.
std::unique_ptr<Victim> NewCommonVictim(const Scene& scene, std::string_view operation,
                                        const std::string& created_name);

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_CELL_COMMON_VICTIM_H_
