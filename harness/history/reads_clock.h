// Which functions' times count by a clock.
#ifndef KILL9_HARNESS_HISTORY_READS_CLOCK_H_
#define KILL9_HARNESS_HISTORY_READS_CLOCK_H_

#include "harness/history/function.h"

namespace kill9 {

// The clock is read when it is asked for (`expected`) and when it is answered (`result_version`).
constexpr bool ReadsClock(Function function) {
  return RowOf(function).target == Target::kLock && RowOf(function).expected == Field::kNumber;
}

}  // namespace kill9

#endif  // KILL9_HARNESS_HISTORY_READS_CLOCK_H_
