// How large a scene's segment is.
#ifndef KILL9_HARNESS_SWEEP_DRIVER_SMALLEST_SEGMENT_H_
#define KILL9_HARNESS_SWEEP_DRIVER_SMALLEST_SEGMENT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace kill9::sweep {

// In the smallest segment that a design can do something with: each byte is compared at each
// instruction. `make_scene()` gives a new scene, `make(scene, bytes)` its starting state in a
// segment of so many bytes. An error says `what` could not be made.
template <typename MakeScene, typename Make>
auto MakeInSmallestSegment(std::string_view what, MakeScene make_scene, Make make)
    -> absl::StatusOr<decltype(make_scene())> {
  constexpr uint64_t kSmallestBytes = 64 << 10;
  constexpr uint64_t kLargestBytes = 4 << 20;
  absl::Status status;
  for (uint64_t bytes = kSmallestBytes; bytes <= kLargestBytes; bytes *= 2) {
    auto scene = make_scene();
    status = make(*scene, bytes);
    if (status.ok()) return scene;
  }
  return absl::Status(status.code(), absl::StrCat("cannot make the state ", std::string(what), ": ",
                                                  std::string(status.message())));
}

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_DRIVER_SMALLEST_SEGMENT_H_
