#include "variants/stores/locked/heap.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace kill9::locked {

void Heap::Format(char* base, Header& header, uint64_t begin, uint64_t end) {
  header = {};
  header.begin = begin;
  header.end = end - kBlockHeaderBytes;
  Heap heap(base, header, {begin, end});
  Block* all = heap.At(begin);
  const uint64_t bytes = header.end - begin;
  *all = {bytes, 0, 0, 0};
  Block* sentinel = heap.At(header.end);
  sentinel->size_used = kBlockHeaderBytes | 1;
  sentinel->previous_bytes = bytes;
  const uint32_t bin = BinOf(bytes);
  header.bins[bin] = heap.PayloadOf(all);
  header.bitmap[bin / 64] = uint64_t{1} << bin % 64;
}

// Four bins for each power of two, from 32 bytes up.
uint32_t Heap::BinOf(uint64_t bytes) {
  const int log = std::bit_width(bytes) - 1;
  const uint64_t quarter = (bytes >> (log - 2)) & 3;
  return std::min<uint32_t>(static_cast<uint32_t>((log - 5) * 4) + static_cast<uint32_t>(quarter),
                            kBins - 1);
}

uint64_t Heap::Find(Journal& journal, uint64_t bytes) const {
  constexpr int kGlances = 8;  // at the request's own bin, whose blocks may be too small
  const uint32_t own = BinOf(bytes);
  uint64_t payload = header_->bins[own];
  for (int i = 0; i < kGlances && payload != 0; ++i) {
    if (!IsFreeBlock(payload)) break;  // told below
    const Block* block = BlockOf(payload);
    if (SizeOf(block) >= bytes) return payload;
    payload = block->next;
  }
  // Any block of a higher bin will do; of the last bin, only a search can tell.
  for (uint32_t bin = own + 1; bin < kBins - 1;) {
    const uint64_t word = header_->bitmap[bin / 64] >> bin % 64;
    if (word != 0) {
      bin += static_cast<uint32_t>(std::countr_zero(word));
      if (bin == kBins - 1) break;
      if (header_->bins[bin] == 0) journal.MarkDamaged();
      return header_->bins[bin];
    }
    bin = (bin / 64 + 1) * 64;
  }
  uint64_t blocks_left = most_blocks();
  for (uint64_t rest : {payload, own == kBins - 1 ? 0 : header_->bins[kBins - 1]}) {
    for (; rest != 0; rest = BlockOf(rest)->next) {
      if (!IsFreeBlock(rest) || --blocks_left == 0) {
        journal.MarkDamaged();
        return 0;
      }
      if (SizeOf(BlockOf(rest)) >= bytes) return rest;
    }
  }
  return 0;
}

void Heap::Unlink(Journal& journal, Block* block) {
  const uint32_t bin = BinOf(SizeOf(block));
  const uint64_t payload = PayloadOf(block);
  // The neighbours in the bin name this block: the stores below go where links are.
  if ((block->next != 0 && (!Contains(block->next) || BlockOf(block->next)->previous != payload)) ||
      (block->previous != 0
           ? !Contains(block->previous) || BlockOf(block->previous)->next != payload
           : header_->bins[bin] != payload)) [[unlikely]] {
    return journal.MarkDamaged();
  }
  if (block->next != 0) journal.Set(&BlockOf(block->next)->previous, block->previous);
  if (block->previous != 0) {
    journal.Set(&BlockOf(block->previous)->next, block->next);
    return;
  }
  journal.Set(&header_->bins[bin], block->next);
  if (block->next == 0) {
    uint64_t& word = header_->bitmap[bin / 64];
    journal.Set(&word, word & ~(uint64_t{1} << bin % 64));
  }
}

void Heap::Link(Journal& journal, Block* block, uint64_t bytes) {
  const uint32_t bin = BinOf(bytes);
  const uint64_t first = header_->bins[bin];
  const uint64_t payload = PayloadOf(block);
  if (first != 0 && !Contains(first)) [[unlikely]]
    return journal.MarkDamaged();
  journal.Set(&block->next, first);
  journal.Set(&block->previous, 0);
  if (first != 0) journal.Set(&BlockOf(first)->previous, payload);
  journal.Set(&header_->bins[bin], payload);
  uint64_t& word = header_->bitmap[bin / 64];
  const uint64_t bit = uint64_t{1} << bin % 64;
  if ((word & bit) == 0) journal.Set(&word, word | bit);
}

