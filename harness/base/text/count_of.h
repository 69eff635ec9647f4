// Numbers of things, for people to read.
#ifndef KILL9_HARNESS_BASE_TEXT_COUNT_OF_H_
#define KILL9_HARNESS_BASE_TEXT_COUNT_OF_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"

namespace kill9 {

// "1 run", "2 runs".
inline std::string CountOf(uint64_t count, const char* what) {
  return absl::StrCat(count, " ", what, count == 1 ? "" : "s");
}

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_TEXT_COUNT_OF_H_
