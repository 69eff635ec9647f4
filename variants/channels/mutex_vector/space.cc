#include "variants/channels/mutex_vector/space.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "absl/strings/str_cat.h"
#include "variants/segment/round_up.h"

namespace kill9::mutex_vector {
namespace {

enum Parameter { kExtentsBegin, kExtentBytes, kExtents };

constexpr uint64_t TableBytes(uint64_t extents) {
  return sizeof(ChannelHeader) + extents * sizeof(Extent);
}
// From the body's begin, which is at a page.
constexpr uint64_t SleepersPageAt(uint64_t extents) {
  return RoundUp(TableBytes(extents), SleepersPage::kBytes);
}

}  // namespace

// ---- The segment --------------------------------------------------------------------------------

absl::StatusOr<Space::Sizes> Space::SizesOf(const SegmentOptions& options, uint64_t body_offset) {
  if (options.size_bytes > kMaxSegmentBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a segment of ", options.size_bytes,
                                                   " bytes is too large for this design: at most ",
                                                   kMaxSegmentBytes));
  }
  const uint64_t size = std::max(RoundUp(options.size_bytes, 4096), body_offset);
  Sizes sizes;
  // Small ones have 64 extents or so, large ones as many as the table may have.
  sizes.extent_bytes = std::clamp(std::bit_floor((size - body_offset) / 64 + 1),
                                  kSmallestExtentBytes, kUsualExtentBytes);
  while (size / sizes.extent_bytes > kMostExtents) sizes.extent_bytes *= 2;
  const uint64_t most = std::min<uint64_t>(size / sizes.extent_bytes, kMostExtents);
  sizes.extents_begin = body_offset + SleepersPageAt(most) + SleepersPage::kBytes;
  if (sizes.extents_begin + kFewestExtents * sizes.extent_bytes > size) {
    return absl::InvalidArgumentError(
        absl::StrCat("a segment of ", options.size_bytes, " bytes is too small: at least ",
                     sizes.extents_begin + kFewestExtents * sizes.extent_bytes, " are needed"));
  }
  sizes.extents = std::min(most, (size - sizes.extents_begin) / sizes.extent_bytes);
  sizes.first_extents = kFewestExtents;
  return sizes;
}

absl::Status Space::Format(Segment& segment, SegmentHeader& header, const Sizes& sizes) {
  header.parameters[kExtentsBegin] = sizes.extents_begin;
  header.parameters[kExtentBytes] = sizes.extent_bytes;
  header.parameters[kExtents] = sizes.extents;
  auto* own = new (segment.base() + header.body_offset) ChannelHeader{};
  own->mutex.Format();
  // Relaxed, both: nobody else sees the segment yet.
  own->sent.store(1, std::memory_order_relaxed);
  own->grown.store(sizes.first_extents, std::memory_order_relaxed);
  own->free_extents = static_cast<uint32_t>(sizes.first_extents);
  return absl::OkStatus();
}

absl::Status Space::Check(const Segment& segment) {
  const SegmentHeader& header = segment.header();
  const uint64_t begin = header.parameters[kExtentsBegin];
  const uint64_t extent_bytes = header.parameters[kExtentBytes];
  const uint64_t extents = header.parameters[kExtents];
  const absl::Status contradiction =
      absl::DataLossError("the segment is damaged: its header's parameters contradict its size");
  if (!std::has_single_bit(extent_bytes) || extent_bytes < kSmallestExtentBytes ||
      extents < kFewestExtents || extents > kMostExtents || segment.size() > kMaxSegmentBytes ||
      begin % kUnit != 0 || begin > segment.size() ||
      extents > (segment.size() - begin) / extent_bytes ||
      header.body_offset + SleepersPageAt(extents) + SleepersPage::kBytes > begin) {
    return contradiction;
  }
  const absl::StatusOr<uint64_t> file_bytes = segment.file_bytes();
  if (!file_bytes.ok()) return file_bytes.status();
  if (*file_bytes < begin) return contradiction;
  const auto* own = reinterpret_cast<const ChannelHeader*>(segment.base() + header.body_offset);
  // Acquire: pairs with the release of GrowBy, after which the file has the room.
  const uint64_t grown = own->grown.load(std::memory_order_acquire);
  // Once more: it may have grown since.
  const absl::StatusOr<uint64_t> now_bytes = segment.file_bytes();
  if (!now_bytes.ok()) return now_bytes.status();
  if (grown < kFewestExtents || grown > extents || begin + grown * extent_bytes > *now_bytes) {
    return absl::DataLossError(
        "the segment is truncated: it is shorter than what it has been used for; create it anew");
  }
  return absl::OkStatus();
}

