// A session: a shard's mutex held for a while, repaired first if the last holder died.
//
// D2  EOWNERDEAD never reaches pthread_mutex_consistent before the victim's journal has been
// undone. If it cannot be, the mutex is never marked consistent, and nobody enters again: what the
// shard holds can be in any state (kDataLoss).
#ifndef KILL9_VARIANTS_STORES_LOCKED_SHARD_GUARD_H_
#define KILL9_VARIANTS_STORES_LOCKED_SHARD_GUARD_H_

#include <atomic>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "variants/stores/locked/ledger.h"
#include "variants/stores/locked/shard.h"

namespace kill9::locked {

class ShardGuard {
 public:
  enum class LockMode : uint8_t { kWait, kTry };
  // Undoes what the journal that an id names (JournalOwner::id) says of a shard.
  using UndoJournal = absl::FunctionRef<Journal::Undone(uint64_t id, uint32_t index)>;

  // The session may come out not entered: with kTry because the mutex is taken, and always because
  // it is unusable.
  ShardGuard(char* base, ShardHeader& shard, uint32_t index, JournalOwner hand, LockMode lock_mode,
             UndoJournal undo_journal)
      : journal(base, hand.area, hand.id, index, shard.writer), mutex_(shard.mutex) {
    const RobustMutex::Acquired acquired =
        lock_mode == LockMode::kWait ? mutex_.Lock() : mutex_.TryLock();
    busy = acquired == RobustMutex::Acquired::kBusy;
    entered = !busy && acquired != RobustMutex::Acquired::kUnusable;
    if (acquired != RobustMutex::Acquired::kOwnerDied) return;
    // dies here -> the mutex stays owner-dead, and the next one undoes again (J4)
    if (shard.writer != 0) {
      const Journal::Undone result = undo_journal(shard.writer, index);
      if (result == Journal::Undone::kDamaged) [[unlikely]] {
        entered = false;
        mutex_.Unlock();
        return;
      }
      undone = result == Journal::Undone::kAll;
      // Release: after the undo.
      std::atomic_ref<uint64_t>(shard.writer).store(0, std::memory_order_release);
    }
    mutex_.Consistent();
  }
  ~ShardGuard() {
    if (!entered) return;
    journal.Close();
    mutex_.Unlock();
  }
  ShardGuard(const ShardGuard&) = delete;
  ShardGuard& operator=(const ShardGuard&) = delete;

  Journal journal;
  bool entered = false;
  bool busy = false;    // not entered, because somebody else is there
  bool undone = false;  // a dead holder's half-done transaction was rolled back

 private:
  RobustMutex& mutex_;
};

}  // namespace kill9::locked

#endif  // KILL9_VARIANTS_STORES_LOCKED_SHARD_GUARD_H_
