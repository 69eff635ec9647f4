// The last deaths of a run, with what each victim did: one of them is behind what is found.
#ifndef KILL9_HARNESS_TORTURE_FAILURE_LAST_KILLS_H_
#define KILL9_HARNESS_TORTURE_FAILURE_LAST_KILLS_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "harness/base/clock.h"
#include "harness/result/result.h"
#include "harness/torture/control.h"
#include "harness/torture/driver.h"

namespace kill9 {

struct Kill {
  uint32_t process;
  Activity activity;  // of the victim, when it died
  Function function;  // what it did, if that was an operation, and to what
  uint64_t subject;
  uint64_t noted;  // ticks: it was dead then
};

class LastKills {
 public:
  static constexpr size_t kMost = 64;

  void Note(const Kill& kill) { kills_[count_++ % kMost] = kill; }
  // The last one comes last.
  Json ToJson(const PreparedRun& prepared, const Clock& clock) const;

 private:
  Kill kills_[kMost] = {};
  uint64_t count_ = 0;
};
static_assert(std::is_trivially_copyable_v<LastKills>);

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_FAILURE_LAST_KILLS_H_
