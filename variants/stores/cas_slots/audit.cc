// The audit of cas_slots: I1-I7 as code, over a quiet segment, and the account of every page and
// block.
//
// Nothing is counted while the store works, so nothing can have drifted: all is derived here.
// A block is
//
//   live    if a slot word leads to it (directly, or through a node; nodes are blocks too),
//   held    if not, but a ledger names it (a pin, a draft, an operation that a death cut off),
//   free    if its state is Free and it can be found (I4), or its page is free,
//   leaked  otherwise.
// The last block of a page has what is left of the page, so that bytes add up to the heap's.
#include <algorithm>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "variants/stores/cas_slots/cas_slots_store.h"

namespace kill9::cas_slots {
namespace {

class Auditor {
 public:
  explicit Auditor(const Context& context) : context_(context) {}

  AuditReport Run() {
    ReadLedgers();
    for (uint64_t slot = 0; slot < context_.slot_count(); ++slot) WalkSlot(slot);
    report_.capacity.bytes = context_.page_count() * kPageBytes;
    for (uint32_t page = 0; page < context_.page_count();) page += WalkPage(page);
    for (const auto& [ref, uses] : reachable_) {
      if (!visited_.contains(ref)) Violation("I6", "a slot leads to what is no block", ref);
    }
    CheckAccount();
    return std::move(report_);
  }

 private:
  enum class Share : uint8_t { kFree, kLive, kHeld, kLeaked };

  void Violation(std::string_view invariant, std::string_view what, uint64_t where) {
    report_.AddViolation(invariant, what, where);
  }

  // All loads of the audit are relaxed or acquire as convenient: the segment is quiet.
  static uint64_t Load(const SharedWord& word) { return word.load(std::memory_order_acquire); }

  void ReadLedgers() {
    const ParticipantTable& table = context_.participants();
    for (uint32_t i = 0; i < table.size(); ++i) {
      const bool free = table.state(i) == ParticipantState::kFree;
      if (!free) ++report_.participants;
      Ledger& ledger = context_.ledger_of(i);
      auto hold = [&](const SharedWord& word, bool as_new) {
        uint64_t name = Load(word);
        if (name == 0) return;
        if (free) Violation("P3", "the ledger of a free participant slot is not empty", i);
        held_.insert(Context::Named(name));
        if (as_new) owned_names_.insert({i, Context::Named(name)});
        if (as_new) findable_.insert(Context::Named(name));
      };
      for (const SharedWord* word : {&ledger.new_entry, &ledger.new_node, &ledger.scratch}) {
        hold(*word, true);
      }
      for (const SharedWord* word : {&ledger.entry_hold, &ledger.node_hold}) {
        hold(*word, false);
        if (Load(ledger.target) != 0) findable_.insert(Context::Named(Load(*word)));
      }
      for (const SharedWord& word : ledger.drafts) hold(word, true);
      for (const SharedWord& word : ledger.pins) hold(word, false);
      for (const SharedWord& word : ledger.cache) {
        if (uint64_t name = Load(word); name != 0) findable_.insert(Context::Named(name));
      }
      if (uint64_t start = Load(ledger.page_start); start != 0) {
        const uint32_t first = Context::Named(start) - 1;
        const uint32_t count = Context::Named(Load(ledger.page_count));
        if (first >= context_.page_count() || count > context_.page_count() - first) {
          Violation("I6", "a ledger names pages that are not there", i);
          continue;
        }
        for (uint32_t page = first; page < first + count; ++page) {
          page_ranges_.insert({i, page});
          named_pages_.insert(page);
        }
        owned_names_.insert({i, Context::FirstOf(first)});
      }
    }
  }

  void Reach(Ref ref, uint64_t slot) {
    if (++reachable_[ref] > 1) {
      ++report_.doubly_owned;
      Violation("I3", "two slots, or two items, lead to one block", slot);
    }
    BlockState state{Load(context_.block(ref)->state)};
    if (state.kind() != BlockKind::kLive) {
      ++report_.doubly_owned;
      Violation("I3", "a slot leads to a block that is not Live", slot);
    }
  }

