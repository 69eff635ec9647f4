// The room for messages, as one participant uses it (R3, R7 in layout.h).
//
// A participant owns chunks and lays small messages in one of them, in a row; a large message has
// a span of chunks of its own. It never learns from others that a message is gone: it looks into
// the message's slot when it needs the room. So an acknowledgement frees a message by the one word
// that it changes, and a death leaves nothing to be freed: the chunks of the dead are retired, and
// whoever needs room takes over those in which all messages are gone.
//
// A message that is held for long keeps its chunk.
//
// PROGRESS: lock-free. A failed CAS means that another participant's succeeded; nothing waits.
#ifndef KILL9_VARIANTS_CHANNELS_SLOT_RING_SPACE_H_
#define KILL9_VARIANTS_CHANNELS_SLOT_RING_SPACE_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "variants/channels/slot_ring/context.h"

namespace kill9::slot_ring {

class Space {
 public:
  explicit Space(const Context& context) : context_(context), search_(FirstSearched(context)) {}

  // The most bytes of one message: half of the space, so that chunks which others keep open do not
  // split what it needs.
  static uint64_t MaxBytes(const Context& context) {
    return std::min<uint64_t>((uint64_t{1} << 31) - 1,
                              std::max<uint64_t>(context.chunk_count() / 2, 1) *
                                  context.chunk_granules() * kGranuleBytes);
  }

  // Room for a message of so many bytes, which is this participant's until Release. Nullopt: there
  // is none now. `thoroughly`: looks through all chunks of everybody, which costs their number.
  std::optional<Ref> Allocate(uint64_t bytes, bool thoroughly);
  // The message has been sent.
  void Release(Ref ref);
  // The message never will be.
  void Drop(Ref ref) {
    // Relaxed: as in Append.
    context_.record(ref).position.store(Record::kDropped, std::memory_order_relaxed);
    Release(ref);
  }
  // Retires all chunks. REQUIRES: every message has been released.
  void Leave();

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

  static uint32_t FirstSearched(const Context& context) {
    return context.index() % context.chunk_count();
  }
  Ref Append(uint32_t chunk, uint32_t at, uint64_t bytes);
  bool OpenAnother(bool thoroughly);
  std::optional<Ref> AllocateSpan(uint64_t bytes, bool thoroughly);
  bool ReopenRetired(std::deque<Retired>& retired, uint32_t chunks, uint32_t* head);
  bool ClaimFree(uint32_t* chunk);
  bool ClaimRow(uint32_t first, uint32_t count);
  std::optional<uint32_t> BuildSpan(uint32_t count);
  void CloseOpen();
  // Of an owned chunk.
  bool AllGone(uint32_t chunk) const;
  void Free(uint32_t chunk);
  void Disown(uint32_t chunk);
  void Retire(uint32_t chunk, std::deque<Retired>& retired, Ref last);
  // Frees every chunk in which all messages are gone.
  void Gather();
  bool TakeOver(uint32_t chunk);

  const Context context_;
  uint32_t open_ = kNone;  // the chunk to which small messages go
  uint32_t open_end_ = 0;  // granules taken in it
  uint32_t open_unreleased_ = 0;
  Ref open_last_ = 0;       // the last message in it
  std::vector<Busy> busy_;  // others
  // What this participant has retired, the oldest first; others may have taken it over since.
  std::deque<Retired> retired_small_;
  std::deque<Retired> retired_spans_;
  uint32_t search_;  // the chunk at which the next search for a free one begins

  static constexpr uint32_t kNone = ~uint32_t{0};
};

}  // namespace kill9::slot_ring

#endif  // KILL9_VARIANTS_CHANNELS_SLOT_RING_SPACE_H_
