// A process's view of a mutex_vector's segment: the log and the extents.
#ifndef KILL9_VARIANTS_CHANNELS_MUTEX_VECTOR_SPACE_H_
#define KILL9_VARIANTS_CHANNELS_MUTEX_VECTOR_SPACE_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/channels/mutex_vector/layout.h"
#include "variants/object.h"
#include "variants/segment.h"

namespace kill9::mutex_vector {

class Space {
 public:
  // How large the parts of a new segment are.
  struct Sizes {
    uint64_t extents_begin = 0;  // from the segment's begin
    uint64_t extent_bytes = 0;
    uint64_t extents = 0;
    uint64_t first_extents = 0;  // grown at creation
  };
  static absl::StatusOr<Sizes> SizesOf(const SegmentOptions& options, uint64_t body_offset);
  static absl::Status Format(Segment& segment, SegmentHeader& header, const Sizes& sizes);
  // That header and file do not contradict each other: what is below `grown` may be touched.
  static absl::Status Check(const Segment& segment);
  explicit Space(std::shared_ptr<Segment> segment);

  ChannelHeader& header() const { return *header_; }
  const Segment& segment() const { return *segment_; }
  const ParticipantTable& participants() const { return participants_; }
  Ledger& ledger(uint32_t slot) const { return participants_.ledger_as<Ledger>(slot); }
  SleepersPage& sleepers_page() const { return *sleepers_page_; }
  uint64_t extent_bytes() const { return extent_bytes_; }
  uint64_t capacity_bytes() const { return extents_ * extent_bytes_; }
  uint32_t most_inline_bytes() const { return most_inline_bytes_; }
  // All extents but one, of the log.
  size_t max_message_bytes() const {
    return std::min<size_t>((extents_ - 1) * extent_bytes_, UINT32_MAX);
  }

  std::string_view BytesOf(const Record& record) const {
    const char* at = record.payload != 0 ? base_ + record.payload * kUnit
                                         : reinterpret_cast<const char*>(&record + 1);
    return {at, record.size};
  }
  char* At(const Payload& payload) const { return base_ + payload.at * kUnit; }
  uint64_t OffsetOf(const Record& record) const {
    return static_cast<uint64_t>(reinterpret_cast<const char*>(&record) - base_);
  }
  Record& RecordAt(uint64_t offset) const { return *reinterpret_cast<Record*>(base_ + offset); }

  // All that follows. REQUIRES: the mutex is held (Session).

  // Room for a message in the log. False: there is none. An error: there would be, if the segment
  // could grow.
  absl::StatusOr<bool> MakeRoomInLog(uint32_t size);
  // Appends a message. REQUIRES: MakeRoomInLog, of its size; or it is a draft's (V8). ON CRASH: the
  // message is there, or not.
  Record& Append(std::string_view message);
  Record& Append(const Payload& payload);
  // A payload for a draft, named by `row`. As MakeRoomInLog. ON CRASH: the row names it, or nobody.
  absl::StatusOr<bool> Reserve(uint32_t size, std::atomic<uint64_t>& row);
  // Takes the payload out of the row and sends it. ON CRASH: the message is there, or the payload
  // is free.
  Record& Commit(std::atomic<uint64_t>& row);
  void Drop(std::atomic<uint64_t>& row);

  // The oldest message that waits. Null: none does.
  Record* NextWaiting();
  void MarkTaken(Record& record, uint64_t taken_by);
  // Of one that waits or is taken.
  void Acknowledge(Record& record);
  void PutBack(Record& record);
  // Puts back what participants hold for whom `holds` (by slot and generation). Returns how many.
  uint64_t PutBackAll(absl::FunctionRef<bool(uint32_t slot, uint32_t generation)> holds);

  // Makes everything anew that follows from the truth (V3). False: the truth contradicts itself.
  bool Rebuild();
  void Audit(AuditReport& report) const;
  // What does not follow from the truth; "": all does. Of a segment in which nobody else is,
  // whatever bytes it has.
  std::string WhatDoesNotFollow() const;

