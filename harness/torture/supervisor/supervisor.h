// The supervisor of one run: a small, single-threaded process that forks the workers, kills and
// stops them as the scenario says, reaps and replaces them, watches that the others go on, pauses
// them for audits, and ends with a verdict. It never uses the object itself (but for attaching the
// handle that fork_inherit's workers inherit), so a broken one cannot take it down.
//
// U1  Nothing outlives the supervisor: workers ask the kernel to be killed with it
//     (PR_SET_PDEATHSIG).
// U2  A slot has one process at most, forked again only after the last one was reaped, its memory
//     gone, and closed. Before that its death is not told to anybody.
// U3  Nobody is killed or stopped while a pause lasts, and parked workers have no timer set.
#ifndef KILL9_HARNESS_TORTURE_SUPERVISOR_SUPERVISOR_H_
#define KILL9_HARNESS_TORTURE_SUPERVISOR_SUPERVISOR_H_

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "harness/base/cpu_chance.h"
#include "harness/base/process_end/address_space_lock.h"
#include "harness/base/random.h"
#include "harness/torture/failure/last_kills.h"
#include "harness/torture/failure/stuck.h"
#include "harness/torture/run_context.h"
#include "harness/torture/supervisor/run_times.h"

namespace kill9 {

struct SupervisorOptions {
  double seconds = 10;
  uint32_t processes = 4;
  uint64_t kills = 0;    // ends after so many, if that comes first; 0: no limit
  uint32_t life_us = 0;  // instead of the scenario's TimerKills::life_us; 0: the scenario's
  // A worker inside the object without progress for so long is stuck: time in which it, and whoever
  // else makes no progress, could have run (supervisor_watch.cc).
  uint64_t watchdog_us = 5'000'000;
  // Where it has proved nothing by then it goes on, as long again, and at least for so long.
  double least_extension_seconds = 10;
};

// Takes the recorded operations as they settle; called by the supervisor's thread.
class HistorySink {
 public:
  virtual ~HistorySink() = default;
  // Whether there is room: if not, the workers wait in their rings.
  virtual bool ready() = 0;
  // `settled`: nothing that is not yet fed was invoked before it.
  virtual void Feed(const std::vector<Operation>& operations, uint64_t settled) = 0;
  // The checker has found a violation; the run can end.
  virtual bool found_violation() = 0;
  // The checker has seen two operations overlap on one part of the object; without any a run proves
  // nothing.
  virtual bool saw_overlap() = 0;
};

// What the supervisor counted; workers' counts are in Control.
struct SupervisorReport {
  double seconds = 0;       // from the first fork to the last reaping
  uint64_t operations = 0;  // recorded
  uint64_t forks = 0;
  std::array<uint64_t, kActivities> kills{};  // by what the victim did when it died
  uint64_t kills_open = 0;                    // victims whose record was open when they died
  uint64_t stops = 0;
  uint64_t generations = 0;  // times that every process had died
  uint64_t reused_pids = 0;
  uint64_t pauses = 0;
  RunTimesReport times;
  LastKills last_kills;
  Stuck stuck;
  bool interrupted = false;
  // All that anybody recorded came to the checker: nobody is left who could record more.
  bool history_is_whole = false;

  uint64_t kills_total() const;
  uint64_t kills_in_operation() const {
    return kills[static_cast<size_t>(Activity::kOperation)] +
           kills[static_cast<size_t>(Activity::kRecovering)];
  }
  uint64_t kills_at(Activity activity) const { return kills[static_cast<size_t>(activity)]; }
};

class Supervisor {
 public:
  Supervisor(RunContext& context, const SupervisorOptions& options, HistorySink& sink);

  // Runs the scenario. What was found is in Control::finding; the segment must exist.
  SupervisorReport Run();