  void WalkEntry(Ref ref, uint64_t slot, uint64_t clock, const uint64_t* item) {
    Reach(ref, slot);
    ++report_.entries;
    BlockHeader* entry = context_.block(ref);
    if (!context_.IsWhole(entry)) return Violation("slot", "an entry ends beyond the heap", slot);
    std::string_view key(entry->key(), entry->key_bytes);
    const uint64_t hash = context_.segment().Hash(key);
    if (context_.SlotOf(hash) != slot) Violation("slot", "a key is in another key's slot", slot);
    if (entry->clock > clock) Violation("clock", "an entry is newer than its slot", slot);
    if (item != nullptr && !ItemMayBe(*item, hash)) {
      Violation("node", "an item's hash is not its key's", slot);
    }
    if (!keys_.insert(key).second) Violation("key", "a key is present twice", slot);
  }

  void WalkSlot(uint64_t slot) {
    const SlotWord word{Load(context_.slot(slot))};
    switch (word.kind()) {
      case SlotKind::kEmpty:
        return;
      case SlotKind::kEntry:
        if (!IsPlace(word.ref(), slot)) return;
        WalkEntry(word.ref(), slot, ~uint64_t{0}, nullptr);
        CheckLag(word.ClockFrom(context_.block(word.ref())->clock), word.ref(), slot);
        return;
      case SlotKind::kPair: {
        uint64_t clocks[2] = {0, 0};
        for (Ref ref : {word.first(), word.second()}) {
          if (!IsPlace(ref, slot)) return;
          WalkEntry(ref, slot, ~uint64_t{0}, nullptr);
          clocks[ref == word.second()] = context_.block(ref)->clock;
        }
        if (clocks[0] == clocks[1]) Violation("clock", "two keys have one version", slot);
        for (Ref ref : {word.first(), word.second()}) {
          CheckLag(std::max(clocks[0], clocks[1]), ref, slot);
        }
        return;
      }
      case SlotKind::kNode:
        if (IsPlace(word.ref(), slot)) WalkNode(word, slot);
        return;
    }
  }

  bool IsPlace(Ref ref, uint64_t slot) {
    const bool is = context_.IsPlace(ref);
    if (!is) Violation("slot", "a slot word names no block", slot);
    return is;
  }

  // One more than a Pair may have: the erasure of its newer entry.
  void CheckLag(uint64_t slot_clock, Ref ref, uint64_t slot) {
    if (slot_clock - context_.block(ref)->clock > kMaxClockLag + 1) {
      Violation("clock", "an entry lags too far behind its slot", slot);
    }
  }

  void WalkNode(SlotWord word, uint64_t slot) {
    Reach(word.ref(), slot);
    BlockHeader* node = context_.block(word.ref());
    if (!context_.IsWholeNode(node)) return Violation("node", "a node has no such size", slot);
    const StruckItems struck(node, word);
    uint32_t present = 0;
    for (uint32_t i = 0; i < node->items; ++i) {
      if (struck.Has(i)) continue;
      ++present;
      if (!IsPlace(ItemRef(node->item()[i]), slot)) continue;
      WalkEntry(ItemRef(node->item()[i]), slot, node->clock, &node->item()[i]);
    }
    if (present == 0) Violation("node", "a node lists nobody", slot);
    if (present + struck.count() != node->items) {
      Violation("I8", "items are struck out that the node does not have", slot);
    }
    if (!word.TagIs(node->clock + struck.count())) {
      Violation("clock", "a slot word's tag is not its clock's", slot);
    }
  }

  void Account(Share share, size_t bytes) {
    AuditReport::Account* accounts[] = {&report_.free, &report_.live, &report_.held,
                                        &report_.leaked};
    AuditReport::Account& account = *accounts[static_cast<size_t>(share)];
    ++account.blocks;
    account.bytes += bytes;
    ++report_.capacity.blocks;
  }

  // Returns the block's count.
  uint64_t WalkBlock(Ref ref, size_t bytes, bool hinted) {
    visited_.insert(ref);
    BlockState state{Load(context_.block(ref)->state)};
    const bool owned_and_named =
        state.kind() == BlockKind::kOwned && owned_names_.contains({state.owner(), ref});
    if (state.kind() == BlockKind::kNone) Violation("I1", "a block has no state", ref);
    if (state.kind() == BlockKind::kOwned && !owned_and_named) {
      Violation("I2", "a block is owned by a participant that does not name it", ref);
    }
    const bool findable = hinted || findable_.contains(ref);
    if (state.kind() == BlockKind::kFree && !findable) {
      Violation("I4", "a free block is neither hinted nor named", ref);
    }
    Share share = Share::kLeaked;
    if (reachable_.contains(ref)) {
      share = Share::kLive;
    } else if (held_.contains(ref) || owned_and_named) {
      share = Share::kHeld;
    } else if (state.kind() == BlockKind::kFree && findable) {
      share = Share::kFree;
    }
    Account(share, bytes);
    return state.count();
  }

