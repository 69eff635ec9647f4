// A lossy store: a map whose keys may be forgotten at any moment, and never come back.
#ifndef KILL9_HARNESS_CHECKER_MODELS_CACHE_H_
#define KILL9_HARNESS_CHECKER_MODELS_CACHE_H_

#include <string_view>

#include "harness/checker/models/map.h"

namespace kill9 {

struct CacheModel : VersionedSteps</*lossy=*/true> {
  static constexpr std::string_view kName = "cache";
  static constexpr std::string_view kSummary =
      "the map, where a key may become absent by itself at any moment and never comes back";
  static bool Accepts(Function function) { return MapModel::Accepts(function); }
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_CACHE_H_
