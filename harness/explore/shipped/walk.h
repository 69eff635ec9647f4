// Leads the processes of a scene through the steps of an explored schedule: each is stopped at
// single instructions, and goes on when the schedule says so, to its next access to a word that
// several of them touch.
//
// The two programs were compiled by different compilers. So a process is where the schedule wants
// it when it has made the same accesses to these words, and the same calls, in the same order. Of
// plain reads and writes the order does not matter as long as nobody else touches these words
// between them, and reads may be lacking or come twice. What a process does with words of its own
// does not matter to others but at its death: then all must be as in the schedule. Anything else
// ends the walk: it has diverged.
#ifndef KILL9_HARNESS_EXPLORE_SHIPPED_WALK_H_
#define KILL9_HARNESS_EXPLORE_SHIPPED_WALK_H_

#include <sys/user.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "harness/explore/shipped/processes.h"
#include "harness/explore/shipped/steps.h"
#include "harness/stepper/trace/decoder.h"

namespace kill9::explore {

class Walk {
 public:
  Walk(const Steps& steps, Scene& scene, Processes& processes);

  // REQUIRES: the processes stand at their beginning. Returns why it could not go on, or nothing.
  std::string Run();
  // Whether a wait was over by its time, which no schedule has: the machine was slow.
  bool timed_out() const { return timed_out_; }
  // Whether it could not go on since the program, or its kernel, has no such moment.
  bool divided() const { return divided_; }
  bool somebody_waits() const {
    return std::any_of(of_.begin(), of_.end(), [](const Process& one) { return one.asleep; });
  }
  uint64_t instructions() const { return instructions_; }
  // A word of the exploration, in which the processes have other numbers.
  uint64_t AsHere(uint64_t value) const;

 private:
  struct Piece {
    uint64_t begin = 0, bytes = 0;  // of the segment
    bool writes = false;
    bool Has(const Piece& other) const {
      return begin <= other.begin && other.begin + other.bytes <= begin + bytes;
    }
  };
  // What a process is about to do.
  struct Next {
    enum Kind : uint8_t { kOrdinary, kTouches, kMarks, kCallsKernel, kEnds } kind = kOrdinary;
    Piece piece[2];  // of watched words
    int pieces = 0;
    uint64_t call = 0;          // of the kernel, as SystemCall tells it
    bool about_others = false;  // the call: they may notice it, or it depends on them
    user_regs_struct registers = {};
  };
  struct Process {
    std::vector<size_t> steps;  // its own, of those that matter
    std::vector<bool> made;     // of these: plain reads and writes that it has made
    size_t next = 0;            // of these
    Piece last;                 // what it touched last
    Steps::Words at_death;      // what is there when it dies
    uint64_t marks = 0;
    bool asleep = false, ended = false, dead = false;
    bool killed = false;  // the kernel has done its part
  };

  void ChooseSteps();
  bool IsWatched(uint64_t offset, uint64_t bytes) const;
  bool Diverge(int participant, const std::string& how);
  bool Divide(int participant, const std::string& how);
  Next Look(int participant);
  bool Go(int participant, const Next& next);
  bool GoThroughCall(int participant, const Next& next);
  bool AwaitWake(int participant);
  bool Advance(int participant);
  bool Stretch(int participant);
  bool HasMadeWrites(const Process& process, size_t begin, size_t end) const;
  bool KnowsAlready(int participant, const Next& next, size_t from) const;
  static bool IsPlain(const PlannedStep& step) {
    return step.kind == AccessKind::kRead || step.kind == AccessKind::kWrite;
  }
  static bool Makes(const Next& next, const PlannedStep& step);
  static bool HasSame(const std::vector<const PlannedStep*>& made, const PlannedStep& step);
  std::vector<const PlannedStep*> Make(int participant, const Next& next, size_t begin, size_t end);
  bool MakeAhead(int participant, const Next& next, size_t begin, size_t from,
                 std::vector<const PlannedStep*>& made);
  bool OthersMind(int participant, size_t from, size_t step) const;
  const PlannedStep* Unwritten(const Process& process, size_t begin, size_t end) const;
  static bool Overlaps(const Piece& piece, const PlannedStep& step) {
    return step.bytes > 0 && piece.begin < step.offset + step.bytes &&
           step.offset < piece.begin + piece.bytes;
  }
  static bool Overlaps(const Next& next, const PlannedStep& step);
  // It is that call.
  static bool IsCall(const Next& next, const PlannedStep& step) {
    return step.kind == AccessKind::kKernel && next.kind == Next::kCallsKernel &&
           next.call == step.written;
  }
  bool IsPlannedCall(const Process& process, const Next& next, size_t from) const;
  static bool Conflict(const PlannedStep& one, const PlannedStep& other);
  static std::string NameOf(const Next& next);
  bool RepeatAccess(int participant, const Next& next);
  bool GoToEndOfTurn(int participant);
  bool GoToDeath(int participant);
  void ChooseWordsAtDeath(int participant, const Steps::Words& words);
  bool IsAsAtDeath(int participant);
  bool EndDead(size_t number);
  bool IsLookedAtMeanwhile(size_t first) const;
  bool Finish();
  uint64_t ValueAt(uint64_t offset, uint64_t bytes) const;
  const PlannedStep& StepOf(const Process& process) const {
    return plan_.steps[process.steps[process.next]];
  }

  const Steps& plan_;
  Scene& scene_;
  Processes& processes_;
  const uint64_t base_;
  stepper::Decoder decoder_;
  std::vector<bool> watched_;  // words
  std::vector<bool> matters_;  // steps
  std::array<Process, kMostParticipants> of_;
  std::string diverged_, lacks_;
  bool timed_out_ = false, divided_ = false;
  uint64_t instructions_ = 0;
  static constexpr uint64_t kMostInstructions = 2'000'000;
  static constexpr uint64_t kMutexWordBytes = 4;  // by which others are told of it
  static constexpr char kOtherStores[] =
      "it has stored more or less than in the schedule, when it dies";
};

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SHIPPED_WALK_H_
