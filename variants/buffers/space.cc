#include "variants/buffers/space.h"

#include <algorithm>
#include <new>

#include "absl/strings/str_cat.h"
#include "variants/segment/round_up.h"

// Seq_cst throughout: a look at all holds of a buffer compares words of several places (B3, B4), so
// there is one order of all their changes.
namespace kill9::buffers {
namespace {

using locked::Heap;

uint64_t PageBegin(uint64_t body_offset) {
  return RoundUp(body_offset + sizeof(PoolHeader), SleepersPage::kBytes);
}

uint64_t ReadShared(const uint64_t& word) {
  return std::atomic_ref<uint64_t>(const_cast<uint64_t&>(word)).load(std::memory_order_seq_cst);
}

// A hold's word, as the journal changes one.
uint64_t* AsPlain(SharedWord& word) { return reinterpret_cast<uint64_t*>(&word); }

}  // namespace

absl::Status Space::Format(Segment& segment, SegmentHeader& header, Plan plan) {
  const uint64_t first = PageBegin(header.body_offset) + SleepersPage::kBytes;
  const uint64_t table = plan.descriptors * Descriptor::Bytes(plan.holds);
  if (first + table + kSmallestArenaBytes > header.size_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("a segment of ", header.size_bytes,
                                                   " bytes has no room for ", plan.descriptors,
                                                   " buffers of ", plan.holds, " holds each"));
  }
  const uint64_t begin = first + table;
  header.parameters[kDescriptorsBegin] = first;
  header.parameters[kDescriptorCount] = plan.descriptors;
  header.parameters[kHoldsOfEach] = plan.holds;
  header.parameters[kArenaBegin] = begin;
  header.parameters[kArenaBytes] = (header.size_bytes - begin) / Heap::kGranule * Heap::kGranule;
  auto* pool = new (segment.base() + header.body_offset) PoolHeader{};
  pool->mutex.Format();
  Heap::Format(segment.base(), pool->arena, begin, begin + header.parameters[kArenaBytes]);
  return absl::OkStatus();
}

absl::Status Space::Check(const Segment& segment) {
  const SegmentHeader& header = segment.header();
  const uint64_t first = PageBegin(header.body_offset) + SleepersPage::kBytes;
  const uint64_t descriptors = header.parameters[kDescriptorCount];
  const uint64_t holds = header.parameters[kHoldsOfEach];
  const uint64_t begin = header.parameters[kArenaBegin];
  const uint64_t bytes = header.parameters[kArenaBytes];
  if (header.parameters[kDescriptorsBegin] != first || first > segment.size() || holds == 0 ||
      holds > HoldWord::kMostHolders || descriptors == 0 || descriptors > UINT32_MAX ||
      descriptors > (segment.size() - first) / Descriptor::Bytes(holds) ||
      begin != first + descriptors * Descriptor::Bytes(holds) || bytes < kSmallestArenaBytes ||
      bytes % Heap::kGranule != 0 || bytes > segment.size() - begin) {
    return absl::DataLossError(
        "the segment is damaged: its header's parameters contradict its size");
  }
  return absl::OkStatus();
}

Space::Space(std::shared_ptr<Segment> segment)
    : segment_(std::move(segment)),
      base_(segment_->base()),
      header_(reinterpret_cast<PoolHeader*>(segment_->body().data())),
      sleepers_page_(
          reinterpret_cast<SleepersPage*>(base_ + PageBegin(segment_->header().body_offset))),
      participants_(segment_->participants()),
      first_(base_ + segment_->header().parameters[kDescriptorsBegin]),
      descriptors_(segment_->header().parameters[kDescriptorCount]),
      holds_(segment_->header().parameters[kHoldsOfEach]),
      stride_(Descriptor::Bytes(holds_)),
      arena_end_(segment_->header().parameters[kArenaBegin] +
                 segment_->header().parameters[kArenaBytes] - Heap::kBlockHeaderBytes),
      arena_(base_, header_->arena,
             {segment_->header().parameters[kArenaBegin],
              segment_->header().parameters[kArenaBegin] +
                  segment_->header().parameters[kArenaBytes]}) {}

HoldWord Space::WordOf(uint64_t buffer, uint64_t index) const {
  return {descriptor(buffer).hold(index).load(std::memory_order_seq_cst)};
}

absl::StatusOr<std::span<char>> Space::BlockOf(uint32_t buffer) const {
  const uint64_t payload = ReadShared(descriptor(buffer).payload);
  const uint64_t bytes = ReadShared(descriptor(buffer).bytes);
  if (!arena_.Contains(payload) || bytes > arena_end_ - payload) return Damaged();
  return std::span<char>(base_ + payload, bytes);
}

// ---- Buffers come and go ------------------------------------------------------------------------

absl::StatusOr<std::optional<HoldRef>> Space::Make(Session& session, uint64_t bytes,
                                                   uint32_t slot) {
  uint64_t number = std::min(header_->next_free, descriptors_ - 1);
  uint64_t left = descriptors_;
  while (left > 0 && descriptor(number).state != Descriptor::kNoBuffer) {
    number = number + 1 == descriptors_ ? 0 : number + 1;
    --left;
  }
  if (left == 0) return std::nullopt;
  Journal& journal = session.journal;
  const uint64_t payload = arena_.Allocate(journal, bytes);
  if (journal.damaged()) return Damaged();
  if (payload == 0) return std::nullopt;
  Descriptor& buffer = descriptor(number);
  const HoldWord first = WordOf(number, 0).Next(HoldKind::kHeld, slot);
  journal.Set(&buffer.payload, payload);
  journal.Set(&buffer.bytes, bytes);
  journal.Set(AsPlain(buffer.used), 1);
  journal.Set(AsPlain(buffer.hold(0)), first.bits);
  journal.Set(&buffer.state, Descriptor::kBuffer);
  // dies before -> there is no buffer;  dies after -> it is the dead one's
  if (!journal.Commit()) return Damaged();
  header_->next_free = number + 1 == descriptors_ ? 0 : number + 1;
  return HoldRef{static_cast<uint32_t>(number), 0, first};
}

