#include "variants/heaps/shared/journal_session.h"

#include <atomic>

namespace kill9 {

using locked::Journal;

bool JournalSession::Mend(RobustMutex::Acquired acquired, char* base, Journal::Area& area,
                          uint64_t& writer, MayChange may_change) {
  if (acquired != RobustMutex::Acquired::kOwnerDied) return false;
  // dies here -> the mutex stays owner-dead, and the next one undoes again
  if (!Repair(base, area, writer, may_change)) {
    mutex_.Unlock();  // never consistent: nobody enters again
    return false;
  }
  mutex_.Consistent();
  return true;
}

bool JournalSession::Repair(char* base, Journal::Area& area, uint64_t& writer,
                            MayChange may_change) {
  const Journal::Undone result = Journal::Undo(base, area, may_change);
  if (result == Journal::Undone::kDamaged) return false;
  undone = result == Journal::Undone::kAll;
  // Release, both: after the undo.
  std::atomic_ref<uint64_t>(writer).store(0, std::memory_order_release);
  std::atomic_ref<uint64_t>(area.shard).store(0, std::memory_order_release);
  return true;
}

}  // namespace kill9
