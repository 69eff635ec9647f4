// Numbers that the processes of a run count together. They are read when the run is over, or again
// later: so all is relaxed.
#ifndef KILL9_HARNESS_TORTURE_RUN_STATISTICS_H_
#define KILL9_HARNESS_TORTURE_RUN_STATISTICS_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"

namespace kill9 {

inline void Count(std::atomic<uint64_t>& statistic, uint64_t by = 1) {
  statistic.fetch_add(by, std::memory_order_relaxed);
}
inline uint64_t Counted(const std::atomic<uint64_t>& statistic) {
  return statistic.load(std::memory_order_relaxed);
}

// What must have happened in a run, and has not.
class MissingEvents {
 public:
  void Require(const std::atomic<uint64_t>& happened, const char* what) {
    if (Counted(happened) == 0) missing_.push_back(what);
  }
  std::string Text() const { return absl::StrJoin(missing_, "; "); }

 private:
  std::vector<const char*> missing_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_RUN_STATISTICS_H_
