// The audit of a coalescing_heap: O3 to O7 as code, and the account of every byte.
#include <algorithm>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "variants/heaps/coalescing_heap/space.h"

namespace kill9::coalescing_heap {

struct Space::AuditState {
  HeapAccount account;
  std::vector<Holding> holdings;                      // by slot
  absl::flat_hash_map<uint64_t, uint32_t> in_chains;  // payload -> slot
  absl::flat_hash_set<uint64_t> generations;
  uint64_t reserved_met = 0;

  void Violate(std::string_view invariant, std::string_view what, uint64_t where) {
    account.report.AddViolation(invariant, what, where);
  }
  static void Add(AuditReport::Account& account, uint64_t bytes) {
    ++account.blocks;
    account.bytes += bytes;
  }
};

// O4, from the rows' side.
void Space::AuditChains(AuditState& state) {
  for (uint32_t slot = 0; slot < participants_.size(); ++slot) {
    for (const uint64_t row : ledger(slot).reserves) {
      for (uint64_t payload = row; payload != 0;) {
        const absl::StatusOr<BlockHeader*> block = FirstOf(payload);
        if (!block.ok()) {
          state.Violate("O4", "a chain leads to what is not reserved", payload);
          break;
        }
        if (!state.in_chains.emplace(payload, slot).second) {
          ++state.account.report.doubly_owned;
          state.Violate("O4", "a reserved block is in two chains, or its chain is a ring", payload);
          break;
        }
        payload = (*block)->next_reserved;
      }
    }
  }
}

// O3 and O6.
void Space::AuditOwners(AuditState& state, BlockHeader& block, uint64_t payload) {
  const bool reserved = block.is(BlockHeader::kReserved);
  const bool shared = IsShared(block);
  uint64_t owners = 0;
  for (uint32_t slot = 0; slot < 64 * owner_words_; ++slot) {
    if (!Owns(block, slot)) continue;
    ++owners;
    if (slot >= segment_->header().max_participants ||
        ledger(slot).member != Ledger::MemberWord(participants_.generation(slot)) ||
        (participants_.state(slot) != ParticipantState::kInUse &&
         participants_.state(slot) != ParticipantState::kDead)) {
      state.Violate("O6", "a block is owned by nobody who is there", payload);
      continue;
    }
    Holding& holding = state.holdings[slot];
    if (reserved) {
      ++holding.reserved_blocks;
      holding.reserved_bytes += block.bytes();
      const auto chain = state.in_chains.find(payload);
      if (chain == state.in_chains.end() || chain->second != slot) {
        state.Violate("O4", "a reserved block is in no chain of its owner", payload);
      }
      continue;
    }
    ++holding.blocks;
    holding.bytes += block.bytes();
    holding.shared_blocks += shared ? 1 : 0;
    ++state.account.holds;
  }
  if (reserved && owners > 1) state.Violate("O4", "a reserved block is shared", payload);
}

void Space::AuditBlock(AuditState& state, const locked::Heap::BlockView& view) {
  HeapAccount& account = state.account;
  AuditReport& report = account.report;
  AuditState::Add(report.capacity, view.bytes);
  if (!view.used || view.findable) {
    AuditState::Add(report.free, view.bytes);
    account.free_bytes += view.bytes;
    if (view.used && state.in_chains.contains(view.payload)) ++report.doubly_owned;
    return;
  }
  const uint64_t overhead = locked::Heap::kBlockHeaderBytes + header_bytes_;
  BlockHeader& block = At(view.payload);
  const bool live = view.bytes >= overhead && block.is(BlockHeader::kLive);
  const bool reserved = view.bytes >= overhead && block.is(BlockHeader::kReserved);
  if (!live && !reserved) {
    AuditState::Add(report.leaked, view.bytes);
    return;
  }
  if (std::all_of(block.owners(), block.owners() + owner_words_,
                  [](uint64_t word) { return word == 0; })) {
    AuditState::Add(report.leaked, view.bytes);
    state.Violate("O3", "a block has no owner", view.payload);
    return;
  }
  AuditState::Add(live ? report.live : report.held, view.bytes);
  report.entries += live ? 1 : 0;
  if (!state.generations.insert(block.generation).second ||
      (block.generation & ~BlockHeader::kGenerationBit) >
          (header_->last_generation & ~BlockHeader::kGenerationBit)) {
    state.Violate("O5", "a generation was given twice, or never", view.payload);
  }
  if (overhead + block.bytes() > view.bytes) {
    state.Violate("O1", "a block has more bytes than room", view.payload);
    return;
  }
  (live ? account.live_bytes : account.reserved_bytes) += block.bytes();
  account.header_bytes += overhead;
  account.rounding_bytes += view.bytes - overhead - block.bytes();
  AuditOwners(state, block, view.payload);
}

absl::StatusOr<HeapAccount> Space::Account() {
  const Session session(*this);
  if (!session.entered) return Damaged();
  AuditState state;
  AuditReport& report = state.account.report;
  state.holdings.resize(64 * owner_words_);
  for (uint32_t slot = 0; slot < participants_.size(); ++slot) {
    const ParticipantState is = participants_.state(slot);
    report.participants += is == ParticipantState::kInUse || is == ParticipantState::kDead ? 1 : 0;
  }
  AuditChains(state);
  arena_.Walk([&](const locked::Heap::BlockView& view) { AuditBlock(state, view); },
              report.violations);
  state.account.room_bytes = room_bytes();
  const HeapAccount& account = state.account;
  const uint64_t sum = account.accounted_bytes() + report.leaked.bytes;
  if (sum != account.room_bytes) {
    state.Violate("O7", "the blocks do not add up to the room", sum);
  }
  for (uint32_t slot = 0; slot < state.holdings.size(); ++slot) {
    Holding& holding = state.holdings[slot];
    if (holding.blocks + holding.reserved_blocks == 0) continue;
    holding.owner = IdOf(slot);
    state.account.holdings.push_back(holding);
  }
  return std::move(state.account);
}

}  // namespace kill9::coalescing_heap
