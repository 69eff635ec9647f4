#include "harness/explore/runtime/machine.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "harness/explore/base/arena.h"
#include "harness/explore/base/orderings.h"
#include "harness/explore/base/real_libc.h"
#include "harness/explore/runtime/crash.h"

namespace kill9::explore {
namespace {

constexpr int64_t kBeginningNs = 1'000'000'000;

}  // namespace

Machine* const Machine::the_ = new Machine;

// ---- Making and resetting -----------------------------------------------------------------------

void Machine::NoteMapping(char* base, size_t bytes) {
  base_ = base;
  words_ = bytes / 8;
  explored_segment = {base, words_ * 8, false};
}

void Machine::Load(Scene& scene, const MachineLimits& limits) {
  now_ns_ = kBeginningNs;
  scene_ = &scene;
  limits_ = limits;
  participants_ = scene.participants();
  clock_moves_ = scene.moves_clock();
  kernel_ = {};
  for (Fiber& fiber : fibers_) fiber.robust = {};
  base_ = nullptr;
  explored_segment = {};
  mutexes_.clear();
  Arena::Get().KeepAll();
  CatchCrashes();
  acting_ = kAuditor;
  Arena::Get().on = true;
  scene.Make();
  made_ns_ = now_ns_;
  Arena::Get().on = false;
  kernel_.ForgetNews();
  Arena::Get().Save();
  if (proving_ && base_ != explored_segment.base) munmap(base_, words_ * 8);
  proving_ = limits.prove_hooks;
  if (proving_) {
    // The same memory at another address.
    void* const again = mremap(base_, 0, words_ * 8, MREMAP_MAYMOVE);
    if (again == MAP_FAILED) {
      std::perror("kill9-explore: cannot map the segment once more");
      std::abort();
    }
    base_ = static_cast<char*>(again);
  }
  beginning_.assign(At(0), At(words_));
  touched_.assign(words_ + kResources, {});
  contended_.assign(words_ + kResources, 0);
  dirty_.clear();
  dirty_.reserve(words_);
  weak_.Forget(words_, Orderings::Get().weakens());
  novelties_ = 0;
  contended_words_ = 0;
  grew_ = forgot_stores_ = false;
  locks_are_asked_ = false;
  kernel_at_beginning_ = kernel_;
  for (int i = 0; i <= kMostParticipants; ++i) robust_at_beginning_[i] = fibers_[i].robust;
}

void Machine::ResetSegment() {
  for (const uint64_t word : dirty_) *At(word) = beginning_[word];
  dirty_.clear();
  Arena::Get().Restore();
  kernel_ = kernel_at_beginning_;
  kernel_hash_ = kernel_.Hash();
}

void Machine::StartFiber(int number) {
  Fiber& fiber = fibers_[number];
  static_cast<FiberState&>(fiber) = {};
  fiber.robust = robust_at_beginning_[number];
  fiber.ended = number >= participants_ && number != kAuditor;
  fiber.changed = true;
  fiber.stack.Begin(FiberMain);
}

Machine::Ending Machine::RunSchedule(Chooser& chooser, Finding* finding) {
  ResetSegment();
  ++schedule_;
  weak_.Begin(participants_);
  for (int i = 0; i < participants_; ++i) StartFiber(i);
  StartFiber(kAuditor);
  memory_hash_ = history_hash_ = writes_ = time_ = returned_ = 0;
  now_ns_ = made_ns_;
  deaths_ = 0;
  living_ = static_cast<uint8_t>((1u << participants_) - 1);
  just_killed_ = false;
  trace_.clear();
  memory_at_deaths_.clear();
  chooser_ = &chooser;
  finding_ = {};
  ending_ = Ending::kComplete;
  if (proving_) SetAccess(false);
  Enter(Phase::kTurns);
  running_ = kNobody;
  const int first = Decide();
  if (first == kNobody) {
    Enter(Phase::kOutside);
    return Ending::kAbandoned;
  }
  running_ = first;
  if (first == kAuditor) Enter(Phase::kAudit);
  kill9_explore_switch(&outside_, fibers_[first].stack.standing);
  leaving_ = false;
  Arena::Get().on = false;
  Enter(Phase::kOutside);
  if (proving_) SetAccess(true);
  running_ = kNobody;
  *finding = std::move(finding_);
  return ending_;
}

std::vector<uint64_t> Machine::Contended() const {
  std::vector<uint64_t> words;
  for (uint64_t word = 0; word < contended_.size(); ++word) {
    if (contended_[word] != 0) words.push_back(word);
  }
  return words;
}

void Machine::SetContended(std::span<const uint64_t> words) {
  for (const uint64_t word : words) {
    if (word < contended_.size()) MarkContended(word);
  }
}

void Machine::SetAccess(bool possible) {
  if (mprotect(explored_segment.base, words_ * 8, possible ? PROT_READ | PROT_WRITE : PROT_NONE) ==
      0) {
    return;
  }
  std::perror("kill9-explore: cannot protect the segment");
  std::abort();
}

bool Machine::TakeGrew() { return std::exchange(grew_, false); }

// ---- Fibers -------------------------------------------------------------------------------------

void Machine::FiberMain() {
  Get().RunFiber();
  std::abort();  // nobody switches back to a fiber that has ended
}

void Machine::RunFiber() {
  Arena::Get().on = true;
  if (running_ == kAuditor) {
    Finding found = scene_->Judge();
    Arena::Get().on = false;
    finding_ = {found.verdict, std::string(found.message.c_str())};
    LeaveSchedule(Ending::kComplete);
  }
  scene_->Run(running_);
  Arena::Get().on = false;
  Settle();
  Fiber& fiber = fibers_[running_];
  HideBuffer(fiber);
  fiber.ended = true;
  Proceed();
}

void Machine::SwitchTo(int next) {
  Fiber& present = fibers_[running_];
  present.error = errno;
  running_ = next;
  if (next == kAuditor) Enter(Phase::kAudit);
  kill9_explore_switch(&present.stack.standing, fibers_[next].stack.standing);
  errno = fibers_[running_].error;
}

void Machine::LeaveSchedule(Ending ending) {
  ending_ = ending;
  Arena::Get().on = false;
  leaving_ = true;
  void* left = nullptr;
  kill9_explore_switch(&left, outside_);
  std::abort();
}

void Machine::EndBy(Verdict verdict, std::string message) {
  if (phase_ == Phase::kOutside) {
    std::fprintf(stderr, "kill9-explore: in the making of the scene: %s\n", message.c_str());
    std::exit(kExitUsage);
  }
  Arena::Get().on = false;
  finding_ = {verdict, std::string(message.c_str())};  // a copy that is not in the arena
  if (limits_.trace && running_ >= 0) TraceOf(running_, AccessKind::kNote, "fails");
  LeaveSchedule(Ending::kComplete);
}

void Machine::Crash(const char* how) {
  Fail(Verdict::kSurvivorCrashed,
       "explored code ended by " + std::string(how) + " though nobody had killed it");
}

void Machine::FailUnseen(uintptr_t code) {
  char place[32];
  std::snprintf(place, sizeof place, "%#lx", static_cast<unsigned long>(code));
  SetAccess(true);
  Fail(Verdict::kSurvivorCrashed,
       std::string("the explorer does not see the access to the segment at ") + place);
}

// ---- Operations ---------------------------------------------------------------------------------

void Machine::BeginOperation(const char* what, bool must_not_wait) {
  Settle();
  Fiber& fiber = fibers_[running_];
  if (!fiber.granted || limits_.ask_everywhere) AskForTurn();
  // Under c11 the call itself is of consequence: it may come long before the first access.
  fiber.granted = !models_orders();
  if (models_orders()) {
    weak_.Called(running_);
    fiber.changed = true;
  }
  fiber.in_operation = true;
  fiber.must_not_wait = must_not_wait;
  fiber.timed_out_ns = 0;
  ++fiber.steps;
  const uint64_t bit = static_cast<uint64_t>(running_) * 8 + fiber.operations % 8;
  history_hash_ += Mix(bit + 1, returned_ + 1);
  if (limits_.trace) TraceOf(running_, AccessKind::kCall, what);
}

void Machine::EndOperation(uint64_t hash_of_results) {
  Settle();
  AskInsideTurn(false);
  CompilerBarrier();
  Fiber& fiber = fibers_[running_];
  ++fiber.steps;
  fiber.in_operation = fiber.must_not_wait = false;
  fiber.changed = true;
  const uint64_t bit = static_cast<uint64_t>(running_) * 8 + fiber.operations++ % 8;
  returned_ |= uint64_t{1} << bit;
  history_hash_ += Mix(bit + 101, hash_of_results);
  if (models_orders()) weak_.Returned(running_);
  if (limits_.trace) TraceOf(running_, AccessKind::kCall, "returns");
}

void Machine::AfterOperation() { AskInsideTurn(true); }

// ---- Accesses -----------------------------------------------------------------------------------

void Machine::MarkContended(uint64_t word) {
  // Who follows a given schedule is asked everywhere, and has the words of whoever found it.
  if (contended_[word] != 0 || limits_.ask_everywhere) return;
  contended_[word] = 1;
  ++contended_words_;
  grew_ = true;
}

void Machine::Track(uint64_t word, bool write) {
  Touched& touched = touched_[word];
  if (touched.schedule != schedule_) touched = {schedule_, 0, 0, false};
  const uint8_t mine = static_cast<uint8_t>(1u << running_);
  // What one wrote before its death another may fail to see under c11.
  const uint8_t matter = limits_.model == MemoryModel::kC11 ? uint8_t{0xff} : living_;
  const uint8_t others = static_cast<uint8_t>(
      (write ? touched.readers | touched.writers : touched.writers) & matter & ~mine);
  (write ? touched.writers : touched.readers) |= mine;
  if (others != 0) MarkContended(word);
}

void Machine::MakeDirty(uint64_t word) {
  Touched& touched = touched_[word];
  if (touched.schedule != schedule_) touched = {schedule_, 0, 0, false};
  if (touched.dirty) return;
  touched.dirty = true;
  dirty_.push_back(word);
}

void Machine::Before(uint64_t word, bool write, uintptr_t code) {
  Settle();
  Fiber& fiber = fibers_[running_];
  if (phase_ == Phase::kTurns) {
    code_ = code;
    if (models_compiler()) NoteReached(word);
    Track(word, write);
    if (contended_[word] != 0 || limits_.ask_everywhere) {
      fiber.next_word = word;
      fiber.next_writes = write;
      const bool again = IsLookingAgain(word, write, code);
      if (again && !limits_.ask_everywhere) {
        // Nothing new: see spins.cc.
      } else if (!std::exchange(fiber.granted, false) || limits_.ask_everywhere) {
        AskForTurn();
      } else {
        AskInsideTurn(false);
      }
    } else if (write) {
      AskInsideTurn(false);
    }
  }
  if (++fiber.steps > limits_.steps) {
    Fail(Verdict::kStuck, "it goes on for more steps than any operation should need");
  }
}

void Machine::ChangeBy(int fiber, uint64_t word, uint64_t old_value, uint64_t value) {
  if (old_value == value) {
    // Under c11 it is one store more, from which others may read what they are given with it.
    if (IsWeak(word)) NoteChange(fiber);
    return;
  }
  memory_hash_ ^= Mix(word + 1, old_value) ^ Mix(word + 1, value);
  NoteChange(fiber);
}

void Machine::NoteChange(int by) {
  ++writes_;
  if (by >= 0) ++fibers_[by].writes;
  if (running_ < 0) return;
  fibers_[running_].changed = true;
  ++fibers_[running_].changes;
}

void Machine::Saw(Fiber& fiber, uint64_t value) { fiber.seen = Mix(fiber.seen, value + 1); }

void Machine::Read(const void* address, size_t bytes, uintptr_t code) {
  const uint64_t word = WordOf(address);
  Before(word, false, code);
  Fiber& fiber = fibers_[running_];
  const char* const end = static_cast<const char*>(address) + bytes - 1;
  for (uint64_t next = word; next <= WordOf(end) && next < words_; ++next) {
    if (next != word && phase_ == Phase::kTurns) Track(next, false);
    if (IsWeak(next) && weak_.LocationOf(next) != WeakMemory::kNone) {
      weak_.PlainRead(running_, Location(next));
    }
    Saw(fiber, *At(next));
  }
  if (models_orders()) CheckRace(address, bytes, WeakMemory::Access::kPlainRead);
  Allow(address, bytes);
  if (limits_.trace) Trace(AccessKind::kRead, code, {address, bytes}, *At(word));
}

void Machine::Write(void* address, size_t bytes, uintptr_t code) {
  const uint64_t word = WordOf(address);
  Before(word, true, code);
  Fiber& fiber = fibers_[running_];
  fiber.unsettled_address = static_cast<char*>(address);
  fiber.unsettled_bytes = bytes;
  const uint64_t last = WordOf(static_cast<char*>(address) + bytes - 1);
  fiber.unsettled = static_cast<int>(last - word + 1);
  for (int i = 0; i < fiber.unsettled; ++i) {
    if (i > 0 && phase_ == Phase::kTurns) Track(word + static_cast<uint64_t>(i), true);
    MakeDirty(word + static_cast<uint64_t>(i));
    fiber.unsettled_old[i] = *At(word + static_cast<uint64_t>(i));
  }
  fiber.unsettled_code = code;
  if (models_orders()) CheckRace(address, bytes, WeakMemory::Access::kPlainWrite);
  Allow(address, bytes);
}

void Machine::SettleNow() {
  Fiber& fiber = fibers_[running_];
  const int count = std::exchange(fiber.unsettled, 0);
  const uint64_t first = WordOf(fiber.unsettled_address);
  for (int i = 0; i < count; ++i) {
    const uint64_t word = first + static_cast<uint64_t>(i);
    const uint64_t old_value = fiber.unsettled_old[i];
    if (buffers() && (fiber.buffered > 0 || contended_[word] != 0)) {
      Push(word, ~uint64_t{0}, *At(word), old_value);
    } else {
      Change(word, old_value, *At(word));
    }
    if (IsWeak(word)) SettleWeak(word);
    if (models_compiler()) NoteStore(word, old_value, false);
    if (limits_.trace) {
      Trace(AccessKind::kWrite, fiber.unsettled_code, {explored_segment.base + word * 8, 8},
            *At(word), *At(word));
    }
  }
}

uint64_t Machine::Load(const void* address, size_t bytes, TakenOrder order, uintptr_t code) {
  const uint64_t word = WordOf(address);
  Before(word, false, code);
  picked_ = 0;
  const uint64_t whole = IsWeak(word) ? LoadWeak(address, bytes, order) : *At(word);
  const uint64_t value = whole >> reinterpret_cast<uintptr_t>(address) % 8 * 8 & MaskOf(bytes);
  Saw(fibers_[running_], value);
  // clang leaves the load itself behind the call, and nobody uses what it gives.
  Allow(address, bytes);
  if (limits_.trace) Trace(AccessKind::kRead, code, {address, bytes}, value, 0, Older(picked_));
  return value;
}

void Machine::Store(void* address, size_t bytes, uint64_t value, TakenOrder order, uintptr_t code) {
  const uint64_t word = WordOf(address);
  const int shift = static_cast<int>(reinterpret_cast<uintptr_t>(address) % 8 * 8);
  const bool seq_cst = order.order == Order::kSeqCst;
  if (seq_cst) AskBeforeDrain(word);
  Before(word, true, code);
  Fiber& fiber = fibers_[running_];
  if (buffers() && seq_cst) DrainAll(fiber);
  picked_ = 0;
  const uint64_t mask = MaskOf(bytes) << shift;
  const uint64_t old_value = *At(word);
  const uint64_t whole = (old_value & ~mask) | (value << shift & mask);
  if (IsWeak(word)) StoreWeak(address, bytes, whole, order);
  if (models_compiler()) NoteStore(word, old_value, Releases(order.order));
  if (picked_ == 0) {
    MakeDirty(word);
    *At(word) = whole;
  }
  if (picked_ != 0) {
    NoteChange(running_);
  } else if (buffers() && !seq_cst && (fiber.buffered > 0 || contended_[word] != 0)) {
    Push(word, mask, whole, old_value);
  } else {
    Change(word, old_value, whole);
  }
  if (limits_.trace) {
    Trace(AccessKind::kWrite, code, {address, bytes}, value, value, Older(picked_));
  }
}

// REQUIRES of both: the word is in no store buffer, since its holder took the mutex by an update.
uint32_t Machine::LoadOfHolder(const uint32_t* address) {
  Settle();
  const uint32_t value = *AtHalf(address);
  Saw(fibers_[running_], value);
  return value;
}

void Machine::StoreOfHolder(uint32_t* address, uint32_t value) {
  Settle();
  const uint64_t word = WordOf(address);
  const uint64_t old_value = *At(word);
  MakeDirty(word);
  *AtHalf(address) = value;
  Change(word, old_value, *At(word));
}

void Machine::Fence(TakenOrder order, uintptr_t) {
  Settle();
  if (models_orders()) return FenceWeak(order);
  if (order.order != Order::kRelaxed) CompilerBarrier();
  Fiber& fiber = fibers_[running_];
  if (order.order != Order::kSeqCst || !buffers() || fiber.buffered == 0) return;
  // Others may act before its stores reach the segment.
  if (!std::exchange(fiber.granted, false) || limits_.ask_everywhere) AskForTurn();
  DrainAll(fiber);
  ++fiber.steps;
}

void Machine::BarrierOfAll(uintptr_t code) {
  Settle();
  CompilerBarrier();
  if (!buffers() && !models_orders()) return;
  // The others' stores become visible at this moment: as an access to all of them.
  TouchResource(kResources - 1, true, code, SystemCall(SYS_membarrier));
  if (models_orders()) weak_.Fence(running_, Order::kSeqCst);
  for (int i = 0; i < participants_; ++i) {
    Fiber& fiber = fibers_[i];
    if (models_orders()) {
      if (!fiber.dead && i != running_) weak_.Fence(i, Order::kSeqCst);
    } else if (i == running_) {
      DrainAll(fiber);
    } else if (!fiber.dead) {
      while (fiber.buffered > 0) DrainOne(fiber);
    }
  }
  if (models_orders()) weak_.Fence(running_, Order::kSeqCst);
}

void Machine::TouchClock(bool write, uintptr_t code) {
  if (clock_moves_) TouchResource(kClockResource, write, code, 0);
}

void Machine::TouchResource(uint32_t resource, bool write, uintptr_t code, uint64_t call) {
  if (phase_ == Phase::kOutside) return;
  Settle();
  CompilerBarrier();
  if (phase_ == Phase::kTurns) MarkContended(words_ + resource % kResources);
  Before(words_ + resource % kResources, write, code);
  if (limits_.trace) Trace(AccessKind::kKernel, code, {explored_segment.base, 0}, resource, call);
}

}  // namespace kill9::explore
