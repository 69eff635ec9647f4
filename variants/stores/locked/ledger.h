// What a participant of a locked design holds, one word a hold, in its ledger.
//
// L1  A row is written by its participant, or after that one's death by the recoverer, under the
//     mutex of the row's shard, through that shard's journal.
// L2  A row of kind kPin: the participant is one of the entry's pins. Its shard is that of the key.
// L3  A row of kind kOwn: the participant alone owns the block, an unpublished draft or an entry
//     that was unlinked and is to be freed. Its shard is the one whose arena has the block.
// L4  Recovery takes the mutex of the shard that the victim's journal names (J6) before it believes
//     any row, so that an unfinished transaction is undone first.
#ifndef KILL9_VARIANTS_STORES_LOCKED_LEDGER_H_
#define KILL9_VARIANTS_STORES_LOCKED_LEDGER_H_

#include <cstdint>
#include <type_traits>

#include "variants/segment/admission/mutex_admission.h"
#include "variants/stores/locked/journal.h"

namespace kill9::locked {

struct Hold {
  enum class Kind : uint8_t { kNone, kPin, kOwn };

  Kind kind = Kind::kNone;
  uint32_t shard = 0;
  uint64_t payload = 0;  // offset of the entry; a multiple of 16

  // payload / 16 in 48 bits, shard in 12, kind in 4. A word of 0 is no hold.
  uint64_t Pack() const {
    return payload / 16 << 16 | uint64_t{shard} << 4 | static_cast<uint64_t>(kind);
  }
  static Hold Unpack(uint64_t word) {
    return {static_cast<Kind>(word & 15), static_cast<uint32_t>(word >> 4 & 0xfff),
            (word >> 16) * 16};
  }
};

// With what somebody, a participant or the recoverer, works on shards.
struct JournalOwner {
  Journal::Area& area;
  uint64_t id;  // participant slot + 1, or kRecoverer
  static constexpr uint64_t kRecoverer = UINT64_MAX;
};

struct Ledger {
  static constexpr uint32_t kPublicRows = 64;               // pins and drafts of the user
  static constexpr uint32_t kTransferRow = kPublicRows;     // a large value on its way in or out
  static constexpr uint32_t kFreeingRow = kPublicRows + 1;  // a borrowed block on its way back
  static constexpr uint32_t kRows = kPublicRows + 2;

  MutexAdmission admission;
  Journal::Area journal;
  uint64_t rows[kRows];  // Hold::Pack
};
static_assert(std::is_standard_layout_v<Ledger> && sizeof(Ledger) % 64 == 0);

}  // namespace kill9::locked

#endif  // KILL9_VARIANTS_STORES_LOCKED_LEDGER_H_
