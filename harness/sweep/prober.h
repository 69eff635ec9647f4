// The prober: a survivor that tries every kind of operation while a victim stands still, in a
// process of its own, so that whoever waits for it can see which one is blocked.
#ifndef KILL9_HARNESS_SWEEP_PROBER_H_
#define KILL9_HARNESS_SWEEP_PROBER_H_

#include <memory>
#include <string>

#include "harness/sweep/cell.h"

namespace kill9::sweep {

// The probes in their order: each kind, at each place.
inline constexpr uint32_t kProbesInAll = kProbeCount * kPlaceCount;
constexpr Probe ProbeOf(uint32_t index) { return static_cast<Probe>(index / kPlaceCount); }
constexpr uint32_t PlaceOf(uint32_t index) { return index % kPlaceCount; }
const char* PlaceName(uint32_t place);  // "same_key"

// Whether the probe says anything about the store: it has the operation, and may be attached twice
// in one process.
bool IsTried(const Traits& traits, Probe probe);

// Goes through the whole store: beside such a victim there is no elsewhere.
bool TakesNoKey(OperationKind operation);

// Whether the design declares that this probe, at this place, is never blocked by a victim that is
// stopped in the scene's operation.
bool DeclaredUnblocked(const Scene& scene, OperationKind victims, Probe probe, uint32_t place);

class Prober {
 public:
  Prober(const Scene& scene, OperationKind victims);
  // False: cannot.
  bool Attach();
  void Run(uint32_t probe);
  // What the keys hold now, by this survivor's own reads.
  void ReadBack(Entry* entries);

 private:
  const Scene& scene_;
  std::string keys_[kPlaceCount];
  std::string value_, read_;
  std::unique_ptr<Store> store_;
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_PROBER_H_
