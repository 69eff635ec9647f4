// Objects behind the C interface (include/kill9/kill9.h): each becomes a design, of a store or of a
// kind that is named as its model.
#ifndef KILL9_HARNESS_PLUGIN_PLUGIN_H_
#define KILL9_HARNESS_PLUGIN_PLUGIN_H_

#include <kill9/kill9.h>

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "variants/registry.h"

namespace kill9 {

// Where nobody says how much an object must hold: no workload has more at once.
inline constexpr uint64_t kEntriesOfObject = 1024;

// The design of an object, which lives as long as it. kInvalidArgument says what is wrong with it.
absl::StatusOr<std::unique_ptr<Design>> DesignOf(const kill9_object& object);

// Loads a shared library, for as long as the process lives, and asks it for its object. kNotFound:
// it cannot be loaded. kInvalidArgument: it ends the process that loads it.
absl::StatusOr<const kill9_object*> LoadPlugin(const std::string& path);

// Empty: a design may be swept on this machine. Else why not, for people.
std::string WhyPluginIsNotSwept(const Design& design);

}  // namespace kill9

#endif  // KILL9_HARNESS_PLUGIN_PLUGIN_H_
