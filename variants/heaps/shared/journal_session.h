// A session in a segment that has one mutex and one journal (locked::Journal): the mutex held for a
// while; what its last owner left half done is undone first. Where each participant has a journal,
// locked::ShardGuard does the same, and first finds out whose it was.
#ifndef KILL9_VARIANTS_HEAPS_SHARED_JOURNAL_SESSION_H_
#define KILL9_VARIANTS_HEAPS_SHARED_JOURNAL_SESSION_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "variants/segment/robust_mutex.h"
#include "variants/stores/locked/journal.h"

namespace kill9 {

class JournalSession {
 public:
  // Whether a transaction can have changed these bytes of the segment. Asked by the constructor.
  using MayChange = absl::FunctionRef<bool(uint64_t offset, uint64_t bytes)>;

  // `writer`: the word of the segment that is not 0 while there may be something to undo.
  JournalSession(char* base, RobustMutex& mutex, locked::Journal::Area& area, uint64_t& writer,
                 MayChange may_change)
      : journal(base, area, /*id=*/1, /*index=*/0, writer), mutex_(mutex) {
    const RobustMutex::Acquired acquired = mutex_.Lock();
    entered =
        acquired == RobustMutex::Acquired::kClean || Mend(acquired, base, area, writer, may_change);
  }
  ~JournalSession() {
    if (!entered) return;
    journal.Close();
    mutex_.Unlock();
  }
  JournalSession(const JournalSession&) = delete;
  JournalSession& operator=(const JournalSession&) = delete;

  locked::Journal journal;
  bool entered = false;  // false: the segment is damaged
  bool undone = false;   // a dead owner's half-done transaction was rolled back

 private:
  // What the mutex's last owner left, if it is dead. False: the segment is damaged.
  bool Mend(RobustMutex::Acquired acquired, char* base, locked::Journal::Area& area,
            uint64_t& writer, MayChange may_change);
  bool Repair(char* base, locked::Journal::Area& area, uint64_t& writer, MayChange may_change);

  RobustMutex& mutex_;
};

}  // namespace kill9

#endif  // KILL9_VARIANTS_HEAPS_SHARED_JOURNAL_SESSION_H_
