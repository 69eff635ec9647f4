#include "harness/sweep/judge/remote_survivor.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/base/process_end/die_with_parent.h"
#include "harness/stepper/process/futex_word.h"
#include "harness/stepper/process/process_wait.h"

namespace kill9::sweep {

using stepper::ForkAs;
using stepper::FutexWait;
using stepper::kLookNanoseconds;
using stepper::Signal;

namespace {

constexpr pid_t kRemotePid = 105;
constexpr size_t kMostMailBytes = 400;

void Copy(std::string_view text, char (&to)[kMostMailBytes]) {
  to[text.copy(to, kMostMailBytes - 1)] = '\0';
}

}  // namespace

enum class RemoteSurvivor::Step : uint8_t {
  kAttach,
  kDetach,
  kLook,
  kWork,
  kWrite,
  kFill,
  kEmpty,
  kRecover,
  kAudit,
  kCheckContents,
};

// What is asked and answered, in memory that both share.
struct RemoteSurvivor::Mailbox {
  std::atomic<uint32_t> asked;     // how often
  std::atomic<uint32_t> answered;  // the same, once the answer is there
  Step step;
  CellProcess process;
  Nearness where;
  uint32_t filled;  // asked of kEmpty, answered by kFill
  bool found;       // the other process has a finding, and ends
  Verdict verdict;  // of that
  absl::StatusCode code;
  RecoveryReport recovery;
  // An audit, but for its violations: the first one is in `violation`, where there are any.
  struct Audited {
    AuditReport::Account capacity, free, live, held, leaked;
    uint64_t doubly_owned, entries, participants;
  } audited;
  bool violated;
  char message[kMostMailBytes];  // of a finding or a status
  char violation[kMostMailBytes];
};

// In the other process.
class RemoteSurvivor::FindingsInMail final : public Findings {
 public:
  explicit FindingsInMail(Mailbox& mail) : mail_(mail) {}
  [[noreturn]] void Fail(Verdict verdict, const std::string& message) override {
    mail_.found = true;
    mail_.verdict = verdict;
    Copy(message, mail_.message);
    Signal(mail_.answered, mail_.asked.load(std::memory_order_relaxed));
    _exit(0);  // as it stands: no destructor may touch an object that just failed
  }

 private:
  Mailbox& mail_;
};

// The survivor as it is seen in the process that asks. It is its object as well: what the judge
// asks of that is one more step.
class RemoteSteps final : public Survivor, public SharedObject {
 public:
  using Step = RemoteSurvivor::Step;
  explicit RemoteSteps(RemoteSurvivor& remote) : SharedObject(ForkGuard()), remote_(remote) {}
  ~RemoteSteps() override { remote_.Ask(Step::kDetach).IgnoreError(); }

  SharedObject& object() override { return *this; }
  void Look() override { Ask(Step::kLook); }
  void Work(Nearness where) override { AskAt(Step::kWork, where); }
  void Write(Nearness where) override { AskAt(Step::kWrite, where); }
  uint32_t Fill() override {
    Ask(Step::kFill);
    return mail().filled;
  }
  void Empty(uint32_t filled) override {
    mail().filled = filled;
    Ask(Step::kEmpty);
  }
  // REQUIRES: the audit is the last one of object().
  void CheckContents(const AuditReport&) override { Ask(Step::kCheckContents); }
  // Never asked of a judge's survivor.
  void Interfere(uint32_t) override { std::abort(); }
  void Churn() override { std::abort(); }
  void Probe(uint32_t, Nearness) override { std::abort(); }

 private:
  RemoteSurvivor::Mailbox& mail() { return *remote_.mail_; }
  // Of a step that has no status.
  void Ask(Step step) { remote_.Ask(step).IgnoreError(); }
  void AskAt(Step step, Nearness where) {
    mail().where = where;
    Ask(step);
  }
  absl::StatusOr<RecoveryReport> DoRecover() override {
    if (absl::Status status = remote_.Ask(Step::kRecover); !status.ok()) return status;
    return mail().recovery;
  }
  absl::StatusOr<AuditReport> DoAudit() override {
    if (absl::Status status = remote_.Ask(Step::kAudit); !status.ok()) return status;
    const RemoteSurvivor::Mailbox::Audited& audited = mail().audited;
    AuditReport report{.capacity = audited.capacity,
                       .free = audited.free,
                       .live = audited.live,
                       .held = audited.held,
                       .leaked = audited.leaked,
                       .doubly_owned = audited.doubly_owned,
                       .entries = audited.entries,
                       .participants = audited.participants,
                       .violations = {}};
    if (mail().violated) report.violations.emplace_back(mail().violation);
    return report;
  }

