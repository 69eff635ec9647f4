// The room for messages, as one participant uses it (C1, C2 in chunks.h).
//
// A participant never learns from others that a message is gone: it looks at the message's place
// when it needs the room. So an acknowledgement frees a message by the one word that it changes,
// and a death leaves nothing to be freed: the chunks of the dead are retired, and whoever needs
// room takes over those in which all messages are gone.
//
// Of its Context it asks, beside what a ChunkView has:
//
//   index()                   the participant
//   NoteMessage(ref, bytes)   a message begins there, and is at no place yet
//   NoteDropped(ref)          it never will be
//   bytes_of(ref)             its size, whatever it says in a damaged segment
//   IsAlive(ref)              whether it is at a place. REQUIRES: nobody can be about to send it
//   AliveLook                 the same for many messages in a row: `AliveLook look(context)`, then
//                             `look.IsAlive(ref)`
//   IsPinned(chunk)           asked last of a chunk in which nothing is alive (ChunkView)
//
// A message that is held for long keeps its chunk.
//
// Who finds a chunk owned passes it by, and may sleep then, though the owner only looks whether it
// is gone, or is about to let go of it. So who disowns one looks once more whether it is gone by
// now; and what was let go of for others to use is told (GaveUpRoom).
//
// PROGRESS: lock-free. A failed CAS means that another participant's succeeded; nothing waits.
#ifndef KILL9_VARIANTS_CHANNELS_SHARED_SPACE_H_
#define KILL9_VARIANTS_CHANNELS_SHARED_SPACE_H_

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "variants/channels/shared/chunks.h"
#include "variants/segment/processor.h"

namespace kill9::chunks {

template <typename Context>
class Space {
 public:
  explicit Space(const Context& context)
      : context_(context),
        open_end_(context.chunk_granules()),
        search_{FirstSearched(context), context.common_from()} {}

  // The most bytes of one message: half of the space, so that chunks which others keep open do not
  // split what it needs.
  static uint64_t MaxBytes(const Context& context) {
    return std::min<uint64_t>((uint64_t{1} << 31) - 1,
                              std::max<uint64_t>(context.chunk_count() / 2, 1) *
                                  context.chunk_granules() * Context::kGranuleBytes);
  }

  // Room for a message of so many bytes, which is this participant's until Release. Nullopt: there
  // is none now. `thoroughly`: looks through all chunks of everybody, which costs their number.
  // Inline: what is returned would else go through memory, in two halves that are read as one.
  [[gnu::always_inline]] std::optional<Ref> Allocate(uint64_t bytes, bool thoroughly) {
    const uint64_t granules = Context::GranulesFor(bytes);
    const uint32_t chunk_granules = context_.chunk_granules();
    if (granules <= chunk_granules - open_end_ && granules <= chunk_granules / 2) [[likely]] {
      return AppendToOpen(granules, bytes);
    }
    return AllocateElsewhere(bytes, thoroughly);
  }
  // The message has been sent.
  void Release(Ref ref) {
    if (context_.ChunkOf(ref) != open_) [[unlikely]]
      return ReleaseBusy(ref);
    if (--open_unreleased_ == 0 && IsCommon(open_)) [[unlikely]]
      LeaveOpen();
  }
  // The message never will be.
  void Drop(Ref ref) {
    context_.NoteDropped(ref);
    Release(ref);
  }
  // Frees the chunk if it is retired and all messages in it are gone. False: it is not.
  bool Reclaim(uint32_t chunk);
  // Retires all chunks. REQUIRES: every message has been released.
  void Leave();
  // Asks for the line to which the next small message goes, which its last reader has.
  void FetchNext() const {
    if (open_ != kNone) PrefetchToWrite(context_.bytes(context_.FirstOf(open_) + open_end_));
  }
  // Whether this participant has let go of room, since it was asked last, for which others may
  // sleep.
  bool GaveUpRoom() { return std::exchange(gave_up_room_, false); }

