// The part of a heap's client for a heap in which nobody dies, and all but one wait for room
// without end (harness/torture/worker/last_to_wait.h).
#include "harness/heap_driver/heap_client.h"
#include "harness/torture/run_statistics.h"

namespace kill9 {

namespace {

constexpr uint64_t kHeapOfRoom = 0;

}  // namespace

// Who has room gives up all of it, so there is enough for each of the others.
void HeapClient::AwaitRoom(Random& random) {
  if (!last_to_wait_.BeginForRoom(random)) return;
  const uint64_t bytes = LastToWait::RoomToWaitFor(heap().max_block_bytes(), random);
  const bool reserves = traits_.has_reserve && random.Chance(500);
  const bool got = reserves ? AwaitReserve(bytes, random)
                            : Allocate(bytes, LastToWait::Far(random),
                                       random.Chance(200) ? Lifetime::kLong : Lifetime::kShort);
  last_to_wait_.End();
  if (!got) return;
  const LastToWait::Others others = last_to_wait_.AwaitAllOthers(random);
  for (HeapReserve& reserve : reserves_) {
    BeginUnrecorded(Function::kFree, kHeapOfRoom);
    const absl::Status released = heap().Release(std::move(reserve));
    EndUnrecorded();
    if (!released.ok()) FailStatus("Release", released);
  }
  reserves_.clear();
  while (!held_.empty()) Free(held_.size() - 1);
  if (!others.any) return;
  last_to_wait_.AwaitWoken(others, LastToWait::Woken::kOne);
  Count(boards_.served_after_waiting);
}

// Of several blocks now and then, some of which are used.
bool HeapClient::AwaitReserve(uint64_t bytes, Random& random) {
  const uint64_t blocks = random.Chance(500) ? 1 : 2 + random.Below(3);
  BeginUnrecorded(Function::kAllocate, kHeapOfRoom);
  absl::StatusOr<HeapReserve> reserve =
      heap().Reserve(blocks, bytes / (blocks * 2 - 1), LastToWait::Far(random));
  EndUnrecorded();
  if (!reserve.ok()) FailStatus("Reserve, far from its deadline", reserve.status());
  reserves_.push_back(*std::move(reserve));
  NoteHolds();
  return true;
}

}  // namespace kill9
