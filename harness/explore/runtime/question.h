// What the machine asks whoever chooses a schedule, and what it tells of one that has ended.
#ifndef KILL9_HARNESS_EXPLORE_RUNTIME_QUESTION_H_
#define KILL9_HARNESS_EXPLORE_RUNTIME_QUESTION_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "harness/result/verdict.h"

namespace kill9::explore {

enum class MemoryModel : uint8_t { kSc, kTso, kC11, kCompiler };
inline constexpr std::string_view kModelNames[] = {"sc", "tso", "c11", "compiler"};
constexpr std::string_view ModelName(MemoryModel model) {
  return kModelNames[static_cast<size_t>(model)];
}

inline constexpr int kMostParticipants = 6;
// Looks at what is left when all others have ended.
inline constexpr int kAuditor = kMostParticipants;
inline constexpr int kMostDeaths = 3;
inline constexpr int kNobody = -1;

enum class MoveKind : uint8_t {
  kRun,    // the participant goes on to the next contended word
  kDrain,  // the oldest store in its buffer reaches the segment
  kEvent,  // the kernel does the next thing for a dead participant
  kKill,
  kPick,  // the participant's access takes up the store that is so old, or comes right after it;
          // or a store of the dead is missing
};
struct Move {
  MoveKind kind = MoveKind::kRun;
  int8_t fiber = 0;
  uint8_t age = 0;  // of kPick: 0 is the newest; or that none is missing
  bool operator==(const Move&) const = default;
};

// A place where the machine asks.
struct Question {
  std::span<const Move> moves;
  uint64_t state = 0;  // a hash of all that what follows depends on, if the chooser wants it
  int running = kNobody;
  bool inside_turn = false;  // only: go on, or die; or which store
  // Of kPick: a bit for each move that no schedule has where all orders are as they are written.
  uint32_t novel = 0;
  // All participants have ended: shall the auditor look? There are no moves.
  bool ended = false;
};

class Chooser {
 public:
  static constexpr int kAbandon = -1;
  virtual ~Chooser() = default;
  // The index of a move, or kAbandon: nothing new can follow.
  virtual int Choose(const Question& question) = 0;
  // Whether the state matters to the next question: it takes longer than all else of one.
  virtual bool WantsState() const { return false; }
};

// What a schedule can end with, besides its normal end.
struct Finding {
  Verdict verdict = Verdict::kPass;
  std::string message;
};

enum class AccessKind : uint8_t {
  kRead,
  kWrite,
  kUpdate,
  kCall,    // or a return
  kKernel,  // something that the kernel knows was asked for, or changed
  kNote,    // nothing happened, but people want to know
  kDeath,
  kEvent,
  kDrain
};

constexpr bool IsAccess(AccessKind kind) {
  return kind == AccessKind::kRead || kind == AccessKind::kWrite || kind == AccessKind::kUpdate;
}

// A system call, by its number and what it is asked to do (of fcntl(2) alone); 0: none, and read(2)
// has the number 0.
constexpr uint64_t SystemCall(uint64_t number, uint64_t command = 0) {
  return (number + 1) | command << 32;
}

// The first participant's process, as the explorer numbers it: as nothing else in a segment is.
inline constexpr int kFirstThreadId = 1'000'000;
// Of a death: no mutex was about to be taken or left.
inline constexpr uint64_t kNoMutex = ~uint64_t{0};

// One thing that happened, for people.
struct Step {
  int fiber;
  AccessKind kind;
  uintptr_t code;    // where in the program
  uint64_t offset;   // in the segment; of a death: of the mutex that was about to be taken or left
  uint64_t bytes;    // of an access
  uint64_t value;    // read, or (kWrite) written; of an update: read; of a death: how many robust
                     // mutexes it had
  uint64_t written;  // of an update; of kKernel: which system call it begins (SystemCall), if any
  const char* what;  // of a call, an event
};

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_RUNTIME_QUESTION_H_
