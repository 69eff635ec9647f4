// The operations of a store, its starting states and its probes, as the sweep names them.
#ifndef KILL9_HARNESS_STORE_DRIVER_SWEEP_STORE_OPERATIONS_H_
#define KILL9_HARNESS_STORE_DRIVER_SWEEP_STORE_OPERATIONS_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "harness/sweep/driver/driver.h"
#include "variants/store.h"

namespace kill9::sweep {

enum class StoreOperation : uint8_t {
  kPutInsert,
  kPutSame,
  kPutLarger,
  kPutSmaller,
  kPutLongestKey,  // of a key of max_key_bytes(), as the following two
  kGetLongestKey,
  kEraseLongestKey,
  kGet,
  kGetAgain,  // of a key that it has just read: what it remembers, it must not believe
  kGetLarge,
  kGetAging,  // of a cache that moves what is read: it is near to where the next are written
  kErase,
  kEraseLarge,
  kCompareAndSwapHit,
  kCompareAndSwapMiss,
  kPin,
  kRelease,
  kReserve,
  kReserveLarge,  // beyond what designs store in their usual way: spans, chains of chunks
  kCommit,
  kCommitLarge,
  kDrop,
  kForEach,
  // In a segment that keeps terms.
  kPutTerms,    // Put with a deadline and a mark
  kGetExpired,  // of an entry whose deadline is over: it is removed
  kModify,
  kGetMany,
  kGetOrLease,  // of an absent key: the lease
  kPutLeased,
  kDropLease,
  kClear,
  kAttach,  // this one and the following are the sweep's own
  kDetach,
  kRecover,
  kCreate,
};
std::span<const std::string_view> StoreOperationNames();  // "put_insert"

enum class StoreState : uint8_t {
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
  kEmptied,               // no room is left but what entries of other sizes had
  kAllParticipantsDead,   // whoever attaches must recover first
  kAllParticipantsAlive,  // whoever attaches is refused
};
std::span<const std::string_view> StoreStateNames();  // "one_entry"

enum StoreProbe : uint32_t {
  kProbeGet,
  kProbePut,
  kProbeErase,
  kProbeCas,
  kProbePin,
  kProbeDraft,
  kProbeForEach,
  kProbeRecover,
  kProbeAttach,
};
std::span<const ProbeName> StoreProbeNames();

// How long the values of the sweep are: as store_scene.h says, and, of a design whose values are
// shorter, in the same order within what it takes.
struct ValueSizes {
  uint32_t value, larger, smaller;
};
ValueSizes SizesOf(const Traits& traits);
// How long a value is that the operation puts, if it puts one.
uint32_t BytesWritten(const ValueSizes& sizes, StoreOperation operation);

// Whether the operation says something in this state that it does not say in another, and the
// design has it.
bool Applies(const Traits& traits, StoreOperation operation, StoreState state);
// The key that it takes has a large value, or gets one.
bool IsOfLargeValues(StoreOperation operation);
// It is about terms: the scene's segment keeps them.
bool IsOfTerms(StoreOperation operation);
// It takes a key that is absent.
bool IsOfAbsentKey(StoreOperation operation);
// The key that it takes is as long as keys may be.
bool IsOfTheLongestKey(StoreOperation operation);
// Goes through the whole store: beside such a victim there is no elsewhere.
bool TakesNoKey(StoreOperation operation);

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_STORE_DRIVER_SWEEP_STORE_OPERATIONS_H_
