#include "harness/history/history.h"

#include <algorithm>
#include <cstdlib>
#include <tuple>

namespace kill9 {

std::string_view FunctionName(Function function) {
  switch (function) {
    case Function::kPut:
      return "put";
    case Function::kGet:
      return "get";
    case Function::kErase:
      return "erase";
    case Function::kCompareAndSwap:
      return "compare-and-swap";
    case Function::kPin:
      return "pin";
    case Function::kCommit:
      return "commit";
    case Function::kRecover:
      return "recover";
    case Function::kAttach:
      return "attach";
    case Function::kDetach:
      return "detach";
    case Function::kForEach:
      return "for-each";
    case Function::kEnqueue:
      return "enqueue";
    case Function::kDequeue:
      return "dequeue";
    case Function::kCompareAndSwapValue:
      return "cas";
  }
  std::abort();
}

void SortByInvocation(std::vector<Operation>* operations) {
  const auto before = [](const Operation& a, const Operation& b) {
    return std::tie(a.invoke, a.process, a.finish) < std::tie(b.invoke, b.process, b.finish);
  };
  if (!std::is_sorted(operations->begin(), operations->end(), before)) {
    std::sort(operations->begin(), operations->end(), before);
  }
}

}  // namespace kill9
