// Recovery of a mutex_vector. Where a victim can have died, and what is done:
//
//   with the mutex                       -> the next one to lock it makes everything anew that
//                                           follows from the truth (Rebuild). Each store of the
//                                           truth says beside it what a death before and after it
//                                           means
//   in Rebuild                           -> the mutex is owner-dead again, the next one begins anew
//   without it, nothing held             -> its slot is returned
//   without it, with drafts              -> recovery drops what its rows name
//   without it, with taken messages      -> recovery puts them back, in their old places
//   between a change and its wake-up     -> its death wakes all who sleep (sleepers.h)
//   asleep, or woken                     -> the others were woken as well
//   in Claim or Release of its slot      -> the slot is Free, or InUse with an empty ledger
//   in recovery                          -> what was put back or dropped is not the dead one's any
//                                           more; the next recoverer does the rest
#include <array>
#include <bit>

#include "variants/channels/mutex_vector/space.h"

namespace kill9::mutex_vector {

Session::Session(Space& space) : space_(space) {
  RobustMutex& mutex = space_.header().mutex;
  const RobustMutex::Acquired acquired = mutex.Lock();
  if (acquired == RobustMutex::Acquired::kUnusable) return;
  if (acquired == RobustMutex::Acquired::kOwnerDied) {
    // dies here -> the mutex stays owner-dead, and the next one makes everything anew
    if (!space_.Rebuild()) {
      mutex.Unlock();  // never consistent: nobody enters again
      return;
    }
    rebuilt = true;
    mutex.Consistent();
  }
  entered = true;
}

bool Space::Rebuild() {
  if (grown() < kFewestExtents || grown() > extents_) return false;
  for (uint32_t i = 0; i < grown(); ++i) {
    extent_table_[i].kind = ExtentKind::kFree;
    extent_table_[i].live = 0;
  }
  header_->free_extents = grown();
  header_->tail = header_->shared = header_->drafts = 0;
  header_->cursor = header_->cursor_offset = 0;
  header_->cursor_sequence = 0;
  header_->waiting = header_->taken = header_->bytes = 0;
  if (!RebuildLog() || !RebuildRows()) return false;
  UnlinkEmpty();
  return true;
}

// The extents of the chain, and the payloads that its records name.
bool Space::RebuildLog() {
  // Relaxed: under the mutex.
  ExtentLink link = static_cast<ExtentLink>(header_->head.load(std::memory_order_relaxed));
  for (; link != 0; link = NextOf(link - 1)) {
    if (link > grown() || extent_table_[link - 1].kind != ExtentKind::kFree) return false;
    extent_table_[link - 1].kind = ExtentKind::kLog;
    --header_->free_extents;
    header_->tail = link;
  }
  uint64_t last = 0;
  bool sound = true;
  sound &= ForEachRecord([&](uint32_t extent, Record& record) {
    last = record.sequence;
    if (record.is() == Record::kAcknowledged) return true;
    ++extent_table_[extent].live;
    ++(record.is() == Record::kWaiting ? header_->waiting : header_->taken);
    header_->bytes += record.size;
    if (record.payload != 0) sound &= ClaimPayload({record.payload, record.size});
    return sound;
  });
  // Relaxed, both: under the mutex. V2: above all sequences.
  if (header_->sent.load(std::memory_order_relaxed) <= last) {
    header_->sent.store(last + 1, std::memory_order_relaxed);
  }
  return sound;
}

bool Space::RebuildRows() {
  bool sound = true;
  for (uint32_t slot = 0; slot < participants_.size(); ++slot) {
    for (const std::atomic<uint64_t>& row : ledger(slot).rows) {
      // Relaxed: under the mutex.
      const uint64_t word = row.load(std::memory_order_relaxed);
      if (word == 0) continue;
      ++header_->drafts;
      sound &= ClaimPayload(Payload::Unpack(word));
    }
  }
  return sound;
}

bool Space::ClaimPayload(const Payload& payload) {
  if (!IsPayload(payload)) return false;
  const uint32_t first = ExtentOf(payload);
  if (!HasOwnRun(payload.size)) {
    Extent& extent = extent_table_[first];
    if (extent.kind == ExtentKind::kFree) {
      extent.kind = ExtentKind::kPayload;
      --header_->free_extents;
    }
    ++extent.live;
    return extent.kind == ExtentKind::kPayload;
  }
  if (payload.at * kUnit != extents_begin_ + first * extent_bytes_) return false;
  for (uint32_t i = first; i < first + ExtentsFor(payload.size); ++i) {
    if (extent_table_[i].kind != ExtentKind::kFree) return false;
    extent_table_[i].kind = ExtentKind::kRun;
    extent_table_[i].live = 1;
    --header_->free_extents;
  }
  return true;
}

// What the victim was about to do with extents whose messages are all acknowledged.
void Space::UnlinkEmpty() {
  // Relaxed: under the mutex.
  ExtentLink link = static_cast<ExtentLink>(header_->head.load(std::memory_order_relaxed));
  while (link != 0) {
    const uint32_t extent = link - 1;
    link = NextOf(extent);
    if (extent_table_[extent].live == 0) DropLogExtent(extent);
  }
}

absl::StatusOr<RecoveryReport> RecoverDead(Space& space) {
  const ParticipantTable& table = space.participants();
  RecoveryReport report;
  const Session session(space);
  if (!session.entered) return Damaged();
  report.rolled_back += session.rebuilt ? 1 : 0;
  // Who is dead is asked once: who dies meanwhile is recovered by the next one.
  std::array<uint64_t, (ParticipantTable::kMaxParticipants + 64) / 64 + 1> dead{};
  bool any = false;
  const auto is_dead = [&](uint32_t slot) { return (dead[slot / 64] >> slot % 64 & 1) != 0; };
  for (uint32_t slot = 0; slot < table.size(); ++slot) {
    uint32_t generation = 0;
    if (!table.MarkIfDead(slot, &generation)) continue;
    dead[slot / 64] |= uint64_t{1} << slot % 64;
    any = true;
    for (std::atomic<uint64_t>& row : space.ledger(slot).rows) {
      // Relaxed: under the mutex.
      if (row.load(std::memory_order_relaxed) == 0) continue;
      space.Drop(row);
      ++report.blocks;
    }
  }
  if (!any) return report;
  report.blocks += space.PutBackAll([&](uint32_t slot, uint32_t generation) {
    return slot < table.size() && is_dead(slot) && table.generation(slot) == generation;
  });
  for (uint32_t slot = 0; slot < table.size(); ++slot) {
    // Only who has the mutex returns slots, so the generation is still the dead one's; but a
    // recoverer's slot may have gone to the next one already (P4), whose ledger holds nothing.
    if (is_dead(slot) && table.MarkRecovered(slot, table.generation(slot))) ++report.participants;
  }
  return report;
}

}  // namespace kill9::mutex_vector