 private:
  // A chunk, or a span, of this participant, with messages that it has not yet released.
  struct Busy {
    uint32_t chunk = 0;
    uint32_t unreleased = 0;
    bool is_span = false;
    Ref last = 0;
  };

  // One that this participant has retired, and its last message.
  struct Retired {
    uint32_t chunk = 0;
    Ref last = 0;
  };
  // Chunks, or spans, that this participant has retired; others may have taken them over since.
  struct RetiredOnes {
    std::deque<Retired> in_use;  // the oldest first, which is most likely the first to be gone
    std::deque<Retired> gone;    // whose last message is gone, as they were found so
  };

  // How many of those in use a participant looks at when it needs one: enough that none of them
  // waits for long to be found gone.
  static constexpr size_t kLooksAtRetired = 2;
  // How many searches for free chunks are left out after one in vain, but for one for each chunk
  // that this participant has freed itself: what others have freed meanwhile is found after that,
  // or by who looks thoroughly.
  static constexpr uint32_t kSearchesLeftOut = 15;

  static uint32_t FirstSearched(const Context& context) {
    return context.index() % std::max<uint32_t>(context.common_from(), 1);
  }
  [[gnu::always_inline]] Ref Append(uint32_t chunk, uint32_t at, uint64_t bytes);
  Ref AppendToOpen(uint64_t granules, uint64_t bytes) {
    const Ref ref = open_last_ = Append(open_, open_end_, bytes);
    open_end_ += static_cast<uint32_t>(granules);
    ++open_unreleased_;
    return ref;
  }
  std::optional<Ref> AllocateElsewhere(uint64_t bytes, bool thoroughly);
  void ReleaseBusy(Ref ref);
  // Of a common chunk, when its messages have been sent.
  void LeaveOpen();
  bool OpenAnother(uint64_t granules, bool thoroughly);
  bool OpenAt(uint32_t chunk, uint64_t end);
  bool GoOnIn(uint32_t chunk, uint64_t granules);
  std::optional<Ref> AllocateSpan(uint64_t bytes, bool thoroughly);
  bool ReopenRetired(RetiredOnes& retired, uint32_t chunks, uint32_t* head);
  void LookForGone(RetiredOnes& retired);
  bool ClaimFree(uint32_t* chunk);
  bool LeavesOutSearch() {
    if (own_freed_ > 0) return --own_freed_, false;
    return left_out_ > 0 && left_out_-- > 0;
  }
  bool IsCommon(uint32_t chunk) const { return chunk >= context_.common_from(); }
  bool ClaimRow(uint32_t first, uint32_t count);
  std::optional<uint32_t> ClaimSomeRow(uint32_t count);
  std::optional<uint32_t> BuildSpan(uint32_t count);
  void CloseOpen();
  // Of an owned chunk.
  bool AllGone(uint32_t chunk) const;
  void Free(uint32_t chunk);
  void Disown(uint32_t chunk);
  void Retire(uint32_t chunk, bool is_span, Ref last);
  // Frees every chunk in which all messages are gone.
  void Gather();
  bool TakeOver(uint32_t chunk);
  bool TakeOverIfGone(uint32_t chunk);

  const Context context_;
  uint32_t open_ = kNone;  // the chunk to which small messages go
  uint32_t open_end_;      // granules taken in it; all, where there is none
  uint32_t open_unreleased_ = 0;
  Ref open_last_ = 0;       // the last message in it
  std::vector<Busy> busy_;  // others
  RetiredOnes retired_small_;
  RetiredOnes retired_spans_;
  uint32_t left_ = kNone;  // the common chunk that it let go of last
  bool gave_up_room_ = false;
  uint32_t left_out_ = 0;   // searches for free chunks that are left out yet
  uint32_t own_freed_ = 0;  // chunks that this participant has freed, and not looked for
  // Where the next search for a free chunk begins, of the lower half and of the common ones; and
  // that for a row of them: below this one.
  uint32_t search_[2];
  uint32_t row_search_ = 0;

