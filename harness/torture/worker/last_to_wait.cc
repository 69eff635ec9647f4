#include "harness/torture/worker/last_to_wait.h"

#include <chrono>
#include <thread>

namespace kill9 {
namespace {

void SleepNs(uint64_t ns) { std::this_thread::sleep_for(std::chrono::nanoseconds(ns)); }

}  // namespace

// Seq_cst, all: of two that begin at once, one sees the other; and who parks sees who began before
// it could see the pause.
bool LastToWait::MustStop() const {
  return control_.pause.load(std::memory_order_seq_cst) != 0 ||
         control_.stop.load(std::memory_order_seq_cst) != 0;
}

LastToWait::Begun LastToWait::Begin() {
  BeginAnyway();
  if (MustStop()) {
    End();
    return Begun::kStops;
  }
  if (!AllOthers().any) return Begun::kWaits;
  End();
  return Begun::kLast;
}

bool LastToWait::BeginForRoom(Random& random) {
  const Begun begun = Begin();
  if (begun == Begun::kLast) AwaitAllOthers(random);
  return begun == Begun::kWaits;
}

void LastToWait::BeginAnyway() {
  control_.boards[slot_].waits.fetch_add(1, std::memory_order_seq_cst);
}

void LastToWait::End() { control_.boards[slot_].waits.fetch_add(1, std::memory_order_seq_cst); }

Deadline LastToWait::Far(Random& random) {
  return random.Chance(300) ? Deadline::Never() : Deadline::After(std::chrono::hours(10));
}

LastToWait::Others LastToWait::Look(bool all) const {
  Others others{.are_all = all};
  for (uint32_t slot = 0; slot < kMaxWorkers; ++slot) {
    const WorkerBoard& board = control_.boards[slot];
    if (slot == slot_ || board.attached.load(std::memory_order_seq_cst) == 0) continue;
    const uint32_t waits = board.waits.load(std::memory_order_seq_cst);
    if (waits % 2 != 0) {
      others.waits[slot] = waits;
      others.any = true;
    } else if (all) {
      return {};
    }
  }
  return others;
}

LastToWait::Others LastToWait::AllOthers() const { return Look(/*all=*/true); }
LastToWait::Others LastToWait::WhoWaits() const { return Look(/*all=*/false); }

LastToWait::Others LastToWait::AwaitAllOthers(Random& random) const {
  constexpr int kLooks = 40;
  constexpr uint64_t kBetweenNs = 20'000, kLongestRestNs = 300'000;
  for (int look = 0; look < kLooks && !MustStop(); ++look) {
    if (AllOthers().any) {
      // Some of them are on the way to sleep then, the others asleep.
      if (random.Chance(700)) SleepNs(random.Below(kLongestRestNs));
      return AllOthers();
    }
    SleepNs(kBetweenNs);
  }
  return {};
}

void LastToWait::AwaitWoken(const Others& others, Woken woken) const {
  constexpr uint64_t kBetweenNs = 10'000;
  const auto have_gone = [&] {
    for (uint32_t slot = 0; slot < kMaxWorkers; ++slot) {
      const WorkerBoard& board = control_.boards[slot];
      const bool is_attached = board.attached.load(std::memory_order_seq_cst) != 0;
      if (others.waits[slot] == 0) {
        if (others.are_all && is_attached && slot != slot_) return true;
        continue;
      }
      const bool gone =
          !is_attached || board.waits.load(std::memory_order_seq_cst) != others.waits[slot];
      if (gone == (woken == Woken::kOne)) return gone;
    }
    return woken == Woken::kAll;
  };
  while (others.any && !have_gone()) SleepNs(kBetweenNs);
}

}  // namespace kill9
