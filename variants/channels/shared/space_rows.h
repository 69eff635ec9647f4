// Of Space (space.h): messages that need whole chunks, in a row.
#ifndef KILL9_VARIANTS_CHANNELS_SHARED_SPACE_ROWS_H_
#define KILL9_VARIANTS_CHANNELS_SHARED_SPACE_ROWS_H_

#include <cstdint>
#include <optional>

#include "variants/channels/shared/space.h"

namespace kill9::chunks {

template <typename Context>
std::optional<Ref> Space<Context>::AllocateSpan(uint64_t bytes, bool thoroughly) {
  const uint64_t chunk_bytes = uint64_t{context_.chunk_granules()} * Context::kGranuleBytes;
  const uint32_t count = static_cast<uint32_t>((bytes + chunk_bytes - 1) / chunk_bytes);
  uint32_t head = kNone;
  if (!ReopenRetired(retired_spans_, count, &head)) {
    std::optional<uint32_t> built;
    if (!LeavesOutSearch()) built = BuildSpan(count);
    if (!built.has_value() && thoroughly) {
      CloseOpen();
      Gather();
      built = BuildSpan(count);
    }
    if (!built.has_value()) return std::nullopt;
    head = *built;
  }
  busy_.push_back({head, 1, true, context_.FirstOf(head)});
  return Append(head, 0, bytes);
}

// Owns free chunks in a row, or none of them. Dies at any instruction -> those that are Owned are
// retired, with nothing in them.
template <typename Context>
bool Space<Context>::ClaimRow(uint32_t first, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    SharedWord& shared = context_.chunk(first + i).word;
    ChunkWord word{shared.load(std::memory_order_relaxed)};  // relaxed: the CAS decides
    // Acquire: pairs with the release with which the chunk became Free: `end` and `span` are 0, and
    // what was in it is past.
    if (word.kind() == ChunkKind::kFree &&
        shared.compare_exchange_strong(word.bits,
                                       word.Next(ChunkKind::kOwned, context_.index()).bits,
                                       std::memory_order_acquire, std::memory_order_relaxed)) {
      continue;
    }
    while (i-- > 0) Free(first + i);
    return false;
  }
  return true;
}

// Owns free chunks in a row. It looks for them from the far end, away from where small messages
// begin. While the far end is not free it goes on where it found, or freed, the last ones: who
// builds many would else look at all of those each time.
template <typename Context>
std::optional<uint32_t> Space<Context>::ClaimSomeRow(uint32_t count) {
  const auto is_free = [&](uint32_t number) {
    // Relaxed: only a look.
    const ChunkWord word{context_.chunk(number).word.load(std::memory_order_relaxed)};
    return word.kind() == ChunkKind::kFree;
  };
  const uint32_t all = context_.chunk_count();
  for (const uint32_t end : {is_free(all - 1) ? 0 : row_search_, all}) {
    uint32_t run = 0;
    for (uint32_t number = end; number-- > 0;) {
      run = is_free(number) ? run + 1 : 0;
      if (run < count || !ClaimRow(number, count)) continue;
      row_search_ = number;
      return number;
    }
  }
  row_search_ = 0;
  if (count == 1) left_out_ = kSearchesLeftOut;
  return std::nullopt;
}

// Dies before `span` is set -> each chunk is retired for itself;  after -> those that are a Body by
// then are freed with the head, the others for themselves.
template <typename Context>
std::optional<uint32_t> Space<Context>::BuildSpan(uint32_t count) {
  const std::optional<uint32_t> head = ClaimSomeRow(count);
  if (!head.has_value() || count == 1) return head;
  // Release: pairs with the acquire of TakeOver, by way of the recovery that retires the head.
  context_.chunk(*head).span.store(count, std::memory_order_release);
  for (uint32_t i = 1; i < count; ++i) {
    SharedWord& body = context_.chunk(*head + i).word;
    const ChunkWord owned{body.load(std::memory_order_relaxed)};  // relaxed: its own
    // Release: after `span`.
    body.store(owned.Next(ChunkKind::kBody, *head).bits, std::memory_order_release);
  }
  return head;
}

}  // namespace kill9::chunks

#endif  // KILL9_VARIANTS_CHANNELS_SHARED_SPACE_ROWS_H_
