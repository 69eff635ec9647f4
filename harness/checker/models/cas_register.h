// A register with compare-and-swap, by version or by value.
#ifndef KILL9_HARNESS_CHECKER_MODELS_CAS_REGISTER_H_
#define KILL9_HARNESS_CHECKER_MODELS_CAS_REGISTER_H_

#include <string_view>

#include "harness/checker/models/register.h"

namespace kill9 {

struct CasRegisterModel : VersionedSteps</*lossy=*/false> {
  static constexpr std::string_view kName = "cas-register";
  static constexpr std::string_view kSummary =
      "write, read, compare-and-swap by version or by value";
  static bool Accepts(Function function) {
    return RegisterModel::Accepts(function) || function == Function::kCompareAndSwap ||
           function == Function::kCompareAndSwapValue;
  }
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_CAS_REGISTER_H_