  static constexpr uint32_t kNone = ~uint32_t{0};
};

template <typename Context>
std::optional<Ref> Space<Context>::AllocateElsewhere(uint64_t bytes, bool thoroughly) {
  const uint64_t granules = Context::GranulesFor(bytes);
  if (granules > context_.chunk_granules() / 2) return AllocateSpan(bytes, thoroughly);
  CloseOpen();
  if (!OpenAnother(granules, thoroughly)) return std::nullopt;
  return AppendToOpen(granules, bytes);
}

// Dies before the store of `end` -> there is no such message;  after -> one that no slot has: free
template <typename Context>
inline Ref Space<Context>::Append(uint32_t chunk, uint32_t at, uint64_t bytes) {
  const Ref ref = context_.FirstOf(chunk) + at;
  context_.NoteMessage(ref, bytes);
  // Release: pairs with the acquire of TakeOver, by way of the recovery that retires the chunk.
  context_.chunk(chunk).end.store(at + Context::GranulesFor(bytes), std::memory_order_release);
  return ref;
}

template <typename Context>
void Space<Context>::LeaveOpen() {
  left_ = open_;
  CloseOpen();
}

template <typename Context>
void Space<Context>::ReleaseBusy(Ref ref) {
  const uint32_t chunk = context_.ChunkOf(ref);
  const auto busy = std::find_if(busy_.begin(), busy_.end(),
                                 [chunk](const Busy& one) { return one.chunk == chunk; });
  if (--busy->unreleased > 0) return;
  const Busy gone = *busy;
  *busy = busy_.back();
  busy_.pop_back();
  Retire(chunk, gone.is_span, gone.last);
}

template <typename Context>
void Space<Context>::Leave() {
  CloseOpen();
}

template <typename Context>
void Space<Context>::CloseOpen() {
  if (open_ == kNone) return;
  if (open_unreleased_ > 0) {
    busy_.push_back({open_, open_unreleased_, false, open_last_});
  } else {
    Retire(open_, /*is_span=*/false, open_last_);
  }
  open_ = kNone;
  open_end_ = context_.chunk_granules();
  open_unreleased_ = 0;
}

template <typename Context>
bool Space<Context>::OpenAnother(uint64_t granules, bool thoroughly) {
  uint32_t chunk = std::exchange(left_, kNone);
  if (chunk != kNone && GoOnIn(chunk, granules)) return true;
  if (ReopenRetired(retired_small_, 0, &chunk)) return OpenAt(chunk, 0);
  if (!LeavesOutSearch() && ClaimFree(&chunk)) return OpenAt(chunk, 0);
  if (!thoroughly) return false;
  Gather();
  if (ClaimFree(&chunk)) return OpenAt(chunk, 0);
  for (chunk = context_.common_from(); chunk < context_.chunk_count(); ++chunk) {
    if (GoOnIn(chunk, granules)) return true;
  }
  return false;
}

template <typename Context>
bool Space<Context>::OpenAt(uint32_t chunk, uint64_t end) {
  open_ = chunk;
  open_end_ = static_cast<uint32_t>(end);
  open_unreleased_ = 0;
  open_last_ = context_.FirstOf(chunk);
  return true;
}

// Opens a common chunk in which others have sent, if there is so much room behind their messages.
template <typename Context>
bool Space<Context>::GoOnIn(uint32_t number, uint64_t granules) {
  const Chunk& chunk = context_.chunk(number);
  const auto has_room = [&] {
    // Relaxed: a hint, or this participant's own.
    const uint64_t end = chunk.end.load(std::memory_order_relaxed);
    return chunk.span.load(std::memory_order_relaxed) == 0 && end <= context_.chunk_granules() &&
           granules <= context_.chunk_granules() - end;
  };
  if (!has_room() || !TakeOver(number)) return false;
  if (has_room()) return OpenAt(number, chunk.end.load(std::memory_order_relaxed));
  Disown(number);
  gave_up_room_ = true;  // for smaller messages
  return false;
}

// Finds out which of the oldest in use are gone by now.
template <typename Context>
void Space<Context>::LookForGone(RetiredOnes& retired) {
  for (size_t look = 0, at = 0; look < kLooksAtRetired && at < retired.in_use.size(); ++look) {
    const auto one = retired.in_use.begin() + static_cast<ptrdiff_t>(at);
    if (context_.IsAlive(one->last)) {
      ++at;
      continue;
    }
    retired.gone.push_back(*one);
    retired.in_use.erase(one);
  }
}

// Owns one of the own retired chunks, or spans of so many chunks, in which all is gone. Of chunks
// the last that was found so: as long as receivers keep up, few are used in turn, and stay in the
// caches. Of spans the first: the lines of the last are still with its receiver.
template <typename Context>
bool Space<Context>::ReopenRetired(RetiredOnes& retired, uint32_t chunks, uint32_t* head) {
  LookForGone(retired);
  while (!retired.gone.empty()) {
    const Retired one = chunks == 0 ? retired.gone.back() : retired.gone.front();
    chunks == 0 ? retired.gone.pop_back() : retired.gone.pop_front();
    // That the last message is gone is a hint, and nearly always right: AllGone decides.
    if (!TakeOverIfGone(one.chunk)) {
      // Relaxed: a hint. Something in it is held for long, or others were first.
      const ChunkWord word{context_.chunk(one.chunk).word.load(std::memory_order_relaxed)};
      if (word.kind() == ChunkKind::kRetired) retired.in_use.push_back(one);
      continue;
    }
    Chunk& chunk = context_.chunk(one.chunk);
    // Relaxed: this participant's own.
    if (chunk.span.load(std::memory_order_relaxed) != (chunks > 1 ? chunks : 0)) {
      Free(one.chunk);
      continue;
    }
    // Release: as in Append.
    chunk.end.store(0, std::memory_order_release);
    *head = one.chunk;
    return true;
  }
  return false;
}

// Of the lower half, if there is one.
template <typename Context>
bool Space<Context>::ClaimFree(uint32_t* chunk) {
  const uint32_t bounds[] = {0, context_.common_from(), context_.chunk_count()};
  for (size_t half = 0; half < 2; ++half) {
    uint32_t& search = search_[half];
    for (uint32_t step = bounds[half]; step < bounds[half + 1]; ++step) {
      const uint32_t number = search;
      search = search + 1 == bounds[half + 1] ? bounds[half] : search + 1;
      if (ClaimRow(number, 1)) {
        *chunk = number;
        return true;
      }
    }
  }
  left_out_ = kSearchesLeftOut;
  return false;
}

template <typename Context>
bool Space<Context>::AllGone(uint32_t number) const {
  // Relaxed, here and below: the chunk is this participant's; TakeOver acquired it.
  const uint64_t end = std::min<uint64_t>(
      context_.chunk(number).end.load(std::memory_order_relaxed), context_.granule_count());
  const uint64_t space_bytes = context_.granule_count() * Context::kGranuleBytes;
  const bool span = context_.chunk(number).span.load(std::memory_order_relaxed) != 0;
  const uint64_t limit = span ? end : std::min<uint64_t>(end, context_.chunk_granules());
  const Ref first = context_.FirstOf(number);
  typename Context::AliveLook look(context_);
  for (uint64_t at = 0; at < limit;) {
    const Ref ref = first + static_cast<Ref>(at);
    if (ref >= context_.granule_count()) break;
    if (look.IsAlive(ref)) return false;
    at += Context::GranulesFor(std::min(context_.bytes_of(ref), space_bytes));
  }
  return !context_.IsPinned(number);
}

// Dies before the head is Free -> it is retired, with no messages in it, and all is done once more:
// a body that is Free by then, or another's, is left alone.
template <typename Context>
void Space<Context>::Free(uint32_t number) {
  Chunk& chunk = context_.chunk(number);
  // First: who dies with some of the bodies gone leaves no message that would reach beyond the
  // others. Release, here and of `span` and `word` below: pairs with ClaimRow (C1), and keeps the
  // order for recovery.
  chunk.end.store(0, std::memory_order_release);
  // Relaxed: this participant's own.
  const uint64_t span = chunk.span.load(std::memory_order_relaxed);
  // The last first, so that those which are left follow the head.
  for (uint64_t i = std::min<uint64_t>(span, context_.chunk_count() - number); i-- > 1;) {
    SharedWord& body = context_.chunk(number + static_cast<uint32_t>(i)).word;
    ChunkWord word{body.load(std::memory_order_relaxed)};  // relaxed: the CAS decides
    // Release: pairs with ClaimRow; what was in it is past.
    if (word.IsBodyOf(number)) {
      body.compare_exchange_strong(word.bits, word.Next(ChunkKind::kFree).bits,
                                   std::memory_order_release, std::memory_order_relaxed);
    }
  }
  chunk.span.store(0, std::memory_order_release);
  const ChunkWord owned{chunk.word.load(std::memory_order_relaxed)};  // relaxed: its own
  chunk.word.store(owned.Next(ChunkKind::kFree).bits, std::memory_order_release);
  gave_up_room_ = true;
  const uint32_t freed =
      static_cast<uint32_t>(std::clamp<uint64_t>(span, 1, context_.chunk_count() - number));
  own_freed_ = std::min(own_freed_ + freed, context_.chunk_count());
  search_[IsCommon(number) ? 1 : 0] = number;
  row_search_ = number + freed;
}

template <typename Context>
void Space<Context>::Disown(uint32_t number) {
  SharedWord& word = context_.chunk(number).word;
  const ChunkWord owned{word.load(std::memory_order_relaxed)};  // relaxed: its own
  // Seq_cst: pairs with the acquire of TakeOver, for the records, `end` and `span`; and before the
  // looks at what is gone by now, and at who sleeps.
  word.store(owned.Next(ChunkKind::kRetired).bits, std::memory_order_seq_cst);
}

template <typename Context>
void Space<Context>::Retire(uint32_t number, bool is_span, Ref last) {
  Disown(number);
  gave_up_room_ = true;
  if (is_span) {
    retired_spans_.in_use.push_back({number, last});
  } else if (!IsCommon(number)) {
    retired_small_.in_use.push_back({number, last});
  }
}

template <typename Context>
bool Space<Context>::TakeOver(uint32_t number) {
  SharedWord& shared = context_.chunk(number).word;
  ChunkWord word{shared.load(std::memory_order_relaxed)};  // relaxed: the CAS decides
  // Acquire: pairs with the release of Retire, or of the recovery that retired it.
  return word.kind() == ChunkKind::kRetired &&
         shared.compare_exchange_strong(word.bits,
                                        word.Next(ChunkKind::kOwned, context_.index()).bits,
                                        std::memory_order_acquire, std::memory_order_relaxed);
}

// What goes while this participant owns the chunk is seen by itself, or by others after it.
template <typename Context>
bool Space<Context>::TakeOverIfGone(uint32_t number) {
  do {
    if (!TakeOver(number)) return false;
    if (AllGone(number)) return true;
    Disown(number);
  } while (AllGone(number));  // a hint now: others may have begun to use it
  return false;
}

template <typename Context>
bool Space<Context>::Reclaim(uint32_t number) {
  if (!TakeOverIfGone(number)) return false;
  Free(number);
  return true;
}

template <typename Context>
void Space<Context>::Gather() {
  std::vector<bool> freed(context_.chunk_count(), false);
  for (uint32_t number = 0; number < context_.chunk_count(); ++number) {
    // Most chunks are not gone, as a look at their first message tells.
    if (!context_.IsAlive(context_.FirstOf(number))) freed[number] = Reclaim(number);
  }
  const auto is_freed = [&freed](const Retired& one) { return freed[one.chunk]; };
  for (RetiredOnes* retired : {&retired_small_, &retired_spans_}) {
    std::erase_if(retired->in_use, is_freed);
    std::erase_if(retired->gone, is_freed);
  }
}

}  // namespace kill9::chunks

#include "variants/channels/shared/space_rows.h"

#endif  // KILL9_VARIANTS_CHANNELS_SHARED_SPACE_H_
