// The part of a heap's client that is about blocks with several owners, and about the whole heap.
#include <algorithm>
#include <bit>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "harness/heap_driver/heap_client.h"
#include "harness/history/heap_call.h"
#include "harness/torture/run_statistics.h"

namespace kill9 {
namespace {

constexpr uint64_t kHeapOfBlocks = 0;
constexpr uint64_t kMostTried = 64u << 10;

// That a call by somebody who owns no such block is refused.
bool IsNotOwner(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsPermissionDenied(status);
}

bool IsAmong(const std::vector<KnownBlock>& blocks, BlockHandle handle) {
  return std::any_of(blocks.begin(), blocks.end(),
                     [handle](const KnownBlock& one) { return one.handle == handle; });
}

}  // namespace

bool HeapClient::Owns(const KnownBlock& block) const {
  return IsAmong(held_, block.handle) || IsAmong(filling_, block.handle);
}

void HeapClient::Verify(const char* when, const KnownBlock& block) {
  const absl::StatusOr<std::span<char>> data = heap().Data(block.handle);
  if (!data.ok()) FailStatus(when, data.status());
  const ValueCheck check = CheckValue(block.id, {data->data(), data->size()});
  const bool named = block.bytes < kSmallestNamedValue || check.id == block.id;
  if (data->size() == block.bytes && check.defect == ValueDefect::kNone && named) return;
  Fail(Verdict::kViolation, absl::StrCat(when, " has not its own content: block ", block.id, " of ",
                                         block.bytes, " bytes at offset ", block.handle.offset,
                                         " holds ", data->size(), " bytes that name ", check.id));
}

// An owner without a seat has died, if it is an owner still when the seats have been read; else it
// has let go of the block meanwhile, and its answer would be of two moments.
bool HeapClient::AskOwners(const KnownBlock& block) {
  if (!tells_owners_) return true;
  Begin(Function::kOwners, kHeapOfBlocks, block.id, CallOf(0));
  const auto ask = [&] {
    absl::StatusOr<std::vector<ParticipantId>> owners = heap().Owners(block.handle);
    if (!owners.ok() && !absl::IsNotFound(owners.status())) FailStatus("Owners", owners.status());
    return owners.ok() ? *std::move(owners) : std::vector<ParticipantId>();
  };
  uint64_t bits = 0;
  for (std::vector<ParticipantId> owners = ask();;) {
    bits = 0;
    size_t seated_owners = 0;
    for (const HeapSeat& seat : boards_.seats) {
      const std::optional<Seated> seated = seat.Look();
      if (!seated.has_value() ||
          std::find(owners.begin(), owners.end(), seated->participant) == owners.end()) {
        continue;
      }
      ++seated_owners;
      bits |= OwnerBit(seated->owner);
    }
    if (seated_owners == owners.size()) break;
    std::vector<ParticipantId> again = ask();
    if (again == owners) break;
    owners = std::move(again);
  }
  End(Outcome::kOk, bits);
  return (bits & OwnerBit(Me())) != 0;
}

void HeapClient::HandOver(Random& random) {
  if (held_.empty() || !tells_owners_) return;
  const size_t index = random.Below(held_.size());
  const KnownBlock block = held_[index];
  if (block.bytes < kSmallestNamedValue) return;  // whom it is handed to could not name it
  std::vector<size_t> slots;
  for (size_t slot = 0; slot < kSlots; ++slot) {
    if (slot != slot_ && boards_.seats[slot].Look().has_value()) slots.push_back(slot);
  }
  if (slots.empty()) return;
  const size_t slot = slots[random.Below(slots.size())];
  const std::optional<Seated> other = boards_.seats[slot].Look();
  if (!other.has_value()) return;
  const bool shares = !workload_.transfers || (workload_.shares && random.Chance(500));
  Begin(shares ? Function::kShare : Function::kTransfer, kHeapOfBlocks, block.id,
        CallOf(other->owner));
  const absl::Status status = shares ? heap().Share(block.handle, other->participant)
                                     : heap().Transfer(block.handle, other->participant);
  if (absl::IsUnavailable(status) || absl::IsAlreadyExists(status)) return End(Outcome::kRefused);
  if (!status.ok()) FailStatus(shares ? "Share" : "Transfer", status);
  End(Outcome::kOk, 1);
  Count(shares ? boards_.shares : boards_.transfers);
  if (!shares) {
    held_.erase(held_.begin() + static_cast<ptrdiff_t>(index));
    RememberStale(block);
    NoteHolds();
  }
  boards_.letters[slot_][slot].Write(block);
  // Release: pairs with the acquires in ReadLetters and BeSeated.
  boards_.news[slot].fetch_add(1, std::memory_order_release);
}

void HeapClient::ReadLetters() {
  // Acquire: pairs with the release in HandOver.
  const uint64_t news = boards_.news[slot_].load(std::memory_order_acquire);
  if (news == news_) return;
  news_ = news;
  for (size_t from = 0; from < kSlots; ++from) {
    const std::optional<KnownBlock> block = boards_.letters[from][slot_].Read(&letters_seen_[from]);
    // It may have been for the participant before this one, or be let go of already.
    if (!block.has_value() || Owns(*block) || !AskOwners(*block)) continue;
    TakeOver(*block);
    Count(boards_.taken_over);
  }
}

void HeapClient::TakeOver(const KnownBlock& block) {
  Verify("a block that was handed over", block);
  held_.push_back(block);
  NoteHolds();
}

void HeapClient::LookAround() {
  if (!tells_owners_) return;
  std::vector<KnownBlock> unknown;
  absl::flat_hash_map<uint64_t, uint32_t> shown;  // by offset: how often
  const ParticipantId me = heap().id();
  uint64_t reserved = 0, of_another_size = 0;
  BeginUnrecorded(Function::kForEach, kHeapOfBlocks);
  const absl::Status status = heap().ForEach([&](const HeapBlock& block) {
    if (std::find(block.owners.begin(), block.owners.end(), me) == block.owners.end()) return true;
    if (block.reserved) {
      ++reserved;
      const bool is_of_one = std::any_of(
          reserves_.begin(), reserves_.end(),
          [&block](const HeapReserve& one) { return one.block_bytes() == block.bytes; });
      of_another_size += is_of_one ? 0 : 1;
      return true;
    }
    ++shown[block.handle.offset];
    const KnownBlock known{block.handle, kNothing, block.bytes};
    if (!Owns(known)) unknown.push_back(known);
    for (const KnownBlock& one : held_) {
      of_another_size += one.handle == block.handle && one.bytes != block.bytes ? 1 : 0;
    }
    return true;
  });
  EndUnrecorded();
  if (!status.ok()) FailStatus("ForEach", status);
  if (reserved != BlocksReserved() || of_another_size != 0) {
    Fail(Verdict::kViolation,
         absl::StrCat("ForEach showed ", reserved, " reserved blocks of ", BlocksReserved(),
                      ", and ", of_another_size, " blocks of another size than they have"));
  }
  for (const KnownBlock& block : held_) {
    if (shown[block.handle.offset] == 1) continue;
    Fail(Verdict::kViolation, absl::StrCat("ForEach showed a block that lived all the while ",
                                           shown[block.handle.offset], " times"));
  }
  for (KnownBlock& block : unknown) {
    const absl::StatusOr<std::span<char>> data = heap().Data(block.handle);
    if (!data.ok()) FailStatus("Data of a block that ForEach shows as one's own", data.status());
    block.id = CheckValue(0, {data->data(), data->size()}).id;
    if (!AskOwners(block)) {
      Fail(Verdict::kViolation, "ForEach shows a block as one's own, and Owners does not");
    }
    TakeOver(block);
    Count(boards_.found);
  }
}

// Its bytes are shown to who owns it, and the one who asks has not let go of it since.
void HeapClient::LookThrough(const KnownBlock& block) {
  BeginUnrecorded(Function::kOwners, kHeapOfBlocks);
  const absl::Status status = heap().Data(block.handle).status();
  EndUnrecorded();
  if (!status.ok() && !IsNotOwner(status)) FailStatus("Data of what was freed", status);
  if (!status.ok()) return Count(boards_.refused_misuses);
  if (AskOwners(block)) return;
  Fail(Verdict::kViolation,
       absl::StrCat("Data shows a block at offset ", block.handle.offset,
                    " to who owns it no more, by the handle of an earlier allocation"));
}

// With a handle of a block that it owns no more, unless it was given it again.
void HeapClient::Misuse(Random& random) {
  if (stale_.empty() || !tells_owners_) return;
  const size_t index = random.Below(stale_.size());
  const KnownBlock block = stale_[index];
  if (Owns(block)) {
    stale_.erase(stale_.begin() + static_cast<ptrdiff_t>(index));
    return;
  }
  if (random.Chance(400)) return LookThrough(block);
  Begin(Function::kFree, kHeapOfBlocks, block.id, CallOf(0));
  const absl::Status status = heap().Free(block.handle);
  if (!status.ok() && !IsNotOwner(status)) FailStatus("Free of what was freed", status);
  End(Outcome::kOk, status.ok() ? 1 : 0);
  if (!status.ok()) Count(boards_.refused_misuses);
}

// ---- The whole ----------------------------------------------------------------------------------

void HeapClient::Visit() {
  BeSeated();
  ReadLetters();
  LookAround();
  CheckAccountOfHeap();
  TryEarlierOwners();
  CheckLargest();
}

// Who had a slot before its owner is gone, and is given nothing.
void HeapClient::TryEarlierOwners() {
  if (!tells_owners_ || context().design.role() != Design::Role::kDesign) return;
  if (!Allocate(kSmallestNamedValue, Deadline::None(), Lifetime::kShort)) return;
  BeginUnrecorded(Function::kShare, kHeapOfBlocks);
  for (const HeapSeat& seat : boards_.seats) {
    const std::optional<Seated> seated = seat.Look();
    if (!seated.has_value()) continue;
    ParticipantId earlier = seated->participant;
    --earlier.generation;
    const absl::Status shared = heap().Share(held_.back().handle, earlier);
    const absl::Status passed_on = heap().Transfer(held_.back().handle, earlier);
    if (!absl::IsUnavailable(shared)) FailStatus("Share with who has left", shared);
    if (!absl::IsUnavailable(passed_on)) FailStatus("Transfer to who has left", passed_on);
  }
  EndUnrecorded();
  Free(held_.size() - 1);
}

// Where nothing lives there is room for each size, whatever the sizes were of what has filled it.
void HeapClient::TryEmptyHeap() {
  if (context().design.role() != Design::Role::kDesign) return;
  const absl::StatusOr<HeapAccount> account = heap().Account();
  if (!account.ok()) FailStatus("Account", account.status());
  if (account->holds != 0 || account->reserved_bytes != 0) return;
  const uint64_t most = std::min<uint64_t>(heap().max_block_bytes(), kMostTried);
  for (uint64_t bytes = 1 + process() % 16; bytes <= most; bytes = bytes * 2 + 5) {
    if (!Allocate(bytes, Deadline::None(), Lifetime::kShort)) {
      Fail(Verdict::kViolation,
           absl::StrCat("in a heap in which nothing lives there is no room for ", bytes,
                        " bytes, of ", heap().max_block_bytes()));
    }
    Free(held_.size() - 1);
  }
}

// Of parked workers: what was handed over to them unasked counts as theirs from here on.
void HeapClient::CheckAccountOfHeap() {
  const absl::StatusOr<HeapAccount> account = heap().Account();
  if (!account.ok()) FailStatus("Account", account.status());
  const uint64_t sum = account->accounted_bytes();
  uint64_t holds = 0, reserved_bytes = 0;
  for (const Holding& holding : account->holdings) {
    holds += holding.blocks;
    reserved_bytes += holding.reserved_bytes;
    bool lives = false;
    for (size_t slot = 0; slot < kSlots; ++slot) {
      WorkerBoard& worker = context().control().boards[slot];
      const std::optional<Seated> seated = boards_.seats[slot].Look();
      // Relaxed, here and below: the workers are parked.
      if (!seated.has_value() || !(seated->participant == holding.owner) ||
          worker.attached.load(std::memory_order_relaxed) == 0) {
        continue;
      }
      lives = true;
      const uint64_t known = worker.held.load(std::memory_order_relaxed);
      const uint64_t owned = holding.blocks + holding.reserved_blocks;
      if (known > owned) {
        Fail(Verdict::kViolation, absl::StrCat("a participant owns ", owned, " blocks, and ", known,
                                               " were given to it"));
      }
      worker.held.store(static_cast<uint32_t>(owned), std::memory_order_relaxed);
    }
    if (!lives) {
      Fail(Verdict::kLeak, absl::StrCat("after recovery a dead participant, in slot ",
                                        holding.owner.slot, ", owns ", holding.blocks, " blocks"));
    }
  }
  if (sum != account->room_bytes || holds != account->holds ||
      reserved_bytes != account->reserved_bytes) {
    Fail(
        Verdict::kAuditFailed,
        absl::StrCat("room ", account->room_bytes, " is not free ", account->free_bytes, " + live ",
                     account->live_bytes, " + reserved ", account->reserved_bytes, " + headers ",
                     account->header_bytes, " + rounding ", account->rounding_bytes, "; holds ",
                     account->holds, ", by owner ", holds, "; reserved by owner ", reserved_bytes));
  }
}

// The largest block that there is room for is served, and whatever is smaller, in its place too.
void HeapClient::CheckLargest() {
  constexpr int kSmaller = 4;
  Random random(sequence_, process());
  const size_t held = held_.size();
  for (int n = 0; n <= kSmaller; ++n) {
    const absl::StatusOr<HeapOccupancy> occupancy = heap().Look();
    if (!occupancy.ok()) FailStatus("Look", occupancy.status());
    const uint64_t largest = occupancy->largest_block_bytes;
    if (largest == 0) break;
    // Of all magnitudes: what is small has other places than what is large.
    const uint64_t most = std::max<uint64_t>(largest >> random.Below(std::bit_width(largest)), 1);
    const uint64_t bytes = n == 0 ? largest : 1 + random.Below(most);
    if (!Allocate(bytes, Deadline::None(), Lifetime::kShort)) {
      Fail(Verdict::kViolation,
           absl::StrCat("there is no room for ", bytes, " bytes, though there is for ", largest));
    }
    if (n == 0) Free(held_.size() - 1);
    if (n == 0) CheckNothingLarger(largest);
  }
  while (held_.size() > held) Free(held_.size() - 1);
}

// Nothing larger than what it says is the largest has room, and its numbers are those of the
// account, but for what a design counts as room for headers.
void HeapClient::CheckNothingLarger(uint64_t largest) {
  if (context().design.role() != Design::Role::kDesign) return;
  const uint64_t larger = largest + 1;
  if (larger <= heap().max_block_bytes() && Allocate(larger, Deadline::None(), Lifetime::kShort)) {
    Fail(Verdict::kViolation,
         absl::StrCat("Look tells of ", largest, " bytes as the largest block, and of ", larger,
                      " one was served"));
  }
  const absl::StatusOr<HeapOccupancy> seen = heap().Look();
  const absl::StatusOr<HeapAccount> account = heap().Account();
  if (!seen.ok()) FailStatus("Look", seen.status());
  if (!account.ok()) FailStatus("Account", account.status());
  if (seen->room_bytes == account->room_bytes && seen->free_bytes <= account->free_bytes &&
      seen->reserved_bytes == account->reserved_bytes &&
      seen->blocks == account->report.live.blocks) {
    return;
  }
  Fail(Verdict::kViolation,
       absl::StrCat("Look tells of room ", seen->room_bytes, ", free ", seen->free_bytes,
                    ", reserved ", seen->reserved_bytes, " and ", seen->blocks,
                    " blocks; the account of ", account->room_bytes, ", ", account->free_bytes,
                    ", ", account->reserved_bytes, " and ", account->report.live.blocks));
}

}  // namespace kill9
