// kill9 inspect: who is attached to a segment, alive, stopped or dead, what each holds, and what is
// damaged. Nobody who uses the segment notices (segment_copy.h).
#ifndef KILL9_HARNESS_INSPECT_INSPECT_H_
#define KILL9_HARNESS_INSPECT_INSPECT_H_

#include <string>

#include "absl/status/statusor.h"
#include "harness/result/result.h"

namespace kill9::inspect {

// A run of a result file (docs/inspect.md tells its fields). An error: it is no segment, another
// version's, or may not be read. `timeout_seconds`: how long one look at a copy may take.
absl::StatusOr<Json> Inspect(const std::string& place, double timeout_seconds);

// Whether something is wrong with it.
bool IsDamaged(const Json& run);

// The run without what only pictures are drawn of; a heap's map as a string of letters.
Json ForResultFile(const Json& run);
// For a terminal, and as a page of HTML.
std::string AsText(const Json& run);
std::string AsPage(const Json& run);

}  // namespace kill9::inspect

#endif  // KILL9_HARNESS_INSPECT_INSPECT_H_
