// Makes a violating window small: drops operations as long as the rest still violates.
//
// Dropping a write would make a fault of every read of it, so an operation goes only together with
// those that depend on it: a legal history stays legal whatever is dropped by these rules, and so
// what is left when nothing more can go is a violation of the whole.
#ifndef KILL9_HARNESS_CHECKER_SHRINK_H_
#define KILL9_HARNESS_CHECKER_SHRINK_H_

#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "harness/history.h"

namespace kill9 {

// REQUIRES: violates(operations). The order is kept. `tries_limit` bounds the calls of `violates`.
std::vector<Operation> Shrink(std::vector<Operation> operations, int tries_limit,
                              absl::FunctionRef<bool(std::span<const Operation>)> violates);

// The operations (by index, `drop` included) that must go when those in `drop` go. For tests, too.
std::vector<bool> WithDependents(std::span<const Operation> operations, std::vector<bool> drop);

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_SHRINK_H_
