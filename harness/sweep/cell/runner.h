// The runs that a cell is made of: trace a victim, bring one to an instruction, kill it, have it
// judged.
#ifndef KILL9_HARNESS_SWEEP_CELL_RUNNER_H_
#define KILL9_HARNESS_SWEEP_CELL_RUNNER_H_

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "harness/base/shared_mapping.h"
#include "harness/stepper/process/futex_word.h"
#include "harness/stepper/stepper.h"
#include "harness/sweep/cell/cell.h"
#include "harness/sweep/driver/driver.h"
#include "harness/torture/segment_unlinker.h"
#include "variants/segment/participants.h"

namespace kill9::sweep {

using stepper::SteppedRun;
using stepper::Trace;
using stepper::TraceeStart;
using stepper::TraceStep;

// The number of a victim that recovers what another one left.
inline constexpr uint32_t kRecoverer = 2;

// A run of victims, and whether survivors attach before they do.
struct VictimRun : SteppedRun {
  bool judged = true;
};

struct Judgement {
  Verdict verdict = Verdict::kPass;
  DecidedOutcome outcome = DecidedOutcome::kNone;
  const char* message = "";
  const char* window = "";  // of the history, where that is not legal
};

// What the further participant beside an interferer finds of the slots that were dead ones'.
enum class PlaceOfTheDead : uint32_t {
  kGivenToAnother,  // it was given none, though some are free
  kGiven,           // it was given one, or there was none
  kKept,            // one is given to nobody before all who recover the dead one are through
};

// What a cell shares with its children.
struct CellSharedMemory {
  std::atomic<uint32_t> called;  // how often the judge was called to attach
  std::atomic<uint32_t> ready;   // the child has attached
  std::atomic<uint32_t> go;      // it may go on
  std::atomic<uint32_t> judged;  // the judge is through, and has detached
  JudgeRequest request;          // of the judge
  pid_t remote_survivor;         // the judge's other process; 0: none
  std::atomic<uint32_t> probe;   // how many probes of the stall are done
  std::atomic<PlaceOfTheDead> place_of_the_dead;
  uint32_t victim_done;
  char victim_message[200];
  CellHistory history;  // of the victims in the page that they touch anyway
  JudgeReport report;
};

inline constexpr uint32_t kMostProbesInAll = kMostProbes * kNearnessCount;
// The probes in their order: each kind, at each nearness.
constexpr uint32_t ProbeOf(uint32_t index) { return index / kNearnessCount; }
constexpr Nearness NearnessOf(uint32_t index) {
  return static_cast<Nearness>(index % kNearnessCount);
}

// Who had which participant's slot at a moment.
class SlotOwners {
 public:
  void Note(const ParticipantTable& table) {
    size_ = table.size();
    for (uint32_t slot = 0; slot < size_; ++slot) {
      generation_[slot] = table.generation(slot);
      taken_[slot] = table.state(slot) != ParticipantState::kFree;
    }
  }
  bool AnyTaken() const { return std::find(taken_, taken_ + size_, true) != taken_ + size_; }
  // Whether one that was taken has another owner now.
  bool AnyHasANewOwner(const ParticipantTable& table) const {
    return AnyTakenIs(table, ParticipantState::kInUse, /*same_owner=*/false);
  }
  // Whether one that was taken is given to nobody: its recovery has not ended.
  bool AnyIsStillDead(const ParticipantTable& table) const {
    return AnyTakenIs(table, ParticipantState::kDead, /*same_owner=*/true);
  }

 private:
  bool AnyTakenIs(const ParticipantTable& table, ParticipantState state, bool same_owner) const {
    for (uint32_t slot = 0; slot < size_; ++slot) {
      if (taken_[slot] && table.state(slot) == state &&
          (table.generation(slot) == generation_[slot]) == same_owner) {
        return true;
      }
    }
    return false;
  }

  static constexpr size_t kMost =
      ParticipantTable::kMaxParticipants + ParticipantTable::kRecovererSlots;
  uint32_t size_ = 0;
  uint32_t generation_[kMost];
  bool taken_[kMost];
};

class Runner {
 public:
  static constexpr pid_t kVictimPid = 100, kJudgePid = 101, kOtherPid = 102, kHolderPid = 60;
  static constexpr pid_t kDeadBesidePid = 200;  // the first one

  Runner(CellArea& area, DesignFinder find);
  ~Runner();

  // Makes the scene and passes the runs without kills. False: see error() and failures.
  bool Prepare();

