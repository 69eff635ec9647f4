// Many entries of cas_slots: the visit of all, where each is shown under a pin, for the visitor may
// take long; and the fetch of some before they are read.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "variants/stores/cas_slots/cas_slots_store.h"

namespace kill9::cas_slots {

absl::StatusOr<Ref> CasSlotsStore::PinUnseen(uint64_t slot, const std::vector<std::string>& seen,
                                             uint32_t pin) {
  Found found;
  found.slot = slot;
  bool changed = false;
  Ref result = 0;
  const auto look_at = [&](Ref ref) {
    BlockHeader* entry = HoldEntry(ledger_.entry_hold, ref, found);
    changed = entry == nullptr;
    if (changed) return;
    std::string_view key(entry->key(), entry->key_bytes);
    if (std::find(seen.begin(), seen.end(), key) == seen.end()) result = ref;
  };
  do {
    // Acquire: as in Locate.
    found.word = SlotWord{context_.slot(slot).load(std::memory_order_acquire)};
    changed = false;
    switch (found.word.kind()) {
      case SlotKind::kEmpty:
        break;
      case SlotKind::kEntry:
        look_at(found.word.ref());
        break;
      case SlotKind::kPair:
        look_at(found.word.first());
        if (!changed && result == 0) look_at(found.word.second());
        break;
      case SlotKind::kNode: {
        found.used_node_hold = true;
        BlockHeader* node = HoldNode(found);
        changed = node == nullptr;
        if (changed) break;
        const StruckItems struck(node, found.word);
        for (uint32_t i = 0; !changed && result == 0 && i < node->items; ++i) {
          if (!struck.Has(i)) look_at(ItemRef(node->item()[i]));
        }
        break;
      }
    }
  } while (changed && !found.damaged);
  if (found.damaged) return ReportDamage(found);
  if (result != 0) context_.Note(ledger_.pins[pin], result);
  ReleaseHolds(found);
  return result;
}

// A key belongs to one slot, so seeing it once in its slot is seeing it once.
absl::Status CasSlotsStore::DoForEach(absl::FunctionRef<bool(const EntryView&)> visit) {
  std::optional<uint32_t> pin = TakePinNumber();
  if (!pin.has_value()) {
    return absl::ResourceExhaustedError("no pin is left for the visit of the entries");
  }
  const absl::Cleanup release = [this, &pin] { DoReleasePin(*pin); };  // the visitor may throw
  bool go_on = true;
  std::vector<std::string> seen;
  for (uint64_t slot = 0; go_on && slot < context_.slot_count(); ++slot) {
    seen.clear();
    while (go_on) {
      const absl::StatusOr<Ref> ref = PinUnseen(slot, seen, *pin);
      if (!ref.ok()) return ref.status();
      if (*ref == 0) break;
      BlockHeader* entry = context_.block(*ref);
      seen.emplace_back(entry->key(), entry->key_bytes);
      go_on = visit(
          {{entry->key(), entry->key_bytes}, {entry->value(), entry->value_bytes}, entry->clock});
    }
  }
  return absl::OkStatus();
}

// All slots first, then what they name: each wait is for many at a time.
void CasSlotsStore::DoPrefetch(std::span<const std::string_view> keys) {
  std::array<uint64_t, kMostPrefetched> slots;
  keys = keys.first(std::min(keys.size(), slots.size()));
  for (size_t i = 0; i < keys.size(); ++i) {
    slots[i] = context_.SlotOf(segment_->Hash(keys[i]));
    PrefetchToRead(&context_.slot(slots[i]));
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    // Relaxed: nothing is read through it.
    const SlotWord word{context_.slot(slots[i]).load(std::memory_order_relaxed)};
    if (word.kind() == SlotKind::kEmpty) continue;
    const bool pair = word.kind() == SlotKind::kPair;
    context_.Fetch<false>(pair ? word.first() : word.ref());
    if (pair) context_.Fetch<false>(word.second());
  }
}

}  // namespace kill9::cas_slots
