// What the processes of a run share beside their pool: who takes part, and statistics. Any worker
// may be killed at any moment; its words are read while all are parked.
#ifndef KILL9_HARNESS_POOL_DRIVER_POOL_BOARDS_H_
#define KILL9_HARNESS_POOL_DRIVER_POOL_BOARDS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "harness/result/json_forward.h"
#include "harness/torture/control.h"
#include "variants/heap.h"

namespace kill9 {

// Who works in a slot, and who did so before. Written by the worker in it.
class alignas(64) PoolSeat {
 public:
  void Sit(ParticipantId id);
  // Nothing: nobody has sat there (before that one).
  std::optional<ParticipantId> now() const { return Unpack(now_); }
  std::optional<ParticipantId> before() const { return Unpack(before_); }

 private:
  static std::optional<ParticipantId> Unpack(const std::atomic<uint64_t>& word);
  std::atomic<uint64_t> now_, before_;
};

struct PoolBoards {
  // Statistics (harness/torture/run_statistics.h).
  std::atomic<uint64_t> sent, received, shares, copies, in_place, grown, seats_taken;
  std::atomic<uint64_t> served_after_waiting, refused_shares, quiet_rounds;

  std::array<PoolSeat, kSlots> seats;
};

Json CountsOf(const PoolBoards& boards);

}  // namespace kill9

#endif  // KILL9_HARNESS_POOL_DRIVER_POOL_BOARDS_H_