uint64_t Heap::Allocate(Journal& journal, uint64_t payload_bytes) {
  const uint64_t bytes = BlockBytesFor(payload_bytes);
  if (bytes <= kListedBytes) {
    uint64_t& first = header_->lists[bytes / kGranule];
    if (const uint64_t payload = first; payload != 0) {
      if (!Contains(payload) || BlockOf(payload)->size_used != (bytes | 1)) [[unlikely]] {
        journal.MarkDamaged();
        return 0;
      }
      Block* block = BlockOf(payload);
      journal.Set(&first, block->next);
      journal.Save(&block->next, 1);  // the caller writes over it: an undo puts the block back
      return payload;
    }
  }
  const uint64_t payload = Take(journal, bytes);
  if (payload != 0 || !FlushLists(journal)) return payload;
  return Take(journal, bytes);
}

uint64_t Heap::Take(Journal& journal, uint64_t bytes) {
  const uint64_t found = Find(journal, bytes);
  if (found == 0) return 0;
  if (!IsFreeBlock(found) || SizeOf(BlockOf(found)) < bytes) {
    journal.MarkDamaged();
    return 0;
  }
  Block* block = BlockOf(found);
  const uint64_t whole = SizeOf(block);
  Unlink(journal, block);
  if (journal.damaged()) return 0;
  // The caller writes over the links: an undo puts the block back into its bin.
  journal.Save(&block->next, 2);  // and `previous`
  if (whole - bytes < kMinimumBlockBytes) {
    journal.Set(&block->size_used, whole | 1);
    return PayloadOf(block);
  }
  Block* after = After(block);
  Block* rest = At(PayloadOf(block) - kBlockHeaderBytes + bytes);
  // Inside the free block, where nothing needs to be restored: plain stores.
  rest->size_used = whole - bytes;
  rest->previous_bytes = bytes;
  journal.Set(&block->size_used, bytes | 1);
  journal.Set(&after->previous_bytes, whole - bytes);
  Link(journal, rest, whole - bytes);
  return PayloadOf(block);
}

void Heap::Free(Journal& journal, uint64_t payload) {
  if (!Contains(payload) || !Used(BlockOf(payload)) || !SizeFits(BlockOf(payload))) [[unlikely]] {
    return journal.MarkDamaged();
  }
  Block* block = BlockOf(payload);
  const uint64_t bytes = SizeOf(block);
  if (bytes > kListedBytes) {
    Merge(journal, payload);
    return;
  }
  uint64_t& first = header_->lists[bytes / kGranule];
  journal.Set(&block->next, first);
  journal.Set(&first, payload);
}

bool Heap::FlushLists(Journal& journal) {
  bool any = false;
  uint64_t blocks_left = most_blocks();
  for (uint64_t& first : header_->lists) {
    while (first != 0) {
      const uint64_t payload = first;
      const uint64_t bytes = static_cast<uint64_t>(&first - header_->lists) * kGranule;
      if (!Contains(payload) || BlockOf(payload)->size_used != (bytes | 1) ||
          !SizeFits(BlockOf(payload)) || --blocks_left == 0) {
        journal.MarkDamaged();
        return false;
      }
      journal.Set(&first, BlockOf(payload)->next);
      Merge(journal, payload);
      // dies before -> the block is listed;  dies after -> it is in a bin, merged
      if (!journal.Commit()) return false;
      any = true;
    }
  }
  return any;
}

