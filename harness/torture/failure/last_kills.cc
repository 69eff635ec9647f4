#include "harness/torture/failure/last_kills.h"

#include <algorithm>
#include <string>

namespace kill9 {

Json LastKills::ToJson(const PreparedRun& prepared, const Clock& clock) const {
  Json all = Json::array();
  for (uint64_t n = count_ - std::min<uint64_t>(count_, kMost); n < count_; ++n) {
    const Kill& kill = kills_[n % kMost];
    Json one = {{"process", kill.process},
                {"time_ns", clock.ToNanoseconds(kill.noted)},
                {"where", ActivityName(kill.activity)}};
    if (kill.activity == Activity::kOperation) {
      one["operation"] = prepared.DescribeStep(kill.function, kill.subject);
    }
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace kill9
