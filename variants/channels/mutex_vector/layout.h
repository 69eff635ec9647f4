// The segment of a mutex_vector: what lies where, who writes it, and what must hold.
//
//     body               ChannelHeader, then the table of extents
//     wake-up page       (variants/channels/shared/sleepers.h)
//     extents            of extent_bytes each, to the end of the segment; those that the file is
//                        long enough for are *grown*
//
// An extent is free, or a part of the log, or has payloads. The *log* is a chain of extents with
// records, the oldest message first; a record has its message behind it (small ones), or says where
// its payload is. A payload lies in an extent shared with others, or has a run of extents of its
// own.
//
// V1  Everything is read and written under the mutex, but for the bytes of drafts (their owner
//     writes them), of taken messages (nobody does) and of payloads on their way in or out.
// V2  The truth is: the chain (`head`, each extent's `next`), each log extent's `end`, the records
//     before it, the rows of the ledgers, `closed`, `grown`, and that `sent` is above all
//     sequences. Each operation changes the truth by one store, its commit point, after all that it
//     rests on.
// V3  Everything else (the kinds of extents, their counts, `tail`, the cursor, the sums) follows
//     from the truth. It may be half-changed when its changer dies, so whoever gets the mutex of a
//     dead owner makes all of it anew (Rebuild) before the mutex is consistent; and so does who
//     attaches while nobody else is attached: a file at rest may have been damaged.
// V4  Sequences grow along the log.
// V5  A payload belongs to one row or to one record that is not acknowledged, never to both.
// V6  A record names as its taker a participant by slot and generation. It is taken from nobody who
//     lives.
// V7  What is touched lies below `grown`, and `grown` is raised after the file has the room. Nobody
//     ever makes the file shorter. So no access can be a SIGBUS.
// V8  There are always free extents, or room in the last one, for the records of all drafts.
#ifndef KILL9_VARIANTS_CHANNELS_MUTEX_VECTOR_LAYOUT_H_
#define KILL9_VARIANTS_CHANNELS_MUTEX_VECTOR_LAYOUT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "variants/channels/shared/sleepers.h"
#include "variants/segment/admission/mutex_admission.h"
#include "variants/segment/robust_mutex.h"

namespace kill9::mutex_vector {

// Index of an extent + 1; 0: none.
using ExtentLink = uint32_t;

struct ChannelHeader {
  alignas(64) RobustMutex mutex;
  // Below its sequence lies every message that was sent. Raised after the commit point, under the
  // mutex; read by all, as a hint that there is something new.
  alignas(64) std::atomic<uint64_t> sent;
  // How often messages were acknowledged or drafts dropped: a hint that there is room.
  std::atomic<uint64_t> freed;
  SleepersWord for_messages;
  SleepersWord for_room;
  // Under the mutex; the truth (V2).
  alignas(64) std::atomic<uint64_t> head;  // ExtentLink
  std::atomic<uint64_t> grown;             // extents
  std::atomic<uint64_t> closed;
  // Under the mutex; what follows from it (V3).
  ExtentLink tail;
  ExtentLink shared;         // the extent that the next small payload goes to
  uint32_t free_extents;     // of those grown
  uint32_t drafts;           // rows that are not 0
  ExtentLink cursor;         // no record before it waits
  uint32_t cursor_offset;    // in its extent
  uint64_t cursor_sequence;  // of messages with a smaller one none waits
  uint64_t waiting;
  uint64_t taken;
  uint64_t bytes;  // of all these messages
};
static_assert(std::is_standard_layout_v<ChannelHeader> && sizeof(ChannelHeader) == 256);

enum class ExtentKind : uint32_t { kFree, kLog, kPayload, kRun };

struct Extent {
  std::atomic<uint32_t> next;  // of a log extent: ExtentLink. Truth
  std::atomic<uint32_t> end;   // of a log extent: where its records end. Truth. Of a shared one:
                               // where its payloads end
  ExtentKind kind;             // kRun: all extents of a run
  uint32_t live;               // records not acknowledged; payloads of somebody
};
static_assert(std::is_standard_layout_v<Extent> && sizeof(Extent) == 16);

// A message in the log. `state` is written under the mutex; who has taken the message reads the
// rest without it.
struct Record {
  std::atomic<uint64_t> state;
  uint64_t sequence;
  uint32_t size;     // of the message
  uint32_t payload;  // in units of 8 bytes from the segment's begin; 0: behind this

  enum State : uint64_t { kWaiting = 0, kTaken = 1, kAcknowledged = 2, kStateMask = 3 };
  static constexpr uint64_t kRedelivered = 4;
  static constexpr uint64_t kSlotShift = 16;
  static constexpr uint64_t TakenBy(uint32_t slot, uint32_t generation) {
    return uint64_t{generation} << 32 | uint64_t{slot} << kSlotShift | kTaken;
  }
  static constexpr uint64_t kTakerMask = ~uint64_t{kRedelivered};

  // Relaxed: under the mutex.
  uint64_t word() const { return state.load(std::memory_order_relaxed); }
  State is() const { return static_cast<State>(word() & kStateMask); }
  bool redelivered() const { return (word() & kRedelivered) != 0; }
  char* inline_bytes() { return reinterpret_cast<char*>(this + 1); }
  uint32_t BytesInLog() const {
    return static_cast<uint32_t>(sizeof(Record)) + (payload != 0 ? 0 : (size + 7) / 8 * 8);
  }
};
static_assert(std::is_standard_layout_v<Record> && sizeof(Record) == 24);

// Where a draft's payload is; what a row of a ledger says.
struct Payload {
  uint32_t at = 0;  // in units of 8 bytes; 0: none
  uint32_t size = 0;
  uint64_t Pack() const { return uint64_t{at} << 32 | size; }
  static Payload Unpack(uint64_t row) {
    return {static_cast<uint32_t>(row >> 32), static_cast<uint32_t>(row)};
  }
};

struct Ledger {
  static constexpr uint32_t kPublicRows = 16;
  static constexpr uint32_t kRows = kPublicRows + 1;  // the last: a large message on its way in

  MutexAdmission admission;
  std::atomic<uint64_t>
      role;  // generation << 32 | MemberRole. Written by its participant before it
             // does anything else; read by who counts members
  std::atomic<uint64_t> rows[kRows];  // Payload::Pack. Written by the participant, or by who
                                      // recovers it, under the mutex. Truth
};
static_assert(std::is_standard_layout_v<Ledger>);

inline constexpr uint64_t kUnit = 8;  // of payloads' places
inline constexpr uint32_t kFewestExtents = 2;
inline constexpr uint32_t kMostExtents = 4096;
inline constexpr uint64_t kSmallestExtentBytes = 4096;
inline constexpr uint64_t kUsualExtentBytes = 64 << 10;
inline constexpr uint64_t kMaxSegmentBytes = (uint64_t{1} << 32) * kUnit;
// A larger message has its payload elsewhere: it is copied without the mutex.
inline constexpr uint64_t kMostInlineBytes = 4096;

}  // namespace kill9::mutex_vector

#endif  // KILL9_VARIANTS_CHANNELS_MUTEX_VECTOR_LAYOUT_H_