Space::Space(std::shared_ptr<Segment> segment)
    : segment_(std::move(segment)),
      base_(segment_->base()),
      header_(reinterpret_cast<ChannelHeader*>(segment_->body().data())),
      extent_table_(reinterpret_cast<Extent*>(header_ + 1)),
      participants_(segment_->participants()),
      extents_begin_(segment_->header().parameters[kExtentsBegin]),
      extent_bytes_(segment_->header().parameters[kExtentBytes]),
      extents_(static_cast<uint32_t>(segment_->header().parameters[kExtents])),
      most_inline_bytes_(static_cast<uint32_t>(std::min(kMostInlineBytes, extent_bytes_ / 8))) {
  sleepers_page_ = reinterpret_cast<SleepersPage*>(base_ + extents_begin_ - SleepersPage::kBytes);
}

// ---- Extents ------------------------------------------------------------------------------------

absl::StatusOr<bool> Space::GrowBy(uint32_t extents) {
  const uint32_t now = grown();
  if (extents > extents_ - now) return false;
  // Twice as much as there is, so that it happens rarely; if there is no room for that, what is
  // needed.
  absl::Status status;
  for (const uint32_t wanted : {std::max(extents, std::min(now, extents_ - now)), extents}) {
    status = segment_->Grow(extents_begin_ + now * extent_bytes_,
                            extents_begin_ + (now + wanted) * extent_bytes_);
    if (!status.ok()) continue;
    // Release: pairs with the acquire of Check; the file has the room (V7).
    // dies before -> the file is longer than it says;  dies after -> it has grown
    header_->grown.store(now + wanted, std::memory_order_release);
    header_->free_extents += wanted;
    return true;
  }
  return status;
}

absl::StatusOr<bool> Space::MakeRoom(uint32_t log_bytes, uint32_t extents, uint32_t new_drafts) {
  if (header_->tail > grown() || header_->shared > grown()) return Damaged();
  uint64_t needed = extents;
  uint64_t tail_room = header_->tail == 0 ? 0 : extent_bytes_ - EndOf(header_->tail - 1);
  if (log_bytes > tail_room) {
    ++needed;
    tail_room = extent_bytes_;
  }
  tail_room -= log_bytes;
  // V8: the records of drafts, which have their payloads already.
  const uint64_t records = uint64_t{header_->drafts} + new_drafts;
  const uint64_t in_tail = tail_room / sizeof(Record);
  if (records > in_tail) {
    const uint64_t in_extent = extent_bytes_ / sizeof(Record);
    needed += (records - in_tail + in_extent - 1) / in_extent;
  }
  if (needed != 0 && needed <= header_->free_extents && FirstFree() == kNoExtent) return Damaged();
  if (needed <= header_->free_extents) return true;
  return GrowBy(static_cast<uint32_t>(needed - header_->free_extents));
}

uint32_t Space::FirstFree() const {
  for (uint32_t extent = 0; extent < grown(); ++extent) {
    if (extent_table_[extent].kind == ExtentKind::kFree) return extent;
  }
  return kNoExtent;
}

uint32_t Space::LastRun(uint32_t extents) const {
  uint32_t free = 0;
  for (uint32_t extent = grown(); extent-- > 0;) {
    free = extent_table_[extent].kind == ExtentKind::kFree ? free + 1 : 0;
    if (free == extents) return extent;
  }
  return kNoExtent;
}

bool Space::IsPayload(const Payload& payload) const {
  const uint64_t begin = payload.at * kUnit;
  const uint64_t end = extents_begin_ + grown() * extent_bytes_;
  return begin >= extents_begin_ && begin <= end && payload.size <= end - begin && begin < end;
}

bool Space::SharedHasRoom(uint32_t size) const {
  // Also what has no bytes has a place.
  const uint64_t bytes = std::max(RoundUp(size, kUnit), kUnit);
  return header_->shared != 0 && header_->shared <= grown() &&
         EndOf(header_->shared - 1) <= extent_bytes_ &&
         extent_bytes_ - EndOf(header_->shared - 1) >= bytes;
}

