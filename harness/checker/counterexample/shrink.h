// Makes a violating window small: drops operations as long as the rest still violates.
//
// Dropping a write would make a fault of every read of it. So what only observed its effect goes
// with it, and what changed the key because of it (a compare-and-swap, an erase that says what it
// found) is weakened: it counts as a plain put or erase. A legal history stays legal by these
// rules, whatever is dropped; so what is left when nothing more can go is a violation of the whole.
#ifndef KILL9_HARNESS_CHECKER_COUNTEREXAMPLE_SHRINK_H_
#define KILL9_HARNESS_CHECKER_COUNTEREXAMPLE_SHRINK_H_

#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "harness/history/history.h"

namespace kill9 {

// REQUIRES: violates(operations). The order is kept. `tries_limit` bounds the calls of `violates`.
std::vector<Operation> Shrink(std::vector<Operation> operations, int tries_limit,
                              absl::FunctionRef<bool(std::span<const Operation>)> violates);

// What is left without the operations in `drop` and those that go with them.
std::vector<Operation> WithoutDependents(std::span<const Operation> operations,
                                         std::vector<bool> drop);

// The operation without what it says of the state that it met. Marks it (Operation::reserved).
void Weaken(Operation* operation);
inline bool IsWeakened(const Operation& operation) { return operation.reserved != 0; }

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_COUNTEREXAMPLE_SHRINK_H_
