// Copies of the directory that a program works on.
#ifndef KILL9_HARNESS_RUN_ATTEMPT_COPY_INTO_H_
#define KILL9_HARNESS_RUN_ATTEMPT_COPY_INTO_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace kill9::run {

// What one attempt keeps for itself lies in a directory of this name, which is copied nowhere.
inline constexpr char kKeptName[] = "kill9-out";

// Copies what is in the directory, but kKeptName, into one that exists. Everything is kept that a
// copy can keep: permissions, owners, times, attributes, holes, links.
absl::Status CopyInto(const std::string& from, const std::string& to);
// Bytes that such a copy takes.
uint64_t BytesBelow(const std::string& directory);

}  // namespace kill9::run

#endif  // KILL9_HARNESS_RUN_ATTEMPT_COPY_INTO_H_
