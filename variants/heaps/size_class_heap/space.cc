#include "variants/heaps/size_class_heap/space.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "absl/strings/str_cat.h"
#include "variants/segment/round_up.h"

namespace kill9::size_class_heap {
namespace {

uint64_t PageBegin(uint64_t body_offset, uint64_t units) {
  return RoundUp(body_offset + sizeof(HeapHeader) + units * sizeof(Unit), SleepersPage::kBytes);
}

}  // namespace

absl::Status Space::Format(Segment& segment, SegmentHeader& header) {
  if (header.max_participants > kMostParticipants) {
    return absl::InvalidArgumentError(
        absl::StrCat("this heap is for at most ", kMostParticipants, " participants"));
  }
  uint64_t unit_bytes = kSmallestUnitBytes;
  while (header.size_bytes / unit_bytes >= kMostUnits) unit_bytes *= 2;
  const uint64_t body_bytes = header.size_bytes - header.body_offset;
  uint64_t units = body_bytes / (unit_bytes + sizeof(Unit));
  const auto room_begin = [&] {
    return PageBegin(header.body_offset, units) + SleepersPage::kBytes;
  };
  while (units > 0 && room_begin() + units * unit_bytes > header.size_bytes) --units;
  if (units < kFewestUnits) {
    return absl::InvalidArgumentError(
        absl::StrCat("a segment of ", header.size_bytes, " bytes is too small for this heap"));
  }
  header.parameters[kUnitBytes] = unit_bytes;
  header.parameters[kUnits] = units;
  header.parameters[kRoomBegin] = room_begin();
  auto* heap = new (segment.base() + header.body_offset) HeapHeader{};
  uint64_t drawn = 0;  // what a user's bytes happen to say is no generation
  std::memcpy(&drawn, header.hash_secret, sizeof drawn);
  // Relaxed: nobody else sees the segment yet.
  heap->next_generation.store(drawn >> 2 | uint64_t{1} << 62, std::memory_order_relaxed);
  return absl::OkStatus();
}

absl::Status Space::Check(const Segment& segment) {
  const SegmentHeader& header = segment.header();
  const uint64_t unit_bytes = header.parameters[kUnitBytes];
  const uint64_t units = header.parameters[kUnits];
  const uint64_t begin = header.parameters[kRoomBegin];
  if (!std::has_single_bit(unit_bytes) || unit_bytes < kSmallestUnitBytes || units < kFewestUnits ||
      units > kMostUnits || header.max_participants > kMostParticipants ||
      begin != PageBegin(header.body_offset, units) + SleepersPage::kBytes ||
      begin > segment.size() || units > (segment.size() - begin) / unit_bytes) {
    return absl::DataLossError(
        "the segment is damaged: its header's parameters contradict its size");
  }
  return absl::OkStatus();
}

Space::Space(std::shared_ptr<Segment> segment, const Participant& participant)
    : segment_(std::move(segment)),
      base_(segment_->base()),
      header_(reinterpret_cast<HeapHeader*>(segment_->body().data())),
      units_(reinterpret_cast<Unit*>(header_ + 1)),
      participants_(segment_->participants()),
      unit_shift_(
          static_cast<uint32_t>(std::countr_zero(segment_->header().parameters[kUnitBytes]))),
      unit_count_(static_cast<uint32_t>(segment_->header().parameters[kUnits])),
      room_bytes_(uint64_t{unit_count_} << unit_shift_),
      room_begin_(segment_->header().parameters[kRoomBegin]),
      classes_(room_bytes(), unit_bytes()),
      index_(participant.slot()),
      bit_(uint64_t{1} << index_ % 64),
      own_ledger_(&ledger(index_)),
      tag_(uint64_t{participant.generation()} << 32) {
  sleepers_page_ = reinterpret_cast<SleepersPage*>(base_ + room_begin_ - SleepersPage::kBytes);
}

// ---- Where blocks are ---------------------------------------------------------------------------

Place Space::FindAgain(uint64_t data_offset) const { return Find(data_offset); }

Place Space::FindIn(const Span& span, uint64_t data_offset) {
  // No blocks: the segment is damaged.
  if (span.blocks() == 0 || data_offset < span.data) return {};
  const uint64_t index = span.shape.IndexAt(data_offset - span.data);
  return index < span.blocks() ? span.At(index) : Place{};
}

void Space::ForEachSpan(absl::FunctionRef<bool(uint32_t head, UnitWord word)> visit) const {
  for (uint32_t number = 0; number < unit_count_;) {
    const UnitWord word = WordOf(number);
    if (!word.is_span()) {
      ++number;
      continue;
    }
    const uint64_t units = std::max<uint64_t>(UnitsOf(number), 1);
    if (!visit(number, word)) return;
    number += static_cast<uint32_t>(units);
  }
}

uint64_t Space::TakeGenerations(uint64_t count) const {
  // Relaxed: the numbers need only differ.
  return header_->next_generation.fetch_add(count, std::memory_order_relaxed);
}

// ---- Who may own, and who is named --------------------------------------------------------------

bool Space::CanOwn(ParticipantId id) const {
  if (id.slot >= segment_->header().max_participants) return false;
  // Seq_cst: with the store of Name before it, and with the sweeps of who leaves and of recovery,
  // which follow their stores to `member` (U6).
  return ledger(id.slot).member.load(std::memory_order_seq_cst) ==
             Ledger::MemberWord(id.generation) &&
         participants_.state(id.slot) == ParticipantState::kInUse &&
         participants_.generation(id.slot) == id.generation;
}

bool Space::IsTarget(uint32_t slot) const {
  for (uint32_t other = 0; other < participants_.size(); ++other) {
    const ParticipantState state = participants_.state(other);
    if (state != ParticipantState::kInUse && state != ParticipantState::kDead) continue;
    for (const SharedWord& target : ledger(other).targets) {
      // Seq_cst: with the stores of Name and Unname.
      const uint64_t word = target.load(std::memory_order_seq_cst);
      if (Named(word) == slot + uint64_t{1} &&
          GenerationIn(word) == participants_.generation(other)) {
        return true;
      }
    }
  }
  return false;
}

bool Space::IsNamed(uint32_t head) const {
  for (uint32_t other = 0; other < participants_.size(); ++other) {
    // Who is dead writes nothing any more.
    if (other == index_ || participants_.state(other) != ParticipantState::kInUse) continue;
    // Seq_cst: with the store of SpanGuard (U5).
    const uint64_t word = ledger(other).span.load(std::memory_order_seq_cst);
    if (Named(word) == head + uint64_t{1} &&
        GenerationIn(word) == participants_.generation(other)) {
      return true;
    }
  }
  return false;
}

Space::Looks Space::OthersLooks() const {
  Looks looks;
  for (uint32_t other = 0; other < participants_.size(); ++other) {
    // Who is dead is recovered, which wakes.
    if (other == index_ || participants_.state(other) != ParticipantState::kInUse) continue;
    // Seq_cst: with LookGuard. As an acquire it pairs with its end.
    const uint64_t word = ledger(other).looks.load(std::memory_order_seq_cst);
    looks.any |= word % 2 != 0 && GenerationIn(word) == participants_.generation(other);
    looks.sum += word;
  }
  return looks;
}

// ---- Spans come and go --------------------------------------------------------------------------

// Owns free units in a row, or none of them. Small spans from the beginning, large ones from the
// end. Dies at any instruction -> those that are Claimed are freed by recovery.
std::optional<uint32_t> Space::ClaimRow(uint32_t units) {
  const bool from_end = units > classes_.usual_units();
  uint32_t run = 0;
  for (uint32_t step = 0; step < unit_count_; ++step) {
    const uint32_t number = from_end ? unit_count_ - 1 - step : step;
    // Relaxed: only a look.
    const UnitWord seen{units_[number].word.load(std::memory_order_relaxed)};
    run = seen.kind() == UnitKind::kFree ? run + 1 : 0;
    if (run < units) continue;
    const uint32_t first = from_end ? number : number - units + 1;
    uint32_t claimed = 0;
    for (; claimed < units; ++claimed) {
      const UnitWord word = WordOf(first + claimed);
      if (word.kind() != UnitKind::kFree ||
          !ChangeWord(first + claimed, word, word.Next(UnitKind::kClaimed, index_))) {
        break;
      }
    }
    if (claimed == units) return first;
    while (claimed-- > 0) FreeClaimed(first + claimed, WordOf(first + claimed));
    run = 0;  // somebody else is here: further on
  }
  return std::nullopt;
}

// Dies before the head is a span -> the bodies are freed with it, the others for themselves;
// after -> it is a span, whose first block is the dead one's if it was to be
void Space::MakeSpan(uint32_t head, uint32_t units, uint32_t size_class, uint64_t owner_of_first) {
  const UnitWord claimed = WordOf(head);
  // Release: pairs with UnitsOf, and keeps the order for recovery.
  units_[head].units.store(claimed.bits >> 30 << 24 | units, std::memory_order_release);
  for (uint32_t i = 1; i < units; ++i) {
    const UnitWord body = WordOf(head + i);
    ChangeWord(head + i, body, body.Next(UnitKind::kBody, head));
  }
  auto* words =
      reinterpret_cast<BlockWords*>(base_ + room_begin_ + (uint64_t{head} << unit_shift_));
  const uint64_t blocks = classes_.ShapeOf(size_class, units).blocks;
  for (uint64_t i = 0; i < blocks; ++i) {
    // Relaxed, all: before the change of the head's word.
    words[i].owners.store(i == 0 ? owner_of_first : 0, std::memory_order_relaxed);
    words[i].generation.store(0, std::memory_order_relaxed);
    words[i].size_kind.store(0, std::memory_order_relaxed);
  }
  ChangeWord(head, claimed, claimed.Next(UnitKind::kSpan, 0, size_class));
  Hint(head);
}

// Each change is a CAS from what it was (U1): several may do it. The last body first, so that those
// which are left follow the head.
void Space::FreeClaimed(uint32_t head, UnitWord word) {
  // Acquire: pairs with the store of MakeSpan.
  uint64_t units = units_[head].units.load(std::memory_order_acquire);
  for (uint64_t i = std::min<uint64_t>(units & kUnitsMask, unit_count_ - head); i-- > 1;) {
    const uint32_t number = head + static_cast<uint32_t>(i);
    const UnitWord body = WordOf(number);
    if (!body.Is(UnitKind::kBody, head)) continue;
    // Not that of a later span in this place.
    if (WordOf(head) != word) return;
    ChangeWord(number, body, body.Next(UnitKind::kFree, 0));
  }
  if (WordOf(head) != word) return;
  if (units != 0) {
    // Release: before the head's word, for recovery. Its failure, relaxed: another did it.
    units_[head].units.compare_exchange_strong(units, 0, std::memory_order_release,
                                               std::memory_order_relaxed);
  }
  // dies before -> it is claimed by the dead;  dies after -> it is free
  ChangeWord(head, word, word.Next(UnitKind::kFree, 0));
  TellOfRoom();
}

bool Space::HasOwnedBlock(uint32_t head, UnitWord word) const {
  const Span span = SpanOf(head, word);
  // Seq_cst: before the blocks (U7).
  units_[head].hint.load(std::memory_order_seq_cst);
  for (uint64_t i = 0; i < span.blocks(); ++i) {
    // Seq_cst: after the closing (U5).
    if (span.words[i].owners.load(std::memory_order_seq_cst) != 0) return true;
  }
  return false;
}

void Space::Reopen(uint32_t head, UnitWord closing) {
  ChangeWord(head, closing, closing.Next(UnitKind::kSpan, 0, closing.size_class()));
  TellOfRoom();
}

// Dies while it is closing -> recovery opens it again;  while it is claimed -> recovery frees it
bool Space::TryUnmake(uint32_t head) {
  for (;;) {
    const UnitWord word = WordOf(head);
    if (word.kind() != UnitKind::kSpan) return false;
    // So nobody else unmakes it while its blocks are looked at.
    const SpanGuard guard(*this, head, word);
    if (!guard.is_span()) continue;
    if (HasOwnedBlock(head, word)) return false;
    const UnitWord closing = word.Next(UnitKind::kClosing, index_, word.size_class());
    // It fails if somebody has closed it, who opens it again for this name: another look.
    if (!ChangeWord(head, word, closing)) continue;
    // From now on no block of it is allocated: whoever names it now finds it closing (U5).
    if (IsNamed(head) || HasOwnedBlock(head, closing)) {
      Reopen(head, closing);
      return false;
    }
    const UnitWord claimed = closing.Next(UnitKind::kClaimed, index_);
    if (!ChangeWord(head, closing, claimed)) return false;
    FreeClaimed(head, claimed);
    return true;
  }
}

bool Space::UnmakeEmpty() {
  bool any = false;
  ForEachSpan([&](uint32_t head, UnitWord) {
    any |= TryUnmake(head);
    return true;
  });
  return any;
}

// ---- Owners go ----------------------------------------------------------------------------------

uint64_t Space::BeginSearch() const {
  // Seq_cst, both, with TellOfRoom: what became free and was not told of comes before the search.
  // Its failure tells what the word is.
  uint64_t seen = header_->no_room.load(std::memory_order_seq_cst);
  if (seen % 2 == 0 && header_->no_room.compare_exchange_strong(
                           seen, seen + 1, std::memory_order_seq_cst, std::memory_order_seq_cst)) {
    return seen + 1;
  }
  return seen;
}

bool Space::Drop(const Place& place, uint64_t slots) {
  BlockWords& words = *place.words;
  for (;;) {
    // Seq_cst, all three: with the closing of spans, and with Share's look at `member` after its
    // CAS (U6).
    uint64_t owners = words.owners.load(std::memory_order_seq_cst);
    if ((owners & slots) == 0) return false;
    const uint64_t left = owners & ~slots;
    if (left == 0) {
      uint64_t generation = words.generation.load(std::memory_order_seq_cst);
      // The generation is this block's only if it was its owners' all the while; that it cannot
      // have been freed and given to the same ones in between, U6 says.
      if (words.owners.load(std::memory_order_seq_cst) != owners) continue;
      // dies before -> the handle is valid, and the last owner's bit stands;  dies after -> the
      // handle is not, the bit still stands: whoever recovers drops it
      if (generation != 0) {
        // Release: pairs with the loads of who looks twice at it (SizeClassHeap::OwnersOf). Its
        // failure, relaxed: another did it.
        words.generation.compare_exchange_strong(generation, 0, std::memory_order_release,
                                                 std::memory_order_relaxed);
      }
    }
    // dies before -> it is owned;  dies after -> it is free, or owned by the others only
    // Seq_cst: of the last it pairs with the CAS of who allocates it: all use of it comes before.
    // Its failure, relaxed: it is looked at anew.
    if (words.owners.compare_exchange_strong(owners, left, std::memory_order_seq_cst,
                                             std::memory_order_relaxed)) {
      return left == 0;
    }
  }
}

uint64_t Space::DropAll(uint64_t slots) {
  uint64_t freed = 0;
  ForEachSpan([&](uint32_t head, UnitWord) {
    DropInSpan(head, slots, &freed);
    return true;
  });
  return freed;
}

void Space::DropInSpan(uint32_t head, uint64_t slots, uint64_t* freed) {
  bool freed_here = false;
  UnitWord word;
  {
    // Who found the span empty, and closes it, opens it again if a block was taken meanwhile. What
    // is closing is written to by nobody: it may be unmade, and others' blocks lie there then.
    const SpanGuard guard(*this, head);
    if (!guard.is_span()) return;
    word = guard.word();
    const Span span = SpanOf(head, word);
    for (uint64_t i = 0; i < span.blocks(); ++i) {
      if (!Drop(span.At(i), slots)) continue;
      freed_here = true;
      ++*freed;
    }
    if (freed_here) Hint(head);
  }
  // A recoverer's slot holds nothing that would have to be given back (P4).
  if (freed_here && word.size_class() == Classes::kLarge &&
      index_ < segment_->header().max_participants) {
    TryUnmake(head);
  }
}

}  // namespace kill9::size_class_heap
