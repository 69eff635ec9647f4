#include "apps/memcached/server/open_cache.h"

#include <sys/mman.h>
#include <time.h>

#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "apps/cluster/cluster.h"

namespace kill9::memcached {
namespace {

constexpr uint32_t kParticipants = 2 * kWorkersMost;

absl::Status Explained(const absl::Status& status, const std::vector<std::string>& files) {
  std::string advice;
  if (absl::IsPermissionDenied(status)) {
    advice = "; run as the user that owns the file, or choose another by --file";
  } else if (absl::IsResourceExhausted(status)) {
    advice = "; the whole cache is allocated when it is made: make room, or choose a smaller -m";
  } else if (absl::IsDataLoss(status) || absl::IsInvalidArgument(status)) {
    advice = "; it is left as it is: move it away, and the cache begins cold";
  } else if (absl::IsFailedPrecondition(status)) {
    advice = "; open it with what made it (--design), or choose another by --file";
  }
  return absl::Status(status.code(), absl::StrCat(files.size() == 1 ? files[0] : "the cache", ": ",
                                                  std::string(status.message()), advice));
}

absl::Status OpenSegment(ServerParts* parts) {
  Options& options = parts->options;
  SegmentOptions wanted;
  wanted.size_bytes = options.memory_bytes;
  wanted.max_participants = kParticipants;
  wanted.expected_entries = options.expected_entries;
  wanted.keeps_terms = true;
  absl::StatusOr<server::ClusterSegments> opened =
      server::OpenCluster(*parts->design, options.files, wanted);
  if (!opened.ok()) return Explained(opened.status(), options.files);
  for (const std::string& said : opened->said) {
    std::fprintf(stderr, "kill9-memcached: %s\n", said.c_str());
  }
  parts->segments = opened->segments;
  if (opened->bytes() != options.memory_bytes && options.verbosity > 0) {
    std::fprintf(stderr, "kill9-memcached: the cache has %zu bytes\n", opened->bytes());
  }
  options.memory_bytes = opened->bytes();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SharedState*> MapSharedState() {
  void* mapped =
      mmap(nullptr, sizeof(SharedState), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return absl::ResourceExhaustedError("no memory for the counters");
  auto* shared = static_cast<SharedState*>(mapped);  // zero is what it begins with
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  shared->started_ms = now.tv_sec * 1000 + now.tv_nsec / 1000000;
  return shared;
}

absl::Status OpenCache(ServerParts* parts) {
  Options& options = parts->options;
  if (parts->design == nullptr || !parts->design->traits().has_compare_and_swap ||
      !parts->design->traits().can_keep_terms || parts->design->role() != Design::Role::kDesign) {
    return absl::InvalidArgumentError(
        absl::StrCat("--design is '", options.design,
                     "'; it must be seqlock_ring, cas_slots, striped_locks or global_mutex"));
  }
  if (absl::Status opened = OpenSegment(parts); !opened.ok()) return opened;
  auto shared = MapSharedState();
  if (!shared.ok()) return shared.status();
  parts->shared = *shared;
  return absl::OkStatus();
}

}  // namespace kill9::memcached