Payload Space::TakeFromShared(uint32_t size) {
  const uint32_t bytes = static_cast<uint32_t>(RoundUp(size, kUnit));
  ExtentLink& shared = header_->shared;
  if (!SharedHasRoom(size)) {
    const uint32_t extent = LastRun(1);
    Extent& fresh = extent_table_[extent];
    fresh.kind = ExtentKind::kPayload;
    fresh.live = 0;
    // Relaxed: nothing but what Rebuild makes anew.
    fresh.end.store(0, std::memory_order_relaxed);
    --header_->free_extents;
    shared = extent + 1;
  }
  Extent& extent = extent_table_[shared - 1];
  const uint32_t end = EndOf(shared - 1);
  // Relaxed: as above.
  extent.end.store(end + bytes, std::memory_order_relaxed);
  ++extent.live;
  const uint64_t at = extents_begin_ + (shared - 1) * extent_bytes_ + end;
  return {static_cast<uint32_t>(at / kUnit), size};
}

void Space::ReleasePayload(const Payload& payload) {
  const uint32_t first = ExtentOf(payload);
  Extent& extent = extent_table_[first];
  if (extent.kind == ExtentKind::kRun) {
    const uint32_t end = std::min(first + ExtentsFor(payload.size), grown());
    for (uint32_t i = first; i < end; ++i) extent_table_[i].kind = ExtentKind::kFree;
    header_->free_extents += end - first;
    return;
  }
  if (--extent.live != 0) return;
  extent.kind = ExtentKind::kFree;
  ++header_->free_extents;
  if (header_->shared == first + 1) header_->shared = 0;
}

// ---- The log ------------------------------------------------------------------------------------

absl::StatusOr<bool> Space::MakeRoomInLog(uint32_t size) {
  return MakeRoom(static_cast<uint32_t>(sizeof(Record) + RoundUp(size, 8)), 0, 0);
}

Record& Space::PlaceInLog(uint32_t log_bytes) {
  ExtentLink& tail = header_->tail;
  if (tail == 0 || extent_bytes_ - EndOf(tail - 1) < log_bytes) {
    const uint32_t fresh = FirstFree();
    Extent& extent = extent_table_[fresh];
    extent.kind = ExtentKind::kLog;
    extent.live = 0;
    // Relaxed: before the release that follows.
    extent.next.store(0, std::memory_order_relaxed);
    extent.end.store(0, std::memory_order_relaxed);
    --header_->free_extents;
    // Release: pairs with the mutex of who repairs (V2): the extent is empty when it is in the
    // chain.
    // dies before -> it is free;  dies after -> the log's last extent is empty
    if (tail == 0) {
      header_->head.store(fresh + 1, std::memory_order_release);
    } else {
      extent_table_[tail - 1].next.store(fresh + 1, std::memory_order_release);
    }
    tail = fresh + 1;
  }
  return RecordIn(tail - 1, EndOf(tail - 1));
}

void Space::Publish(Record& record) {
  Extent& extent = extent_table_[header_->tail - 1];
  const uint32_t end = EndOf(header_->tail - 1) + record.BytesInLog();
  // Commit point. Release: pairs with the mutex of who repairs; the record and its bytes come
  // first.
  // dies before -> never sent;  dies after -> sent
  extent.end.store(end, std::memory_order_release);
  ++extent.live;
  ++header_->waiting;
  header_->bytes += record.size;
  // Release: pairs with the acquire of who waits for it (V2: Rebuild raises it otherwise).
  header_->sent.store(record.sequence + 1, std::memory_order_release);
}

Record& Space::Append(std::string_view message) {
  const uint32_t size = static_cast<uint32_t>(message.size());
  Record& record = PlaceInLog(static_cast<uint32_t>(sizeof(Record) + RoundUp(size, 8)));
  // Relaxed, both: under the mutex, before the commit point.
  record.state.store(Record::kWaiting, std::memory_order_relaxed);
  record.sequence = header_->sent.load(std::memory_order_relaxed);
  record.size = size;
  record.payload = 0;
  std::memcpy(record.inline_bytes(), message.data(), size);
  Publish(record);
  return record;
}

Record& Space::Append(const Payload& payload) {
  Record& record = PlaceInLog(sizeof(Record));
  // Relaxed, both: as in Append of bytes.
  record.state.store(Record::kWaiting, std::memory_order_relaxed);
  record.sequence = header_->sent.load(std::memory_order_relaxed);
  record.size = payload.size;
  record.payload = payload.at;
  Publish(record);
  return record;
}