  // Blocks begin above the floor, which is raised to the highest of their counts: before the page
  // is free, so it may stand there of one that then was not freed.
  void CheckFloor(uint32_t number, uint64_t highest) {
    if (highest < Load(context_.floor(number))) {
      Violation("I1", "counts of blocks have been there before", number);
    }
  }

  // Returns the number of pages that belong together.
  uint32_t WalkPage(uint32_t number) {
    Page& page = context_.page(number);
    const PageWord word = context_.Checked(number, PageWord{Load(page.word)});
    const uint64_t hints = Load(page.hints);
    switch (word.kind()) {
      case PageKind::kFree:
        Account(Share::kFree, kPageBytes);
        return 1;
      case PageKind::kSmall:
      case PageKind::kDraining: {
        if (word.kind() == PageKind::kDraining &&
            !page_ranges_.contains({word.argument() >> 5, number})) {
          Violation("I6", "a page drains for nobody", number);
        }
        const uint32_t size_class = word.size_class();
        const uint32_t blocks = BlocksInPage(size_class);
        uint64_t highest = 0;
        for (uint32_t i = 0; i < blocks; ++i) {
          const size_t rest = i + 1 == blocks ? kPageBytes % kClassBytes[size_class] : 0;
          highest =
              std::max(highest, WalkBlock(Context::RefOf(number, size_class, i),
                                          kClassBytes[size_class] + rest, (hints >> i & 1) != 0));
        }
        CheckFloor(number, highest);
        return 1;
      }
      case PageKind::kSpanDraining:
        if (!named_pages_.contains(number) && !findable_.contains(Context::FirstOf(number))) {
          Violation("I6", "a span drains for nobody", number);
        }
        [[fallthrough]];
      case PageKind::kSpanHead:
        CheckFloor(number, WalkBlock(Context::FirstOf(number), word.argument() * kPageBytes,
                                     (hints & 1) != 0));
        return std::max<uint32_t>(1, word.argument());
      case PageKind::kOwned: {
        const bool named = page_ranges_.contains({word.argument(), number});
        if (!named)
          Violation("I6", "a page is owned by a participant that does not name it", number);
        Account(named ? Share::kHeld : Share::kLeaked, kPageBytes);
        return 1;
      }
      case PageKind::kSpanBody: {  // met only where its head is no head
        PageWord head{Load(context_.page(word.argument()).word)};
        const bool named =
            head.kind() == PageKind::kOwned && page_ranges_.contains({head.argument(), number});
        if (!named) Violation("I6", "a page is the body of no span", number);
        Account(named ? Share::kHeld : Share::kLeaked, kPageBytes);
        return 1;
      }
    }
    Violation("I6", "a page is of no kind", number);
    Account(Share::kLeaked, kPageBytes);
    return 1;
  }

  void CheckAccount() {
    const uint64_t bytes =
        report_.free.bytes + report_.live.bytes + report_.held.bytes + report_.leaked.bytes;
    if (bytes != report_.capacity.bytes) {
      Violation("I6", "the pages do not add up to the heap", bytes);
    }
    if (report_.leaked.blocks != 0) {
      Violation("I3", "blocks that nobody can ever free", report_.leaked.blocks);
    }
  }

  const Context& context_;
  AuditReport report_;
  absl::flat_hash_set<Ref> held_;      // named by a hold, a pin, a draft or an operation under way
  absl::flat_hash_set<Ref> findable_;  // named by a cache, or as I4 says
  absl::flat_hash_set<Ref> visited_;
  absl::flat_hash_set<std::pair<uint32_t, Ref>> owned_names_;       // participant, block
  absl::flat_hash_set<std::pair<uint32_t, uint32_t>> page_ranges_;  // participant, page
  absl::flat_hash_set<uint32_t> named_pages_;                       // of whatever participant
  absl::flat_hash_map<Ref, uint32_t> reachable_;
  absl::flat_hash_set<std::string_view> keys_;
};

}  // namespace

AuditReport AuditSegment(const Context& context) { return Auditor(context).Run(); }

}  // namespace kill9::cas_slots
