// The machine under the C++ memory model: which store an access takes up is a question.
#include <utility>

#include "harness/explore/base/arena.h"
#include "harness/explore/runtime/machine.h"

namespace kill9::explore {

int Machine::Location(uint64_t word) {
  int location = weak_.LocationOf(word);
  if (location == WeakMemory::kNone) {
    location = weak_.AddLocation(word);
    if (location == WeakMemory::kNone) return location;
    // What came before it in this exploration kept no account of it.
    if (!limits_.ask_everywhere) grew_ = true;
  }
  weak_.Show(location, *At(word));
  return location;
}

void Machine::CheckRace(const void* address, size_t bytes, WeakMemory::Access access) {
  const auto first =
      static_cast<uint64_t>(static_cast<const char*>(address) - explored_segment.base) / 4;
  const uint64_t last = first + (reinterpret_cast<uintptr_t>(address) % 4 + bytes - 1) / 4;
  const uint32_t dead = ~uint32_t{living_};
  for (uint64_t half = first; half <= last && half / 2 < words_; ++half) {
    if (contended_[half / 2] == 0 || !weak_.Races(running_, half, access, dead)) continue;
    const char* const what[] = {"reads", "reads", "writes", "writes"};
    Fail(Verdict::kViolation,
         "a data race: participant " + std::string(1, static_cast<char>('a' + running_)) + " " +
             what[static_cast<size_t>(access)] + " +" + std::to_string(half * 4) +
             ", which another one accesses as well; at least one of the two is not atomic, and "
             "neither happens before the other");
  }
}

int Machine::Pick(int fiber, const Ages& ages, int count, uint32_t novel) {
  if (novel != 0) ++novelties_;
  if (count == 1) return ages[0];
  const OutsideArena outside;
  for (int i = 0; i < count; ++i) {
    moves_[static_cast<size_t>(i)] = {MoveKind::kPick, static_cast<int8_t>(fiber),
                                      ages[static_cast<size_t>(i)]};
  }
  const int choice = chooser_->Choose({.moves = {moves_.data(), static_cast<size_t>(count)},
                                       .running = running_,
                                       .inside_turn = true,
                                       .novel = novel});
  if (choice == Chooser::kAbandon) LeaveSchedule(Ending::kAbandoned);
  return ages[static_cast<size_t>(choice)];
}

uint64_t Machine::LoadWeak(const void* address, size_t bytes, TakenOrder order) {
  const uint64_t word = WordOf(address);
  CheckRace(address, bytes, WeakMemory::Access::kAtomicRead);
  const int location = Location(word);
  if (location == WeakMemory::kNone) return *At(word);
  Ages ages;
  uint32_t novel = 0;
  const auto [oldest, oldest_written] = weak_.OldestFor(running_, location, order);
  for (int i = 0; i <= oldest; ++i) {
    if (i > oldest_written) novel |= uint32_t{1} << i;
    ages[static_cast<size_t>(i)] = static_cast<uint8_t>(i);
  }
  picked_ = Pick(running_, ages, oldest + 1, novel);
  const uint64_t value = weak_.ValueAt(location, picked_);
  weak_.Load(running_, location, order, picked_);
  return value;
}

void Machine::StoreWeak(void* address, size_t bytes, uint64_t value, TakenOrder order) {
  CheckRace(address, bytes, WeakMemory::Access::kAtomicWrite);
  const int location = Location(WordOf(address));
  if (location == WeakMemory::kNone) return;
  if (bytes < 8) return weak_.StorePart(running_, location, order, value);
  Ages ages;
  int count = 0;
  uint32_t novel = 0;
  const auto [oldest, oldest_written] = weak_.OldestFor(running_, location, order);
  for (int i = 0; i <= oldest; ++i) {
    if (!weak_.MayFollow(location, i)) continue;
    if (i > oldest_written) novel |= uint32_t{1} << count;
    ages[static_cast<size_t>(count++)] = static_cast<uint8_t>(i);
  }
  picked_ = Pick(running_, ages, count, novel);
  weak_.Store(running_, location, order, picked_, value);
}

void Machine::SettleWeak(uint64_t word) {
  const int location = weak_.LocationOf(word);
  if (location == WeakMemory::kNone || weak_.Count(location) == 0) return;
  weak_.PlainWrite(running_, location, *At(word));
}

void Machine::FenceWeak(TakenOrder order) {
  Fiber& fiber = fibers_[running_];
  if (order.order == Order::kSeqCst) {
    // Their order among all participants matters.
    if (!std::exchange(fiber.granted, false) || limits_.ask_everywhere) AskForTurn();
    ++fiber.steps;
  }
  weak_.Fence(running_, order);
}

}  // namespace kill9::explore
