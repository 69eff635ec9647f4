#include "harness/inspect/heap_contents.h"

#include <algorithm>
#include <utility>

#include "harness/inspect/heap_map.h"

namespace kill9::inspect {
namespace {

bool Has(const std::vector<ParticipantId>& owners, ParticipantId one) {
  return std::find(owners.begin(), owners.end(), one) != owners.end();
}

BlockUse UseOf(const OwnedBlock& block, const std::vector<Attached>& attached) {
  const auto lives = [&](ParticipantId id) {
    return std::any_of(attached.begin(), attached.end(), [&](const Attached& one) {
      return one.lives && one.slot == id.slot && one.generation == id.generation;
    });
  };
  if (std::none_of(block.owners.begin(), block.owners.end(), lives)) return BlockUse::kOfTheDead;
  if (block.reserved) return BlockUse::kReserved;
  return block.owners.size() > 1 ? BlockUse::kShared : BlockUse::kAlone;
}

// Who else owns a block may have been the one whom a look recovered.
void CountShared(SeenHeap& seen) {
  for (Holding& holding : seen.account.holdings) {
    holding.shared_blocks = static_cast<uint64_t>(
        std::count_if(seen.blocks.begin(), seen.blocks.end(), [&](const auto& one) {
          return one.second.owners.size() > 1 && Has(one.second.owners, holding.owner);
        }));
  }
}

// What `with` has beyond `without`. Both are sums over blocks, and so is `sum`.
void AddWhatIsBeyond(AuditReport::Account with, AuditReport::Account without,
                     AuditReport::Account& sum) {
  sum.blocks += with.blocks - without.blocks;
  sum.bytes += with.bytes - without.bytes;
}

void AddWhatIsBeyond(const HeapAccount& with, const HeapAccount& without, HeapAccount& sum) {
  for (const auto field :
       {&HeapAccount::free_bytes, &HeapAccount::live_bytes, &HeapAccount::reserved_bytes,
        &HeapAccount::header_bytes, &HeapAccount::rounding_bytes}) {
    sum.*field += with.*field - without.*field;  // free room is less with more blocks: it wraps
  }
  for (const auto field :
       {&AuditReport::capacity, &AuditReport::free, &AuditReport::live, &AuditReport::held}) {
    AddWhatIsBeyond(with.report.*field, without.report.*field, sum.report.*field);
  }
}

}  // namespace

absl::StatusOr<SeenHeap> See(Heap& heap) {
  SeenHeap seen;
  absl::StatusOr<HeapAccount> account = heap.Account();
  if (!account.ok()) return account.status();
  const absl::StatusOr<HeapOccupancy> occupancy = heap.Look();
  if (!occupancy.ok()) return occupancy.status();
  seen.account = *std::move(account);
  seen.occupancy = *occupancy;
  const absl::Status status = heap.ForEach([&](const HeapBlock& block) {
    seen.blocks[block.handle.offset] = {.bytes = block.bytes,
                                        .reserved = block.reserved,
                                        .owners = {block.owners.begin(), block.owners.end()}};
    return true;
  });
  if (!status.ok()) return status;
  return seen;
}

bool Complete(const SeenHeap& other, const HeapAccount& without, ParticipantId untold,
              SeenHeap& seen) {
  bool is_exact = true;
  for (const auto& [offset, block] : other.blocks) {
    if (!Has(block.owners, untold)) continue;
    const auto [there, is_new] = seen.blocks.try_emplace(offset, block);
    if (is_new) {
      if (!block.reserved) ++seen.occupancy.blocks;
      continue;
    }
    is_exact = is_exact && block.owners.size() > 1;
    there->second.owners.push_back(untold);
  }
  for (const Holding& holding : other.account.holdings) {
    if (holding.owner == untold) seen.account.holdings.push_back(holding);
  }
  CountShared(seen);
  if (is_exact) AddWhatIsBeyond(other.account, without, seen.account);
  seen.occupancy.largest_block_bytes =
      std::min(seen.occupancy.largest_block_bytes, other.occupancy.largest_block_bytes);
  return is_exact;
}

Json AsJson(const SeenHeap& seen, const Segment& segment, const std::vector<Attached>& attached) {
  Json holdings = Json::array();
  for (const Holding& holding : seen.account.holdings) {
    holdings.push_back({{"slot", holding.owner.slot},
                        {"generation", holding.owner.generation},
                        {"blocks", holding.blocks},
                        {"bytes", holding.bytes},
                        {"shared_blocks", holding.shared_blocks},
                        {"reserved_blocks", holding.reserved_blocks},
                        {"reserved_bytes", holding.reserved_bytes}});
  }
  HeapMap map(segment.header().body_offset, segment.size());
  for (const auto& [offset, block] : seen.blocks) {
    map.Add(offset, block.bytes, UseOf(block, attached),
            block.owners.empty() ? 0 : block.owners.front().slot);
  }
  return Json{{"blocks", seen.occupancy.blocks},
              {"room_bytes", seen.account.room_bytes},
              {"free_bytes", seen.account.free_bytes},
              {"live_bytes", seen.account.live_bytes},
              {"reserved_bytes", seen.account.reserved_bytes},
              {"header_bytes", seen.account.header_bytes},
              {"rounding_bytes", seen.account.rounding_bytes},
              {"largest_block_bytes", seen.occupancy.largest_block_bytes},
              {"holdings", std::move(holdings)},
              {"map", map.AsJson()}};
}

}  // namespace kill9::inspect
