// What the machine keeps of each fiber, besides its stack.
#ifndef KILL9_HARNESS_EXPLORE_RUNTIME_FIBER_STATE_H_
#define KILL9_HARNESS_EXPLORE_RUNTIME_FIBER_STATE_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace kill9::explore {

enum class Wait : uint8_t { kNone, kChange, kWake, kSleep, kNews };

// A store that has not left its fiber's buffer.
struct Buffered {
  uint64_t word, mask, value;
  uint64_t under;  // what the segment showed before it
};
inline constexpr int kMostBuffered = 512;

// A store since the last place over which the compiler moves none.
struct Unordered {
  uint64_t word, old_value;
  bool releases;
  bool reached;  // another has seen it, or one that comes after it
};
inline constexpr int kMostUnordered = 32;

// A loop that looks until something changes: what its rounds read (spins.cc).
struct Spin {
  static constexpr int kMostReads = 32;  // of a round; -1: there were more
  std::array<uint64_t, kMostReads> reads[2] = {};
  int count[2] = {};
  uint8_t present = 0;     // which of the two is the present round's
  uint64_t unchanged = 0;  // of the machine and the fiber, when the present round began
  uint32_t rounds = 0;     // that were like the one before
};

// What a fiber has at its start is all zeros.
struct FiberState {
  uint64_t seen = 0;  // a hash of all that it has read
  uint64_t steps = 0;
  uint64_t next_word = 0;
  bool next_writes = false;
  Wait wait = Wait::kNone;
  uint64_t wait_word = 0, wait_value = 0;
  int64_t wait_until_ns = 0;  // of kNews
  bool woken = false;
  uint64_t busy_word = 0, busy_value = 0;  // of the last attempt that found it taken
  uint32_t timeouts = 0;                   // since the segment changed last
  uint64_t timeout_writes = 0;
  int64_t timed_out_ns = 0;          // of its last wait, if its time was up; 0: it was woken
  uint64_t changes_at_time_out = 0;  // by others
  Spin spin;
  bool granted = false;  // its next access to a contended word needs no question
  bool started = false, ended = false, dead = false, buried = false;
  bool closing = false;  // dead: who watches the file was told
  bool changed = false;  // its death now would be another one than before its last turn
  bool in_operation = false, must_not_wait = false;
  uint64_t changes = 0;  // that it has made to the segment, or put into its buffer
  uint64_t writes = 0;   // to the segment and the kernel, that have reached them
  uint64_t asked = 0;    // of them, and of its robust list, when its death was last offered
  uint64_t end_of_death = 0;
  uint64_t operations = 0;
  // A plain store that the code is about to make, or has made since: so many words, at ...
  int unsettled = 0;
  char* unsettled_address = nullptr;
  size_t unsettled_bytes = 0;
  uint64_t unsettled_old[3] = {};
  uintptr_t unsettled_code = 0;
  int error = 0;  // errno
  int buffered = 0;
  bool buffer_shown = false;
  int unordered = 0;
};

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_RUNTIME_FIBER_STATE_H_
