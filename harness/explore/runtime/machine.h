// The machine on which explored code runs: one segment, some participants, a kernel that knows of
// robust mutexes and byte locks, and nothing that happens by chance.
//
// Each participant is a fiber. It runs until it is about to touch a *contended* word, one that
// another living participant touches as well; there the machine asks a Chooser whose turn it is. A
// stretch between two such places is a *turn*. Turns need not be cut further: what a turn does
// besides its first access commutes with all that others do meanwhile. Which words are contended is
// found out by running: a schedule in which a word proves to be so says it by `grew`, and whoever
// explores exhaustively begins anew then. (docs/explore.md has the argument.)
//
// Death is a move. At any place where the segment differs from how it was when the machine last
// asked, the participant whose turn it is may die. What the kernel does for the dead then are moves
// of their own, each of which may come late: one for each mutex in its robust list, one for its
// byte locks.
//
// Under TSO a participant's stores wait in a buffer, first in, first out; that the first of them
// reaches the segment is a move. While a fiber runs, the segment shows it its own buffer: so native
// loads are right. Under c11 the machine asks which store a load reads (base/weak_memory.h).
#ifndef KILL9_HARNESS_EXPLORE_RUNTIME_MACHINE_H_
#define KILL9_HARNESS_EXPLORE_RUNTIME_MACHINE_H_

#include <array>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/explore/base/fiber.h"
#include "harness/explore/base/twin_memory.h"
#include "harness/explore/runtime/fiber_state.h"
#include "harness/explore/runtime/kernel.h"
#include "harness/explore/runtime/question.h"
#include "harness/explore/runtime/stage.h"
#include "harness/history/history.h"
#include "harness/result/verdict.h"

namespace kill9::explore {

struct MachineLimits {
  MemoryModel model = MemoryModel::kSc;
  int deaths = 0;
  uint64_t steps = 1'000'000;   // of one participant: who waits looks a thousand times, each time
  bool ask_everywhere = false;  // at every access: for schedules that are given step by step
  bool trace = false;
  // Every access that no hook has seen is a finding: the segment is not accessible but for the
  // instruction that follows a hook. Slow.
  bool prove_hooks = false;
};

// What every hook asks first.
struct ExploredSegment {
  char* base = nullptr;
  size_t bytes = 0;
  bool exploring = false;  // explored code runs on a fiber
};
inline constinit ExploredSegment explored_segment;

class Machine final : public Stage {
 public:
  static Machine& Get() { return *the_; }

  // Makes the scene: what each schedule begins with.
  void Load(Scene& scene, const MachineLimits& limits);
  void set_limits(const MachineLimits& limits) { limits_ = limits; }

  enum class Ending : uint8_t { kComplete, kAbandoned };
  // Runs the scene once. The finding's verdict is kPass where nothing was wrong.
  Ending RunSchedule(Chooser& chooser, Finding* finding);

  // Since the last Load: whether a word proved contended, since this was asked last.
  bool TakeGrew();
  bool grew() const { return grew_; }
  uint64_t contended_words() const { return contended_words_; }
  // How often a weaker order allowed an access more than the order that is written would have.
  uint64_t novelties() const { return novelties_; }
  std::vector<uint64_t> Contended() const;
  // REQUIRES: loaded, not asked everywhere.
  void SetContended(std::span<const uint64_t> words);

