#include "harness/pool_driver/pool_boards.h"

#include "harness/result/result.h"
#include "harness/torture/run_statistics.h"

namespace kill9 {

void PoolSeat::Sit(ParticipantId id) {
  // Relaxed, here and below: they are read while everybody is parked.
  before_.store(now_.load(std::memory_order_relaxed), std::memory_order_relaxed);
  now_.store(uint64_t{id.generation} << 32 | (uint64_t{id.slot} + 1), std::memory_order_relaxed);
}

std::optional<ParticipantId> PoolSeat::Unpack(const std::atomic<uint64_t>& word) {
  const uint64_t bits = word.load(std::memory_order_relaxed);
  if (bits == 0) return std::nullopt;
  return ParticipantId{static_cast<uint32_t>(bits) - 1, static_cast<uint32_t>(bits >> 32)};
}

Json CountsOf(const PoolBoards& boards) {
  return {{"sent", Counted(boards.sent)},
          {"received", Counted(boards.received)},
          {"shares", Counted(boards.shares)},
          {"copies", Counted(boards.copies)},
          {"in_place", Counted(boards.in_place)},
          {"grown", Counted(boards.grown)},
          {"seats_taken", Counted(boards.seats_taken)},
          {"served_after_waiting", Counted(boards.served_after_waiting)},
          {"refused_shares", Counted(boards.refused_shares)},
          {"quiet_rounds", Counted(boards.quiet_rounds)}};
}

}  // namespace kill9
