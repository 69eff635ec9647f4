#include "harness/torture/shape/draw_segment.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "variants/segment/hash.h"

namespace kill9 {
namespace {

constexpr uint64_t kMiB = 1u << 20;
constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kShareOfMemory = 8;  // of what is free

uint64_t NumberIn(const std::string& file, const std::string& after) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(after, 0) != 0) continue;
    return std::strtoull(line.c_str() + after.size(), nullptr, 10);
  }
  return 0;
}

}  // namespace

uint64_t FreeMemoryBytes() {
  const uint64_t available = NumberIn("/proc/meminfo", "MemAvailable:") * 1024;
  // "max", where there is no limit, counts as 0.
  const uint64_t limit = NumberIn("/sys/fs/cgroup/memory.max", "");
  const uint64_t used = NumberIn("/sys/fs/cgroup/memory.current", "");
  if (limit == 0 || limit < used) return available;
  return std::min(available, limit - used);
}

uint64_t DrawSegmentBytes(Random& random, std::span<const SegmentRange> ranges, uint64_t allowed) {
  uint64_t drawn = random.Below(100);
  const SegmentRange* range = ranges.data();
  for (; drawn >= range->per_cent; ++range) drawn -= range->per_cent;
  if (allowed == 0) allowed = FreeMemoryBytes() / kShareOfMemory;
  const uint64_t bytes =
      std::min(Between(random, range->least, range->most), std::max(allowed, kMiB));
  return random.Chance(750) ? bytes | 1 : bytes / kPageBytes * kPageBytes;
}

Random RandomOfShape(uint64_t seed, std::string_view scenario, std::string_view design) {
  return Random(seed, XXH3_64bits(scenario.data(), scenario.size()) ^
                          XXH3_64bits(design.data(), design.size()));
}

absl::Status CheckParticipants(uint32_t room, uint32_t least, uint32_t most) {
  if (room == 0 || (least <= room && room <= most)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("participants: the run needs from ", least, " to ",
                                                 most, ", and the shape has ", room));
}

absl::Status CheckParticipants(uint32_t room, uint32_t idle, uint32_t least, uint32_t most) {
  if (absl::Status status = CheckParticipants(room, least, most); !status.ok()) return status;
  if (idle == 0 || idle + least <= room) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("idle: beside ", idle,
                                                 " that do nothing there is no place for the ",
                                                 least, " that the run needs"));
}

uint32_t DrawIdle(Random& random, uint32_t participants, uint32_t least) {
  if (participants <= least || !random.Chance(400)) return 0;
  constexpr uint32_t kMost = 130;  // each costs a look of everybody
  const std::array<uint32_t, 4> choices = {62, 1, 60, 126};
  return std::min({Draw(random, choices, 3), participants - least, kMost});
}

uint32_t DrawParticipants(Random& random, uint64_t usual, uint64_t least, uint64_t most) {
  const std::array<uint64_t, 6> choices = {least,
                                           least,
                                           std::max<uint64_t>(least, usual),
                                           least + Between(random, 1, 8),
                                           Between(random, least, least + 300),
                                           4096};
  return static_cast<uint32_t>(std::clamp(Draw(random, choices), least, most));
}

}  // namespace kill9
