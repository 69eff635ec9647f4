#include "variants/stores/cas_slots/cas_slots_store.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "variants/segment/short_bytes.h"
#include "variants/stores/cas_slots/recovery.h"

namespace kill9::cas_slots {
namespace {

inline bool HasKey(BlockHeader* entry, std::string_view key) {
  return entry->key_bytes == key.size() && SameBytes(entry->key(), key.data(), key.size());
}

absl::Status Damaged() {
  return absl::DataLossError("the segment is damaged: a slot leads to what can be no block");
}

}  // namespace

absl::Status CasSlotsStore::Full() const {
  if (lacked_bytes_ == 0) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "no room for the key: its slot has ", kMaxNodeItems, " keys, as many as a node can list"));
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("the segment is full: no room for a block of ", lacked_bytes_, " bytes"));
}

// Names the block, and makes sure that the slot still leads to it (I5).
KILL9_ALWAYS_INLINE bool CasSlotsStore::Hold(SharedWord& word, Ref ref, const Found& found) {
  context_.Publish(word, ref);
  // Seq_cst: pairs with the CAS of Commit through Publish. Acquire: the block's content is as
  // published.
  return context_.slot(found.slot).load(std::memory_order_seq_cst) == found.word.bits;
}

KILL9_ALWAYS_INLINE void CasSlotsStore::FetchSlotToWrite(uint64_t hash) {
  PrefetchToWrite(&context_.slot(context_.SlotOf(hash)));
}

// Takes effect at the last load of the slot word. Most keys have a slot of their own: that case is
// made short, so that the processor can begin with what comes after it while it waits for memory.
template <bool kToWrite>
KILL9_ALWAYS_INLINE bool CasSlotsStore::LocateAlone(std::string_view key, uint64_t hash,
                                                    Found& found) {
  found.slot = context_.SlotOf(hash);
  // Acquire: pairs with Commit.
  found.word = SlotWord{context_.slot(found.slot).load(std::memory_order_acquire)};
  if (found.word.kind() != SlotKind::kEntry) [[unlikely]]
    return false;
  found.entry_ref = found.word.ref();
  if (!context_.IsPlace(found.entry_ref)) [[unlikely]]
    return false;
  context_.Fetch<kToWrite>(found.entry_ref);
  if (!Hold(ledger_.entry_hold, found.entry_ref, found)) [[unlikely]]
    return false;
  found.entry = context_.block(found.entry_ref);
  found.clock = found.word.ClockFrom(found.entry->clock);
  return context_.IsWhole(found.entry) && HasKey(found.entry, key);
}

template <bool kToWrite>
CasSlotsStore::Found CasSlotsStore::Locate(std::string_view key, uint64_t hash) {
  Found found;
  return LocateAlone<kToWrite>(key, hash, found) ? found : LocateAnywhere(key, hash);
}

CasSlotsStore::Found CasSlotsStore::LocateAnywhere(std::string_view key, uint64_t hash) {
  Found found;
  found.slot = context_.SlotOf(hash);
  for (;;) {
    // Clear a hold that did not validate: its block may belong to somebody else now. Under a
    // target, recovery would take it for a block that this participant had removed (I7).
    Context::Clear(ledger_.entry_hold);
    if (found.used_node_hold) Context::Clear(ledger_.node_hold);
    // Acquire: pairs with Commit.
    found.word = SlotWord{context_.slot(found.slot).load(std::memory_order_acquire)};
    if (found.word.kind() == SlotKind::kEmpty) {
      found.clock = found.word.empty_clock();
      return found;
    }
    const bool located = found.word.kind() == SlotKind::kNode ? LocateInNode(key, hash, found)
                                                              : LocateInWord(key, found);
    if (located || found.damaged) return found;
  }
}

// The entry that the word, or the node that it names, leads to, named by `word`. Null: the slot has
// changed, or it leads to no entry, as `found.damaged` tells.
BlockHeader* CasSlotsStore::HoldEntry(SharedWord& word, Ref ref, Found& found) {
  const bool is_place = context_.IsPlace(ref);
  if (!Hold(word, is_place ? ref : 0, found)) return nullptr;
  BlockHeader* entry = is_place ? context_.block(ref) : nullptr;
  found.damaged = entry == nullptr || !context_.IsWhole(entry);
  return found.damaged ? nullptr : entry;
}