absl::StatusOr<bool> Space::Reserve(uint32_t size, std::atomic<uint64_t>& row) {
  const bool own_run = HasOwnRun(size);
  const uint32_t extents = own_run ? ExtentsFor(size) : SharedHasRoom(size) ? 0 : 1;
  absl::StatusOr<bool> room = MakeRoom(0, extents, 1);
  uint32_t first = 0;
  if (room.ok() && *room && own_run) {
    first = LastRun(extents);
    // There may be enough extents, and not one behind the other.
    while (room.ok() && *room && first == kNoExtent) {
      room = GrowBy(1);
      first = LastRun(extents);
    }
  }
  if (!room.ok() || !*room) {
    // The log's last extent may be what is missing.
    return GiveUpEmptyLog() ? Reserve(size, row) : room;
  }
  Payload payload;
  if (own_run) {
    for (uint32_t i = first; i < first + extents; ++i) {
      extent_table_[i].kind = ExtentKind::kRun;
      extent_table_[i].live = 1;
    }
    header_->free_extents -= extents;
    const uint64_t at = extents_begin_ + first * extent_bytes_;
    payload = {static_cast<uint32_t>(at / kUnit), size};
  } else {
    payload = TakeFromShared(size);
  }
  // Commit point. Release: pairs with the mutex of who repairs.
  // dies before -> the payload is free (V3);  dies after -> it is the dead participant's draft
  row.store(payload.Pack(), std::memory_order_release);
  ++header_->drafts;
  return true;
}

Record& Space::Commit(std::atomic<uint64_t>& row) {
  // Relaxed: one's own row, under the mutex.
  const Payload payload = Payload::Unpack(row.load(std::memory_order_relaxed));
  // Release: V5; before the record is there.
  // dies after -> the payload is free: never sent
  row.store(0, std::memory_order_release);
  --header_->drafts;
  return Append(payload);
}

void Space::Drop(std::atomic<uint64_t>& row) {
  // Relaxed: one's own row, or a dead participant's, under the mutex.
  const Payload payload = Payload::Unpack(row.load(std::memory_order_relaxed));
  // Release: V5; before somebody else has the payload.
  row.store(0, std::memory_order_release);
  --header_->drafts;
  ReleasePayload(payload);
}

bool Space::IsSound(uint32_t extent, uint32_t offset) const {
  const uint32_t end = EndOf(extent);
  if (end > extent_bytes_ || end - offset < sizeof(Record)) return false;
  const Record& record = RecordIn(extent, offset);
  if (record.payload != 0) return IsPayload({record.payload, record.size});
  return record.size <= most_inline_bytes_ && record.BytesInLog() <= end - offset;
}

Record* Space::NextWaiting() {
  if (header_->waiting == 0) return nullptr;
  if (header_->cursor == 0) {
    // Relaxed: under the mutex.
    header_->cursor = static_cast<ExtentLink>(header_->head.load(std::memory_order_relaxed));
    header_->cursor_offset = 0;
  }
  while (header_->cursor != 0 && header_->cursor <= grown()) {
    const uint32_t extent = header_->cursor - 1;
    if (header_->cursor_offset >= EndOf(extent)) {
      header_->cursor = NextOf(extent);
      header_->cursor_offset = 0;
      continue;
    }
    if (!IsSound(extent, header_->cursor_offset)) return nullptr;
    Record& record = RecordIn(extent, header_->cursor_offset);
    header_->cursor_sequence = record.sequence;
    if (record.is() == Record::kWaiting) return &record;
    header_->cursor_offset += record.BytesInLog();
  }
  return nullptr;
}

void Space::MarkTaken(Record& record, uint64_t taken_by) {
  // Commit point. Release: pairs with the mutex of who repairs.
  // dies before -> it waits;  dies after -> it is put back by who recovers
  record.state.store(taken_by | (record.word() & Record::kRedelivered), std::memory_order_release);
  --header_->waiting;
  ++header_->taken;
}

