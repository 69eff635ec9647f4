#include "harness/heap_driver/heap_client.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/history/heap_call.h"
#include "harness/torture/run_statistics.h"

namespace kill9 {
namespace {

// The heap as a whole is one subject, and so one key of the history.
constexpr uint64_t kTheHeap = 0;
constexpr int64_t kLongestWaitUs = 1000;
constexpr uint64_t kMostOverhead = 512;  // of a block, with what it is rounded up by
// Filling: first the large ones, then what is left. Of a large segment the first are larger.
constexpr uint64_t kFillSizes[] = {4000, 250};
constexpr uint64_t kMostFirstFills = 1024;

bool IsNoRoom(const absl::Status& status) { return absl::IsDeadlineExceeded(status); }

Deadline NextDeadline(const HeapWorkload& workload, bool may_wait_forever, Random& random) {
  if (may_wait_forever && random.Chance(workload.waits_forever)) return Deadline::Never();
  if (!random.Chance(workload.waits)) return Deadline::None();
  return Deadline::After(std::chrono::microseconds(random.Below(kLongestWaitUs)));
}

}  // namespace

uint64_t HeapClient::BlocksReserved() const {
  uint64_t blocks = 0;
  for (const HeapReserve& reserve : reserves_) blocks += reserve.blocks_left();
  return blocks;
}

uint64_t HeapClient::Me() const { return HeapOwner(process(), attachments()); }
uint64_t HeapClient::CallOf(uint64_t size_or_owner) const {
  return HeapCall(attachments(), size_or_owner);
}
ValueId HeapClient::NextId() { return MakeValueId(process(), ++sequence_); }

void HeapClient::BeSeated() {
  if (seated_attachment_ == attachments()) return;
  seated_attachment_ = attachments();
  held_.clear();
  filling_.clear();
  stale_.clear();
  boards_.seats[slot_].Sit({heap().id(), Me()});
  tells_owners_ = !absl::IsUnimplemented(heap().Owners(BlockHandle{}).status());
  // Acquire: pairs with the release in HandOver. Earlier letters were for another participant.
  news_ = boards_.news[slot_].load(std::memory_order_acquire);
  for (size_t from = 0; from < kSlots; ++from) {
    boards_.letters[from][slot_].Read(&letters_seen_[from]);
  }
}

bool HeapClient::Act(Random& random) {
  BeSeated();
  if (random.Chance(workload_.rests)) return false;
  if (workload_.last_room) {
    PassRoomOn(random);
    return true;
  }
  if (workload_.all_wait) {
    AwaitRoom(random);
    return true;
  }
  ReadLetters();
  uint64_t draw = random.Below(1000);
  const auto is_due = [&draw](uint16_t share) {
    const bool due = draw < share;
    draw -= share;  // beyond all shares where it is due
    return due;
  };
  if (is_due(workload_.hands_over)) {
    HandOver(random);
  } else if (is_due(workload_.verifies)) {
    if (held_.empty()) return true;
    const KnownBlock& block = held_[random.Below(held_.size())];
    Verify("a block held", block);
    if (random.Chance(workload_.asks_owners) && !AskOwners(block)) {
      Fail(Verdict::kViolation, "a block that this participant owns has other owners only");
    }
  } else if (is_due(workload_.looks)) {
    LookAround();
  } else if (is_due(workload_.misuses)) {
    Misuse(random);
  } else if (is_due(workload_.reserves) && traits_.has_reserve) {
    UseReserve(random);
  } else if (held_.size() >= workload_.most_held || (!held_.empty() && random.Chance(450))) {
    LetGoStep(random);
  } else {
    AllocateStep(random);
  }
  return true;
}

// ---- Allocating ---------------------------------------------------------------------------------

void HeapClient::AllocateStep(Random& random) {
  if (traits_.has_allocate_at && !stale_.empty() && random.Chance(workload_.at_a_place)) {
    return AllocateAt(stale_[random.Below(stale_.size())]);
  }
  const uint64_t bytes = workload_.NextSize(random, edges_);
  const Lifetime lifetime = random.Chance(200) ? Lifetime::kLong : Lifetime::kShort;
  // Two that hold something would wait for each other's, for ever.
  const bool may_wait_forever = slot_ >= kNeverWaitForever && held_.empty() && reserves_.empty();
  const Deadline deadline = NextDeadline(workload_, may_wait_forever, random);
  if (deadline.waits() && Allocate(bytes, Deadline::None(), lifetime)) return;
  if (Allocate(bytes, deadline, lifetime) && deadline.waits()) Count(boards_.served_after_waiting);
}

bool HeapClient::Allocate(uint64_t bytes, Deadline deadline, Lifetime lifetime) {
  const ValueId id = NextId();
  Begin(Function::kAllocate, kTheHeap, id, CallOf(bytes));
  const absl::StatusOr<BlockHandle> block = heap().Allocate(bytes, deadline, lifetime);
  if (deadline.forever() && IsNoRoom(block.status())) {
    FailStatus("a wait without a deadline", block.status());
  }
  if (deadline.waits() && IsNoRoom(block.status()) &&
      context().design.role() == Design::Role::kDesign &&
      static_cast<int64_t>(MonotonicNs()) < deadline.monotonic_ns()) {
    FailStatus("a wait that ended before its deadline", block.status());
  }
  return EndAllocation("Allocate", id, bytes, block, &held_);
}

void HeapClient::AllocateAt(const KnownBlock& place) {
  const ValueId id = NextId();
  Begin(Function::kAllocate, kTheHeap, id, CallOf(place.bytes));
  const absl::StatusOr<BlockHandle> block = heap().AllocateAt(place.handle.offset, place.bytes);
  if (absl::IsAlreadyExists(block.status()) || absl::IsInvalidArgument(block.status())) {
    return End(Outcome::kRefused);
  }
  if (block.ok() && block->offset != place.handle.offset) {
    FailStatus("AllocateAt gave another place", block.status());
  }
  if (EndAllocation("AllocateAt", id, place.bytes, block, &held_)) Count(boards_.at_a_place);
}

bool HeapClient::EndAllocation(const char* operation, ValueId id, uint64_t bytes,
                               const absl::StatusOr<BlockHandle>& block,
                               std::vector<KnownBlock>* into) {
  if (IsNoRoom(block.status())) {
    End(Outcome::kRefused);
    NoteRefused();
    return false;
  }
  if (!block.ok()) FailStatus(operation, block.status());
  End(Outcome::kOk, block->offset);
  const absl::StatusOr<std::span<char>> data = heap().Data(*block);
  if (!data.ok()) FailStatus("Data of a new block", data.status());
  const size_t alignment = bytes < Heap::kAlignment ? 8 : Heap::kAlignment;
  if (data->size() != bytes || block->offset % alignment != 0) {
    Fail(Verdict::kViolation, absl::StrCat("a block of ", bytes, " bytes has ", data->size(),
                                           " at offset ", block->offset));
  }
  NoteNew(*block);
  FillValue(id, id, *data);
  into->push_back({*block, id, bytes});
  NoteHolds();
  return true;
}

void HeapClient::MakeReserve(Random& random) {
  const uint64_t bytes = workload_.NextSize(random, edges_);
  // Not more than an empty heap has: half of its room is enough for them.
  const uint64_t room_for = heap().max_block_bytes() / (2 * (bytes + kMostOverhead));
  const uint64_t most = std::clamp<uint64_t>(room_for, 1, workload_.most_reserved);
  const uint64_t blocks = 1 + random.Below(most);
  BeginUnrecorded(Function::kAllocate, kTheHeap);
  absl::StatusOr<HeapReserve> reserve =
      heap().Reserve(blocks, bytes, NextDeadline(workload_, /*may_wait_forever=*/false, random));
  EndUnrecorded();
  if (absl::IsResourceExhausted(reserve.status()) && reserves_.size() < kFewReserves) {
    Fail(Verdict::kLeak,
         absl::StrCat("Reserve was refused, though of all reserves that this participant has had ",
                      "it has given back all but ", reserves_.size(), ": ",
                      reserve.status().ToString()));
  }
  if (IsNoRoom(reserve.status())) return NoteRefused();
  if (!reserve.ok()) FailStatus("Reserve", reserve.status());
  reserves_.push_back(*std::move(reserve));
}

// Of several, some are used up or released while others are full.
void HeapClient::UseReserve(Random& random) {
  constexpr size_t kMostReserves = 3;
  if (reserves_.empty() || (reserves_.size() < kMostReserves && random.Chance(150))) {
    MakeReserve(random);
    return NoteHolds();
  }
  const size_t index = random.Below(reserves_.size());
  HeapReserve& reserve = reserves_[index];
  bool is_over = false;
  if (random.Chance(150)) {
    BeginUnrecorded(Function::kFree, kTheHeap);
    const absl::Status status = heap().Release(std::move(reserve));
    EndUnrecorded();
    if (!status.ok()) FailStatus("Release", status);
    is_over = true;
  } else if (held_.size() < workload_.most_held) {
    const uint64_t bytes = random.Below(reserve.block_bytes() + 1);
    const ValueId id = NextId();
    Begin(Function::kAllocate, kTheHeap, id, CallOf(bytes));
    const absl::StatusOr<BlockHandle> block = heap().Allocate(reserve, bytes);
    if (IsNoRoom(block.status())) FailStatus("Allocate from a reserve", block.status());
    EndAllocation("Allocate from a reserve", id, bytes, block, &held_);
    Count(boards_.from_reserves);
    is_over = reserve.blocks_left() == 0;
  }
  if (is_over) reserves_.erase(reserves_.begin() + static_cast<ptrdiff_t>(index));
  NoteHolds();
}

// Each time that room is given up somebody must be woken, for nobody else comes who would.
void HeapClient::PassRoomOn(Random& random) {
  // Two of them have no room.
  const uint64_t bytes = heap().max_block_bytes() / 3 * 2;
  if (!traits_.has_reserve || random.Chance(500)) {
    if (!Allocate(bytes, Deadline::None(), Lifetime::kShort) &&
        Allocate(bytes, Deadline::Never(), Lifetime::kShort)) {
      Count(boards_.served_after_waiting);
    }
    if (!held_.empty()) Free(held_.size() - 1);
    return;
  }
  BeginUnrecorded(Function::kAllocate, kTheHeap);
  absl::StatusOr<HeapReserve> reserve = heap().Reserve(1, bytes, Deadline::Never());
  EndUnrecorded();
  if (!reserve.ok()) FailStatus("Reserve without a deadline", reserve.status());
  BeginUnrecorded(Function::kFree, kTheHeap);
  const absl::Status released = heap().Release(*std::move(reserve));
  EndUnrecorded();
  if (!released.ok()) FailStatus("Release", released);
}

// A handle is of one allocation, for ever.
void HeapClient::NoteNew(BlockHandle block) {
  if (named_.size() >= kMostNamed) named_.clear();
  if (named_.insert({block.offset, block.generation}).second) return;
  Fail(Verdict::kViolation,
       absl::StrCat("a new block at offset ", block.offset, " has the handle of an earlier one"));
}

// ---- Letting go ---------------------------------------------------------------------------------

void HeapClient::RememberStale(const KnownBlock& block) {
  if (stale_.size() < kMostStale) return stale_.push_back(block);
  stale_[block.id % kMostStale] = block;
}

void HeapClient::LetGoStep(Random& random) { Free(random.Below(held_.size())); }

void HeapClient::Free(size_t index) {
  std::swap(held_[index], held_.back());
  const KnownBlock block = held_.back();
  held_.pop_back();
  Verify("a block about to be freed", block);
  Begin(Function::kFree, kTheHeap, block.id, CallOf(0));
  const absl::Status status = heap().Free(block.handle);
  if (!status.ok()) FailStatus("Free", status);
  End(Outcome::kOk, 1);
  RememberStale(block);
  NoteHolds();
}

void HeapClient::ReleaseAll() {
  BeSeated();
  ReadLetters();
  LookAround();
  while (!held_.empty()) Free(held_.size() - 1);
  reserves_.clear();
  NoteHolds();
}

// What others wait for without a deadline.
void HeapClient::LetOthersGo() {
  if (workload_.waits_forever != 0) ReleaseAll();
}

// ---- The whole ----------------------------------------------------------------------------------

bool HeapClient::Fill() {
  const uint64_t segment_bytes = context().segment_options.size_bytes;
  bool full = false;
  for (const uint64_t usual :
       {std::max(kFillSizes[0], segment_bytes / kMostFirstFills), kFillSizes[0], kFillSizes[1]}) {
    const uint64_t bytes = std::min<uint64_t>(usual, heap().max_block_bytes());
    const uint64_t most = segment_bytes / bytes + 1;
    full = false;
    for (uint64_t i = 0; i < most && !full; ++i) full = !AllocateToFill(bytes);
  }
  if (full && traits_.has_reserve) TryRefusedReserve();
  return full;
}

bool HeapClient::AllocateToFill(uint64_t bytes) {
  const ValueId id = NextId();
  Begin(Function::kAllocate, kTheHeap, id, CallOf(bytes));
  return EndAllocation("Allocate", id, bytes, heap().Allocate(bytes, Deadline::None()), &filling_);
}

// What is refused leaves the room that there was, in a heap that is full but for some blocks.
void HeapClient::TryRefusedReserve() {
  constexpr size_t kFreed = 3, kTooMany = 3;
  if (context().design.role() != Design::Role::kDesign) return;
  if (filling_.size() < kFreed || reserves_.size() >= kFewReserves) return;
  const uint64_t bytes = filling_.back().bytes;
  for (size_t i = 0; i < kFreed; ++i) {
    held_.push_back(filling_.back());
    filling_.pop_back();
    Free(held_.size() - 1);
  }
  BeginUnrecorded(Function::kAllocate, kTheHeap);
  absl::StatusOr<HeapReserve> reserve = heap().Reserve(kFreed + kTooMany, bytes, Deadline::None());
  const absl::Status status = reserve.ok() ? heap().Release(*std::move(reserve)) : reserve.status();
  EndUnrecorded();
  if (!status.ok() && !IsNoRoom(status) && !absl::IsInvalidArgument(status)) {
    FailStatus("Reserve of a full heap", status);
  }
  for (size_t i = 0; i < kFreed; ++i) {
    if (AllocateToFill(bytes)) continue;
    Fail(Verdict::kViolation,
         absl::StrCat("a reserve was refused, and of ", kFreed, " blocks of ", bytes,
                      " bytes that there had been room for ", i, " are served"));
  }
}

void HeapClient::RemoveFilling() {
  held_.insert(held_.end(), filling_.begin(), filling_.end());
  const size_t filled = filling_.size();
  filling_.clear();
  for (size_t i = 0; i < filled; ++i) Free(held_.size() - 1);
  TryEmptyHeap();
}

}  // namespace kill9