// The node that the word names. Null: as HoldEntry.
BlockHeader* CasSlotsStore::HoldNode(Found& found) {
  const Ref ref = found.word.ref();
  const bool is_place = context_.IsPlace(ref);
  if (!Hold(ledger_.node_hold, is_place ? ref : 0, found)) return nullptr;
  BlockHeader* node = is_place ? context_.block(ref) : nullptr;
  found.damaged = node == nullptr || !context_.IsWholeNode(node);
  return found.damaged ? nullptr : node;
}

// One entry, or two. False: the slot has changed.
bool CasSlotsStore::LocateInWord(std::string_view key, Found& found) {
  const bool pair = found.word.kind() == SlotKind::kPair;
  const Ref refs[] = {pair ? found.word.first() : found.word.ref(), found.word.second()};
  if (pair) {
    for (Ref ref : refs) PrefetchToRead(context_.block(ref));
    // Published before HoldEntry looks at the word again: that is the check for both.
    context_.Publish(ledger_.node_hold, refs[1]);
    found.used_node_hold = true;
  }
  BlockHeader* entry = HoldEntry(ledger_.entry_hold, refs[0], found);
  if (entry == nullptr) return false;
  for (size_t i = 0; i < (pair ? 2 : 1); ++i) {
    if (i == 1) {
      found.damaged = !context_.IsPlace(refs[1]) || !context_.IsWhole(context_.block(refs[1]));
      if (found.damaged) return false;
      entry = context_.block(refs[1]);
    }
    found.clock = std::max(found.clock, entry->clock);
    if (HasKey(entry, key)) {
      found.entry = entry;
      found.entry_ref = refs[i];
    } else {
      found.others[found.other_count++] = refs[i];
    }
  }
  if (!pair) found.clock = found.word.ClockFrom(found.clock);
  return true;
}

// False: the slot has changed.
bool CasSlotsStore::LocateInNode(std::string_view key, uint64_t hash, Found& found) {
  found.used_node_hold = true;
  BlockHeader* node = HoldNode(found);
  if (node == nullptr) return false;
  found.entry = nullptr;
  const StruckItems struck(node, found.word);
  for (uint32_t i = 0; i < node->items && found.entry == nullptr; ++i) {
    const uint64_t item = node->item()[i];
    if (!ItemMayBe(item, hash) || struck.Has(i)) continue;
    const Ref ref = ItemRef(item);
    BlockHeader* entry = HoldEntry(ledger_.entry_hold, ref, found);
    if (entry == nullptr) return false;
    if (!HasKey(entry, key)) continue;
    found.entry = entry;
    found.entry_ref = ref;
    found.item = i;
  }
  found.node = node;
  found.clock = node->clock + struck.count();
  return true;
}

KILL9_ALWAYS_INLINE Version CasSlotsStore::Read(const Found& found, std::string* value,
                                                size_t apart_bytes) {
  const Version version = found.entry->clock;
  if (value != nullptr) {
    const size_t bytes = found.entry->value_bytes - apart_bytes;
    if (value->size() == bytes) {
      std::memcpy(value->data(), found.entry->value(), bytes);
    } else {
      value->assign(found.entry->value(), bytes);
    }
  }
  ReleaseHolds(found);
  return version;
}

absl::StatusOr<Version> CasSlotsStore::DoGet(std::string_view key, std::string* value) {
  const uint64_t hash = segment_->Hash(key);
  Found found;
  if (LocateAlone<false>(key, hash, found)) [[likely]]
    return Read(found, value);
  return GetAnywhere(key, hash, value);
}

absl::StatusOr<Version> CasSlotsStore::DoGetWithTerms(std::string_view key, std::string* value,
                                                      Terms* terms) {
  Found found;
  if (LocateAlone<false>(key, segment_->Hash(key), found)) [[likely]] {
    std::string_view bytes(found.entry->value(), found.entry->value_bytes);
    if (IsHitApart(&bytes, terms)) return Read(found, value, sizeof(terms::Trailer));
  }
  return GetByLook(key, value, terms);  // its hold takes this one's place
}

absl::StatusOr<Version> CasSlotsStore::GetAnywhere(std::string_view key, uint64_t hash,
                                                   std::string* value) {
  const Found found = LocateAnywhere(key, hash);
  if (found.damaged) return ReportDamage(found);
  if (found.entry != nullptr) return Read(found, value);
  ReleaseHolds(found);
  return absl::NotFoundError("");
}

absl::Status CasSlotsStore::ReportDamage(const Found& found) {
  ReleaseHolds(found);
  return Damaged();
}