void Space::Acknowledge(Record& record) {
  const bool waited = record.is() == Record::kWaiting;
  // Commit point. Release: pairs with the mutex of who repairs; the receiver has read the bytes.
  // dies before -> it comes again;  dies after -> it never does
  record.state.store(Record::kAcknowledged, std::memory_order_release);
  --(waited ? header_->waiting : header_->taken);
  header_->bytes -= record.size;
  if (record.payload != 0) ReleasePayload({record.payload, record.size});
  const uint32_t extent = ExtentOf(OffsetOf(record));
  if (--extent_table_[extent].live == 0) DropLogExtent(extent);
  // Relaxed: a hint; who waits looks under the mutex.
  header_->freed.store(header_->freed.load(std::memory_order_relaxed) + 1,
                       std::memory_order_relaxed);
}

void Space::PutBack(Record& record) {
  // Commit point. Release: as in MarkTaken.
  record.state.store(Record::kWaiting | Record::kRedelivered, std::memory_order_release);
  --header_->taken;
  ++header_->waiting;
  if (record.sequence >= header_->cursor_sequence) return;
  const uint64_t offset = OffsetOf(record);
  header_->cursor = ExtentOf(offset) + 1;
  header_->cursor_offset = static_cast<uint32_t>((offset - extents_begin_) % extent_bytes_);
  header_->cursor_sequence = record.sequence;
}

uint64_t Space::PutBackAll(absl::FunctionRef<bool(uint32_t slot, uint32_t generation)> holds) {
  uint64_t count = 0;
  uint64_t left = header_->taken;
  if (left == 0) return 0;
  ForEachRecord([&](uint32_t, Record& record) {
    const uint64_t word = record.word();
    if ((word & Record::kStateMask) != Record::kTaken) return true;
    const uint32_t slot = static_cast<uint16_t>(word >> Record::kSlotShift);
    if (holds(slot, static_cast<uint32_t>(word >> 32))) {
      PutBack(record);
      ++count;
    }
    return --left != 0;
  });
  return count;
}

void Space::DropLogExtent(uint32_t extent) {
  Extent& dropped = extent_table_[extent];
  if (header_->tail == extent + 1) {
    // Release: pairs with the mutex of who repairs; all its records are acknowledged.
    // dies before -> Rebuild does it;  dies after -> the log's last extent is empty
    dropped.end.store(0, std::memory_order_release);
    if (header_->cursor == extent + 1) header_->cursor_offset = 0;
    return;
  }
  // Relaxed: under the mutex.
  const uint32_t head = static_cast<uint32_t>(header_->head.load(std::memory_order_relaxed));
  const ExtentLink next = NextOf(extent);
  // Release, both: as above.
  // dies before -> Rebuild does it;  dies after -> the extent is free
  if (head == extent + 1) {
    header_->head.store(next, std::memory_order_release);
  } else {
    uint32_t before = head - 1;
    while (NextOf(before) != extent + 1) before = NextOf(before) - 1;
    extent_table_[before].next.store(next, std::memory_order_release);
  }
  dropped.kind = ExtentKind::kFree;
  ++header_->free_extents;
  if (header_->cursor == extent + 1) {
    header_->cursor = next;
    header_->cursor_offset = 0;
  }
}

bool Space::GiveUpEmptyLog() {
  const ExtentLink tail = header_->tail;
  // Relaxed: under the mutex.
  if (tail == 0 || extent_table_[tail - 1].live != 0 ||
      header_->head.load(std::memory_order_relaxed) != tail) {
    return false;
  }
  // Release: pairs with the mutex of who repairs.
  header_->head.store(0, std::memory_order_release);
  header_->tail = 0;
  header_->cursor = 0;
  extent_table_[tail - 1].kind = ExtentKind::kFree;
  ++header_->free_extents;
  return true;
}

bool Space::ForEachRecord(VisitRecord visit) const {
  // Relaxed: under the mutex.
  ExtentLink link = static_cast<ExtentLink>(header_->head.load(std::memory_order_relaxed));
  uint64_t sequence = 0;
  for (uint32_t seen = 0; link != 0; ++seen) {
    if (link > grown() || seen == grown()) return false;  // outside, or a ring
    const uint32_t extent = link - 1;
    // What `visit` does may take the extent out of the chain.
    link = NextOf(extent);
    for (uint32_t offset = 0; offset < EndOf(extent);) {
      if (!IsSound(extent, offset)) return false;
      Record& record = RecordIn(extent, offset);
      if (record.sequence <= sequence) return false;  // V4
      sequence = record.sequence;
      offset += record.BytesInLog();
      if (!visit(extent, record)) return true;
    }
  }
  return true;
}

}  // namespace kill9::mutex_vector