  const CellRequest& request() const { return area_.request; }
  CellResult& result() { return area_.result; }
  const Scene& scene() const { return *scene_; }
  bool scene_made() const { return scene_ != nullptr; }
  const char* base() const { return base_->data(); }
  uint64_t HashOf(const stepper::Snapshot& left) const {
    return stepper_.shared().HashOf(left.data());
  }
  const SweepDriver& driver() const { return *driver_; }
  uint32_t probes_in_all() const {
    return static_cast<uint32_t>(driver_->probes().size()) * kNearnessCount;
  }
  std::string_view second() const {
    return request().second[0] != '\0' ? request().second : driver_->second();
  }
  bool creating() const { return std::string_view(request().operation) == kCreateName; }
  // What a recoverer does: where all participants are dead, it has to attach first.
  std::string_view recovery() const {
    return scene_->making().all_participants_dead ? kAttachName : kRecoverName;
  }
  bool failed() const { return stepper_.failed(); }
  // What a judge is told in every run of the cell.
  const JudgeRequest& to_judge() const { return to_judge_; }
  // Whether the request's operation, if nobody kills it, has an effect that others can see.
  bool has_effect() const { return has_effect_; }

  // A run of one victim, from the cell's starting state.
  VictimRun RunOfOne(std::string_view operation) const;
  // An index of the driver's operations. REQUIRES: there is one of this name.
  uint32_t OperationOf(std::string_view name) const;
  // Steps the subject through the whole operation. False: error.
  bool TraceOnce(const VictimRun& run, Trace& trace);
  // Traces it twice; two traces that differ are an error.
  bool TraceRepeatably(const VictimRun& run, Trace& trace);
  // Kills all victims once the subject stands exactly before step `at`, and lets the survivors
  // judge. False: error (drift). `at` = trace.size() is possible where the trace ends blocked: it
  // dies waiting.
  bool KillAt(const VictimRun& run, Trace& trace, uint32_t at, const JudgeRequest& request,
              Judgement* judgement);
  // The same without a judge; what is left of the shared bytes in `left`, a snapshot.
  bool KillAndLeave(const VictimRun& run, Trace& trace, uint32_t at, char* left);
  // A victim stopped at a step beside a prober, which waits for LetSurvivorGo and then runs its
  // probes from `first_probe` on.
  struct Stopped {
    stepper::Stepper::Standing standing;
    pid_t prober = 0;
    stepper::Tracee& victim() { return standing.subject(); }
  };
  bool StopBeside(const VictimRun& run, const Trace& trace, uint32_t at, Stopped* stopped,
                  absl::FunctionRef<pid_t()> fork_survivor);
  bool StopBesideProber(const VictimRun& run, const Trace& trace, uint32_t at, uint32_t first_probe,
                        Stopped* stopped);
  // The same beside an interferer. It waits for LetSurvivorGo before each of its steps, and tells
  // in stage().probe how many it is through with: recover (if it does); interfere, and recover once
  // more; churn or look once more (if it does), and end.
  struct Interferer {
    uint32_t interference = 0;
    bool twice = false;
    bool recovers = false;
    bool looks = false;
    // After it has interfered it recovers, and another participant, which may be given the slot of
    // a dead one (CellSharedMemory::place_of_the_dead), attaches and holds what it can
    // (HoldBeside). It churns once more.
    bool has_heir = false;
  };
  bool StopBesideInterferer(const VictimRun& run, const Trace& trace, uint32_t at,
                            const Interferer& interferer, Stopped* stopped);
  pid_t interferer() const { return interferer_; }  // the last one
  // TraceOnce beside an interferer that has attached.
  bool TraceBesideInterferer(const VictimRun& run, const Interferer& interferer, Trace& trace);
  // What a stopped victim goes on with, traced; and the same again, up to a step of it.
  bool TraceOn(Stopped& stopped, const stepper::TraceStep& from, bool may_wait, Trace& rest) {
    return stepper_.TraceOn(stopped.standing, from, may_wait, rest);
  }
  // False: error, or (MissedBreakpoint) it may be tried again.
  bool GoOn(Stopped& stopped, const Trace& rest, uint32_t at) {
    return stepper_.GoOn(stopped.standing, rest, at);
  }
  bool MissedBreakpoint() { return stepper_.MissedBreakpoint(); }
  // Its operation ends with its death, whether that had returned or not.
  void KillStopped(Stopped& stopped);
  // The same of one of several that stand.
  void KillOneStopped(Stopped& stopped, uint32_t number);
  // The first victim of a run is dead: as CloseVictims.
  void CloseFirstVictim(const VictimRun& run) { CloseVictims(OnlyFirst(run), false); }
  void LetSurvivorGo(uint32_t word = 1);
  // Whether the prober comes to a good end within the watchdog's bound. It is gone then.
  bool ProberEnds(Stopped& stopped, int* status);
  void EndStop(Stopped& stopped);
  void Nap();  // a third of a millisecond, or until the prober is through
  // Of one that ended, or was ended, beside a stopped process; `prober` 0: it is reaped.
  Judgement JudgeSurvivor(pid_t prober, int status);
  // Has the stack of a survivor looked at, which is stuck and goes on to be: once in a cell, of the
  // first one that is a failure.
  void NoteWaiting(pid_t stuck);
  // Leaves the victim, stopped and no longer traced, to a debugger, until this process is killed.
  void LeaveStopped(stepper::Stepper::Standing& standing);
  void LeaveStopped(const VictimRun& run, const Trace& trace, uint32_t at,
                    const JudgeRequest& request);

