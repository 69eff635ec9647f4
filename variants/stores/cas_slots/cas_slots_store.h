// cas_slots: the operations of one participant. Invariants I1-I7 are in layout.h.
#ifndef KILL9_VARIANTS_STORES_CAS_SLOTS_CAS_SLOTS_STORE_H_
#define KILL9_VARIANTS_STORES_CAS_SLOTS_CAS_SLOTS_STORE_H_

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "variants/room.h"
#include "variants/store.h"
#include "variants/stores/cas_slots/context.h"
#include "variants/stores/cas_slots/heap.h"

namespace kill9::cas_slots {

// Recovers the dead if no participant slot is free.
absl::StatusOr<std::unique_ptr<Store>> AttachStore(std::shared_ptr<Segment> segment);

// The account of a quiet segment; walks all of it.
AuditReport AuditSegment(const Context& context);

class CasSlotsStore final : public Store, public TellsRoom {
 public:
  CasSlotsStore(std::shared_ptr<Segment> segment, Participant participant);
  ~CasSlotsStore() override;

  size_t max_key_bytes() const override { return kMaxKeyBytes; }
  size_t max_value_bytes() const override { return max_value_bytes_; }
  absl::StatusOr<bool> HasRoom(std::string_view key, size_t value_bytes) override;

 private:
  // What a slot word led to, for one key. The entry, the others and the node are held until
  // ReleaseHolds.
  struct Found {
    uint64_t slot = 0;
    SlotWord word;
    uint64_t clock = 0;            // of the slot
    BlockHeader* entry = nullptr;  // the key's; null: absent
    Ref entry_ref = 0;
    uint32_t other_count = 0;  // entries of other keys that the word itself names
    std::array<Ref, 2> others{};
    BlockHeader* node = nullptr;
    uint32_t item = 0;  // the entry's in the node
    bool used_node_hold = false;
    bool damaged = false;  // the slot leads to what can be no block: kDataLoss
  };

  absl::StatusOr<Version> DoPut(std::string_view key, std::string_view value) override;
  absl::StatusOr<Version> DoGet(std::string_view key, std::string* value) override;
  absl::StatusOr<Version> DoGetWithTerms(std::string_view key, std::string* value,
                                         Terms* terms) override;
  absl::StatusOr<bool> DoErase(std::string_view key) override;
  absl::StatusOr<CasResult> DoCompareAndSwap(std::string_view key, Version expected,
                                             std::string_view value) override;
  absl::StatusOr<bool> DoEraseVersion(std::string_view key, Version version) override;
  void DoPrefetch(std::span<const std::string_view> keys) override;
  absl::StatusOr<PinnedValue> DoPin(std::string_view key) override;
  absl::StatusOr<Draft> DoReserve(std::string_view key, size_t size) override;
  absl::StatusOr<Version> DoCommit(uint64_t hold) override;
  absl::Status DoForEach(absl::FunctionRef<bool(const EntryView&)> visit) override;
  absl::StatusOr<RecoveryReport> DoRecover() override;
  absl::StatusOr<AuditReport> DoAudit() override;
  void DoReleasePin(uint64_t hold) override;
  void DoDropDraft(uint64_t hold) override;

  // Begins to fetch the key's slot, as what will be written.
  void FetchSlotToWrite(uint64_t hash);
  // `kToWrite`: the caller is going to change what it finds. False: the key is not alone in its
  // slot, or not there, or the slot has changed; nothing of `found` is to be relied on.
  template <bool kToWrite>
  bool LocateAlone(std::string_view key, uint64_t hash, Found& found);
  template <bool kToWrite>
  Found Locate(std::string_view key, uint64_t hash);
  Found LocateAnywhere(std::string_view key, uint64_t hash);
  bool LocateInWord(std::string_view key, Found& found);
  bool LocateInNode(std::string_view key, uint64_t hash, Found& found);
  bool Hold(SharedWord& word, Ref ref, const Found& found);
  BlockHeader* HoldEntry(SharedWord& word, Ref ref, Found& found);
  BlockHeader* HoldNode(Found& found);
  absl::Status ReportDamage(const Found& found);
  absl::Status Full() const;  // tells what lacked_bytes_ says
  KILL9_ALWAYS_INLINE void ReleaseHolds(const Found& found) {
    Context::Clear(ledger_.entry_hold);
    if (found.used_node_hold) Context::Clear(ledger_.node_hold);
  }
  // Copies the value of the entry that was found, which is there, and releases the holds.
  // All but the last `apart_bytes` of the value.
  Version Read(const Found& found, std::string* value, size_t apart_bytes = 0);
  absl::StatusOr<Version> GetAnywhere(std::string_view key, uint64_t hash, std::string* value);

  // Sets the key to the entry `ref`, which new_entry names; or, if that is 0, to one that it makes
  // of `value`. `expected`: only if the present version is that. ENSURES: new_entry is 0.
  absl::StatusOr<CasResult> Set(std::string_view key, uint64_t hash, std::string_view value,
                                Ref ref, std::optional<Version> expected);
  absl::StatusOr<bool> EraseIf(std::string_view key, std::optional<Version> expected);
  Ref NewEntry(std::string_view key, size_t value_bytes);
  struct NextWord {
    SlotWord word;
    Ref node_ref = 0;         // made for it, named by new_node
    bool drops_node = false;  // the found node, if any, is not in it
  };
  // The slot's next word without the found key. Needs no room.
  NextWord NextWithout(const Found& found);
  // The slot's next word with the new entry, in the place of the found one if there is one. May
  // make a node; nullopt if there is no room for it.
  std::optional<NextWord> MakeNode(const Found& found, Ref new_entry, uint64_t hash);
  std::optional<NextWord> MakeNext(const Found& found, Ref new_entry, uint64_t hash);
  void SetState(Ref ref, BlockKind kind);
  // The commit point. True: the slot changed, and what it no longer leads to is free.
  bool Commit(const Found& found, const NextWord& next, Ref new_entry);

  std::optional<uint32_t> TakePinNumber();
  // Pins the next entry of the slot whose key is not in `seen`. 0: there is none.
  absl::StatusOr<Ref> PinUnseen(uint64_t slot, const std::vector<std::string>& seen, uint32_t pin);

  std::shared_ptr<Segment> segment_;
  Participant participant_;
  Context context_;
  Ledger& ledger_;
  const size_t max_value_bytes_;
  Heap heap_;
  size_t lacked_bytes_ = 0;   // of the block for which there was no room last; 0: a node was full
  uint64_t used_pins_ = 0;    // bit i: pins[i] is taken
  uint64_t used_drafts_ = 0;  // likewise
};

}  // namespace kill9::cas_slots

#endif  // KILL9_VARIANTS_STORES_CAS_SLOTS_CAS_SLOTS_STORE_H_
