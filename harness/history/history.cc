#include "harness/history/history.h"

#include <algorithm>
#include <tuple>

namespace kill9 {

void SortByInvocation(std::vector<Operation>* operations) {
  const auto before = [](const Operation& a, const Operation& b) {
    return std::tie(a.invoke, a.process, a.finish) < std::tie(b.invoke, b.process, b.finish);
  };
  if (!std::is_sorted(operations->begin(), operations->end(), before)) {
    std::sort(operations->begin(), operations->end(), before);
  }
}

}  // namespace kill9