absl::StatusOr<bool> Space::FreeIfUnheld(uint32_t number) {
  Session session(*this);
  if (!session.entered) return Damaged();
  Descriptor& buffer = descriptor(number);
  // Once more, under the mutex: what was seen before may have been of an earlier buffer.
  if (buffer.state != Descriptor::kBuffer || !HasNoOtherHold(number, std::nullopt)) return false;
  Journal& journal = session.journal;
  if (!arena_.Contains(buffer.payload)) return Damaged();
  arena_.Free(journal, buffer.payload);
  journal.Set(&buffer.payload, 0);
  journal.Set(&buffer.state, Descriptor::kNoBuffer);
  // dies before -> it has no hold, and the next recovery frees it;  dies after -> it is free
  if (!journal.Commit()) return Damaged();
  return true;
}

// ---- Holds --------------------------------------------------------------------------------------

std::optional<uint64_t> Space::SumIfUnheld(Descriptor& buffer, uint64_t used,
                                           std::optional<uint32_t> index) const {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < std::min(used, holds_); ++i) {
    const HoldWord word{buffer.hold(i).load(std::memory_order_seq_cst)};
    if (word.kind() != HoldKind::kFree && index != static_cast<uint32_t>(i)) return std::nullopt;
    sum += word.count();
  }
  return sum;
}

// Two looks at all words. Counts only grow, so equal sums mean that no word has changed between its
// two looks: at the moment between the looks all were as they were seen.
bool Space::HasNoOtherHold(uint32_t number, std::optional<uint32_t> index) const {
  Descriptor& buffer = descriptor(number);
  for (;;) {
    const uint64_t used = buffer.used.load(std::memory_order_seq_cst);
    const std::optional<uint64_t> first = SumIfUnheld(buffer, used, index);
    if (!first.has_value()) return false;
    const bool same_used = buffer.used.load(std::memory_order_seq_cst) == used;
    const std::optional<uint64_t> second = SumIfUnheld(buffer, used, index);
    if (!second.has_value()) return false;
    if (same_used && *first == *second) return true;
  }
}

absl::StatusOr<HoldRef> Space::AddHold(uint32_t number, uint32_t slot) {
  Descriptor& buffer = descriptor(number);
  for (uint64_t i = 0; i < holds_;) {
    uint64_t bits = buffer.hold(i).load(std::memory_order_seq_cst);
    if (HoldWord{bits}.kind() != HoldKind::kFree) {
      ++i;
      continue;
    }
    uint64_t used = buffer.used.load(std::memory_order_seq_cst);
    // Relaxed, here and below, the failures: nothing is read by them.
    while (used <= i && !buffer.used.compare_exchange_weak(used, i + 1, std::memory_order_seq_cst,
                                                           std::memory_order_relaxed)) {
    }
    const HoldWord next = HoldWord{bits}.Next(HoldKind::kHeld, slot);
    // dies before -> there is no other hold;  dies after -> it is the dead one's
    if (buffer.hold(i).compare_exchange_strong(bits, next.bits, std::memory_order_seq_cst,
                                               std::memory_order_relaxed)) {
      return HoldRef{number, static_cast<uint32_t>(i), next};
    }
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("the buffer has ", holds_, " holds, which is as many as it can have"));
}

bool Space::ChangeHold(const HoldRef& hold, HoldWord to) {
  uint64_t bits = hold.word.bits;
  // Relaxed, its failure: as above.
  return descriptor(hold.buffer)
      .hold(hold.index)
      .compare_exchange_strong(bits, to.bits, std::memory_order_seq_cst, std::memory_order_relaxed);
}

absl::StatusOr<bool> Space::DropHold(const HoldRef& hold) {
  // dies before -> it is held by the dead;  dies after -> whoever recovers finds it unheld
  if (!ChangeHold(hold, hold.word.Next(HoldKind::kFree))) return Damaged();
  // A first look, without the mutex: most often somebody else holds it.
  return HasNoOtherHold(hold.buffer, std::nullopt) ? FreeIfUnheld(hold.buffer) : false;
}

absl::StatusOr<uint64_t> Space::DropAll(absl::FunctionRef<bool(HoldWord)> wanted) {
  uint64_t freed = 0;
  for (uint64_t number = 0; number < descriptors_; ++number) {
    Descriptor& buffer = descriptor(number);
    if (ReadShared(buffer.state) != Descriptor::kBuffer) continue;
    const uint64_t used = std::min(buffer.used.load(std::memory_order_seq_cst), holds_);
    for (uint64_t i = 0; i < used; ++i) {
      const HoldWord word = WordOf(number, i);
      if (!wanted(word)) continue;
      // A failure: it has been received, or another one was first.
      ChangeHold({static_cast<uint32_t>(number), static_cast<uint32_t>(i), word},
                 word.Next(HoldKind::kFree));
    }
    if (!HasNoOtherHold(static_cast<uint32_t>(number), std::nullopt)) continue;
    const absl::StatusOr<bool> done = FreeIfUnheld(static_cast<uint32_t>(number));
    if (!done.ok()) return done.status();
    freed += *done ? 1 : 0;
  }
  return freed;
}

bool Space::MayChange(uint64_t offset, uint64_t bytes) const {
  const uint64_t first = OffsetOf(first_);
  return locked::ByteRange{first, first + descriptors_ * stride_}.Contains(offset, bytes) ||
         arena_.MayChange(offset, bytes);
}

}  // namespace kill9::buffers