KILL9_ALWAYS_INLINE Ref CasSlotsStore::NewEntry(std::string_view key, size_t value_bytes) {
  Ref ref = heap_.Allocate(ledger_.new_entry, sizeof(BlockHeader) + key.size() + value_bytes);
  if (ref == 0) [[unlikely]] {
    lacked_bytes_ = sizeof(BlockHeader) + key.size() + value_bytes;
    return 0;
  }
  BlockHeader* entry = context_.block(ref);
  entry->value_bytes = static_cast<uint32_t>(value_bytes);
  entry->key_bytes = static_cast<uint16_t>(key.size());
  entry->items = 0;
  CopyBytes(entry->key(), key.data(), key.size());
  return ref;
}

// REQUIRES: the key was found.
CasSlotsStore::NextWord CasSlotsStore::NextWithout(const Found& found) {
  const uint64_t clock = found.clock + 1;
  if (found.node == nullptr) {
    return {found.other_count == 0 ? SlotWord::Empty(clock)
                                   : SlotWord::Entry(found.others[0], clock)};
  }
  if (StruckItems(found.node, found.word).count() + 1 >= found.node->items) {
    return {SlotWord::Empty(clock), 0, true};
  }
  // Dies after → the word still strikes out the same item.
  StruckItems::Settle(found.node, found.word);
  return {SlotWord::Node(found.word.ref(), found.item + 1, clock)};
}

std::optional<CasSlotsStore::NextWord> CasSlotsStore::MakeNext(const Found& found, Ref new_entry,
                                                               uint64_t hash) {
  const uint64_t clock = found.clock + 1;
  if (found.node != nullptr || found.other_count == 2) return MakeNode(found, new_entry, hash);
  if (found.other_count == 0) return NextWord{SlotWord::Entry(new_entry, clock)};
  const Ref other = found.others[0];
  if (clock - context_.block(other)->clock > kMaxClockLag) return MakeNode(found, new_entry, hash);
  return NextWord{SlotWord::Pair(other, new_entry)};
}

std::optional<CasSlotsStore::NextWord> CasSlotsStore::MakeNode(const Found& found, Ref new_entry,
                                                               uint64_t hash) {
  const uint64_t clock = found.clock + 1;
  std::array<uint64_t, kMaxNodeItems + 1> items;
  size_t count = 0;
  for (uint32_t i = 0; i < found.other_count; ++i) {
    BlockHeader* other = context_.block(found.others[i]);
    items[count++] = PackItem(found.others[i], segment_->Hash({other->key(), other->key_bytes}));
  }
  if (found.node != nullptr) {
    const StruckItems struck(found.node, found.word);
    for (uint32_t i = 0; i < found.node->items; ++i) {
      if (struck.Has(i) || (found.entry != nullptr && i == found.item)) continue;
      items[count++] = found.node->item()[i];
    }
  }
  if (count == 0) return NextWord{SlotWord::Entry(new_entry, clock), 0, true};
  items[count++] = PackItem(new_entry, hash);
  lacked_bytes_ = 0;
  if (count > kMaxNodeItems) return std::nullopt;
  lacked_bytes_ = NodeBytes(count);
  Ref node_ref = heap_.Allocate(ledger_.new_node, NodeBytes(count));
  if (node_ref == 0) return std::nullopt;
  BlockHeader* node = context_.block(node_ref);
  node->clock = clock;
  node->value_bytes = 0;
  node->key_bytes = 0;
  node->items = static_cast<uint16_t>(count);
  for (size_t i = 0; i < kStruckWords; ++i) {
    // Relaxed: the CAS of Commit publishes it.
    node->struck()[i].store(0, std::memory_order_relaxed);
  }
  std::copy_n(items.begin(), count, node->item());
  return NextWord{SlotWord::Node(node_ref, 0, clock), node_ref, true};
}

// REQUIRES: the block, if it is not 0, is Owned by this participant, or is Live and it has not yet
// published it.
KILL9_ALWAYS_INLINE void CasSlotsStore::SetState(Ref ref, BlockKind kind) {
  if (ref == 0) return;
  SharedWord& state = context_.block(ref)->state;
  const BlockState now{state.load(std::memory_order_relaxed)};  // relaxed: its owner's alone (I1)
  // Release: after the target, at a death. [spare release under c11: the CAS of Commit publishes]
  state.store(now.Next(kind, kind == BlockKind::kOwned ? context_.index() : 0).bits,
              std::memory_order_release);
}

