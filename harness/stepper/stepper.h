// Brings forked processes to single machine instructions of what they run, as often as asked, in
// the same state each time.
//
// The process that has a Stepper is the zygote and tracer of all its tracees: it allocates nothing
// between them, so that every tracee begins with the same memory.
//
// C1  Every tracee begins with the same shared bytes, the same private memory and the same thread
//     id.
// C2  Where a tracee is brought, the instruction pointer, the registers and the shared bytes are
//     compared with the trace's: a difference (drift) is an error.
#ifndef KILL9_HARNESS_STEPPER_STEPPER_H_
#define KILL9_HARNESS_STEPPER_STEPPER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "absl/functional/function_ref.h"
#include "harness/stepper/process/shared_mappings.h"
#include "harness/stepper/process/tracee.h"
#include "harness/stepper/process/uninterruptible.h"
#include "harness/stepper/shared_bytes.h"
#include "harness/stepper/trace/decoder.h"
#include "harness/stepper/trace/trace.h"

namespace kill9::stepper {

inline constexpr uint32_t kMostTracees = 4;

// One process of a run: what it does is its owner's to say, by these numbers.
struct TraceeStart {
  uint32_t operation = 0;
  uint32_t number = 0;  // which of the tracees it is
  pid_t pid = 0;
  bool tells_all = false;
  // The step of its own trace that it is brought to before the next tracee starts. Null: it stands
  // at the begin marker, ready.
  const Trace* trace = nullptr;
  uint32_t at = 0;
  // Not null: it is killed there, and this is called, before the next tracee starts. False: the run
  // ends here, and is no error.
  const absl::FunctionRef<bool()>* died = nullptr;
};

// Processes that start one after the other. One of them is the subject: that which is traced, or
// brought to a step once all have started.
struct SteppedRun {
  const char* base = nullptr;  // a snapshot of the shared bytes to begin with
  TraceeStart tracee[kMostTracees];
  uint32_t count = 1;
  uint32_t subject = 0;
};

class Stepper {
 public:
  // What a tracee does in its own process: gets ready, TraceMe, MarkBegin, its operation, MarkEnd.
  // Does not return. `owner`: whoever has the stepper.
  using Body = void (*)(void* owner, const TraceeStart& start);
  // Called when the shared bytes are in place, before the first tracee starts.
  using Before = absl::FunctionRef<void()>;
  struct Owner {
    void* self;
    Body body;
    const char* why_not_ready;  // what a tracee wrote that could not get ready; shared with it
    std::span<char> error;      // of a cell: what kept it from knowing
    uint64_t* missed_breakpoints;
  };

  explicit Stepper(const Owner& owner);
  ~Stepper();
  Stepper(const Stepper&) = delete;
  Stepper& operator=(const Stepper&) = delete;

  SharedBytes& shared() { return shared_; }
  const SharedBytes& shared() const { return shared_; }
  void Save(char* snapshot);
  void Restore(const char* snapshot);

  // The tracees of a run, where they stand.
  class Standing {
   public:
    Tracee& operator[](uint32_t n) { return tracee_[n]; }
    Tracee& subject() { return tracee_[subject_]; }
    uint64_t KillAll();  // the page faults of their lives

   private:
    friend class Stepper;
    Tracee tracee_[kMostTracees];
    uint32_t subject_ = 0;
  };

  // Steps the subject through its whole operation. All tracees are dead afterwards. False: error.
  bool TraceSubject(const SteppedRun& run, Before before, Trace& trace);
  // Two traces of the same run that differ are an error. Registers that differ are marked.
  bool AreTheSame(Trace& trace, const Trace& again);
  // Starts all tracees and leaves them standing, the subject at its begin marker. False: error; all
  // are dead then.
  bool Ready(const SteppedRun& run, Before before, Standing* standing);
  // Brings the subject right before step `at`, and leaves all standing. `at` = trace.size() is
  // possible where the trace ends blocked: it waits then. False: error (drift), or it missed a
  // breakpoint; all are dead then.
  bool Bring(const SteppedRun& run, Before before, const Trace& trace, uint32_t at,
             Standing* standing);
  // Steps the subject on from where it stands, to its end. `from`: the step of its trace that it
  // stands before. `may_wait`: beside one that is stopped. False: error.
  bool TraceOn(Standing& standing, const TraceStep& from, bool may_wait, Trace& rest);
  // Brings the subject right before step `at` of `rest`, a trace that begins where it stands, as
  // Bring does.
  bool GoOn(Standing& standing, const Trace& rest, uint32_t at) {
    return Reach(standing.subject(), rest, at);
  }
  // Whether the last tracee missed a breakpoint and no error came of it: it may be replaced.
  bool MissedBreakpoint() { return std::exchange(missed_breakpoint_, false) && !failed(); }

  bool failed() const { return owner_.error[0] != '\0'; }
  void Error(const char* format, ...) __attribute__((format(printf, 2, 3)));

 private:
  struct Fresh;  // what a tracee begins with
  Tracee Start(const TraceeStart& start);
  bool Begin(const TraceeStart& start, Tracee* tracee);
  bool StartAll(const SteppedRun& run, Before before, Standing* standing);
  bool StepThrough(Tracee& subject, bool may_wait, uint32_t lasting_flags, Trace& trace);
  bool Reach(Tracee& tracee, const Trace& trace, uint32_t at);
  bool IsElsewhere(const Trace& trace, const user_regs_struct& registers, const StateId& found);
  bool GoTo(Tracee& tracee, const Trace& trace, uint32_t at);
  bool Cross(Tracee& tracee, uint64_t behind);
  bool TouchesSegment(const user_regs_struct& registers);
  bool TouchesOutside(const user_regs_struct& registers);
  bool TouchesRobustList(const user_regs_struct& registers);
  // What may be another than at the last call of Capture: the rest is not hashed again.
  struct Changed {
    bool segment, outside;
  };
  StateId Capture(const Tracee& tracee, uint64_t system_calls, Changed may_differ = {true, true});

  Owner owner_;
  SharedBytes shared_;
  Decoder decoder_;
  uint64_t segment_hash_ = 0, outside_hash_ = 0;
  SharedMappings mappings_;  // of the tracee that is stepped through
  bool mappings_known_ = false;
  char* tracee_stack_ = nullptr;
  inline static Fresh* fresh_ = nullptr;
  uint64_t robust_head_ = 0;
  const AddressRange vdso_ = VdsoRange();
  const std::optional<uint64_t> restartable_at_ = RestartableSequenceWord();
  static constexpr uint64_t kMostMissed = 50;
  bool missed_breakpoint_ = false;
};

}  // namespace kill9::stepper

#endif  // KILL9_HARNESS_STEPPER_STEPPER_H_
