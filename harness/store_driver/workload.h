// Workloads: what a worker does next, all of it from the seed.
#ifndef KILL9_HARNESS_STORE_DRIVER_WORKLOAD_H_
#define KILL9_HARNESS_STORE_DRIVER_WORKLOAD_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "harness/base/random.h"
#include "harness/store_driver/keys.h"
#include "variants/store.h"

namespace kill9 {

enum class Action : uint8_t {
  kGet,
  kPut,
  kErase,
  kCompareAndSwap,   // Get, then CompareAndSwap with the version read (or a stale one)
  kPin,              // held over the next few actions, and validated again before its release
  kDraft,            // Reserve, fill, Commit or drop, at once or some actions later
  kReadModifyWrite,  // Get, then Put
  kInsert,           // Put under the next key in turn
  kForEach,
  kIdle,  // sleeps a moment: the idle are killed too
  // Of segments that keep terms.
  kPutUntil,  // Put with a deadline
  kReplace,   // Modify: in one step, if the key is there
  kGetMany,
  kLease,  // GetOrLease, asleep while another computes; then PutLeased
  kClear,
};
inline constexpr size_t kActions = 15;

// How often each action is chosen, in thousandths.
struct Mix {
  std::array<uint16_t, kActions> per_mille{};
  constexpr Mix& With(Action action, uint16_t share) {
    per_mille[static_cast<size_t>(action)] = share;
    return *this;
  }
};

struct ValueSizes {
  // Sizes are drawn from [smallest, largest]: uniform if `spread` is false; else each power of two
  // is equally likely, so that tiny and large ones both come often.
  uint32_t smallest = 64;
  uint32_t largest = 64;
  bool spread = false;
  // Sizes at the edges of the design's ways, and at those that users have, as far as they lie
  // between the two; `spread` then says nothing.
  bool at_edges = false;

  friend bool operator==(const ValueSizes&, const ValueSizes&) = default;
};

struct Workload {
  std::string_view name;
  Mix mix;
  KeyDistribution distribution = KeyDistribution::kUniform;
  uint64_t keys = 512;
  ValueSizes sizes = {};
};

// YCSB's A, B, C, D and F, and the mix of everything that torture runs by default.
std::span<const Workload> AllWorkloads();
const Workload* FindWorkload(std::string_view name);  // null if there is none

// The mixes of the scenarios that are about terms.
extern const Mix kExpiryMix;
extern const Mix kLeaseMix;

// What a store without an operation does instead.
Mix AdaptMix(const Mix& mix, const Traits& traits);

// Keys that no worker erases: once written they are there, so one that is gone was lost.
constexpr bool IsPermanent(uint64_t key) { return key % 2 == 0; }

class WorkloadGenerator {
 public:
  WorkloadGenerator(const Workload& workload, const Mix& mix, const SizeEdges& edges = {});
  Action NextAction(Random& random) const;
  uint64_t NextKey(Random& random, uint64_t latest) const {
    return chooser_.Choose(random, latest);
  }
  // An erasable key (IsPermanent), or `keys` if the workload has none.
  uint64_t ErasableKey(uint64_t key) const;
  // Of a value for a key of so many bytes.
  uint32_t NextSize(Random& random, size_t key_bytes) const;
  uint64_t keys() const { return keys_; }

 private:
  uint32_t EdgeSize(Random& random, size_t key_bytes, uint32_t largest) const;

  KeyChooser chooser_;
  uint64_t keys_;
  ValueSizes sizes_;
  SizeEdges edges_;
  std::array<Action, 1000> actions_{};
};

}  // namespace kill9

#endif  // KILL9_HARNESS_STORE_DRIVER_WORKLOAD_H_