// Dies before the CAS → the new blocks are unreachable and named under the target: recovery frees
// them; the slot is as it was. Dies after → the change is there; what it made unreachable is named
// under the target: recovery frees it. A successor sees → one of these two, never anything between.
KILL9_ALWAYS_INLINE bool CasSlotsStore::Commit(const Found& found, const NextWord& next,
                                               Ref new_entry) {
  context_.Note(ledger_.target, found.slot + 1);
  // Live before the CAS, so that whoever removes them finds them so (I3).
  SetState(new_entry, BlockKind::kLive);
  SetState(next.node_ref, BlockKind::kLive);
  uint64_t expected = found.word.bits;
  // The commit point. The holds keep the word from coming back with the same blocks, and Empty's
  // clock never repeats: no ABA. Seq_cst: the other side of Publish where there is no membarrier;
  // as a release it pairs with Locate, which sees the blocks' content. Relaxed on failure: Locate
  // looks again.
  if (!context_.slot(found.slot)
           .compare_exchange_strong(expected, next.word.bits, std::memory_order_seq_cst,
                                    std::memory_order_relaxed)) [[unlikely]] {
    SetState(new_entry, BlockKind::kOwned);
    SetState(next.node_ref, BlockKind::kOwned);
    Context::Clear(ledger_.target);
    return false;
  }
  if (found.entry != nullptr) heap_.Removed(found.entry_ref);
  if (found.node != nullptr && next.drops_node) heap_.Removed(found.word.ref());
  if (new_entry != 0) Context::Clear(ledger_.new_entry);
  if (next.node_ref != 0) Context::Clear(ledger_.new_node);
  Context::Clear(ledger_.target);
  return true;
}

absl::StatusOr<CasResult> CasSlotsStore::Set(std::string_view key, uint64_t hash,
                                             std::string_view value, Ref ref,
                                             std::optional<Version> expected) {
  for (;;) {
    Found found = Locate<true>(key, hash);
    if (found.damaged) {
      if (ref != 0) heap_.GiveBack(ledger_.new_entry, ref);
      return ReportDamage(found);
    }
    std::optional<NextWord> next;
    Version present = found.entry == nullptr ? kAbsent : found.entry->clock;
    bool wanted = !expected.has_value() || *expected == present;
    if (wanted && ref == 0) {
      ref = NewEntry(key, value.size());
      if (ref != 0 && !value.empty()) {
        std::memcpy(context_.block(ref)->value(), value.data(), value.size());
      }
    }
    if (wanted && ref != 0) next = MakeNext(found, ref, hash);
    if (!next.has_value()) {  // not wanted, or no room
      if (ref != 0) heap_.GiveBack(ledger_.new_entry, ref);
      ReleaseHolds(found);
      if (!wanted) return CasResult{false, present};
      return Full();
    }
    context_.block(ref)->clock = found.clock + 1;
    Date(context_.block(ref)->value(), context_.block(ref)->value_bytes);
    bool committed = Commit(found, *next, ref);
    if (!committed && next->node_ref != 0) heap_.GiveBack(ledger_.new_node, next->node_ref);
    ReleaseHolds(found);
    if (committed) return CasResult{true, found.clock + 1};
  }
}

absl::StatusOr<Version> CasSlotsStore::DoPut(std::string_view key, std::string_view value) {
  const uint64_t hash = segment_->Hash(key);
  // The new entry is made while the slot and the old entry are on their way.
  FetchSlotToWrite(hash);
  const Ref ref = NewEntry(key, value.size());
  if (ref == 0) [[unlikely]]
    return Full();
  BlockHeader* entry = context_.block(ref);
  if (!value.empty()) std::memcpy(entry->value(), value.data(), value.size());
  // As Set does it, for the most frequent case: the key is there and has the slot for itself.
  Found found;
  if (LocateAlone<true>(key, hash, found)) [[likely]] {
    const Version version = found.clock + 1;
    entry->clock = version;
    Date(entry->value(), value.size());
    if (Commit(found, NextWord{SlotWord::Entry(ref, version)}, ref)) [[likely]] {
      ReleaseHolds(found);
      return version;
    }
  }
  absl::StatusOr<CasResult> result = Set(key, hash, value, ref, std::nullopt);
  if (!result.ok()) return result.status();
  return result->version;
}

absl::StatusOr<CasResult> CasSlotsStore::DoCompareAndSwap(std::string_view key, Version expected,
                                                          std::string_view value) {
  const uint64_t hash = segment_->Hash(key);
  FetchSlotToWrite(hash);
  return Set(key, hash, value, 0, expected);
}

absl::StatusOr<bool> CasSlotsStore::DoErase(std::string_view key) {
  return EraseIf(key, std::nullopt);
}

