// One cell of the sweep: one operation of one design in one starting state.
//
// A cell is a process that makes the scene, and is then the zygote and tracer of all its victims:
// it allocates nothing more, so that every victim begins with the same memory. What it finds it
// writes into memory that the driver shares.
//
// What a judge finds is believed only because it also passed without any kill.
#ifndef KILL9_HARNESS_SWEEP_CELL_CELL_H_
#define KILL9_HARNESS_SWEEP_CELL_CELL_H_

#include <atomic>
#include <cstdint>

#include "harness/stepper/process/breakpoints.h"
#include "harness/stepper/trace/kill_coverage.h"
#include "harness/sweep/judge/judge.h"
#include "variants/registry.h"

namespace kill9::sweep {

enum class Mode : uint8_t {
  kKill,
  kRecovery,
  kTwoVictims,
  kStall,
  kResume,
  kKillAfterResume,
  kReuse,
  kThreeMembers
};
inline constexpr int kModeCount = 8;
std::string_view Name(Mode mode);
std::string_view Name(Plan plan);  // "work_first"

// A kill, exactly: what replay needs besides the cell.
struct KillPoint {
  Mode mode;
  Plan plan;
  // kKill: the instruction. kRecovery: the victim's, the recoverer's, and the second recoverer's
  // (kNowhere: none). kTwoVictims: the first victim's, the second's. kStall: the instruction, the
  // probe. kResume: the instruction, the interference. kKillAfterResume: these, and the instruction
  // of what it went on with. kReuse: the victim's instruction, that of the slot's next owner, the
  // interference. kThreeMembers: the instruction of the one that stands first, that of the other,
  // the interference and the end (EndOfThree).
  uint32_t at[3];
};
inline constexpr uint32_t kNowhere = ~uint32_t{0};
// How many numbers a place of this mode has: at least, at most.
struct Count {
  uint32_t least, most;
};
Count PlaceNumbers(Mode mode);

inline constexpr size_t kMostShapeBytes = 160;

struct CellRequest {
  static constexpr size_t kMostNameBytes = 32;
  char variant[48];
  char operation[kMostNameBytes];
  char second[kMostNameBytes];  // of the second victim; empty: the kind's own
  char state[kMostNameBytes];
  // As text: empty, the usual one; "drawn", one that the seed decides.
  char shape[kMostShapeBytes];
  uint8_t full;  // kill at every instruction, not once in each distinct state
  uint8_t stall, recovery, two_victims, resume, kill_after_resume, reuse, three_members;
  uint8_t samples_mode;  // none was asked for: what one of them has nothing to do in is not vacuous
  uint8_t replay;        // only `place`, `times` times
  uint8_t stop;          // replay: stop there, for a debugger, instead of killing
  uint32_t times;
  uint32_t sample;  // instructions killed at besides their state's
  uint32_t pairs;   // states of the first victim that are paired; 0: all
  uint32_t most_failures;
  uint64_t seed;
  double watchdog_seconds;
  int32_t cpu;  // -1: any
  stepper::BreakpointChoice breakpoints;
  KillPoint place;
};

struct Failure {
  KillPoint place;
  Verdict verdict;
  uint32_t instructions;  // of the trace that `place` counts in
  uint64_t address;
  uint64_t segment_hash;
  char message[kMostMessageBytes];
  char window[kMostWindowBytes];  // of the history, where that is not legal
};
inline constexpr uint32_t kMostFailures = 16;
inline constexpr uint32_t kMostWaitingBytes = 300, kMostStackBytes = 2000;

struct PageFaults {
  uint64_t victims, judges, tracer;
};

struct CellResult {
  uint32_t finished;
  Verdict verdict;
  char
      error[400];  // what kept the sweep from knowing: drift, no trace, a scene that cannot be made
  uint32_t instructions, distinct_states, system_calls, string_iterations, vdso_instructions;
  uint32_t restartable_sequences;
  uint32_t unrepeatable;  // instructions after a clock read: their registers are not compared
  uint32_t longest_way;   // stops on the way to the instruction that is dearest to reach
  stepper::Breakpoints stopped_by;
  uint32_t breakpoints;  // whether debug registers were used
  uint64_t
      missed_breakpoints;  // victims that were replaced: a breakpoint's hits were miscounted, or a
                           // register was left to chance
  uint64_t kill_points, instructions_killed, instructions_spoken_for;
  // Of the states that were killed in: their instructions, and those at which survivors failed.
  uint64_t instructions_judged, instructions_not_survived;
  uint64_t happened, did_not_happen, indistinguishable;
  uint64_t sampled, sampled_differently;
  uint64_t recovery_kill_points, recovery_instructions, recovery_states,
      recoverers_recoverer_kill_points;
  uint64_t two_victim_kill_points, two_victim_pairs;
  uint64_t stalled_instructions;
  char kind[32];                     // of the object
  char shape[kMostShapeBytes];       // of the scene, as text; empty: its kind has none
  uint32_t probes;                   // that were tried, a bit each: not those that it lacks
  uint64_t blocked[kNearnessCount];  // instructions at which any probe there is blocked
  uint64_t blocked_probe[kMostProbes][kNearnessCount];
  uint64_t resumed;  // stopped victims that went on and finished
  uint64_t resume_points,
      resume_stops;              // accesses to the segment; stops that went on after a interference
  uint64_t resume_places_given;  // of the dead, to a further participant beside who recovers them
  // Where there is something to stop before, stops after which the victim was killed on its way on,
  // and those kills.
  uint64_t kill_after_resume_accesses, kill_after_resume_stops, kill_after_resume_kill_points;
  // Deaths whose participant's slot had a next owner, and stops of these.
  uint64_t reuse_deaths, reuse_stops;
  // Places at which two stood while a third worked, and what came after that.
  uint64_t three_member_places, three_member_ends;
  double kill_seconds, seconds;
  PageFaults page_faults;  // in mode kKill
  uint64_t recovered_participants;
  int64_t leaked_blocks, doubly_owned_blocks;
  uint32_t failures;  // how many; the first kMostFailures are kept
  Failure failure[kMostFailures];
  // What the survivor of the first failure with the verdict `stuck` waited for, and its stack: that
  // failure's once `waiting_is_of_a_failure` is set.
  uint32_t waiting_is_of_a_failure;
  char waiting_for[kMostWaitingBytes];
  char waiting_stack[kMostStackBytes];
  uint32_t stopped_pid;  // replay with `stop`: non-zero once the victim stands there
  uint32_t replayed, replayed_alike;
};

// A cell allocates nothing, and cannot look at a stack. So it stops a survivor that is stuck, asks
// whoever runs the cell to look at it, and waits for that, within a bound.
enum class Look : uint32_t { kNone, kAsked, kDone };

// The memory that driver and cell share.
struct CellArea {
  CellRequest request;
  CellResult result;
  std::atomic<Look> look;  // written by the cell (kAsked), and by who has looked (kDone)
  uint64_t progress_kill_points;
  stepper::AddressCount addresses[stepper::AddressTable::kCapacity];
};

class DesignFinder {
 public:
  using Function = const Design* (*)(std::string_view name);
  explicit DesignFinder(Function function = FindDesign) : function_(function) {}
  const Design* operator()(std::string_view name) const { return function_(name); }

 private:
  Function function_;
};

// Runs the cell that the area asks for, in this process.
void RunCell(CellArea& area, DesignFinder find);

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_CELL_CELL_H_
