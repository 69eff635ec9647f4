// What a look at the copy of a heap shows: who owns which block, and the account.
#ifndef KILL9_HARNESS_INSPECT_HEAP_CONTENTS_H_
#define KILL9_HARNESS_INSPECT_HEAP_CONTENTS_H_

#include <cstdint>
#include <map>
#include <vector>

#include "absl/status/statusor.h"
#include "harness/inspect/segment_copy.h"
#include "harness/result/result.h"
#include "variants/heap.h"
#include "variants/segment.h"

namespace kill9::inspect {

struct OwnedBlock {
  uint64_t bytes = 0;
  bool reserved = false;
  std::vector<ParticipantId> owners;
};

struct SeenHeap {
  HeapAccount account;
  HeapOccupancy occupancy;
  std::map<uint64_t, OwnedBlock> blocks;  // by offset
};

absl::StatusOr<SeenHeap> See(Heap& heap);

// Two looks at a full table make one. In `seen` the participant `untold` was recovered, to make
// room for who looks; in `other` another one was; `without` is the account of that look after
// `untold` was recovered there, too. Blocks and holdings are exact then. False: these two are all
// owners of some block, and so the account of the room stays that of `seen`.
bool Complete(const SeenHeap& other, const HeapAccount& without, ParticipantId untold,
              SeenHeap& seen);

// The field "heap".
Json AsJson(const SeenHeap& seen, const Segment& segment, const std::vector<Attached>& attached);

}  // namespace kill9::inspect

#endif  // KILL9_HARNESS_INSPECT_HEAP_CONTENTS_H_
