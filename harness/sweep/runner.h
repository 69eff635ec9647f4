// The runs that a cell is made of: trace a victim, bring one to an instruction, kill it, have it
// judged.
#ifndef KILL9_HARNESS_SWEEP_RUNNER_H_
#define KILL9_HARNESS_SWEEP_RUNNER_H_

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "harness/stepper/shared_bytes.h"
#include "harness/stepper/uninterruptible.h"
#include "harness/sweep/cell.h"
#include "harness/sweep/interferer.h"
#include "harness/sweep/remote_survivor.h"

namespace kill9::sweep {

// What a victim does, and from where.
struct Job {
  const char* base = nullptr;  // a snapshot of the shared bytes to begin with
  OperationKind operation = OperationKind::kGet;
  uint32_t id = kVictimId;  // of the value it writes
  pid_t pid = 0;
  bool judged = true;    // a survivor attaches before the victim does
  bool reports = false;  // the victim notes what it is answered, and tells it after its operation
  // A second victim, which is brought to a step of its own trace once this one is ready to begin,
  // and stands there. Its trace is made with this one as `waiting`.
  const Job* other = nullptr;
  const Trace* other_trace = nullptr;
  uint32_t other_at = 0;
  // A victim that has got ready before (attached, pinned, reserved) and waits with its operation.
  const Job* waiting = nullptr;
};

struct Answer {
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
  const char* base() const { return base_; }
  uint64_t HashOf(const char* snapshot) const { return shared_.HashOf(snapshot); }
  bool creating() const { return request().operation == OperationKind::kCreate; }
  bool failed() const { return area_.result.error[0] != '\0'; }
  // The legal outcomes of the request's operation.
  const JudgeRequest& orders() const { return orders_; }

  // Steps a victim through the whole operation. False: error.
  bool TraceJob(const Job& job, Trace& trace);
  // Traces it twice; two traces that differ are an error.
  bool TraceRepeatably(const Job& job, Trace& trace);
  // Kills a victim exactly before step `at` and lets the survivors judge. False: error (drift).
  // `at` = trace.size() is possible where the trace ends blocked: the victim dies waiting.
  bool KillAt(const Job& job, Trace& trace, uint32_t at, JudgeRequest orders, Answer* answer);
  // The same without a judge; what is left of the shared bytes in `left`, a snapshot.
  bool KillAndLeave(const Job& job, Trace& trace, uint32_t at, char* left);
  // Brings a victim to a step and leaves it stopped there, judge not included.
  bool Bring(const Job& job, const Trace& trace, uint32_t at, Tracee* victim);
  // A victim stopped at a step beside a prober, which waits for LetSurvivorGo and then runs its
  // probes from `first_probe` on, and reads all keys into stage().read_back.
  struct Stopped {
    Tracee victim{0};
    pid_t prober = 0;
  };
  bool StopBesideProber(const Job& job, const Trace& trace, uint32_t at, uint32_t first_probe,
                        Stopped* stopped);
  // The same beside a interferer, which waits for LetSurvivorGo, interferences, sets stage().probe to 1, waits
  // for LetSurvivorGo(2), churns once more if `twice`, reads all keys into stage().read_back,
  // detaches and ends.
  bool StopBesideInterferer(const Job& job, const Trace& trace, uint32_t at,
                            Interference interference, bool twice, Stopped* stopped);
  void LetSurvivorGo(uint32_t word = 1);
  void EndStop(Stopped& stopped);
  void Nap();  // a third of a millisecond, or until the prober is through
  // Judges with what the prober read as the state of the keys.
  Answer JudgeAsReadBack(const JudgeRequest& orders);
  // Leaves the victim, stopped and no longer traced, to a debugger, until this process is killed.
  void LeaveStopped(const Job& job, const Trace& trace, uint32_t at, const JudgeRequest& orders);

