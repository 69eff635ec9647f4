// The runner of programs: a process that starts them, asks them one call after the other, kills
// some of them meanwhile, and records when it asked and what it was told. It never touches what
// they share.
//
// A call's times are the runner's: from before the request was written until after the answer was
// read. They are wider than the call itself, which can hide an order of two calls, never invent
// one. A death's time is after the process has ended; what it had answered before is read first,
// and counts.
#ifndef KILL9_HARNESS_PROGRAMS_RUNNER_H_
#define KILL9_HARNESS_PROGRAMS_RUNNER_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/cpu_chance.h"
#include "harness/base/histogram.h"
#include "harness/base/random.h"
#include "harness/programs/exchange.h"
#include "harness/programs/options.h"
#include "harness/programs/process/launch.h"
#include "harness/programs/process/sandbox.h"
#include "harness/programs/process/system_calls.h"
#include "harness/programs/protocol/protocol.h"
#include "harness/programs/protocol/workload.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "harness/torture/supervisor/supervisor.h"

namespace kill9::programs {

struct RunnerOptions {
  ProgramOptions run;
  bool control = false;  // nobody is killed, and a few calls suffice
  SandboxOptions sandbox;
  std::vector<int> stderr_fds;  // of each participant, and then of each fork server
};

class Runner {
 public:
  Runner(const RunnerOptions& options, Exchange& exchange, HistorySink& sink);
  // From the first start to the last end; leaves its report in the exchange.
  void Run();

 private:
  // What a participant is doing.
  enum class Stage : uint8_t { kVacant, kStarting, kIdle, kCalling, kAuditing, kEnding };
  static constexpr size_t kStages = 6;

  struct Program {
    std::vector<std::string> words;
    std::unique_ptr<ForkServer> server;  // null: it is run once for each participant
    bool is_fork_server = false;
    bool is_known = false;  // it has answered once
    Offer offer;
    std::vector<WeighedFunction> functions;
    std::map<pid_t, CpuChance> chances;  // of the server, and of its children
  };

  struct Participant {
    uint32_t number = 0;
    Program* program = nullptr;
    Connection connection;
    std::string inbox;  // what was read and is no whole line yet
    Stage stage = Stage::kVacant;
    uint32_t process = 0;  // its number in the history
    uint64_t request = 0;
    uint64_t asked_ns = 0;  // when it was asked what it has not answered
    Operation operation{};
    std::optional<uint64_t> held;        // the key of the lock that it has
    uint64_t refusals = 0;               // in turn, of what a run ends with
    uint64_t calls_left = 0;             // before the one in which it is killed
    uint64_t doomed_ns = 0;              // or: when it is
    bool dies_idle = false;              // between two calls, instead
    uint64_t kill_ns = 0;                // when it is to be killed; 0: not yet
    uint64_t kill_sent_ns = 0;           // 0: it was not
    std::unique_ptr<SystemCalls> calls;  // null: it is not followed
    int64_t stderr_begin = 0;
    // Since it was asked: what the watchdog charged it with, and could have.
    uint64_t charged_ns = 0;
    uint64_t looked_ns = 0;
    CpuChance chance;
    uint64_t chance_ns = 0;  // what it could have used before the last look
  };

  // runner.cc
  bool Prepare();
  void Start(Participant& one);
  void AskToBegin(Participant& one);
  void Doom(Participant& one);
  bool IsDoomed(const Participant& one, uint64_t now_ns) const;
  void Issue(Participant& one);
  void Ask(Participant& one, const Call& call);
  void Step();
  void Wait();
  void Read(Participant& one);
  void TakeLine(Participant& one, const std::string& line);
  void TakeOffer(Participant& one, const Answer& answer);
  void TakeResult(Participant& one, const Answer& answer);
  void NoteGivingBack(Participant& one);
  void Record(const Operation& operation);
  void Feed(bool all);
  uint64_t kills_total() const {
    return std::accumulate(kills_.begin(), kills_.end(), uint64_t{0});
  }
  bool over() const { return verdict_.has_value() || interrupted_; }
  void Find(Verdict verdict, std::string reason);
  void Blame(const Participant& one, const std::string& what);
  void Report();

