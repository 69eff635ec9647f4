// A lossless store: each key on its own.
#ifndef KILL9_HARNESS_CHECKER_MODELS_MAP_H_
#define KILL9_HARNESS_CHECKER_MODELS_MAP_H_

#include <string_view>

#include "harness/checker/models/cas_register.h"

namespace kill9 {

struct MapModel : VersionedSteps</*lossy=*/false> {
  static constexpr std::string_view kName = "map";
  static constexpr std::string_view kSummary =
      "put (also with a deadline), get, erase, compare-and-swap, pin, commit of drafts; every key "
      "on its own";
  static bool Accepts(Function function) {
    return CasRegisterModel::Accepts(function) || function == Function::kErase ||
           function == Function::kPin || function == Function::kCommit ||
           function == Function::kPutUntil;
  }
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_MAP_H_