absl::StatusOr<bool> CasSlotsStore::DoEraseVersion(std::string_view key, Version version) {
  return EraseIf(key, version);
}

absl::StatusOr<bool> CasSlotsStore::EraseIf(std::string_view key, std::optional<Version> expected) {
  const uint64_t hash = segment_->Hash(key);
  FetchSlotToWrite(hash);
  for (;;) {
    Found found = Locate<true>(key, hash);
    if (found.damaged) return ReportDamage(found);
    if (found.entry == nullptr || (expected.has_value() && *expected != found.entry->clock)) {
      ReleaseHolds(found);
      return false;
    }
    const bool committed = Commit(found, NextWithout(found), 0);
    ReleaseHolds(found);
    if (committed) return true;
  }
}

absl::StatusOr<Draft> CasSlotsStore::DoReserve(std::string_view key, size_t size) {
  uint32_t number = static_cast<uint32_t>(std::countr_one(used_drafts_));
  if (number >= kDrafts) {
    return absl::ResourceExhaustedError(absl::StrCat("this participant has ", kDrafts,
                                                     " drafts already, all that its ledger holds"));
  }
  Ref ref = NewEntry(key, size);
  if (ref == 0) return Full();
  context_.Note(ledger_.drafts[number], ref);
  Context::Clear(ledger_.new_entry);
  used_drafts_ |= uint64_t{1} << number;
  return Draft(this, number, {context_.block(ref)->value(), size});
}

void CasSlotsStore::DoDropDraft(uint64_t hold) {
  SharedWord& word = ledger_.drafts[hold];
  // Relaxed: this participant's own note.
  const Ref ref = Context::Named(word.load(std::memory_order_relaxed));
  used_drafts_ &= ~(uint64_t{1} << hold);
  if (context_.IsPlace(ref)) heap_.GiveBack(word, ref);
}

absl::StatusOr<Version> CasSlotsStore::DoCommit(uint64_t hold) {
  SharedWord& word = ledger_.drafts[hold];
  Ref ref = Context::Named(word.load(std::memory_order_relaxed));  // relaxed: as above
  used_drafts_ &= ~(uint64_t{1} << hold);
  if (!context_.IsPlace(ref) || !context_.IsWhole(context_.block(ref))) return Damaged();
  context_.Note(ledger_.new_entry, ref);
  Context::Clear(word);
  BlockHeader* entry = context_.block(ref);
  // The entry may be gone before Set returns, but then it has been published, and the key is not
  // read again.
  std::string key(entry->key(), entry->key_bytes);
  absl::StatusOr<CasResult> result = Set(key, segment_->Hash(key), {}, ref, std::nullopt);
  if (!result.ok()) return result.status();
  return result->version;
}

std::optional<uint32_t> CasSlotsStore::TakePinNumber() {
  uint32_t number = static_cast<uint32_t>(std::countr_one(used_pins_));
  if (number >= kPins) return std::nullopt;
  used_pins_ |= uint64_t{1} << number;
  return number;
}

absl::StatusOr<PinnedValue> CasSlotsStore::DoPin(std::string_view key) {
  const uint64_t hash = segment_->Hash(key);
  Found found = Locate<false>(key, hash);
  if (found.damaged) return ReportDamage(found);
  if (found.entry == nullptr) {
    ReleaseHolds(found);
    return absl::NotFoundError("");
  }
  std::optional<uint32_t> number = TakePinNumber();
  if (!number.has_value()) {
    ReleaseHolds(found);
    return absl::ResourceExhaustedError(
        absl::StrCat("this participant has ", kPins, " pins already, all that its ledger holds"));
  }
  // The hold under which the entry was found to be current goes over to the pin (CollectHolds'
  // order).
  context_.Note(ledger_.pins[*number], found.entry_ref);
  PinnedValue pin(this, *number, {found.entry->value(), found.entry->value_bytes},
                  found.entry->clock);
  ReleaseHolds(found);
  return pin;
}

void CasSlotsStore::DoReleasePin(uint64_t hold) {
  Context::Clear(ledger_.pins[hold]);
  used_pins_ &= ~(uint64_t{1} << hold);
}

absl::StatusOr<RecoveryReport> CasSlotsStore::DoRecover() {
  if (absl::Status status = context_.participants().CanTellTheDead(); !status.ok()) return status;
  return RecoverAll(context_);
}

absl::StatusOr<AuditReport> CasSlotsStore::DoAudit() { return AuditSegment(context_); }

}  // namespace kill9::cas_slots
