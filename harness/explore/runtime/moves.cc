// Whose turn it is: the questions that the machine asks, and what each move does.
#include <linux/futex.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "harness/explore/base/arena.h"
#include "harness/explore/runtime/machine.h"

namespace kill9::explore {
namespace {

// So often in a row may a participant's time be up, while nothing changes, before it is stuck. More
// than a mutex takes looks before it sleeps.
constexpr uint32_t kMostTimeouts = 64;

bool IsForEver(const FiberState& fiber) {
  return fiber.wait == Wait::kNews && fiber.wait_until_ns == Machine::kNeverNs;
}

}  // namespace

bool Machine::CanRun(const Fiber& fiber) const {
  if (fiber.ended || fiber.dead) return false;
  const bool time_is_up =
      clock_moves_ && fiber.wait == Wait::kNews && now_ns_ >= fiber.wait_until_ns;
  return time_is_up || IsServed(fiber);
}

bool Machine::IsServed(const Fiber& fiber) const {
  switch (fiber.wait) {
    case Wait::kNone:
      return true;
    case Wait::kChange:
      return *At(fiber.wait_word) != fiber.wait_value;
    case Wait::kWake:
      return fiber.woken;
    case Wait::kSleep:
      return writes_ != fiber.wait_value;
    case Wait::kNews:
      return kernel_.NewsFor(static_cast<int>(fiber.wait_value)) != Kernel::kNoNews;
  }
  return false;
}

// The last thing that the kernel does for a dead process drops its byte locks, and ends the
// operation that its death cut off. When that happens is of no consequence unless somebody asks for
// the locks, or calls an operation that may come before or after it.
bool Machine::OffersBurial(int) const {
  if (just_killed_ || locks_are_asked_ || kernel_.IsWatched()) return true;
  for (int i = 0; i < participants_; ++i) {
    const Fiber& other = fibers_[i];
    if (!other.dead && !other.ended && !other.in_operation) return true;
  }
  return false;
}

void Machine::GatherMoves() {
  move_count_ = 0;
  const auto add = [this](MoveKind kind, int fiber) {
    moves_[move_count_++] = {kind, static_cast<int8_t>(fiber)};
  };
  if (running_ >= 0 && running_ < participants_ && CanRun(fibers_[running_])) {
    add(MoveKind::kRun, running_);
  }
  for (int i = 0; i < participants_; ++i) {
    if (i != running_ && CanRun(fibers_[i])) add(MoveKind::kRun, i);
  }
  const bool somebody_runs = move_count_ > 0;
  bool burials_left_out = false;
  for (int i = 0; i < participants_; ++i) {
    const Fiber& fiber = fibers_[i];
    if (fiber.buffered > 0) {
      add(MoveKind::kDrain, i);
    } else if (fiber.dead && !fiber.buried) {
      if (!fiber.robust.empty() || OffersBurial(i)) {
        add(MoveKind::kEvent, i);
      } else {
        burials_left_out = true;
      }
    }
  }
  if (move_count_ == 0 && burials_left_out) {
    for (int i = 0; i < participants_; ++i) {
      if (fibers_[i].dead && !fibers_[i].buried) add(MoveKind::kEvent, i);
    }
  }
  if (!somebody_runs && move_count_ == 0) GatherTimeouts();
  if (deaths_ >= limits_.deaths) return;
  for (int i = 0; i < participants_; ++i) {
    const Fiber& fiber = fibers_[i];
    if (fiber.dead || fiber.ended || (fiber.operations == 0 && !fiber.in_operation)) continue;
    if (fiber.changed || limits_.ask_everywhere) add(MoveKind::kKill, i);
  }
}

// Everybody who lives waits for something that nobody will do.
void Machine::GatherTimeouts() {
  for (int i = 0; i < participants_; ++i) {
    Fiber& fiber = fibers_[i];
    if (fiber.ended || fiber.dead || IsForEver(fiber)) continue;
    if (fiber.timeout_writes != writes_) {
      fiber.timeout_writes = writes_;
      fiber.timeouts = 0;
    }
    if (fiber.timeouts >= kMostTimeouts) continue;
    moves_[move_count_++] = {MoveKind::kRun, static_cast<int8_t>(i)};
  }
  if (move_count_ > 0) return;
  for (int i = 0; i < participants_; ++i) {
    if (fibers_[i].ended || fibers_[i].dead) continue;
    Fail(Verdict::kStuck, "participant " + std::string(1, static_cast<char>('a' + i)) +
                              " waits for something that nobody will do");
  }
}

uint64_t Machine::HashOf(int number) const {
  const Fiber& fiber = fibers_[number];
  if (fiber.dead) {
    uint64_t hash = fiber.buried ? 5 : fiber.closing ? 4 : 3;
    for (int i = 0; i < fiber.robust.count; ++i) {
      hash = Mix(hash, reinterpret_cast<uintptr_t>(fiber.robust.held[i]));
    }
    hash = Mix(hash, reinterpret_cast<uintptr_t>(fiber.robust.pending));
    for (int i = 0; i < fiber.buffered; ++i) {
      const Buffered& store = fiber.buffer[i];
      hash = Mix(Mix(hash, store.word * 3 + store.mask), store.value);
    }
    return hash;
  }
  uint64_t reached = 0;
  for (int i = 0; i < fiber.unordered; ++i) {
    reached = reached << 1 | (fiber.since_barrier[static_cast<size_t>(i)].reached ? 1 : 0);
  }
  return Mix(fiber.seen ^ static_cast<uint64_t>(fiber.buffered) << 48 ^ reached << 13,
             fiber.steps << 8 | static_cast<uint64_t>(fiber.wait) << 4 |
                 uint64_t{fiber.ended} << 3 | uint64_t{fiber.woken} << 2 |
                 uint64_t{fiber.granted} << 1 | uint64_t{fiber.timeouts != 0});
}

uint64_t Machine::StateHash() const {
  uint64_t hash = memory_hash_ ^ Mix(history_hash_, kernel_hash_ + (just_killed_ ? 1 : 0)) ^
                  static_cast<uint64_t>(now_ns_);
  for (int i = 0; i < participants_; ++i) {
    hash += Mix(HashOf(i), static_cast<uint64_t>(i) + 11);
  }
  if (models_orders()) {
    uint32_t living = 0;
    for (int i = 0; i < participants_; ++i) {
      if (!fibers_[i].dead && !fibers_[i].ended) living |= 1u << i;
    }
    hash += weak_.Hash(living);
  }
  return hash;
}

int Machine::Decide() {
  for (;;) {
    GatherMoves();
    if (move_count_ == 0) {
      // What the auditor will find depends on this alone.
      const Question last{
          .moves = {},
          .state = Mix(memory_hash_, history_hash_ ^ kernel_hash_ ^
                                         (clock_moves_ ? static_cast<uint64_t>(now_ns_) : 0)),
          .ended = true};
      if (chooser_->Choose(last) == Chooser::kAbandon) LeaveSchedule(Ending::kAbandoned);
      return kAuditor;
    }
    const Question question{.moves = {moves_.data(), static_cast<size_t>(move_count_)},
                            .state = chooser_->WantsState() ? StateHash() : 0,
                            .running = running_};
    const int choice = chooser_->Choose(question);
    if (choice == Chooser::kAbandon) {
      if (running_ == kNobody) return kNobody;
      LeaveSchedule(Ending::kAbandoned);
    }
    const Move move = moves_[choice];
    Fiber& fiber = fibers_[move.fiber];
    switch (move.kind) {
      case MoveKind::kRun:
        just_killed_ = false;
        if (!fiber.started || fiber.wait != Wait::kNone) fiber.granted = true;
        if (!IsServed(fiber)) TimeOut(fiber);
        fiber.started = true;
        fiber.wait = Wait::kNone;
        fiber.changed = false;
        return move.fiber;
      case MoveKind::kDrain:
        if (limits_.trace)
          TraceOf(move.fiber, AccessKind::kDrain, "reaches the segment", fiber.buffer[0].word * 8,
                  fiber.buffer[0].value);
        DrainOne(fiber);
        break;
      case MoveKind::kEvent:
        Event(move.fiber);
        break;
      case MoveKind::kKill:
        Kill(move.fiber);
        break;
      case MoveKind::kPick:
        break;  // is asked elsewhere
    }
  }
}

void Machine::AskForTurn() {
  const OutsideArena outside;
  Fiber& fiber = fibers_[running_];
  HideBuffer(fiber);
  const int next = Decide();
  if (next != running_) SwitchTo(next);
  ShowBuffer(fiber);
}

void Machine::AskInsideTurn(bool always) {
  if (phase_ != Phase::kTurns || deaths_ >= limits_.deaths) return;
  if (limits_.ask_everywhere) return AskForTurn();
  Fiber& fiber = fibers_[running_];
  // Not the segment's own hash: it may be as it was, and others elsewhere.
  const uint64_t now = Mix(fiber.changes, static_cast<uint64_t>(fiber.robust.count) * 2 +
                                              (fiber.robust.pending != nullptr ? 1 : 0));
  if (!always && fiber.asked == now) return;
  fiber.asked = now;
  const OutsideArena outside;
  moves_[0] = {MoveKind::kRun, static_cast<int8_t>(running_)};
  moves_[1] = {MoveKind::kKill, static_cast<int8_t>(running_)};
  const int choice =
      chooser_->Choose({.moves = {moves_.data(), 2}, .running = running_, .inside_turn = true});
  if (choice == Chooser::kAbandon) LeaveSchedule(Ending::kAbandoned);
  if (choice == 0) return;
  HideBuffer(fiber);
  Kill(running_);
  Proceed();
}

void Machine::Proceed() {
  Arena::Get().on = false;
  const int next = Decide();
  if (next != running_) SwitchTo(next);
}

// ---- Waiting ------------------------------------------------------------------------------------

void Machine::Block(Wait wait) {
  const OutsideArena outside;
  Settle();
  CompilerBarrier();
  Fiber& fiber = fibers_[running_];
  if (fiber.must_not_wait) {
    Fail(Verdict::kStuck, "an operation that must never wait for another participant waits");
  }
  if (phase_ == Phase::kAudit) {
    Fail(Verdict::kStuck, "after all others had ended, the auditor waits for one of them");
  }
  fiber.wait = wait;
  fiber.woken = false;
  HideBuffer(fiber);
  Proceed();
  ShowBuffer(fiber);
  if (models_orders()) weak_.SeeAll(running_);
}

void Machine::WaitForChange(const void* address) {
  Settle();
  Fiber& fiber = fibers_[running_];
  fiber.wait_word = WordOf(address);
  HideBuffer(fiber);
  fiber.wait_value = *At(fiber.wait_word);
  Block(Wait::kChange);
}

void Machine::NoteBusy(const uint32_t* word) {
  Fiber& fiber = fibers_[running_];
  const uint64_t at = WordOf(word) + 1;
  if (fiber.busy_word == at && fiber.busy_value == *At(at - 1)) WaitForChange(word);
  if (models_orders()) weak_.SeeAll(running_);
  fiber.busy_word = at;
  fiber.busy_value = *At(at - 1);
}

bool Machine::WaitForWake(const void* address) {
  Fiber& fiber = fibers_[running_];
  fiber.wait_word = WordOf(address);
  Block(Wait::kWake);
  return fiber.woken;
}

void Machine::Sleep() {
  if (phase_ == Phase::kOutside) return;
  // For the auditor, who is alone, a pause is over at once: it may have helped itself, as a
  // watch-dog does. One in which it has changed nothing since the one before never ends.
  const uint64_t before = std::exchange(fibers_[running_].wait_value, writes_ + 1);
  if (phase_ == Phase::kAudit && before != writes_ + 1) return;
  fibers_[running_].wait_value = writes_;
  Block(Wait::kSleep);
}

// An hour may be over at once: others may have gone on for as long.
void Machine::TimeOut(Fiber& fiber) {
  ++fiber.timeouts;
  if (fiber.wait != Wait::kNews) return;
  now_ns_ = std::max(now_ns_, fiber.wait_until_ns);
  fiber.timed_out_ns = fiber.wait_until_ns;
  fiber.changes_at_time_out = ChangesOfOthers(fiber);
}

void Machine::PassTime(int64_t ns) {
  TouchClock(true, 0);
  now_ns_ += ns;
  KernelChanged(running_);
}

bool Machine::WaitForNews(int watch, int64_t until_ns) {
  if (phase_ == Phase::kOutside) {
    // Who makes the scene is alone: its time is up at once.
    if (kernel_.NewsFor(watch) != Kernel::kNoNews) return true;
    now_ns_ = std::max(now_ns_, until_ns);
    return false;
  }
  Fiber& fiber = fibers_[running_];
  fiber.wait_value = static_cast<uint64_t>(watch);
  fiber.wait_until_ns = until_ns;
  fiber.timed_out_ns = 0;
  if (kernel_.NewsFor(watch) == Kernel::kNoNews) {
    if (limits_.trace) TraceOf(running_, AccessKind::kNote, "sleeps");
    Block(Wait::kNews);
  }
  return fiber.timed_out_ns == 0;
}

bool Machine::Overslept(int64_t deadline_ns) const {
  const Fiber& fiber = fibers_[running_];
  return fiber.timed_out_ns >= deadline_ns && ChangesOfOthers(fiber) == fiber.changes_at_time_out;
}

void Machine::Wake(const void* address, int count) {
  // In the order of their numbers: the kernel's is that in which they came, which a stopped waiter
  // makes any.
  for (int i = 0; i < participants_ && count > 0; ++i) {
    Fiber& fiber = fibers_[i];
    if (fiber.dead || fiber.wait != Wait::kWake || fiber.woken ||
        fiber.wait_word != WordOf(address)) {
      continue;
    }
    fiber.woken = fiber.changed = true;
    --count;
  }
}

// ---- Death --------------------------------------------------------------------------------------

void Machine::NoteQuestionOfLife() {
  if (phase_ != Phase::kTurns || limits_.deaths == 0 || locks_are_asked_) return;
  locks_are_asked_ = grew_ = true;
}

void Machine::Kill(int number) {
  Fiber& fiber = fibers_[number];
  fiber.dead = true;
  fiber.wait = Wait::kNone;
  ++deaths_;
  just_killed_ = true;
  living_ = static_cast<uint8_t>(living_ & ~(1u << number));
  if (models_compiler()) LoseStores(number);
  // The kernel touches these words when it comes to it.
  for (int i = 0; i < fiber.robust.count; ++i) MarkContended(WordOf(fiber.robust.held[i]));
  if (fiber.robust.pending != nullptr) MarkContended(WordOf(fiber.robust.pending));
  if (limits_.trace) {
    const OutsideArena outside;
    explored_segment.exploring = false;  // it is not explored code that reads
    memory_at_deaths_.emplace_back(At(0), At(words_));
    explored_segment.exploring = true;
    const uint32_t* const pending = fiber.robust.pending;
    TraceOf(number, AccessKind::kDeath, "dies", pending == nullptr ? kNoMutex : WordOf(pending) * 8,
            static_cast<uint64_t>(fiber.robust.count));
  }
}

void Machine::Event(int number) {
  Fiber& fiber = fibers_[number];
  if (fiber.robust.count > 0) {
    EndMutexOfDead(number, fiber.robust.held[--fiber.robust.count], false);
    return;
  }
  if (fiber.robust.pending != nullptr) {
    uint32_t* const word = fiber.robust.pending;
    fiber.robust.pending = nullptr;
    EndMutexOfDead(number, word, true);
    return;
  }
  // Who watches the file is told a moment before the locks go.
  if (!fiber.closing && kernel_.IsWatched()) {
    fiber.closing = true;
    kernel_.Tell(Kernel::kClosed);
    KernelChanged(kNobody);
    if (limits_.trace) TraceOf(number, AccessKind::kEvent, "its descriptors are closed");
    return;
  }
  fiber.buried = true;
  fiber.end_of_death = Tick();
  if (models_orders()) weak_.Bury(number);
  kernel_.Release(number);
  KernelChanged(kNobody);
  const int bit = 48 + number;
  returned_ |= uint64_t{1} << bit;
  history_hash_ += Mix(static_cast<uint64_t>(bit) + 1, fiber.in_operation ? 2 : 1);
  if (limits_.trace) TraceOf(number, AccessKind::kEvent, "its byte locks are free");
}

// As handle_futex_death of Linux.
void Machine::EndMutexOfDead(int number, uint32_t* word, bool pending) {
  const uint32_t value = *AtHalf(word);
  if ((value & FUTEX_TID_MASK) != static_cast<uint32_t>(thread_id(number))) {
    if (pending && value == 0) Wake(word, 1);
    return;
  }
  const uint64_t at = WordOf(word);
  const uint64_t old_value = *At(at);
  const int location = IsWeak(at) ? Location(at) : WeakMemory::kNone;
  MakeDirty(at);
  *AtHalf(word) = (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
  if (location != WeakMemory::kNone) weak_.UpdateOfDead(number, location, *At(at));
  Change(at, old_value, *At(at));
  if ((value & FUTEX_WAITERS) != 0) Wake(word, 1);
  if (limits_.trace) {
    TraceOf(number, AccessKind::kEvent, "its mutex says that its owner died", at * 8, *At(at));
  }
}

// ---- For scenes ---------------------------------------------------------------------------------

void Machine::As(int participant, int what) {
  acting_ = participant;
  scene_->Act(participant, what);
  acting_ = kAuditor;
}

bool Machine::UseArena(bool on) { return std::exchange(Arena::Get().on, on); }

void Machine::NoteMutex(const void* address) {
  if (phase_ != Phase::kOutside && !limits_.trace) return;
  const OutsideArena outside;
  mutexes_.insert(WordOf(address) * 8);
}

// ---- For people ---------------------------------------------------------------------------------

void Machine::Trace(AccessKind kind, uintptr_t code, Piece piece, uint64_t value, uint64_t written,
                    const char* what) {
  if (phase_ == Phase::kAudit) return;
  const OutsideArena outside;
  const uint64_t offset =
      static_cast<uint64_t>(static_cast<const char*>(piece.address) - explored_segment.base);
  trace_.push_back({running_, kind, code, offset, piece.bytes, value, written, what});
}

void Machine::TraceOf(int fiber, AccessKind kind, const char* what, uint64_t offset,
                      uint64_t value) {
  if (phase_ == Phase::kAudit) return;
  const OutsideArena outside;
  trace_.push_back({fiber, kind, 0, offset, 0, value, value, what});
}

}  // namespace kill9::explore