  RemoteSurvivor& remote_;
};

RemoteSurvivor::RemoteSurvivor(const Scene& scene, OperationLog log) : mail_(MapShared<Mailbox>()) {
  if (mail_ == nullptr) {
    std::perror("kill9 sweep: no memory for the mail of two survivors");
    std::abort();
  }
  const pid_t parent = getpid();
  pid_ = ForkAs(kRemotePid);
  if (pid_ == 0) {
    DieWithParent(parent);
    Serve(scene, log);
  }
}

RemoteSurvivor::~RemoteSurvivor() = default;

absl::StatusOr<std::unique_ptr<Survivor>> RemoteSurvivor::Attach(CellProcess process,
                                                                 Findings& findings) {
  findings_ = &findings;
  mail_->process = process;
  if (absl::Status status = Ask(Step::kAttach); !status.ok()) return status;
  return std::make_unique<RemoteSteps>(*this);
}

absl::Status RemoteSurvivor::Ask(Step step) {
  mail_->step = step;
  const uint32_t number = mail_->asked.load(std::memory_order_relaxed) + 1;
  Signal(mail_->asked, number);
  while (mail_->answered.load(std::memory_order_acquire) != number) {
    FutexWait(mail_->answered, number - 1, kLookNanoseconds);
    int status = 0;
    if (mail_->answered.load(std::memory_order_acquire) == number ||
        waitpid(pid_, &status, WNOHANG) != pid_) {
      continue;
    }
    pid_ = 0;
    if (mail_->answered.load(std::memory_order_acquire) == number) break;  // and ended
    findings_->Fail(Verdict::kSurvivorCrashed,
                    WIFSIGNALED(status) ? absl::StrCat("died by signal ", WTERMSIG(status), " (",
                                                       sigabbrev_np(WTERMSIG(status)), ")")
                                        : absl::StrCat("ended with status ", WEXITSTATUS(status)));
  }
  if (mail_->found) findings_->Fail(mail_->verdict, mail_->message);
  return absl::Status(mail_->code, mail_->message);
}

void RemoteSurvivor::Serve(const Scene& scene, OperationLog log) {
  FindingsInMail findings(*mail_);
  std::unique_ptr<Survivor> survivor;
  AuditReport audit;
  const auto step = [&]() -> absl::Status {
    switch (mail_->step) {
      case Step::kAttach: {
        absl::StatusOr<std::unique_ptr<Survivor>> attached =
            scene.NewSurvivor(mail_->process, findings, log);
        if (attached.ok()) survivor = *std::move(attached);
        return attached.status();
      }
      case Step::kDetach:
        survivor.reset();
        break;
      case Step::kLook:
        survivor->Look();
        break;
      case Step::kWork:
        survivor->Work(mail_->where);
        break;
      case Step::kWrite:
        survivor->Write(mail_->where);
        break;
      case Step::kFill:
        mail_->filled = survivor->Fill();
        break;
      case Step::kEmpty:
        survivor->Empty(mail_->filled);
        break;
      case Step::kRecover: {
        const absl::StatusOr<RecoveryReport> recovery = survivor->object().Recover();
        if (recovery.ok()) mail_->recovery = *recovery;
        return recovery.status();
      }
      case Step::kAudit: {
        absl::StatusOr<AuditReport> audited = survivor->object().Audit();
        if (!audited.ok()) return audited.status();
        audit = *std::move(audited);
        mail_->audited = {audit.capacity, audit.free,         audit.live,    audit.held,
                          audit.leaked,   audit.doubly_owned, audit.entries, audit.participants};
        mail_->violated = !audit.violations.empty();
        if (mail_->violated) Copy(audit.violations.front(), mail_->violation);
        break;
      }
      case Step::kCheckContents:
        survivor->CheckContents(audit);
        break;
    }
    return absl::OkStatus();
  };
  for (uint32_t number = 1;; ++number) {
    while (mail_->asked.load(std::memory_order_acquire) != number) {
      FutexWait(mail_->asked, number - 1, kLookNanoseconds);
    }
    const absl::Status status = step();
    mail_->code = status.code();
    Copy({status.message().data(), status.message().size()}, mail_->message);
    Signal(mail_->answered, number);
  }
}

}  // namespace kill9::sweep
