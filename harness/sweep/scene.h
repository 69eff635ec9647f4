// The scenes of the sweep: starting states of a segment, and the operations that a victim runs in
// them.
//
// Nothing here knows a design: a scene is made through store.h alone. What depends on a design's
// inside (which keys collide, how many entries fill it) is found by asking: Segment::Hash,
// kResourceExhausted.
#ifndef KILL9_HARNESS_SWEEP_SCENE_H_
#define KILL9_HARNESS_SWEEP_SCENE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/registry.h"
#include "variants/segment.h"
#include "variants/store.h"

namespace kill9::sweep {

enum class OperationKind : uint8_t {
  kPutInsert,
  kPutSame,
  kPutLarger,
  kPutSmaller,
  kGet,
  kGetAgain,  // of a key that this participant has just read: what it remembers, it must not believe
  kErase,
  kCompareAndSwapHit,
  kCompareAndSwapMiss,
  kPin,
  kRelease,
  kReserve,
  kCommit,
  kDrop,
  kForEach,
  kAttach,
  kDetach,
  kRecover,
  kCreate,
};
inline constexpr int kOperationCount = 19;

enum class StateKind : uint8_t {
  kEmpty,
  kOneEntry,
  kCollisionPair,
  kCollisionChain,
  kFullTable,
  kFullSegment,
  kPinnedByLive,
  kPinnedByDead,
  kHalfDonePut,
  kHalfDoneErase,
  kSplit,
  kMerge,
  kFirstBlock,
  kLastBlock,
  kAllParticipantsDead,  // whoever attaches must recover first
};
inline constexpr int kStateCount = 15;

std::string_view Name(OperationKind operation);  // "put_insert"
std::string_view Name(StateKind state);          // "one_entry"
std::optional<OperationKind> FindOperation(std::string_view name);
std::optional<StateKind> FindState(std::string_view name);
// Whether the operation says something in this state that it does not say in another, and the
// design has it.
bool Applies(const Traits& traits, OperationKind operation, StateKind state);

// What a key holds. Values are made from an id and a size, so that one byte wrong is seen.
struct Entry {
  bool present = false;
  uint32_t id = 0;
  uint32_t size = 0;
  Version version = kAbsent;  // kAbsent in a present entry: not known
};
void FillValue(std::span<char> bytes, uint32_t id);
bool IsValue(std::string_view bytes, uint32_t id, uint32_t size);
// Reads back what FillValue wrote: false if these bytes are no value at all.
bool ReadValue(std::string_view bytes, uint32_t* id);

struct Scene {
  const Variant* variant = nullptr;
  StateKind state = StateKind::kEmpty;
  SegmentOptions options;
  std::shared_ptr<Segment> segment;  // mapped here, and inherited by all forked children
  std::vector<std::string> keys;     // all keys that the scene and its judges use
  std::vector<Entry> entries;        // what each key holds at the start
  std::unordered_map<std::string_view, uint32_t> numbers;  // of the keys, which stay where they are
  uint32_t target = 0;     // the key that operations on a present key take (absent in kEmpty only)
  uint32_t insert = 1;     // absent; shares the target's hash bits at both ends
  uint32_t elsewhere = 2;  // shares none of them
  uint32_t same_stripe = 3;  // absent; shares the low and high bits with the target
  bool full = false;         // filled until there was no room
  // Of the segment that kCreate makes. Where workers have no /dev/shm of their own, no two share it.
  std::string created_name;
  uint32_t value_bytes = 0;
  uint32_t fill_bytes = 0;  // values of this size exhaust a segment in some dozens
  uint32_t hold_live = 0,
           hold_dead = 0;  // participants that pin the target: they live, or are killed
  // Every participant's slot is taken by a dead one: no survivor can be attached before the victim.
  bool all_participants_dead = false;

  uint32_t Subject(OperationKind operation) const {
    return operation == OperationKind::kPutInsert ? insert : target;
  }
};

// What the keys hold, by a survivor's own reads. A value that nobody wrote has an id of its bytes.
void ReadKeys(const Scene& scene, Store& store, Entry* entries);

// Creates the segment and fills it, in this process and through a participant that detaches again.
// The entries are not read back: the caller does so, once all is as it shall be.
absl::StatusOr<std::unique_ptr<Scene>> MakeScene(const Variant& variant, StateKind state);

// The ids of values that are not of the scene itself.
inline constexpr uint32_t kVictimId = 100'000;
inline constexpr uint32_t kSecondVictimId = 200'000;
inline constexpr uint32_t kJudgeId = 300'000;

// What the victim's operation makes of its subject if it takes effect; nothing if it has no effect
// on keys.
std::optional<Entry> EffectOf(const Scene& scene, OperationKind operation, uint32_t id);

struct VictimReport;

// One operation of one victim. Prepare does all that comes before it (attaching, pinning,
// reserving), so that Run is the operation and nothing else.
class VictimOperation {
 public:
  // `report`: where Run notes what for_each visits; null: nowhere.
  VictimOperation(const Scene& scene, OperationKind operation, uint32_t id,
                  VictimReport* report = nullptr);
  absl::Status Prepare();
  absl::Status Run();
  // What the operation answered, as far as it concerns the subject; what a pin shows now.
  void Report(const absl::Status& status);

 private:
  void NoteVisit(const EntryView& view);

  const Scene& scene_;
  OperationKind operation_;
  std::string value_;
  std::string read_;
  std::unique_ptr<Store> store_;
  PinnedValue pin_;
  Draft draft_;
  uint32_t id_;
  Version version_ = kAbsent;   // expected by a compare-and-swap
  Version answered_ = kAbsent;  // by the operation
  bool yes_ = false;            // erased, swapped
  VictimReport* report_;
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_SCENE_H_
