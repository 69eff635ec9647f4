// Keys: their texts, and which of them an operation takes.
#ifndef KILL9_HARNESS_STORE_DRIVER_KEYS_H_
#define KILL9_HARNESS_STORE_DRIVER_KEYS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "harness/base/random.h"

namespace kill9 {

enum class KeyDistribution : uint8_t {
  kUniform,
  kZipfian,  // of constant 0.99, scattered over the keys, as YCSB's (Cooper et al. 2010)
  kHotspot,  // 95 of 100 operations go to 1 key of 100 (at least one)
  kOneHot,   // 95 of 100 operations go to 1 key of 1000 (at least one)
  kLatest,   // zipfian, counted back from the key inserted last
};

std::string_view KeyDistributionName(KeyDistribution distribution);

// The keys of a run, by number. Made before the workers fork, shared by all.
class KeyTable {
 public:
  // `texts` are the workload's; `extra` more keys follow that no workload takes: the auditor fills
  // the store with them.
  explicit KeyTable(std::vector<std::string> texts, uint64_t extra = 0);
  KeyTable(const KeyTable&) = delete;
  KeyTable& operator=(const KeyTable&) = delete;
  std::string_view text(uint64_t key) const { return texts_[key]; }
  uint64_t size() const { return texts_.size(); }
  uint64_t workload_keys() const { return workload_keys_; }
  // The number of a key's text, or size() if it is none of the table's.
  uint64_t Find(std::string_view text) const;

 private:
  uint64_t workload_keys_;
  std::vector<std::string> texts_;
  absl::flat_hash_map<std::string_view, uint64_t> numbers_;  // of the texts
};

class KeyChooser {
 public:
  KeyChooser(KeyDistribution distribution, uint64_t count);
  // `latest`: how many keys were inserted so far (kLatest only).
  uint64_t Choose(Random& random, uint64_t latest) const;

 private:
  uint64_t ZipfianRank(Random& random) const;

  KeyDistribution distribution_;
  uint64_t count_;
  uint64_t hot_;
  // Gray et al. 1994, "Quickly generating billion-record synthetic databases".
  double theta_ = 0.99;
  double zeta_ = 0;
  double alpha_ = 0;
  double eta_ = 0;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_STORE_DRIVER_KEYS_H_
