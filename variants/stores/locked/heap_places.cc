// Blocks at places that the caller chooses: at an offset, or at the arena's end.
#include "variants/stores/locked/heap.h"

namespace kill9::locked {

bool Heap::MergeListed(Journal& journal) {
  FlushLists(journal);
  return !journal.damaged();
}

bool Heap::ForEachBlock(Visit visit) const {
  for (uint64_t offset = begin_; offset < end_;) {
    const Block* block = At(offset);
    if (!SizeFits(block)) return false;
    const uint64_t bytes = SizeOf(block);
    visit(PayloadOf(block), bytes, Used(block));
    offset += bytes;
  }
  return true;
}

uint64_t Heap::Carve(Journal& journal, Block* block, uint64_t begin, uint64_t bytes) {
  const uint64_t offset = PayloadOf(block) - kBlockHeaderBytes;
  const uint64_t whole = SizeOf(block);
  uint64_t front = begin - offset;
  // What is too small for a block goes to the neighbour: behind to this one, in front to the one
  // before, which is used (H3).
  if (whole - front - bytes < kMinimumBlockBytes) bytes = whole - front;
  const uint64_t back = whole - front - bytes;
  Block* const before = At(offset - block->previous_bytes);
  if (front != 0 && front < kMinimumBlockBytes &&
      (block->previous_bytes == 0 || block->previous_bytes > offset - begin_)) {
    if (block->previous_bytes != 0) journal.MarkDamaged();
    return 0;
  }
  Block* const after = After(block);
  Unlink(journal, block);
  if (journal.damaged()) return 0;
  // What is overwritten of the links, by a header or by the caller: an undo puts the block back.
  journal.Save(&block->next, 2);  // and `previous`
  Block* const taken = At(begin);
  if (front >= kMinimumBlockBytes) {
    // Inside the free block, where nothing needs to be restored: plain stores, here and below.
    taken->size_used = bytes | 1;
    taken->previous_bytes = front;
    journal.Set(&block->size_used, front);
    Link(journal, block, front);
  } else if (front != 0) {
    front += SizeOf(before);
    taken->size_used = bytes | 1;
    taken->previous_bytes = front;
    journal.Set(&before->size_used, front | 1);
  } else {
    journal.Set(&taken->size_used, bytes | 1);
  }
  if (back != 0) {
    Block* const rest = At(begin + bytes);
    rest->size_used = back;
    rest->previous_bytes = bytes;
    Link(journal, rest, back);
  }
  journal.Set(&after->previous_bytes, back != 0 ? back : bytes);
  return PayloadOf(taken);
}

uint64_t Heap::TakeLast(Journal& journal, uint64_t bytes) {
  for (uint64_t offset = end_; offset > begin_;) {
    const uint64_t previous_bytes = At(offset)->previous_bytes;
    if (previous_bytes < kMinimumBlockBytes || previous_bytes > offset - begin_ ||
        SizeOf(At(offset - previous_bytes)) != previous_bytes) {
      journal.MarkDamaged();
      return 0;
    }
    offset -= previous_bytes;
    Block* const block = At(offset);
    if (Used(block) || previous_bytes < bytes) continue;
    const uint64_t front = previous_bytes - bytes;
    if (front < kMinimumBlockBytes) return Carve(journal, block, offset, previous_bytes);
    return Carve(journal, block, offset + front, bytes);
  }
  return 0;
}

uint64_t Heap::AllocateLast(Journal& journal, uint64_t payload_bytes) {
  const uint64_t bytes = BlockBytesFor(payload_bytes);
  const uint64_t payload = TakeLast(journal, bytes);
  if (payload != 0 || journal.damaged() || !FlushLists(journal)) return payload;
  return TakeLast(journal, bytes);
}

uint64_t Heap::AllocateAt(Journal& journal, uint64_t payload, uint64_t payload_bytes) {
  if (!MergeListed(journal)) return 0;
  const uint64_t bytes = BlockBytesFor(payload_bytes);
  const uint64_t begin = payload - kBlockHeaderBytes;
  for (uint64_t offset = begin_; offset < end_;) {
    Block* const block = At(offset);
    if (!SizeFits(block)) {
      journal.MarkDamaged();
      return 0;
    }
    const uint64_t end = offset + SizeOf(block);
    if (begin < end) {
      if (Used(block) || bytes > end - begin) return 0;
      return Carve(journal, block, begin, bytes);
    }
    offset = end;
  }
  return 0;
}

}  // namespace kill9::locked
