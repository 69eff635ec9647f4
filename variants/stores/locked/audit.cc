// The audit of the locked designs: the invariants of heap.h, shard.h and ledger.h as code, and the
// account.
#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "variants/stores/locked/space.h"

namespace kill9::locked {
namespace {

// What the table and the ledgers say of a block, apart from what the heap says.
struct Claims {
  uint32_t links = 0;
  uint32_t pins = 0;
  uint32_t owners = 0;
};

class Auditor {
 public:
  explicit Auditor(Space& space) : space_(space) {}

  AuditReport Run(JournalOwner hand) {
    // Repair comes first: a quiet segment may have been left by a victim in mid-transaction.
    for (uint32_t i = 0; i < space_.shard_count(); ++i) {
      ShardGuard session = space_.Enter(i, hand);
      if (!session.entered) {
        Violate("D2: the mutex of shard ", i, " is unusable, or its last holder's journal damaged");
        continue;
      }
      CheckWriter(i);
      CheckTable(i);
    }
    CheckLedgers();
    for (uint32_t i = 0; i < space_.shard_count(); ++i) {
      ShardGuard session = space_.Enter(i, hand);
      if (session.entered) CheckHeap(i);
    }
    for (const auto& [payload, claims] : claims_) {
      Violate("D3: the block at ", payload, " is linked or held, but is no used block of the heap");
    }
    return std::move(report_);
  }

 private:
  template <typename... Parts>
  void Violate(const Parts&... parts) {
    report_.violations.push_back(absl::StrCat(parts...));
  }

  void CheckWriter(uint32_t index) {
    if (space_.shard(index).header->writer != 0) {
      Violate("J5: shard ", index, " is in mid-transaction");
    }
  }

  void CheckTable(uint32_t index) {
    Shard& shard = space_.shard(index);
    for (uint64_t bucket = 0; bucket < shard.bucket_count(); ++bucket) {
      for (Ref ref = shard.bucket(bucket); ref != 0;) {
        const uint64_t payload = ref * kRefUnit;
        const uint32_t arena = space_.ArenaOf(payload);
        if (!shard.CanBeEntry(ref) || arena >= space_.shard_count() ||
            !space_.shard(arena).heap.Contains(payload)) {
          Violate("D3: a chain of shard ", index, " points to ", payload);
          break;
        }
        Claims& claims = claims_[payload];
        if (++claims.links > 1) {
          Violate("D3: the entry at ", payload, " is in two chains, or its chain is cyclic");
          ++report_.doubly_owned;
          break;
        }
        Entry* entry = space_.EntryAt(payload);
        CheckEntry(index, bucket, payload, *entry);
        ++report_.entries;
        ref = static_cast<Ref>(entry->next);
      }
    }
  }

  void CheckEntry(uint32_t index, uint64_t bucket, uint64_t payload, Entry& entry) {
    Shard& shard = space_.shard(index);
    if (!shard.IsInItsBlock(entry)) {
      Violate("D3: the entry at ", payload, " is larger than its block");
      return;
    }
    if (!entry.linked())
      Violate("D3: the entry at ", payload, " is in a chain, but not marked linked");
    const uint64_t hash = space_.Hash(entry.key());
    if (!entry.Matches(hash, entry.key()) || space_.ShardOf(hash) != index ||
        shard.BucketOf(hash) != bucket) {
      Violate("D3: the entry at ", payload, " is in a chain that is not its hash's");
    }
    if (entry.version == kAbsent || entry.version > shard.header->last_version) {
      Violate("the entry at ", payload, " has version ", entry.version,
              ", never given in its shard");
    }
    if (shard.Find(hash, entry.key()).entry != &entry) {
      Violate("the key of the entry at ", payload, " is there twice");
    }
  }

  void CheckLedgers() {
    for (uint32_t slot = 0; slot < space_.participants().size(); ++slot) {
      const bool used = space_.participants().state(slot) != ParticipantState::kFree;
      if (used) ++report_.participants;
      Ledger& ledger = space_.ledger(slot);
      for (uint64_t row : ledger.rows) {
        const Hold hold = Hold::Unpack(row);
        if (row == 0) continue;
        if (!used)
          Violate("P3: free participant slot ", slot, " holds the block at ", hold.payload);
        Claims& claims = claims_[hold.payload];
        ++(hold.kind == Hold::Kind::kPin ? claims.pins : claims.owners);
      }
    }
  }

  void CheckHeap(uint32_t index) {
    Heap& heap = space_.shard(index).heap;
    report_.capacity.bytes += heap.capacity_bytes();
    heap.Walk([this](const Heap::BlockView& block) { CheckBlock(block); }, report_.violations);
  }

  static void Count(AuditReport::Account& account, const Heap::BlockView& block) {
    ++account.blocks;
    account.bytes += block.bytes;
  }

  void CheckBlock(const Heap::BlockView& block) {
    ++report_.capacity.blocks;
    const auto found = claims_.find(block.payload);
    const Claims claims = found == claims_.end() ? Claims{} : found->second;
    if (found != claims_.end()) claims_.erase(found);
    const uint32_t owners = claims.links + claims.owners + (block.findable ? 1 : 0);
    if (owners > 1 || (block.findable && claims.pins != 0)) {
      ++report_.doubly_owned;
      Violate("D5: the block at ", block.payload, " is owned twice: ", claims.links, " link(s), ",
              claims.owners, " owner(s), ", claims.pins, " pin(s)",
              block.findable ? ", and the allocator" : "");
    }
    if (block.findable) {
      Count(report_.free, block);
      return;
    }
    if (!block.used) Violate("H4: the free block at ", block.payload, " is in no bin");
    if (claims.links != 0 || claims.pins != 0) {
      const uint64_t pins = space_.EntryAt(block.payload)->pins();
      if (pins != claims.pins) {
        Violate("D4: the entry at ", block.payload, " counts ", pins, " pin(s), the ledgers ",
                claims.pins);
      }
    }
    if (claims.links != 0) {
      Count(report_.live, block);
    } else if (claims.owners != 0 || claims.pins != 0) {
      Count(report_.held, block);
    } else {
      Count(report_.leaked, block);
    }
  }

  Space& space_;
  AuditReport report_;
  absl::flat_hash_map<uint64_t, Claims> claims_;
};

}  // namespace

AuditReport Space::Audit(JournalOwner hand) { return Auditor(*this).Run(hand); }

absl::StatusOr<bool> Space::HasRoom(uint64_t payload_bytes, JournalOwner hand) {
  const uint64_t wanted = Heap::BlockBytesFor(payload_bytes);
  std::vector<std::string> ignored;
  for (uint32_t i = 0; i < shard_count(); ++i) {
    ShardGuard session = Enter(i, hand);
    if (!session.entered) return Damaged();
    uint64_t row = 0, longest = 0;
    shard(i).heap.Walk(
        [&](const Heap::BlockView& block) {
          // What is listed is free, and becomes one with its neighbours when room is short.
          row = !block.used || block.findable ? row + block.bytes : 0;
          longest = std::max(longest, row);
        },
        ignored);
    if (longest >= wanted) return true;
  }
  return false;
}

}  // namespace kill9::locked
