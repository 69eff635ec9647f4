// A register: write and read.
#ifndef KILL9_HARNESS_CHECKER_MODELS_REGISTER_H_
#define KILL9_HARNESS_CHECKER_MODELS_REGISTER_H_

#include <string_view>

#include "harness/checker/search/versioned_value.h"

namespace kill9 {

struct RegisterModel : VersionedSteps</*lossy=*/false> {
  static constexpr std::string_view kName = "register";
  static constexpr std::string_view kSummary = "write, read";
  static bool Accepts(Function function) {
    return function == Function::kPut || function == Function::kGet;
  }
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_REGISTER_H_
