// What a program outside the tree adds to the project's own lists: designs, and for a kind of its
// own all that the harness needs to know of it.
#ifndef KILL9_HARNESS_KINDS_KINDS_H_
#define KILL9_HARNESS_KINDS_KINDS_H_

#include <span>

#include "absl/status/status.h"
#include "harness/checker/model_checker.h"
#include "harness/sweep/driver/driver.h"
#include "harness/torture/driver.h"
#include "variants/object.h"

namespace kill9 {

struct Own {
  std::span<const Design* const> designs = {};
  std::span<const ModelChecker* const> models = {};
  // Of kinds that are new.
  std::span<const TortureDriver* const> torture_drivers = {};
  std::span<const sweep::SweepDriver* const> sweep_drivers = {};
};

// kAlreadyExists: a name is taken; the program cannot go on. REQUIRES: called before any list is
// asked for, by one thread, and again where the sweep runs the program anew (before RunIfWorker,
// harness/sweep/worker.h); what `own` names lives as long as the program.
absl::Status RegisterOwn(const Own& own);

}  // namespace kill9

#endif  // KILL9_HARNESS_KINDS_KINDS_H_
