// The runs that a cell is made of: trace a victim, bring one to an instruction, kill it, have it
// judged.
#ifndef KILL9_HARNESS_SWEEP_RUNNER_H_
#define KILL9_HARNESS_SWEEP_RUNNER_H_

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "harness/stepper/process/futex_word.h"
#include "harness/stepper/stepper.h"
#include "harness/sweep/cell.h"
#include "harness/sweep/interferer.h"
#include "harness/sweep/remote_survivor.h"

namespace kill9::sweep {

using stepper::SteppedRun;
using stepper::Trace;
using stepper::TraceeStart;
using stepper::TraceStep;

// A run of victims, and whether survivors attach before they do.
struct VictimRun : SteppedRun {
  bool judged = true;
};

struct Judgement {
  Verdict verdict = Verdict::kPass;
  DecidedOutcome outcome = DecidedOutcome::kNone;
  const char* message = "";
};

// The page that a cell shares with its children.
struct CellSharedMemory {
  std::atomic<uint32_t> called;  // how often the judge was called to attach
  std::atomic<uint32_t> ready;   // the child has attached
  std::atomic<uint32_t> go;      // it may go on
  std::atomic<uint32_t> judged;  // the judge is through, and has detached
  JudgeRequest orders;           // of the judge
  std::atomic<uint32_t> probe;   // how many probes of the stall are done
  uint32_t victim_done;
  absl::StatusCode victim_status;
  char victim_message[200];
  JudgeReport report;
  LapReport interferences;
  VictimReport victim;
  static constexpr uint32_t kMostKeys = 4096;
  Entry read_back[kMostKeys];
};

class Runner {
 public:
  static constexpr pid_t kVictimPid = 100, kJudgePid = 101, kOtherPid = 102, kHolderPid = 60;

  Runner(CellArea& area, VariantFinder find);
  ~Runner();

  // Makes the scene and passes the runs without kills (C3). False: see error() and failures.
  bool Prepare();

  const CellRequest& request() const { return area_.request; }
  CellResult& result() { return area_.result; }
  const Scene& scene() const { return *scene_; }
  const char* base() const { return base_->data(); }
  uint64_t HashOf(const stepper::Snapshot& left) const {
    return stepper_.shared().HashOf(left.data());
  }
  bool creating() const { return request().operation == OperationKind::kCreate; }
  bool failed() const { return stepper_.failed(); }
  // The legal outcomes of the request's operation.
  const JudgeRequest& orders() const { return orders_; }

  // A run of one victim, from the cell's starting state.
  VictimRun RunOfOne(OperationKind operation) const;
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
  // probes from `first_probe` on, and reads all keys into stage().read_back.
  struct Stopped {
    stepper::Stepper::Standing standing;
    pid_t prober = 0;
    stepper::Tracee& victim() { return standing.subject(); }
  };
  bool StopBeside(const VictimRun& run, const Trace& trace, uint32_t at, Stopped* stopped,
                  absl::FunctionRef<pid_t()> fork_survivor);
  bool StopBesideProber(const VictimRun& run, const Trace& trace, uint32_t at, uint32_t first_probe,
                        Stopped* stopped);
  // The same beside a interferer, which waits for LetSurvivorGo, interferences, sets stage().probe
  // to 1, waits for LetSurvivorGo(2), churns once more if `twice`, reads all keys into
  // stage().read_back, detaches and ends.
  bool StopBesideInterferer(const VictimRun& run, const Trace& trace, uint32_t at,
                            Interference interference, bool twice, Stopped* stopped);
  void LetSurvivorGo(uint32_t word = 1);
  void EndStop(Stopped& stopped);
  void Nap();  // a third of a millisecond, or until the prober is through
  // Judges with what the prober read as the state of the keys.
  Judgement JudgeAsReadBack(const JudgeRequest& orders);
  // Leaves the victim, stopped and no longer traced, to a debugger, until this process is killed.
  void LeaveStopped(const VictimRun& run, const Trace& trace, uint32_t at,
                    const JudgeRequest& orders);

  // The judge: a process that attaches when it is called and judges when it is asked. It stays for
  // the next call, so that most kills cost no second fork; one that failed is gone, and what it
  // said is believed only if a new one says it again (KillAt).
  void CallJudge(const JudgeRequest& orders);
  Judgement AskJudge();
  Judgement JudgeNow(const JudgeRequest& orders) {
    CallJudge(orders);
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
  bool MakeStartingState();
  bool HalfDone(OperationKind operation);
  bool FillWithDead();
  bool StartHolder(pid_t pid, bool lives);
  bool ReadEntries();
  bool RunWithoutKills();
  bool WaitReady(pid_t child);
  pid_t ForkProber(uint32_t first_probe);
  pid_t ForkInterferer(Interference interference, bool twice);
  [[noreturn]] static void BeVictim(void* self, const TraceeStart& start);
  // Calls the judge, if it is to be there.
  void BeforeVictims(const VictimRun& run, const JudgeRequest& request);
  // Brings the victims of a run to where they stand, others in the place of those that missed a
  // breakpoint. False: error.
  bool Bring(const VictimRun& run, const JudgeRequest& request, const Trace& trace, uint32_t at,
             stepper::Stepper::Standing* standing);
  bool KillOnce(const VictimRun& run, Trace& trace, uint32_t at, const JudgeRequest& request,
                Judgement* judgement);
  [[noreturn]] void BeJudge();
  // False: it ended (its status is told), or was blocked and had to be killed (*stuck).
  bool AwaitJudgement(int* status, bool* stuck);

  CellArea& area_;
  const Variant* variant_;
  std::unique_ptr<Scene> scene_;
  CellSharedMemory* stage_;
  PartnerMail* mail_;  // shared with the judge and its remote_survivor
  stepper::Stepper stepper_;
  std::optional<stepper::Snapshot> base_;
  JudgeRequest orders_;
  pid_t holder_ = 0;
  uint32_t failures_before_ = 0;  // the present mode
  PageFaults faults_{};
  pid_t judge_ = 0;
  uint32_t judgements_ = 0;  // of the present judge
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_RUNNER_H_
