// How a block is found. In the span where the last one of its class was; in other spans of the
// class that are hinted; in a new span; after that, units of spans whose blocks are all free serve
// for a new one, or a block of a larger class.
#include <algorithm>
#include <bitset>

#include "variants/heaps/size_class_heap/size_class_heap.h"

namespace kill9::size_class_heap {

// Dies before the CAS -> the block is free;  after -> it is the dead one's, and has no handle
std::optional<Place> SizeClassHeap::TakeInSpan(uint32_t head, uint32_t size_class, uint64_t first) {
  const UnitWord word = space_.WordOf(head);
  if (word.kind() != UnitKind::kSpan || word.size_class() != size_class) return std::nullopt;
  // Seq_cst: with Hint: what is looked at below is later, and who announced that it waits, or began
  // a search, did so before (U7).
  uint64_t hint = space_.unit(head).hint.load(std::memory_order_seq_cst);
  if (hint % 2 == 0) return std::nullopt;
  const Space::SpanGuard guard(space_, head, word);
  if (!guard.is_span()) return std::nullopt;
  const Space::Span span = space_.SpanOf(head, word);
  for (uint64_t step = 0, index = first; step < span.blocks(); ++step, ++index) {
    if (index >= span.blocks()) index = 0;
    SharedWord& owners = span.words[index].owners;
    uint64_t free = 0;
    // Seq_cst: with the announcement of who waits. Its failure, relaxed: another was first.
    if (owners.load(std::memory_order_seq_cst) != 0 ||
        !owners.compare_exchange_strong(free, space_.Bit(), std::memory_order_seq_cst,
                                        std::memory_order_relaxed)) {
      continue;
    }
    cursors_[size_class] = {word, span, index + 1};
    return span.At(index);
  }
  // Fails if one was freed since (U7). Relaxed: nothing is read by it.
  space_.unit(head).hint.compare_exchange_strong(hint, hint + 1, std::memory_order_relaxed,
                                                 std::memory_order_relaxed);
  return std::nullopt;
}

std::optional<Place> SizeClassHeap::TakeInSpans(uint32_t size_class) {
  std::optional<Place> found;
  space_.ForEachSpan([&](uint32_t head, UnitWord word) {
    if (word.size_class() == size_class) found = TakeInSpan(head, size_class, 0);
    return !found.has_value();
  });
  return found;
}

std::optional<Place> SizeClassHeap::TakeInLargerClass(uint32_t size_class) {
  std::bitset<Classes::kLarge> hinted;
  space_.ForEachSpan([&](uint32_t head, UnitWord word) {
    // Seq_cst: as in TakeInSpan.
    const bool is_hinted = space_.unit(head).hint.load(std::memory_order_seq_cst) % 2 != 0;
    if (is_hinted && word.size_class() < Classes::kLarge) hinted.set(word.size_class());
    return true;
  });
  std::optional<Place> place;
  for (uint32_t larger = size_class + 1; larger < Classes::kLarge && !place.has_value(); ++larger) {
    if (hinted.test(larger)) place = TakeInSpans(larger);
  }
  return place;
}

std::optional<Place> SizeClassHeap::MakeAndTake(uint32_t units, uint32_t size_class) {
  const std::optional<uint32_t> head = space_.ClaimRow(units);
  if (!head.has_value()) return std::nullopt;
  space_.MakeSpan(*head, units, size_class, space_.Bit());
  // Nobody closes it: its first block is owned.
  const UnitWord word = space_.WordOf(*head);
  const Space::Span span = space_.SpanOf(*head, word);
  if (size_class != Classes::kLarge) cursors_[size_class] = {word, span, 1};
  return span.At(0);
}

std::optional<Place> SizeClassHeap::TakeInNewSpan(uint32_t size_class, uint64_t bytes) {
  const uint64_t units =
      (bytes + Classes::LargeOverhead() + space_.unit_bytes() - 1) / space_.unit_bytes();
  if (units > space_.unit_count()) return std::nullopt;
  const uint32_t for_one = static_cast<uint32_t>(units);
  if (size_class == Classes::kLarge) return MakeAndTake(for_one, size_class);
  return MakeAndTake(space_.classes().usual_units(), size_class);
}

// As TakeInSpan, to the end of the span, and without its hint: what it does not find may be there.
inline Place SizeClassHeap::TakeAtCursor(uint32_t size_class) {
  Cursor& cursor = cursors_[size_class];
  const Space::SpanGuard guard(space_, cursor.span.head, cursor.word);
  // The same word, and so the same span (U1).
  if (!guard.is_span()) return {};
  while (cursor.index < cursor.span.blocks()) {
    const uint64_t index = cursor.index++;
    SharedWord& owners = cursor.span.words[index].owners;
    uint64_t free = 0;
    // Seq_cst, and its failure, relaxed: as in TakeInSpan.
    if (owners.load(std::memory_order_seq_cst) == 0 &&
        owners.compare_exchange_strong(free, space_.Bit(), std::memory_order_seq_cst,
                                       std::memory_order_relaxed)) {
      return cursor.span.At(index);
    }
  }
  return {};
}

std::optional<Place> SizeClassHeap::Take(uint64_t bytes) {
  if (const uint32_t size_class = space_.classes().ClassOf(bytes); size_class != Classes::kLarge) {
    const Cursor& cursor = cursors_[size_class];
    std::optional<Place> place = TakeInSpan(cursor.span.head, size_class, cursor.index);
    if (place.has_value()) return place;
  }
  // Before the look at what was told: who looks no more has kept what it took, or told of it (U9).
  // Only who is about to sleep asks: it is a look at everybody.
  if (announced_) in_vain_.in_the_way = in_vain_.in_the_way && space_.OthersLooks().any;
  // Of what was refused, as much or more is refused again.
  if (bytes >= in_vain_.bytes && space_.StillInVain(in_vain_.begun)) return std::nullopt;
  const uint64_t told = space_.told();
  const uint64_t looks = announced_ ? space_.OthersLooks().sum : 0;
  const uint64_t begun = space_.BeginSearch();
  std::optional<Place> place = Search(bytes);
  if (!place.has_value()) {
    in_vain_ = {begun, bytes, told, true};
    if (announced_) {
      const Space::Looks now = space_.OthersLooks();
      in_vain_.in_the_way = now.any || now.sum != looks;
    }
  }
  return place;
}

std::optional<Place> SizeClassHeap::Search(uint64_t bytes) {
  const Space::LookGuard looks(space_);
  const uint32_t size_class = space_.classes().ClassOf(bytes);
  std::optional<Place> place;
  if (size_class != Classes::kLarge) place = TakeInSpans(size_class);
  if (!place.has_value()) place = TakeInNewSpan(size_class, bytes);
  if (!place.has_value() && space_.UnmakeEmpty()) place = TakeInNewSpan(size_class, bytes);
  if (place.has_value() || size_class == Classes::kLarge) return place;
  // Little is left: smaller spans, one block alone, or one of a larger class.
  for (uint32_t units = space_.classes().usual_units() / 2; units > 0 && !place.has_value();
       units /= 2) {
    if (space_.classes().ShapeOf(size_class, units).blocks > 0) {
      place = MakeAndTake(units, size_class);
    }
  }
  if (!place.has_value()) place = TakeInNewSpan(Classes::kLarge, bytes);
  return place.has_value() ? place : TakeInLargerClass(size_class);
}

void SizeClassHeap::TakeGenerations() {
  constexpr uint64_t kAtOnce = 4096;
  next_generation_ = space_.TakeGenerations(kAtOnce);
  end_of_generations_ = next_generation_ + kAtOnce;
}

inline BlockHandle SizeClassHeap::Complete(BlockWords& words, uint64_t data, uint64_t bytes) {
  const uint64_t generation = NextGeneration();
  // Relaxed: before the generation.
  words.size_kind.store(bytes << 1 | BlockWords::kLive, std::memory_order_relaxed);
  // dies before -> there is no handle;  dies after -> the handle is valid, and was not told
  // Release: pairs with the loads of who looks the handle up.
  words.generation.store(generation, std::memory_order_release);
  return {data, generation};
}

void SizeClassHeap::GiveBack(const Place& place, uint64_t generation) {
  if (!space_.LetGo(place)) return;
  TellThatFree(place.head, place.size_class, place.index, generation);
}

absl::StatusOr<BlockHandle> SizeClassHeap::DoAllocate(size_t bytes, Deadline deadline, Lifetime) {
  if (const uint32_t size_class = space_.classes().ClassOf(bytes); size_class != Classes::kLarge) {
    const Place place = TakeAtCursor(size_class);
    if (place.words != nullptr) [[likely]]
      return Complete(*place.words, place.data, bytes);
  }
  return AllocateElsewhere(bytes, deadline);
}

absl::StatusOr<BlockHandle> SizeClassHeap::AllocateElsewhere(size_t bytes, Deadline deadline) {
  std::optional<Place> place;
  absl::Status status = Until(deadline, [&] {
    place = Take(bytes);
    return place.has_value();
  });
  if (!status.ok()) return status;
  return Complete(*place->words, place->data, bytes);
}

absl::StatusOr<BlockHandle> SizeClassHeap::DoAllocateAt(uint64_t, size_t) {
  return absl::UnimplementedError("a size_class_heap gives a block where its class has one");
}

absl::StatusOr<HeapReserve> SizeClassHeap::DoReserve(uint64_t blocks, size_t block_bytes,
                                                     Deadline deadline) {
  if (blocks > space_.room_bytes() / (block_bytes + sizeof(BlockWords))) {
    return absl::InvalidArgumentError("so many blocks are more than the segment could hold");
  }
  const auto reserve = std::find_if(std::begin(reserves_), std::end(reserves_),
                                    [](const ReservedBlocks& one) { return !one.used; });
  if (reserve == std::end(reserves_)) {
    return absl::ResourceExhaustedError("this participant has as many reserves as it may");
  }
  std::vector<Place>& taken = reserve->blocks;
  absl::Status status = Until(deadline, [&] {
    const Space::LookGuard looks(space_);
    while (taken.size() < blocks) {
      const std::optional<Place> place = Take(block_bytes);
      if (!place.has_value()) break;
      // Relaxed: the account, which is of a quiet heap, reads it.
      place->words->size_kind.store(block_bytes << 1 | BlockWords::kReserved,
                                    std::memory_order_relaxed);
      taken.push_back(*place);
    }
    if (taken.size() == blocks) return true;
    // All or none: who waited with some of them would wait for others who wait with some.
    for (const Place& place : taken) GiveBack(place, NextGeneration());
    taken.clear();
    return false;
  });
  if (!status.ok()) return status;
  reserve->used = true;
  return HeapReserve(this, static_cast<uint64_t>(reserve - std::begin(reserves_)), blocks,
                     block_bytes);
}

absl::StatusOr<BlockHandle> SizeClassHeap::DoAllocateReserved(uint64_t hold, size_t bytes) {
  std::vector<Place>& blocks = reserves_[hold].blocks;
  const Place place = blocks.back();
  blocks.pop_back();
  reserves_[hold].used = !blocks.empty();
  return Complete(*place.words, place.data, bytes);
}

absl::Status SizeClassHeap::DoRelease(uint64_t hold) {
  ReservedBlocks& reserve = reserves_[hold];
  for (const Place& place : reserve.blocks) GiveBack(place, NextGeneration());
  reserve.blocks.clear();
  reserve.used = false;
  WakeWhoWaits();
  return absl::OkStatus();
}

}  // namespace kill9::size_class_heap
