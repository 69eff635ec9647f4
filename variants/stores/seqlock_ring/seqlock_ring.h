// seqlock_ring: a cache. A log-structured ring of records that validate themselves, the newest
// overwriting the oldest, with a hash index of one-line buckets. Readers write nothing to shared
// memory unless they pin.
//
// What this header adds to the store contract is for those who use the design itself.
#ifndef KILL9_VARIANTS_STORES_SEQLOCK_RING_SEQLOCK_RING_H_
#define KILL9_VARIANTS_STORES_SEQLOCK_RING_SEQLOCK_RING_H_

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "variants/registry.h"
#include "variants/room.h"
#include "variants/segment.h"
#include "variants/segment/participants.h"
#include "variants/segment/prefetch_hints.h"
#include "variants/store.h"
#include "variants/stores/seqlock_ring/index.h"
#include "variants/stores/seqlock_ring/layout.h"
#include "variants/stores/seqlock_ring/record.h"
#include "variants/stores/seqlock_ring/space.h"

namespace kill9 {

const Variant& SeqlockRing();

namespace ring {

// As SeqlockRing().Create. `first_lap` above 1 is for tests that want to see the positions wrap.
absl::StatusOr<std::shared_ptr<Segment>> CreateSegment(const SegmentOptions& options,
                                                       uint64_t first_lap = 1);

class RingStore final : public Store, public TellsRoom, public MovesHot {
 public:
  static absl::StatusOr<std::unique_ptr<RingStore>> Attach(std::shared_ptr<Segment> segment);
  ~RingStore() override;

  size_t max_key_bytes() const override { return kMaxKeyBytes; }
  size_t max_value_bytes() const override;
  absl::StatusOr<bool> HasRoom(std::string_view key, size_t value_bytes) override;

  // Forgets everything, in constant time. What is being written meanwhile may be forgotten too.
  void Clear();
  // The chance (0 to 1) with which a hit on a small record in the last quarter of its life moves
  // the record to the front. 0, the default: Get writes nothing.
  void SetPromotionChance(double chance) override;
  bool WouldMove(std::string_view key) override;
  uint64_t Moved() const override { return moved_; }
  // Of all participants that there ever were: approximate, except for this one's share. The others'
  // arrive when they begin a lease, and when they detach.
  Counters ReadCounters();
  const Geometry& geometry() const { return geometry_; }

 private:
  RingStore(std::shared_ptr<Segment> segment, Participant participant, const Geometry& geometry);

  absl::StatusOr<Version> DoPut(std::string_view key, std::string_view value) override;
  absl::StatusOr<Version> DoGet(std::string_view key, std::string* value) override;
  absl::StatusOr<Version> DoGetWithTerms(std::string_view key, std::string* value,
                                         Terms* terms) override;
  absl::StatusOr<bool> DoErase(std::string_view key) override;
  absl::StatusOr<CasResult> DoCompareAndSwap(std::string_view key, Version expected,
                                             std::string_view value) override;
  absl::StatusOr<bool> DoEraseVersion(std::string_view key, Version version) override;
  void DoPrefetch(std::span<const std::string_view> keys) override;
  uint64_t DoCountEvictions() override { return ReadCounters().evictions; }
  absl::StatusOr<PinnedValue> DoPin(std::string_view key) override;
  absl::StatusOr<Draft> DoReserve(std::string_view key, size_t size) override;
  absl::StatusOr<Version> DoCommit(uint64_t hold) override;
  absl::Status DoForEach(absl::FunctionRef<bool(const EntryView&)> visit) override;
  absl::StatusOr<RecoveryReport> DoRecover() override;
  absl::StatusOr<AuditReport> DoAudit() override;
  void DoReleasePin(uint64_t hold) override;
  void DoDropDraft(uint64_t hold) override;

  struct OpenDraft {
    uint64_t position = 0;
    uint64_t key_hash = 0;
    size_t key_bytes = 0;
    size_t value_bytes = 0;
    std::unique_ptr<char[]> private_bytes;  // under ThreadSanitizer only
  };

  uint64_t HashOf(std::string_view key) const { return segment_->Hash(key); }
  // Copies the record that `word` names, if it is this key's, whole, sound and not cleared. False
  // is final for that word.
  bool ReadRecord(uint64_t word, std::string_view key, uint64_t key_hash, std::string* value,
                  RecordHead* head);
  // The same for any key.
  bool ReadAnyRecord(uint64_t word, std::string* key, std::string* value, RecordHead* head);
  absl::StatusOr<bool> EraseIf(std::string_view key, std::optional<Version> expected);
  // Get, for a key whose entry has changed while its record was read.
  template <bool kTerms>
  absl::StatusOr<Version> GetInto(std::string_view key, std::string* value, Terms* terms);
  absl::StatusOr<Version> GetAgain(std::string_view key, uint64_t hash, std::string* value);
  absl::Status Miss();  // counted
  // Lets the next Get fetch the record together with its entry.
  void Remember(uint64_t hash, const Bucket& bucket, const Found& found);
  absl::StatusOr<PendingRecord> Begin(std::string_view key, uint64_t key_hash, size_t value_bytes,
                                      int hold);
  void Fill(PendingRecord& record, std::string_view key, std::string_view value);
  // ViewForWriting, where no Put follows.
  View LookToWrite(Bucket& bucket, uint64_t tag);
  Version PublishNow(const PendingRecord& record);
  // Keeps the record that is to be replaced from being overwritten (kSourceHold). False: it cannot
  // be.
  bool HoldSource(const RecordHead& head);
  // Moves a record to this participant's lease. False: it has changed, or there is no room.
  bool MoveToFront(Bucket& bucket, std::string_view key, uint64_t key_hash,
                   const RecordHead& source, const std::string& value);
  // Whether a record is small, and near to where the next are written.
  bool IsAging(uint64_t word, RecordHead* head) const;
  void MaybePromote(Bucket& bucket, std::string_view key, uint64_t key_hash, uint64_t word,
                    const std::string& value);
  void FlushCounters();

  std::shared_ptr<Segment> segment_;
  Participant participant_;
  Geometry geometry_;
  ParticipantTable table_;
  Space space_;
  PrefetchHints hints_;
  std::array<OpenDraft, kHolds> drafts_;
  std::string scratch_;
  Counters counters_;  // since the last flush
  uint64_t flushed_laps_ = 0;
  uint64_t moved_ = 0;
  uint64_t promotion_threshold_ = 0;  // of 2^32
  uint64_t random_ = 0x9e3779b97f4a7c15;
};

}  // namespace ring
}  // namespace kill9

#endif  // KILL9_VARIANTS_STORES_SEQLOCK_RING_SEQLOCK_RING_H_
