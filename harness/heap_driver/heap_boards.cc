#include "harness/heap_driver/heap_boards.h"

#include "harness/result/result.h"
#include "harness/torture/run_statistics.h"

namespace kill9 {
namespace {

uint64_t Pack(ParticipantId id) { return uint64_t{id.generation} << 32 | (uint64_t{id.slot} + 1); }
ParticipantId Unpack(uint64_t word) {
  return {static_cast<uint32_t>(word) - 1, static_cast<uint32_t>(word >> 32)};
}

}  // namespace

void HeapSeat::Sit(const Seated& who) {
  // Release, all three: pair with the acquires in Look; who sees the owner sees that the one before
  // it has left.
  participant_.store(0, std::memory_order_release);
  owner_.store(who.owner, std::memory_order_release);
  participant_.store(Pack(who.participant), std::memory_order_release);
}

std::optional<Seated> HeapSeat::Look() const {
  // Acquire, all three: pair with Sit. The two words belong together where the first stayed.
  const uint64_t participant = participant_.load(std::memory_order_acquire);
  const uint64_t owner = owner_.load(std::memory_order_acquire);
  if (participant == 0 || participant_.load(std::memory_order_acquire) != participant) {
    return std::nullopt;
  }
  return Seated{Unpack(participant), owner};
}

void HeapLetter::Write(const KnownBlock& block) {
  const uint64_t version = version_.load(std::memory_order_relaxed) | 1;  // a dead one's, perhaps
  // Release, all: pair with the acquires in Read; who sees a field sees that it is being written.
  version_.store(version, std::memory_order_release);
  offset_.store(block.handle.offset, std::memory_order_release);
  generation_.store(block.handle.generation, std::memory_order_release);
  id_.store(block.id, std::memory_order_release);
  bytes_.store(block.bytes, std::memory_order_release);
  version_.store(version + 1, std::memory_order_release);
}

std::optional<KnownBlock> HeapLetter::Read(uint64_t* seen) const {
  // Acquire, all: pair with Write.
  const uint64_t version = version_.load(std::memory_order_acquire);
  if (version == *seen || version % 2 != 0) return std::nullopt;
  KnownBlock block;
  block.handle.offset = offset_.load(std::memory_order_acquire);
  block.handle.generation = generation_.load(std::memory_order_acquire);
  block.id = id_.load(std::memory_order_acquire);
  block.bytes = bytes_.load(std::memory_order_acquire);
  if (version_.load(std::memory_order_acquire) != version) return std::nullopt;
  *seen = version;
  return block;
}

Json CountsOf(const HeapBoards& boards) {
  return {{"shares", Counted(boards.shares)},
          {"transfers", Counted(boards.transfers)},
          {"taken_over", Counted(boards.taken_over)},
          {"found", Counted(boards.found)},
          {"refused_misuses", Counted(boards.refused_misuses)},
          {"from_reserves", Counted(boards.from_reserves)},
          {"at_a_place", Counted(boards.at_a_place)},
          {"served_after_waiting", Counted(boards.served_after_waiting)}};
}

}  // namespace kill9