// Puts a used block, in no list, into a bin, as one with the free blocks beside it.
void Heap::Merge(Journal& journal, uint64_t payload) {
  Block* block = BlockOf(payload);
  uint64_t bytes = SizeOf(block);
  Block* after = After(block);
  // At the arena's end stands the sentinel, which is used.
  if (!Used(after)) {
    if (!IsFreeBlock(PayloadOf(after))) return journal.MarkDamaged();
    Unlink(journal, after);
    bytes += SizeOf(after);
    after = After(after);
  }
  if (const uint64_t previous_bytes = block->previous_bytes; previous_bytes != 0) {
    const uint64_t payload_before = payload - previous_bytes;
    if (previous_bytes > payload - kBlockHeaderBytes - begin_ || !Contains(payload_before)) {
      return journal.MarkDamaged();
    }
    Block* before = BlockOf(payload_before);
    if (!Used(before)) {
      if (!SizeFits(before) || SizeOf(before) != previous_bytes) return journal.MarkDamaged();
      Unlink(journal, before);
      bytes += SizeOf(before);
      block = before;
    }
  }
  journal.Set(&block->size_used, bytes);
  journal.Set(&after->previous_bytes, bytes);
  Link(journal, block, bytes);
}

void Heap::CheckBins(absl::flat_hash_set<uint64_t>& findable,
                     std::vector<std::string>& violations) const {
  for (uint32_t bin = 0; bin < kBins; ++bin) {
    const bool bit = (header_->bitmap[bin / 64] >> bin % 64 & 1) != 0;
    if (bit != (header_->bins[bin] != 0)) {
      violations.push_back(absl::StrCat("H5: the bit of bin ", bin, " is ", bit ? "set" : "clear"));
    }
    uint64_t previous = 0;
    for (uint64_t payload = header_->bins[bin]; payload != 0;) {
      if (!Contains(payload) || !findable.insert(payload).second) {
        violations.push_back(absl::StrCat("H4: bin ", bin, " is cut or cyclic at ", payload));
        break;
      }
      const Block* block = BlockOf(payload);
      if (!IsFreeBlock(payload) || BinOf(SizeOf(block)) != bin || block->previous != previous) {
        violations.push_back(
            absl::StrCat("H4: block ", payload, " does not belong into bin ", bin));
      }
      previous = payload;
      payload = block->next;
    }
  }
}

void Heap::CheckLists(absl::flat_hash_set<uint64_t>& findable,
                      std::vector<std::string>& violations) const {
  for (uint32_t list = 0; list < kLists; ++list) {
    for (uint64_t payload = header_->lists[list]; payload != 0; payload = BlockOf(payload)->next) {
      if (!Contains(payload) || !findable.insert(payload).second) {
        violations.push_back(absl::StrCat("H6: list ", list, " is cut or cyclic at ", payload));
        break;
      }
      if (!Used(BlockOf(payload)) || SizeOf(BlockOf(payload)) != list * kGranule) {
        violations.push_back(
            absl::StrCat("H6: block ", payload, " does not belong into list ", list));
      }
    }
  }
}

void Heap::Walk(absl::FunctionRef<void(const BlockView&)> visit,
                std::vector<std::string>& violations) const {
  absl::flat_hash_set<uint64_t> findable;
  CheckBins(findable, violations);
  CheckLists(findable, violations);
  uint64_t previous_bytes = 0;
  bool previous_free = false;
  if (header_->begin != begin_ || header_->end != end_) {
    violations.push_back("H1: the arena's bounds are damaged");
  }
  uint64_t offset = begin_;
  while (offset < end_) {
    const Block* block = At(offset);
    const uint64_t bytes = SizeOf(block);
    if (!SizeFits(block)) {
      violations.push_back(absl::StrCat("H1: the block at ", offset, " has ", bytes, " bytes"));
      return;
    }
    if (block->previous_bytes != previous_bytes) {
      violations.push_back(
          absl::StrCat("H2: the block at ", offset, " has a wrong previous_bytes"));
    }
    if (previous_free && !Used(block)) {
      violations.push_back(
          absl::StrCat("H3: the free blocks before and at ", offset, " are not merged"));
    }
    const uint64_t payload = offset + kBlockHeaderBytes;
    visit({payload, bytes, Used(block), findable.contains(payload)});
    previous_bytes = bytes;
    previous_free = !Used(block);
    offset += bytes;
  }
  if (!Used(At(end_)) || At(end_)->previous_bytes != previous_bytes) {
    violations.push_back("H1: the sentinel is damaged");
  }
}

}  // namespace kill9::locked
