// A session: a shard's mutex held for a while, repaired first if the last holder died.
//
// D2  EOWNERDEAD never reaches pthread_mutex_consistent before the victim's journal has been
// undone.
#ifndef KILL9_VARIANTS_LOCKED_SESSION_H_
#define KILL9_VARIANTS_LOCKED_SESSION_H_

#include <atomic>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "variants/locked/ledger.h"
#include "variants/locked/shard.h"

namespace kill9::locked {

class Session {
 public:
  enum class Patience : uint8_t { kWait, kTry };
  // The journal that an id names (Hand::id).
  using FindJournal = absl::FunctionRef<Journal::Area&(uint64_t id)>;

  // With kTry the session may come out not entered.
  Session(char* base, ShardHeader& shard, uint32_t index, Hand hand, Patience patience,
          FindJournal find_journal)
      : journal(base, hand.area, hand.id, index, shard.writer), mutex_(shard.mutex) {
    const RobustMutex::Acquired acquired =
        patience == Patience::kWait ? mutex_.Lock() : mutex_.TryLock();
    entered = acquired != RobustMutex::Acquired::kBusy;
    if (acquired != RobustMutex::Acquired::kOwnerDied) return;
    // dies here -> the mutex stays owner-dead, and the next one undoes again (J4)
    if (shard.writer != 0) {
      undone = Journal::Undo(base, find_journal(shard.writer));
      // Release: after the undo.
      std::atomic_ref<uint64_t>(shard.writer).store(0, std::memory_order_release);
    }
    mutex_.Consistent();
  }
  ~Session() {
    if (!entered) return;
    journal.Close();
    mutex_.Unlock();
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Journal journal;
  bool entered = false;
  bool undone = false;  // a dead holder's half-done transaction was rolled back

 private:
  RobustMutex& mutex_;
};

}  // namespace kill9::locked

#endif  // KILL9_VARIANTS_LOCKED_SESSION_H_
