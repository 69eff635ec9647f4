#include "harness/torture/worker/worker.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <memory>

#include "absl/strings/str_cat.h"
#include "harness/base/process_end/die_with_parent.h"
#include "harness/torture/worker/auditor.h"
#include "harness/torture/worker/client.h"

namespace kill9 {
namespace {

constexpr uint64_t kAttachWindowNs = 80'000;  // about what an attach takes, page faults included
constexpr uint64_t kDetachWindowNs = 30'000;
constexpr uint64_t kParkedWaitUs = 50'000;
constexpr uint64_t kOfLimits = 0x6c696d697473;  // the number of their random numbers
constexpr rlim_t kDescriptorsInUse = 3;         // at least; as many may be asked for by one poll(2)
constexpr uint64_t kChildLifeNs =
    20'000'000;  // a child with an inherited handle cannot outlive this

// From here on the process cannot outlive its supervisor.
void DieWithSupervisor(const RunContext& context, uint32_t slot) {
  DieWithParent(context.supervisor, kExitOrphan);
  context.memories->Take(slot);
  context.usual.GiveTo(0);
  prctl(PR_SET_TIMERSLACK, 1);  // ns: short sleeps stay short
  if (context.errors_fd >= 0) dup2(context.errors_fd, STDERR_FILENO);
}

class Worker {
 public:
  Worker(const RunContext& context, uint32_t slot, uint32_t process)
      : context_(context),
        control_(context.control()),
        slot_(slot),
        random_(context.seed, process),
        client_(context.prepared.NewClient(context, slot, process)) {
    getrlimit(RLIMIT_NOFILE, &usual_limit_);
    const Scenario& scenario = context.scenario;
    // Where one dies at a time, those who are asleep must find it by themselves.
    const bool goes_on_alone = scenario.outside == OutsideKills::kOne;
    opens_nothing_ = context.design.role() == Design::Role::kDesign && !scenario.inherit_handle &&
                     !scenario.nobody_dies &&
                     Random(context.seed ^ kOfLimits).Chance(goes_on_alone ? 300 : 100);
  }

  [[noreturn]] void Run() {
    TryInheritedHandle();
    if (context_.pauses) client_->pauses().Draw(context_.seed, client_->process());
    Attach();
    while (control_.stop.load(std::memory_order_acquire) == 0) {
      if (const uint32_t pause = control_.pause.load(std::memory_order_acquire); pause != 0) {
        client_->LetOthersGo();
        Park(pause);
        continue;
      }
      if (!aimed_ && control_.killing.load(std::memory_order_relaxed) != 0) {
        ChooseAim();
        SetLifeTimer();
      }
      RecoverIfAsked();
      if (context_.scenario.stays_operations != 0 && left_-- == 0) Reattach();
      if (!client_->Act(random_)) Rest();
    }
    client_->timer().Clear();
    client_->pauses().Rest();
    client_->LetOthersGo();
    client_->Detach();
    client_->Enter(Activity::kEnding);
    _exit(kExitDone);
  }

 private:
  enum class Aim : uint8_t { kAnywhere, kAttach, kDetach, kRecovery };

  void SetTimer(uint64_t within_ns) {
    client_->timer().Set(MonotonicNs() + random_.Below(within_ns + 1));
  }

  uint64_t LifeNs() const { return uint64_t{context_.scenario.timer.life_us} * 2000; }

  // In some runs no worker can open anything while it works, as a process that has used up its
  // descriptors: where they wait they have no watch, and look from time to time.
  void MayOpen(bool may) {
    if (!opens_nothing_) return;
    rlimit limit = usual_limit_;
    if (!may) limit.rlim_cur = kDescriptorsInUse;
    setrlimit(RLIMIT_NOFILE, &limit);
  }

  // Decides where this incarnation dies. Working lives begin when it is attached, so that attaching
  // is killed as often as the scenario says, and no more.
  void ChooseAim() {
    aimed_ = true;
    const TimerKills& kills = context_.scenario.timer;
    if (kills.life_us == 0) return;
    const uint64_t draw = random_.Below(1000);
    if (draw < kills.in_attach) {
      aim_ = Aim::kAttach;
    } else if (draw < uint64_t{kills.in_attach} + kills.in_detach) {
      aim_ = Aim::kDetach;
    } else if (draw < uint64_t{kills.in_attach} + kills.in_detach + kills.in_recovery) {
      aim_ = Aim::kRecovery;
    }
  }

  // Whoever waits for a moment that does not come dies in time all the same.
  void SetLifeTimer() {
    if (context_.scenario.timer.life_us == 0) return;
    SetTimer(aim_ == Aim::kAnywhere || aim_ == Aim::kAttach ? LifeNs() : 4 * LifeNs());
  }

  void Attach() {
    const bool fresh = control_.killing.load(std::memory_order_relaxed) != 0 && !aimed_;
    if (fresh) ChooseAim();
    const bool now = aimed_ && aim_ == Aim::kAttach && context_.scenario.timer.life_us != 0;
    if (now) SetTimer(kAttachWindowNs);
    MayOpen(true);
    client_->Attach();
    MayOpen(false);
    if (fresh && !now) SetLifeTimer();
    left_ = random_.Below(uint64_t{context_.scenario.stays_operations} + 1);
  }

  void Reattach() {
    if (aimed_ && aim_ == Aim::kDetach) SetTimer(kDetachWindowNs);
    client_->Detach();
    Attach();
  }

