#include "harness/history.h"

#include <cstdlib>

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

}  // namespace kill9