 private:
  // Visits the log, the oldest message first, until `visit` returns false. False: it is damaged.
  using VisitRecord = absl::FunctionRef<bool(uint32_t extent, Record& record)>;
  bool ForEachRecord(VisitRecord visit) const;

  ExtentLink NextOf(uint32_t extent) const {
    // Relaxed: under the mutex; here and below.
    return extent_table_[extent].next.load(std::memory_order_relaxed);
  }
  uint32_t EndOf(uint32_t extent) const {
    return extent_table_[extent].end.load(std::memory_order_relaxed);
  }
  uint32_t grown() const {
    return static_cast<uint32_t>(header_->grown.load(std::memory_order_relaxed));
  }
  char* ExtentAt(uint32_t extent) const { return base_ + extents_begin_ + extent * extent_bytes_; }
  uint32_t ExtentOf(uint64_t offset) const {
    return static_cast<uint32_t>((offset - extents_begin_) / extent_bytes_);
  }
  uint32_t ExtentOf(const Payload& payload) const { return ExtentOf(payload.at * kUnit); }
  Record& RecordIn(uint32_t extent, uint32_t offset) const {
    return *reinterpret_cast<Record*>(ExtentAt(extent) + offset);
  }
  bool HasOwnRun(uint32_t size) const { return size > extent_bytes_ / 2; }
  uint32_t ExtentsFor(uint32_t size) const {
    return static_cast<uint32_t>((uint64_t{size} + extent_bytes_ - 1) / extent_bytes_);
  }
  bool IsPayload(const Payload& payload) const;
  bool IsSound(uint32_t extent, uint32_t offset) const;

  // Whether, after `log_bytes` more in the log, one more record each for `new_drafts`, and with
  // `extents` taken for payloads, V8 holds; the file is made longer for it.
  absl::StatusOr<bool> MakeRoom(uint32_t log_bytes, uint32_t extents, uint32_t new_drafts);
  absl::StatusOr<bool> GrowBy(uint32_t extents);
  uint32_t FirstFree() const;
  // The last run of free extents among those grown; kNoExtent: there is none.
  uint32_t LastRun(uint32_t extents) const;
  Record& PlaceInLog(uint32_t log_bytes);
  void Publish(Record& record);
  bool SharedHasRoom(uint32_t size) const;
  Payload TakeFromShared(uint32_t size);
  void ReleasePayload(const Payload& payload);
  void DropLogExtent(uint32_t extent);
  // Gives up the log's only extent if it has no message. Whether it did.
  bool GiveUpEmptyLog();

  // The audit's parts, in the order of the invariants.
  struct AuditState;
  bool AuditChain(AuditState& state) const;  // false: broken
  void AuditRecords(AuditState& state) const;
  void AuditRows(AuditState& state) const;
  void AuditExtents(AuditState& state) const;
  void AuditShared(AuditState& state) const;
  void UsePayload(AuditState& state, const Payload& payload, bool by_draft) const;

  bool RebuildLog();
  bool RebuildRows();
  // False: somebody has it already, or it lies outside.
  bool ClaimPayload(const Payload& payload);
  void UnlinkEmpty();

  static constexpr uint32_t kNoExtent = UINT32_MAX;

  std::shared_ptr<Segment> segment_;
  char* base_;
  ChannelHeader* header_;
  Extent* extent_table_;
  SleepersPage* sleepers_page_;
  ParticipantTable participants_;
  uint64_t extents_begin_;
  uint64_t extent_bytes_;
  uint32_t extents_;
  uint32_t most_inline_bytes_;
};

// The mutex, held for a while, and everything anew if its last owner died with it.
class Session {
 public:
  explicit Session(Space& space);
  ~Session() {
    if (entered) space_.header().mutex.Unlock();
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  bool entered = false;  // false: the segment is damaged
  bool rebuilt = false;

 private:
  Space& space_;
};

// What a Recover() does.
absl::StatusOr<RecoveryReport> RecoverDead(Space& space);

}  // namespace kill9::mutex_vector

#endif  // KILL9_VARIANTS_CHANNELS_MUTEX_VECTOR_SPACE_H_