  // runner_sleepers.cc
  static bool Sleeps(const Participant& one) {
    return one.stage == Stage::kCalling && one.operation.function == Function::kWait;
  }
  uint64_t Sleepers() const;
  std::optional<Call> DrawCall(Participant& one);
  void KillASleeper(const Call& call);
  void NoteWakeUps(const Operation& done);
  void NoteChange();

  // runner_deaths.cc
  bool Follow(Participant& one, Function function);
  void KillDue();
  void Kill(Participant& one);
  void KillOthersToo(const Participant& one);
  void Bury(Participant& one);
  void RecordEnd(Participant& one, int status, uint64_t noted_ns);
  void NoteDeath(const Participant& one, uint64_t noted_ns);
  void NoteOwnEnd(const Participant& one, int status);
  std::string LastWords(const Participant& one) const;
  std::string Describe(const Participant& one) const;
  void WatchServers();
  void Watch(uint64_t now_ns);
  uint64_t ChargeOfServer(Program& program, uint64_t now_ns, uint64_t looked_ns);
  void NoteNumber(const Participant& one);
  std::string WhoIs(pid_t thread) const;
  void ReportStuck(const Participant& one);
  void EndEverybody();

  // runner_quiet.cc
  void WorkUntilDone();
  bool GoesOn() const;
  bool Quieten();
  void Audit();
  void Close();
  void CloseBy(Participant& one);
  Participant& Replace(Participant& one);
  void StepUntilIdle(const Participant& one);
  Participant* Anybody();

  RunnerOptions options_;
  Exchange& exchange_;
  HistorySink& sink_;
  Workload workload_;
  Random random_;
  std::unique_ptr<Sandbox> sandbox_;
  std::vector<Program> programs_;
  std::vector<Participant> participants_;
  std::vector<Operation> batch_;
  std::array<Histogram, 64> latency_ns_{};  // by function
  std::array<uint64_t, 64> usual_stops_{};  // at system calls, by function; 0: not known
  Histogram recovery_us_{};
  Histogram death_noted_us_{};

  sigset_t unblocked_{};  // while it waits
  uint64_t started_ns_ = 0;
  uint64_t fed_ns_ = 0;
  uint64_t watched_ns_ = 0;
  uint64_t last_kill_ns_ = 0;  // of a death after which nobody else has answered yet; 0: none
  uint32_t last_dead_ = 0;     // its participant
  std::string last_death_;     // in words
  // By the number that a process has for itself and for the others, as it is in a lock's word.
  struct Known {
    pid_t pid;
    uint32_t process;
  };
  std::map<pid_t, Known> numbers_;
  Json waiting_;              // what who is stuck waits for
  uint64_t lateness_ns_ = 0;  // by which a sleep is longer than asked for, as of late
  uint64_t calls_ = 0;
  uint64_t requests_ = 0;
  uint64_t operations_ = 0;
  uint32_t processes_ = 0;
  uint64_t starts_ = 0;
  std::array<uint64_t, kStages> kills_{};  // by what the victim did
  uint64_t kills_marked_ = 0;              // while its page said that it was inside an operation
  uint64_t kills_at_system_calls_ = 0;
  uint64_t kills_together_ = 0;  // moments at which several were killed
  uint64_t kills_holding_ = 0;   // while it had a lock
  uint64_t audits_ = 0;
  uint64_t audited_kills_ = 0;
  uint64_t longest_wait_ns_ = 0;
  Function longest_wait_function_ = Function::kAttach;
  // Of a condition.
  uint64_t changed_ns_ = 0;  // the latest death, or end of a wait: a wake-up may have gone by then
  uint64_t open_waits_ = 0;  // answered "info": each may take a wake-up at any later time
  bool looks_ = false;       // how many wake-ups there are is to be asked
  bool is_due_ = false;      // one surely is there, and somebody sleeps

  bool issuing_ = false;  // idle participants are asked
  bool ending_ = false;   // only what gives back what they hold
  bool killing_ = false;
  bool interrupted_ = false;
  bool environment_ = false;  // the verdict is the environment's, or the program's own mistake
  std::optional<Verdict> verdict_;
  std::string reason_;
};

// By a clock that only goes forward.
uint64_t NowNs();

}  // namespace kill9::programs

#endif  // KILL9_HARNESS_PROGRAMS_RUNNER_H_