 private:
  struct End {
    int status = 0;
    uint64_t noted = 0;  // ticks: the process was dead then
    uint64_t noted_ns = 0;
    uint64_t ordered_ns = 0;        // when its kill was sent or due; 0: not before it was noted
    bool by_sigkill_alone = false;  // the harness had not sent its signal before
  };
  struct Slot {
    pid_t pid = 0;  // 0: vacant
    uint32_t process = 0;
    bool kill_sent = false;
    uint64_t kill_sent_ns = 0;
    bool hastened = false;
    int unborn_fd = -1;         // the other end is held by the worker, and by children inside fork
    uint64_t resume_at_ns = 0;  // stopped until then; 0: running
    // It was reaped, and its memory is not gone: to others it still lives (address_space_lock.h).
    bool lingers = false;
    End end;
    uint64_t progress = 0;
    // Since it progressed: what the watchdog has charged it with, and what it could have charged.
    uint64_t charged_ns = 0;
    uint64_t looked_ns = 0;
    CpuChance chance;
    uint64_t chance_ns = 0;  // what it could have used before the last look
  };

  void Spawn(uint32_t slot);
  void SpawnVacant();
  void CannotSpawn(uint32_t slot, const char* what);
  bool ReusePid();
  // Sleeps until a child ends or `until_ns`; then reaps, drains, watches.
  void Wait(uint64_t until_ns);
  void NotePause(uint64_t wake_ns);
  void Reap();
  uint64_t OrderedBefore(uint32_t slot, uint64_t noted_ns) const;
  void BuryIfGone(uint32_t slot);
  void Bury(uint32_t slot);
  std::string DescribeStep(const WorkerBoard& board) const;
  static std::string DescribeTimer(const WorkerBoard& board, const End& end);
  bool WasSentOrderedSignal(pid_t pid) const;
  void BuryStranger(pid_t pid, int status);
  void Drain();
  void Watch(uint64_t now_ns);
  bool MayRest(const Slot& slot, const WorkerBoard& board) const;
  uint64_t ChargeOf(uint64_t now_ns, uint64_t looked_ns);
  // Whether its kill was sent, or is due: it is the kernel's.
  bool IsDying(uint32_t slot, uint64_t now_ns) const;
  void WatchOne(uint32_t slot, uint64_t now_ns);
  void ReportDying(uint32_t slot);
  void ReportStuck(uint32_t slot);
  std::string WhoIs(pid_t thread) const;
  bool GivesUpOn(uint32_t slot) const;
  bool over() const;
  bool enough_kills() const;
  bool proves_nothing() const;  // something that the scenario needs has not happened yet

  void WorkFor(uint64_t duration_us);
  void Inject(uint64_t now_ns);
  void InjectKills(uint64_t now_ns);
  void KillOneAndWait();
  void KillAllAndRestart();
  void StopOne(uint64_t now_ns);
  void ResumeDue(uint64_t now_ns, bool all);
  void ResumePaused(uint64_t now_ns);
  void AwaitWork(const std::vector<uint32_t>& slots);
  bool HaveAllGoneOn(const std::vector<uint32_t>& survivors,
                     const std::vector<uint64_t>& before) const;
  bool Kill(uint32_t slot);
  void Hasten(Slot& slot, bool dies);
  uint64_t HastenDue(uint64_t now_ns);
  std::vector<uint32_t> Living() const;

  void Audit(AuditDepth depth);
  bool ParkAll();
  bool OrphansArePastFork();
  void AuditBySurvivor(uint32_t slot);
  void AuditByNewcomer();
  AuditDepth NextDepth();
  void EndWorkers();
  void AwaitFinding();
  void KillEverything();
  void DrainTheRest();
  uint32_t Anybody() const;  // a slot that is not vacant; kSlots if all are

  RunContext& context_;
  Control& control_;
  SupervisorOptions options_;
  HistorySink& sink_;
  Random random_;
  SupervisorReport report_;
  RunTimes times_;
  AddressSpaceLocks memories_;
  std::array<Slot, kSlots> slots_{};
  std::vector<Operation> batch_;
  std::vector<int> unborn_;  // of the dead, as long as a child of theirs may be inside fork
  const bool proc_is_ours_ = ProcShowsOurPids();
  bool respawn_ = true;
  bool ending_ = false;
  bool parking_ = false;
  uint32_t pause_ = 0;
  pid_t last_dead_pid_ = 0;
  int last_pid_fd_ = -1;
  uint64_t audits_ = 0;
  uint64_t next_kill_ns_ = 0;
  uint64_t next_stop_ns_ = 0;
  uint64_t next_watch_ns_ = 0;
  uint64_t watched_ns_ = 0;  // when it was watched last
};

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_SUPERVISOR_SUPERVISOR_H_