  // ---- For scenes (stage.h).
  void set_has_barrier(bool has_barrier) override { has_barrier_ = has_barrier; }
  bool has_barrier() const { return has_barrier_; }
  void As(int participant, int what) override;
  int64_t wait_in_vain_ns() const override { return 5'000'000'000; }  // it costs nothing
  void BeginOperation(const char* what, bool must_not_wait) override;
  void EndOperation(uint64_t hash_of_results) override;
  void AfterOperation() override;
  uint64_t Tick() override { return ++time_; }
  int64_t now_ns() const override { return now_ns_; }
  void PassTime(int64_t ns) override;
  bool Overslept(int64_t deadline_ns) const override;
  bool died(int participant) const override { return fibers_[participant].dead; }
  uint64_t time_of_death(int participant) const override {
    return fibers_[participant].end_of_death;
  }
  bool UseArena(bool on) override;
  int deaths() const { return deaths_; }
  // Whether an operation of the participant has returned in this schedule.
  bool returned(int participant) const { return fibers_[participant].operations > 0; }

  // ---- For whoever replays.
  uint64_t steps_of(int participant) const { return fibers_[participant].steps; }
  const std::vector<Step>& trace() const { return trace_; }
  // The segment as the last schedule and its judgement left it.
  std::span<const uint64_t> memory() const { return {At(0), words_}; }
  // The same at each death.
  const std::vector<std::vector<uint64_t>>& memory_at_deaths() const { return memory_at_deaths_; }
  // Words of mutexes that were taken, at any time.
  const std::set<uint64_t>& mutexes() const { return mutexes_; }

  // ---- For hooks (hooks.cc, memory.cc, libc.cc).
  static bool Covers(const void* address) {
    return static_cast<size_t>(static_cast<const char*>(address) - explored_segment.base) <
           explored_segment.bytes;
  }
  static bool exploring() { return explored_segment.exploring; }
  // On its way from a fiber to the end of the schedule.
  bool leaving() const { return leaving_; }
  int running() const { return phase_ == Phase::kOutside ? acting_ : running_; }
  void NoteMapping(char* base, size_t bytes);  // the segment's

  // Whether the memory order of an access to this word matters.
  bool IsOrdered(const void* address) const { return IsWeak(WordOf(address)); }
  bool models_orders() const {
    return limits_.model == MemoryModel::kC11 && phase_ == Phase::kTurns;
  }

  // Before a plain load or store, which the code then makes itself.
  void Read(const void* address, size_t bytes, uintptr_t code);
  void Write(void* address, size_t bytes, uintptr_t code);
  // These load and store themselves. `bytes`: 1, 2, 4 or 8, aligned.
  uint64_t Load(const void* address, size_t bytes, TakenOrder order, uintptr_t code);
  void Store(void* address, size_t bytes, uint64_t value, TakenOrder order, uintptr_t code);
  // Returns what was there; `update` gives the new value from it, or false: nothing is stored.
  struct UpdateOrder {
    TakenOrder success, failure;
  };
  template <typename Update>
  uint64_t ReadModifyWrite(void* address, size_t bytes, UpdateOrder order, uintptr_t code,
                           Update update);
  void Fence(TakenOrder order, uintptr_t code);
  void BarrierOfAll(uintptr_t code);  // membarrier(2)

  // ---- For the simulated C library.
  // Waits until the word differs from what it is now, or nobody else can go on.
  void WaitForChange(const void* address);
  // Waits for a wake-up at the address. False: the time was up, which happens only where nobody
  // else can go on.
  bool WaitForWake(const void* address);
  // Lets others go on until something has changed.
  void Sleep();
  // A pause between two looks (spins.cc).
  void Pause();
  // Waits until there is news for a watch. False: the time `until_ns` came, which happens only
  // where nobody else can go on.
  bool WaitForNews(int watch, int64_t until_ns);
  static constexpr int64_t kNeverNs = INT64_MAX;
  // News of the segment's file, for all who watch it; a read or write of what they were told.
  // `call`: of these and of TouchResource, the system call of which it is the first thing.
  void TouchNews(bool write, uintptr_t code, uint64_t call) {
    TouchResource(kNewsResource, write, code, call);
  }
  // A look at the clock, or a move of it. Nothing, unless the scene moves it.
  void TouchClock(bool write, uintptr_t code);
  void Wake(const void* address, int count);
  // An attempt has found the word taken. A second one that finds the same waits for a change: to
  // look at what stays as it is changes nothing.
  void NoteBusy(const uint32_t* word);
  // What only the holder of a mutex reads and writes: no scheduling point.
  uint32_t LoadOfHolder(const uint32_t* address);
  void StoreOfHolder(uint32_t* address, uint32_t value);
  void NoteMutex(const void* address);
  Kernel& kernel() { return kernel_; }
  // By whom; kNobody: the kernel itself.
  void KernelChanged(int by) {
    kernel_hash_ = kernel_.Hash();
    ++writes_;
    if (by != kNobody) ++fibers_[by].writes;
  }
  // Participants ask who lives: the time of each death's last event matters from now on.
  void NoteQuestionOfLife();
  RobustList& robust_list() { return fibers_[running_].robust; }
  // The kernel has let all stores of others reach the running fiber.
  void SeeNewest() {
    if (models_orders()) weak_.SeeAll(running_);
  }
  // A call that all make through the same lock of the kernel.
  void SyncThroughKernel() {
    if (models_orders()) weak_.ThroughKernel(running_);
  }
  // Before a read or write of what is no memory; and what the running fiber was told then.
  void TouchResource(uint32_t resource, bool write, uintptr_t code, uint64_t call);
  void Answer(uint64_t value) {
    if (exploring()) Saw(fibers_[running_], value);
  }
  int thread_id(int fiber) const { return kFirstThreadId + fiber; }
  int NumberOf(int thread_id) const { return thread_id - kFirstThreadId; }
  // Whether the kernel still knows the process.
  bool Exists(int fiber) const {
    return fiber >= 0 && fiber <= kAuditor && !fibers_[static_cast<size_t>(fiber)].buried;
  }
  // Ends the running fiber's schedule: a signal said that it crashed.
  [[noreturn]] void Crash(const char* how);
  // Explored code has touched the segment, and no hook was called before.
  [[noreturn]] void FailUnseen(uintptr_t code);
  // The code may touch these bytes next, natively.
  void Allow(const void* address, size_t bytes) {
    allowed_ = static_cast<const char*>(address);
    allowed_bytes_ = bytes;
  }
  bool IsAllowed(const void* address) const {
    return static_cast<size_t>(static_cast<const char*>(address) - allowed_) < allowed_bytes_;
  }
  bool proves_hooks() const { return proving_; }
  // Whether something was left out that the memory model allows, since the last Load.
  bool narrowed() const { return weak_.narrowed() || forgot_stores_; }
  // Here the compiler moves no store of the running fiber over another (compiler_order.cc). It may
  // die just before.
  void CompilerBarrier() {
    if (!models_compiler() || fibers_[running_].unordered == 0) return;
    AskInsideTurn(false);
    fibers_[running_].unordered = 0;
  }
  void SignalFence() {
    Settle();
    CompilerBarrier();
  }
  bool models_compiler() const {
    return limits_.model == MemoryModel::kCompiler && phase_ == Phase::kTurns;
  }
  // REQUIRES: proves_hooks.
  void SetAccess(bool possible);

 protected:
  void EndBy(Verdict verdict, std::string message) override;

 private:
  enum class Phase : uint8_t { kOutside, kTurns, kAudit };
  // What is no memory, as words behind those of the segment.
  static constexpr uint64_t kResources = 128;
  static constexpr uint32_t kNewsResource = kResources - 2, kClockResource = kResources - 3;

  struct Fiber : FiberState {
    Stack stack;
    RobustList robust;
    std::array<Buffered, kMostBuffered> buffer;
    std::array<Unordered, kMostUnordered> since_barrier;
  };

  void ResetSegment();
  void StartFiber(int fiber);
  static void FiberMain();
  void RunFiber();
  void SwitchTo(int fiber);
  [[noreturn]] void LeaveSchedule(Ending ending);

  // Asks whose turn it is until it is this fiber's again. Returns when it is.
  void AskForTurn();
  void AskInsideTurn(bool always);
  void Proceed();  // the running fiber cannot go on: to somebody who can
  // The next fiber to run; kAuditor if all have ended, kNobody if nobody has run yet and nothing
  // new can follow.
  int Decide();
  void GatherMoves();
  bool CanRun(const Fiber& fiber) const;
  bool IsServed(const Fiber& fiber) const;  // what it waits for is there
  bool HasEnded(const Fiber& fiber) const { return fiber.ended || (fiber.dead && fiber.buried); }
  void GatherTimeouts();
  bool OffersBurial(int number) const;
  uint64_t StateHash() const;
  uint64_t HashOf(int number) const;
  void Kill(int fiber);
  void Event(int fiber);
  void Block(Wait wait);
  void TimeOut(Fiber& fiber);
  // Whether the running fiber's read is one of a loop that sees what it has seen before.
  bool IsLookingAgain(uint64_t word, bool write, uintptr_t code);
  uint64_t ChangesOfOthers(const Fiber& fiber) const { return writes_ - fiber.writes; }
  void EndMutexOfDead(int fiber, uint32_t* word, bool pending);

  uint64_t WordOf(const void* address) const {
    return static_cast<uint64_t>(static_cast<const char*>(address) - explored_segment.base) / 8;
  }
  uint64_t* At(uint64_t word) { return reinterpret_cast<uint64_t*>(base_) + word; }
  // Half a word, as a mutex has it.
  uint32_t* AtHalf(const uint32_t* address) {
    return reinterpret_cast<uint32_t*>(
        base_ + (reinterpret_cast<const char*>(address) - explored_segment.base));
  }
  const uint64_t* At(uint64_t word) const {
    return reinterpret_cast<const uint64_t*>(base_) + word;
  }
  void Before(uint64_t word, bool write, uintptr_t code);
  void Track(uint64_t word, bool write);
  void MarkContended(uint64_t word);
  void Settle() {
    if (fibers_[running_].unsettled != 0) SettleNow();
  }
  void SettleNow();
  // ---- Under compiler (compiler_order.cc).
  void NoteStore(uint64_t word, uint64_t old_value, bool releases);
  void NoteReached(uint64_t word);
  void LoseStores(int fiber);

  // ---- Under c11 (c11.cc).
  bool IsWeak(uint64_t word) const { return models_orders() && contended_[word] != 0; }
  // kNone: its stores are not kept account of, and the newest is what everybody sees.
  int Location(uint64_t word);
  void CheckRace(const void* address, size_t bytes, WeakMemory::Access access);
  using Ages = std::array<uint8_t, WeakMemory::kMostAges>;
  int Pick(int fiber, const Ages& ages, int count, uint32_t novel = 0);
  uint64_t LoadWeak(const void* address, size_t bytes, TakenOrder order);
  void StoreWeak(void* address, size_t bytes, uint64_t value, TakenOrder order);
  void SettleWeak(uint64_t word);
  void FenceWeak(TakenOrder order);

  bool buffers() const { return limits_.model == MemoryModel::kTso && phase_ == Phase::kTurns; }
  // The segment's word has this value from now on, for all.
  void Change(uint64_t word, uint64_t old_value, uint64_t value) {
    ChangeBy(running_, word, old_value, value);
  }
  void ChangeBy(int fiber, uint64_t word, uint64_t old_value, uint64_t value);
  void NoteChange(int by);  // to what others may see
  void MakeDirty(uint64_t word);
  void Push(uint64_t word, uint64_t mask, uint64_t value, uint64_t under);
  void ShowBuffer(Fiber& fiber);
  void HideBuffer(Fiber& fiber);
  void DrainOne(Fiber& fiber);
  void DrainAll(Fiber& fiber);
  void AskBeforeDrain(uint64_t word);
  void Saw(Fiber& fiber, uint64_t value);
  static const char* Older(int age) { return age == 0 ? nullptr : "(not the newest)"; }
  struct Piece {
    const void* address;
    size_t bytes;
  };
  void Trace(AccessKind kind, uintptr_t code, Piece piece, uint64_t value, uint64_t written = 0,
             const char* what = nullptr);
  void TraceOf(int fiber, AccessKind kind, const char* what, uint64_t offset = 0,
               uint64_t value = 0);

  void Enter(Phase phase) {
    phase_ = phase;
    explored_segment.exploring = phase != Phase::kOutside;
  }
  Machine() { present_ = this; }

  static Machine* const the_;

  Scene* scene_ = nullptr;
  MachineLimits limits_;
  Phase phase_ = Phase::kOutside;
  int acting_ = 0;
  int running_ = kNobody;
  void* outside_ = nullptr;  // the stack of RunSchedule
  bool leaving_ = false;
  Chooser* chooser_ = nullptr;
  Ending ending_ = Ending::kComplete;
  Finding finding_;

  char* base_ = nullptr;  // as the machine itself touches it; explored code: explored_segment.base
  bool proving_ = false;
  const char* allowed_ = nullptr;
  size_t allowed_bytes_ = 0;
  uint64_t words_ = 0;
  std::set<uint64_t> mutexes_;
  std::vector<uint64_t> beginning_;  // the segment as the scene was made

  uint32_t schedule_ = 0;
  struct Touched {
    uint32_t schedule = 0;
    uint8_t readers = 0, writers = 0;
    bool dirty = false;
  };
  std::vector<Touched> touched_;  // words, then resources
  std::vector<uint64_t> dirty_;
  std::vector<uint8_t> contended_;
  uint64_t contended_words_ = 0;
  bool grew_ = false;
  bool locks_are_asked_ = false;  // some participant asks the kernel who lives

  uint64_t memory_hash_ = 0;
  uint64_t history_hash_ = 0;  // of calls and returns, and what was told
  uint64_t writes_ = 0;
  uint64_t time_ = 0;
  int64_t now_ns_ = 0,
          made_ns_ = 0;  // goes on where somebody's time is up, and where the scene moves it
  bool clock_moves_ = false;
  uint64_t returned_ = 0;  // a bit for each operation that has returned
  int deaths_ = 0;
  int participants_ = 0;
  bool just_killed_ = false;
  uint8_t living_ = 0;  // bits of participants that have not died
  uint64_t kernel_hash_ = 0;
  uintptr_t code_ = 0;  // of the access that was asked for last

  TwinMemory weak_;
  bool forgot_stores_ = false;
  bool has_barrier_ = true;
  uint64_t novelties_ = 0;
  int picked_ = 0;  // how old the store was that the last access took up
  Kernel kernel_, kernel_at_beginning_;
  std::array<RobustList, kMostParticipants + 1> robust_at_beginning_;
  std::array<Fiber, kMostParticipants + 1> fibers_;
  std::array<Move, 4 * kMostParticipants> moves_;
  int move_count_ = 0;
  std::vector<Step> trace_;
  std::vector<std::vector<uint64_t>> memory_at_deaths_;  // with a trace
};

inline uint64_t MaskOf(size_t bytes) {
  return bytes == 8 ? ~uint64_t{0} : (uint64_t{1} << bytes * 8) - 1;
}

template <typename Update>
uint64_t Machine::ReadModifyWrite(void* address, size_t bytes, UpdateOrder order, uintptr_t code,
                                  Update update) {
  const uint64_t word = WordOf(address);
  const int shift = static_cast<int>(reinterpret_cast<uintptr_t>(address) % 8 * 8);
  AskBeforeDrain(word);
  Before(word, true, code);
  Fiber& fiber = fibers_[running_];
  if (limits_.model == MemoryModel::kTso) DrainAll(fiber);
  const int location = IsWeak(word) ? Location(word) : WeakMemory::kNone;
  uint64_t whole = *At(word), new_value = 0;
  int age = 0;
  if (location != WeakMemory::kNone) {
    Ages ages;
    int count = 0;
    uint32_t novel = 0;
    const auto [oldest, oldest_written] = weak_.OldestFor(running_, location, order.failure);
    const auto [to_follow, to_follow_written] = weak_.OldestFor(running_, location, order.success);
    for (int i = 0; i <= oldest; ++i) {
      const bool stores = update(weak_.ValueAt(location, i) >> shift & MaskOf(bytes), &new_value);
      if (stores && (i > to_follow || !weak_.MayFollow(location, i))) continue;
      if (i > (stores ? to_follow_written : oldest_written)) novel |= uint32_t{1} << count;
      ages[static_cast<size_t>(count++)] = static_cast<uint8_t>(i);
    }
    age = Pick(running_, ages, count, novel);
    whole = weak_.ValueAt(location, age);
  }
  const uint64_t old_value = whole >> shift & MaskOf(bytes);
  const bool stores = update(old_value, &new_value);
  new_value &= MaskOf(bytes);
  const uint64_t mask = MaskOf(bytes) << shift;
  const uint64_t next = stores ? (whole & ~mask) | new_value << shift : whole;
  if (IsWeak(word)) {
    CheckRace(address, bytes,
              stores ? WeakMemory::Access::kAtomicWrite : WeakMemory::Access::kAtomicRead);
  }
  if (location != WeakMemory::kNone) {
    if (stores) {
      weak_.Update(running_, location, order.success, age, next);
    } else {
      weak_.Load(running_, location, order.failure, age);
    }
  }
  fiber.unordered = 0;  // it was asked before the access
  if (stores && age == 0) {
    MakeDirty(word);
    *At(word) = next;
    Change(word, whole, next);
  } else if (stores) {
    NoteChange(running_);
  }
  Saw(fiber, old_value);
  if (limits_.trace) {
    Trace(stores ? AccessKind::kUpdate : AccessKind::kRead, code, {address, bytes}, old_value,
          new_value, Older(age));
  }
  return old_value;
}

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_RUNTIME_MACHINE_H_
