// One store over several segments, each in a file: as a rule, on a device of its own. A key belongs
// to one of them. What happens to a file costs its share of the entries; the others stay warm.
//
// C1  Which segment has a key depends on the key and on how many segments there are. One more,
//     behind the others, takes its share from all of them; no key moves between the others.
// C2  What was replaced never comes back. Each file notes which of how many it is, and a
//     generation, which rises whenever not all are there as they were. A file that is another one
//     than it says, or of an earlier generation, was away while its keys were set elsewhere: it is
//     cleared before anybody reads it.
// C3  What is one step in a store is one step here, if it is about one key. Clear is a step in
//     each of them.
#ifndef KILL9_APPS_CLUSTER_CLUSTER_H_
#define KILL9_APPS_CLUSTER_CLUSTER_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/registry.h"
#include "variants/store.h"

namespace kill9::server {

inline constexpr size_t kMostFiles = 64;

struct ClusterSegments {
  std::vector<std::shared_ptr<Segment>> segments;
  std::vector<std::string> said;  // what was wrong with a file, and what became of it
  uint64_t bytes() const;         // in all
  uint64_t least_bytes() const;   // of one
};

// Opens the files, or makes them; none: one segment in memory. `options` is of all together.
//
// A single file that cannot be used is an error. Of several, a damaged one is moved to FILE.damaged
// and made anew; where none can be made, or somebody else's file is in its place, its share is in
// memory, and ends with the program. Whatever the options forbid (another design) is an error;
// kOutOfRange: too many files, or one given twice.
// ON CRASH: the next call does what is left.
absl::StatusOr<ClusterSegments> OpenCluster(const Variant& design,
                                            const std::vector<std::string>& files,
                                            const SegmentOptions& options);

// A participant of each segment. Used by one thread at a time.
class Cluster {
 public:
  static absl::StatusOr<std::unique_ptr<Cluster>> Attach(
      const Variant& design, const std::vector<std::shared_ptr<Segment>>& segments);

  Store& Of(std::string_view key) { return *stores_[ShareOf(key)]; }
  size_t ShareOf(std::string_view key) const;
  std::span<const std::unique_ptr<Store>> stores() const { return stores_; }
  std::span<const std::shared_ptr<Segment>> segments() const { return segments_; }

  // As Store's, of all.
  absl::Status GetMany(std::span<const std::string_view> keys,
                       absl::FunctionRef<void(size_t index, const EntryView*)> visit);
  absl::Status Clear();
  absl::Status ClearAt(Expiry when);
  absl::StatusOr<uint64_t> DropExpired();
  absl::Status ForEach(absl::FunctionRef<bool(const EntryView&)> visit);
  absl::Status Recover();
  StoreCounters Counted();
  // What each of them can do.
  size_t max_key_bytes() const;
  size_t max_value_bytes() const;
  bool keeps_terms() const;

 private:
  Cluster() = default;

  std::vector<std::unique_ptr<Store>> stores_;
  std::vector<std::shared_ptr<Segment>> segments_;
};

}  // namespace kill9::server

#endif  // KILL9_APPS_CLUSTER_CLUSTER_H_
