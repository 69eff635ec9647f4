// cas_slots: the operations of one participant. Invariants I1-I7 are in layout.h.
#ifndef KILL9_VARIANTS_CAS_SLOTS_CAS_SLOTS_STORE_H_
#define KILL9_VARIANTS_CAS_SLOTS_CAS_SLOTS_STORE_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "variants/cas_slots/context.h"
#include "variants/cas_slots/heap.h"
#include "variants/prefetch_hints.h"
#include "variants/store.h"

namespace kill9::cas_slots {

// Recovers the dead if no participant slot is free.
absl::StatusOr<std::unique_ptr<Store>> AttachStore(std::shared_ptr<Segment> segment);

// The account of a quiet segment; walks all of it.
AuditReport AuditSegment(const Context& context);

class CasSlotsStore final : public Store {
 public:
  CasSlotsStore(std::shared_ptr<Segment> segment, Participant participant);
  ~CasSlotsStore() override;

  size_t max_key_bytes() const override { return kMaxKeyBytes; }
  size_t max_value_bytes() const override { return max_value_bytes_; }

 private:
  // What a slot word led to, for one key. The entry and the node are held until ReleaseHolds.
  struct Found {
    uint64_t slot = 0;
    SlotWord word;
    uint64_t clock = 0;            // of the slot
    BlockHeader* entry = nullptr;  // the key's; null: absent
    Ref entry_ref = 0;
    BlockHeader* other = nullptr;  // the only entry, if it is another key's
    Ref other_ref = 0;
    BlockHeader* node = nullptr;
    uint32_t item = 0;  // the entry's in the node
  };

  absl::StatusOr<Version> DoPut(std::string_view key, std::string_view value) override;
  absl::StatusOr<Version> DoGet(std::string_view key, std::string* value) override;
  absl::StatusOr<bool> DoErase(std::string_view key) override;
  absl::StatusOr<CasResult> DoCompareAndSwap(std::string_view key, Version expected,
                                             std::string_view value) override;
  absl::StatusOr<PinnedValue> DoPin(std::string_view key) override;
  absl::StatusOr<Draft> DoReserve(std::string_view key, size_t size) override;
  absl::StatusOr<Version> DoCommit(uint64_t hold) override;
  absl::Status DoForEach(absl::FunctionRef<bool(const EntryView&)> visit) override;
  absl::StatusOr<RecoveryReport> DoRecover() override;
  absl::StatusOr<AuditReport> DoAudit() override;
  void DoReleasePin(uint64_t hold) override;
  void DoDropDraft(uint64_t hold) override;

  // `kToWrite`, here and below: the caller is going to change what it finds.
  //
  // Begins to fetch the key's slot and, from where this participant saw it last, its entry, which
  // could otherwise not be asked for before the slot is there.
  template <bool kToWrite>
  void FetchByHint(uint64_t hash);
  void Remember(uint64_t hash, Ref ref);
  template <bool kToWrite>
  Found Locate(std::string_view key, uint64_t hash);
  Found LocateAnywhere(std::string_view key, uint64_t hash);
  bool LocateInNode(std::string_view key, uint64_t hash, Found& found);
  bool Hold(SharedWord& word, Ref ref, const Found& found);
  void ReleaseHolds(const Found& found);

  // Sets the key to the entry `ref`, which new_entry names; or, if that is 0, to one that it makes
  // of `value`. `expected`: only if the present version is that. ENSURES: new_entry is 0.
  absl::StatusOr<CasResult> Set(std::string_view key, uint64_t hash, std::string_view value,
                                Ref ref, std::optional<Version> expected);
  Ref NewEntry(std::string_view key, size_t value_bytes);
  // The slot's next word: without the found key, and with the new entry if there is one. May make a
  // node.
  struct NextWord {
    SlotWord word;
    Ref node_ref = 0;         // made for it, named by new_node
    bool drops_node = false;  // the found node, if any, is not in it
  };
  std::optional<NextWord> MakeNext(const Found& found, Ref new_entry, uint64_t hash);
  void SetState(Ref ref, BlockKind kind);
  // The commit point. True: the slot changed, and what it no longer leads to is free.
  bool Commit(const Found& found, const NextWord& next, Ref new_entry);

  std::optional<uint32_t> TakePinNumber();
  // Pins the next entry of the slot whose key is not in `seen`. 0: there is none.
  Ref PinUnseen(uint64_t slot, const std::vector<std::string>& seen, uint32_t pin);

  std::shared_ptr<Segment> segment_;
  Participant participant_;
  Context context_;
  Ledger& ledger_;
  const size_t max_value_bytes_;
  Heap heap_;
  PrefetchHints hints_;       // a record is the granule where an entry begins
  uint64_t used_pins_ = 0;    // bit i: pins[i] is taken
  uint64_t used_drafts_ = 0;  // likewise
};

}  // namespace kill9::cas_slots

#endif  // KILL9_VARIANTS_CAS_SLOTS_CAS_SLOTS_STORE_H_