  void RecoverIfAsked() {
    // Acquire: pairs with the supervisor's release; the victims counted are dead.
    const uint64_t deaths = control_.deaths_reaped.load(std::memory_order_acquire);
    if (deaths == seen_deaths_ || context_.scenario.full_table) return;
    seen_deaths_ = deaths;
    // One survivor takes each death, and now and then others do too, so that several recover at
    // once.
    uint64_t claimed = control_.recovery_claimed.load(std::memory_order_relaxed);
    const bool mine = claimed < deaths &&
                      control_.recovery_claimed.compare_exchange_strong(
                          claimed, deaths, std::memory_order_relaxed, std::memory_order_relaxed);
    if (!mine && !random_.Chance(200)) return;
    if (aimed_ && aim_ == Aim::kRecovery) {
      const uint64_t average = control_.recovery_ns.load(std::memory_order_relaxed);
      SetTimer(std::clamp<uint64_t>(average * 5 / 4, 2'000, 2'000'000));
    }
    client_->Recover();
  }

  void Park(uint32_t pause) {
    client_->timer().Clear();
    client_->pauses().Rest();
    if (pause % 4 != 0) client_->ReleaseAll();  // now and then the audit meets live holds
    client_->Enter(Activity::kParked);
    // Release: pairs with the supervisor's acquire; nothing of this worker's is under way any more.
    client_->board().parked_at.store(pause, std::memory_order_release);
    for (;;) {
      // Acquire: pairs with ChangeAndWake; what is new is seen below, or the wait does not begin.
      const uint32_t news = control_.news.load(std::memory_order_acquire);
      if (control_.pause.load(std::memory_order_acquire) != pause) break;
      if (control_.audit_slot.load(std::memory_order_acquire) == slot_ &&
          client_->board().audited_at.load(std::memory_order_relaxed) != pause) {
        MayOpen(true);
        RunAudit(*client_, control_.audit_depth.load(std::memory_order_relaxed));
        MayOpen(false);
        client_->Enter(Activity::kParked);
        client_->board().audited_at.store(pause, std::memory_order_release);
        continue;
      }
      WaitWhile(control_.news, news, kParkedWaitUs);
    }
    client_->Enter(Activity::kBetween);
    client_->pauses().GoOn();
    if (client_->ObjectWasReplaced()) Reattach();
    if (aimed_ && context_.scenario.timer.life_us != 0) SetTimer(LifeNs());
  }

  void Rest() {
    if (context_.scenario.inherit_handle) return ForkChild();
    client_->Enter(Activity::kIdle);
    const timespec pause{0, static_cast<long>(random_.Below(20'000))};
    nanosleep(&pause, nullptr);
    client_->Enter(Activity::kBetween);
    client_->Progress();
  }

  // Every operation on a handle that came through fork must be refused, and change nothing.
  static void CheckRefused(const RunContext& context, SharedObject& inherited, const char* whose) {
    Control& control = context.control();
    const auto require = [&control, whose](const char* operation, const absl::Status& status) {
      if (absl::IsFailedPrecondition(status)) {
        control.inherited_refusals.fetch_add(1, std::memory_order_relaxed);
        return;
      }
      control.finding.Report(
          Verdict::kViolation, 0,
          absl::StrCat(operation, " on ", whose, "'s handle, inherited through fork, ",
                       "was not refused: ", status.ToString()));
      _exit(kExitFinding);
    };
    context.prepared.CallEach(inherited, require);
    require("Recover", inherited.Recover().status());
    require("Audit", inherited.Audit().status());
  }

  void TryInheritedHandle() {
    if (context_.inherited != nullptr)
      CheckRefused(context_, *context_.inherited, "the supervisor");
  }

  // A child that tries the inherited handle and lives on for a while, whatever becomes of its
  // parent: the kernel objects that it inherited must not make the parent look alive. Its own timer
  // bounds its life.
  void ForkChild() {
    int status = 0;
    while (waitpid(-1, &status, WNOHANG) > 0) {  // earlier children
      if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
        client_->Fail(Verdict::kSurvivorCrashed,
                      absl::StrCat("a child that used the inherited handle died of signal ",
                                   WTERMSIG(status)));
      }
    }
    if (fork() != 0) return;
    close(context_.unborn_fd);  // after the handlers of fork, which close what says that we live
    KillTimer end;
    if (!end.ok()) _exit(kExitDone);
    end.Set(MonotonicNs() + kChildLifeNs);
    CheckRefused(context_, client_->object(), "the parent");
    // To destroy the handle is the parent's business, too.
    if (random_.Chance(500)) client_->LetGoOfInherited();
    for (;;) pause();
  }

  const RunContext& context_;
  Control& control_;
  const uint32_t slot_;
  Random random_;
  std::unique_ptr<Client> client_;
  rlimit usual_limit_ = {};
  bool opens_nothing_ = false;
  bool aimed_ = false;
  Aim aim_ = Aim::kAnywhere;
  uint64_t left_ = 0;  // operations until it detaches
  uint64_t seen_deaths_ = 0;
};

}  // namespace

void RunWorker(const RunContext& context, uint32_t slot, uint32_t process) {
  DieWithSupervisor(context, slot);
  // Never destroyed: the process ends by _exit, or by a kill.
  Worker* worker = new Worker(context, slot, process);
  worker->Run();
}

void RunFreshAuditor(const RunContext& context, uint32_t process) {
  DieWithSupervisor(context, kAuditorSlot);
  // Never destroyed, as a worker's.
  Client& client = *context.prepared.NewClient(context, kAuditorSlot, process).release();
  client.Attach();
  RunAudit(client, context.control().audit_depth.load(std::memory_order_acquire));
  client.Detach();
  client.Enter(Activity::kEnding);
  _exit(kExitDone);
}

}  // namespace kill9