  // The judge: a process that attaches when it is called and judges when it is asked. It stays for
  // the next call, so that most kills cost no second fork; one that failed is gone, and what it
  // said is believed only if a new one says it again (KillAt).
  void CallJudge(const JudgeRequest& request);
  Judgement AskJudge();
  Judgement JudgeNow(const JudgeRequest& request) {
    CallJudge(request);
    return AskJudge();
  }
  // Ends it: the next one is forked anew. Needed before anything changes that it inherited.
  void DismissJudge();

  template <typename... Parts>
  void Error(const char* format, const Parts&... parts) {
    stepper_.Error(format, parts...);
  }
  void Fail(const KillPoint& place, const Trace* trace, uint32_t at, const Judgement& answer);
  // Failures are counted by mode, so that a store that no kill leaves alone is stopped and resumed.
  void BeginMode() { failures_before_ = area_.result.failures; }
  bool TooManyFailures() const {
    return area_.result.failures - failures_before_ >= request().most_failures;
  }
  void CountKill() { ++area_.progress_kill_points; }
  // Of all that were killed, of judges while they judged, and of this process, so far.
  PageFaults page_faults() const {
    return {faults_.victims, faults_.judges, stepper::OwnPageFaults()};
  }
  stepper::AddressTable addresses() { return stepper::AddressTable(area_.addresses); }
  CellSharedMemory& stage() { return *stage_; }

  stepper::Snapshot NewSnapshot() const { return stepper_.shared().NewSnapshot(); }

 private:
  absl::Status MakeScene(uint32_t operation, uint32_t state);
  bool MakeStartingState();
  bool HalfDone(uint32_t operation);
  bool FillWithDead();
  bool StartHolder(pid_t pid, bool lives,
                   std::shared_ptr<void> (Scene::*hold)(SharedObject&) const = &Scene::Hold);
  bool RunWithoutKills();
  // One such run: the judge alone, or after a victim that nobody kills.
  bool RunWithoutKill(Plan plan, bool with_victim);
  bool WaitReady(pid_t child);
  pid_t ForkProber(uint32_t first_probe);
  pid_t ForkInterferer(const Interferer& order);
  static VictimRun OnlyFirst(VictimRun run) {
    run.count = 1;
    return run;
  }
  std::unique_ptr<Victim> NewVictim(uint32_t operation, uint32_t number, bool tells_all);
  void BuildVictims();
  [[noreturn]] static void BeVictim(void* self, const TraceeStart& start);
  // The history of a run begins; those who died before it belong to it only where it begins with
  // what they left.
  void BeginHistory(const SteppedRun& run);
  // The victims of a run are dead, the first one's operation had returned or not.
  void CloseVictims(const VictimRun& run, bool returned);
  // Calls the judge, if it is to be there.
  void BeforeVictims(const VictimRun& run, const JudgeRequest& request);
  // Brings the victims of a run to where they stand, others in the place of those that missed a
  // breakpoint. False: error.
  bool Bring(const VictimRun& run, const JudgeRequest& request, const Trace& trace, uint32_t at,
             stepper::Stepper::Standing* standing);
  bool KillOnce(const VictimRun& run, Trace& trace, uint32_t at, const JudgeRequest& request,
                Judgement* judgement);
  [[noreturn]] void BeJudge();
  // A survivor that cannot say what it saw any more: the history may.
  void CheckHistoryAfterDeath();
  // False: it ended (its status is told), or was blocked and had to be killed (*stuck).
  bool AwaitJudgement(int* status, bool* stuck);

  CellArea& area_;
  SegmentUnlinker scene_unlinker_, created_unlinker_;
  const Design* design_;
  const SweepDriver* driver_ = nullptr;
  std::unique_ptr<Scene> scene_;
  std::vector<Operation> beginning_;  // of every history of the cell
  // Made here, so that each victim inherits what it needs: else it would take memory, and touch the
  // code that does.
  struct BuiltVictim {
    uint32_t operation, number;
    bool tells_all;
    std::unique_ptr<Victim> victim;
  };
  std::vector<BuiltVictim> built_;
  const SharedMapping<CellSharedMemory> stage_;
  stepper::Stepper stepper_;
  std::optional<stepper::Snapshot> base_;
  JudgeRequest to_judge_;
  bool has_effect_ = false;
  uint32_t died_ = 0;  // SweepShape's
  pid_t holder_ = 0;
  pid_t interferer_ = 0;
  uint32_t failures_before_ = 0;  // the present mode
  PageFaults faults_{};
  pid_t judge_ = 0;
  uint32_t judgements_ = 0;  // of the present judge
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_CELL_RUNNER_H_