  // The judge: a process that attaches when it is called and judges when it is asked. It stays for
  // the next call, so that most kills cost no second fork; one that failed is gone, and what it
  // said is believed only if a new one says it again (KillAt).
  void CallJudge(const JudgeRequest& orders);
  Answer AskJudge();
  Answer Judgement(const JudgeRequest& orders) {
    CallJudge(orders);
    return AskJudge();
  }
  // Ends it: the next one is forked anew. Needed before anything changes that it inherited.
  void DismissJudge();
  void Restore(const char* snapshot);

  void Error(const char* format, ...) __attribute__((format(printf, 2, 3)));
  void Fail(const Place& place, const Trace* trace, uint32_t at, const Answer& answer);
  // Failures are counted by mode, so that a store that no kill leaves alone is stopped and resumed.
  void BeginMode() { failures_before_ = area_.result.failures; }
  bool TooManyFailures() const {
    return area_.result.failures - failures_before_ >= request().most_failures;
  }
  static bool BreakpointsWork() { return Tracee::breakpoints() != Breakpoints::kSingleSteps; }
  void CountKill() { ++area_.progress_kill_points; }
  // Of all that were killed, of judges while they judged, and of this process, so far.
  PageFaults page_faults() const { return {faults_.victims, faults_.judges, OwnPageFaults()}; }
  AddressTable addresses() { return AddressTable(area_.addresses); }
  CellSharedMemory& stage() { return *stage_; }

  char* NewSnapshot() const { return shared_.NewSnapshot(); }

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
  Tracee StartVictim(const Job& job);
  [[noreturn]] void BeVictim(const Job& job);
  [[noreturn]] static void OnFreshStack(char* stack, void (*run)());
  bool Begin(const Job& job, Tracee* victim);
  bool StartJob(const Job& job, const JudgeRequest* orders, Tracee* victim, Tracee* other);
  // Ends all of them before the judge was asked.
  void EndJob(Tracee& victim, Tracee& other);
  bool KillOnce(const Job& job, Trace& trace, uint32_t at, const JudgeRequest& orders,
                Answer* answer);
  [[noreturn]] void BeJudge();
  // False: it ended (its status is told), or was blocked and had to be killed (*stuck).
  bool AwaitJudgement(int* status, bool* stuck);
  bool Reach(Tracee& victim, const Trace& trace, uint32_t at);
  bool IsElsewhere(const Trace& trace, const user_regs_struct& registers, const StateId& found);
  // Whether the victim of the last run strayed and no error came of it: it may be replaced.
  bool HasStrayed() { return std::exchange(strayed_, false) && !failed(); }
  bool GoTo(Tracee& victim, const Trace& trace, uint32_t at);
  bool Cross(Tracee& victim, uint64_t behind);
  bool TouchesSegment(const user_regs_struct& registers);
  bool TouchesRobustList(const user_regs_struct& registers);
  // `segment_may_differ` (from what it was at the last call): false saves hashing it again.
  StateId Capture(const Tracee& victim, uint64_t system_calls, bool segment_may_differ = true);
  void Save(char* snapshot);
  uint64_t HashCreated();

  CellArea& area_;
  const Variant* variant_;
  std::unique_ptr<Scene> scene_;
  std::optional<Decoder> decoder_;
  CellSharedMemory* stage_;
  SharedBytes shared_;
  uint64_t segment_hash_ = 0;
  PartnerMail* mail_;  // shared with the judge and its remote_survivor
  std::string created_path_;
  char* base_ = nullptr;
  char* scratch_ = nullptr;
  char* victim_stack_ = nullptr;
  size_t bytes_ = 0;
  uint64_t robust_head_ = 0;
  const AddressRange vdso_ = VdsoRange();
  const std::optional<uint64_t> restartable_at_ = RestartableSequenceWord();
  JudgeRequest orders_;
  pid_t holder_ = 0;
  static constexpr uint64_t kMostStrays = 50;  // of a cell
  bool strayed_ = false;
  uint32_t failures_before_ = 0;  // the present mode
  PageFaults faults_{};
  pid_t judge_ = 0;
  uint32_t judgements_ = 0;  // of the present judge
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_RUNNER_H_
