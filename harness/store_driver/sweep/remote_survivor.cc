#include "harness/store_driver/sweep/remote_survivor.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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

// What for_each visits, one after the other in the mail's data.
struct Visited {
  uint32_t key_bytes, value_bytes;
  Version version;
};

// What such a store's audit tells; behind it in the mail the first violation, if there is one.
struct Audited {
  uint64_t entries, leaked_blocks, doubly_owned;
};

}  // namespace

class RemoteStore final : public CopyingStore {
 public:
  explicit RemoteStore(RemoteSurvivor& remote_survivor)
      : CopyingStore(remote_survivor.variant_.name(), remote_survivor.segment_),
        remote_survivor_(remote_survivor),
        max_key_bytes_(remote_survivor.mail_->max_key_bytes),
        max_value_bytes_(remote_survivor.mail_->max_value_bytes) {}
  ~RemoteStore() override { remote_survivor_.Ask(Mailbox::Kind::kDetach).IgnoreError(); }

  size_t max_key_bytes() const override { return max_key_bytes_; }
  size_t max_value_bytes() const override { return max_value_bytes_; }

 private:
  const Mailbox& mail() const { return *remote_survivor_.mail_; }

  absl::StatusOr<Version> DoPut(std::string_view key, std::string_view value) override {
    absl::Status status = remote_survivor_.Ask(Mailbox::Kind::kPut, key, value);
    if (!status.ok()) return status;
    return mail().version;
  }
  absl::StatusOr<Version> DoGet(std::string_view key, std::string* value) override {
    absl::Status status = remote_survivor_.Ask(Mailbox::Kind::kGet, key);
    if (!status.ok()) return status;
    if (value != nullptr) value->assign(mail().data, mail().bytes);
    return mail().version;
  }
  absl::StatusOr<bool> DoErase(std::string_view key) override {
    absl::Status status = remote_survivor_.Ask(Mailbox::Kind::kErase, key);
    if (!status.ok()) return status;
    return mail().yes;
  }
  absl::StatusOr<CasResult> DoCompareAndSwap(std::string_view, Version, std::string_view) override {
    return Lacks("CompareAndSwap");
  }
  absl::Status DoForEach(absl::FunctionRef<bool(const EntryView&)> visit) override {
    absl::Status status = remote_survivor_.Ask(Mailbox::Kind::kForEach);
    const std::string entries(mail().data, mail().bytes);  // the visitor may ask for more
    for (size_t at = 0; at < entries.size();) {
      Visited visited;
      std::memcpy(&visited, entries.data() + at, sizeof visited);
      const char* key = entries.data() + at + sizeof visited;
      at += sizeof visited + visited.key_bytes + visited.value_bytes;
      if (!visit({{key, visited.key_bytes},
                  {key + visited.key_bytes, visited.value_bytes},
                  visited.version})) {
        break;
      }
    }
    return status;
  }
  absl::StatusOr<RecoveryReport> DoRecover() override {
    absl::Status status = remote_survivor_.Ask(Mailbox::Kind::kRecover);
    if (!status.ok()) return status;
    return mail().recovery;
  }

  absl::StatusOr<AuditReport> DoAudit() override {
    absl::Status status = remote_survivor_.Ask(Mailbox::Kind::kAudit);
    if (!status.ok()) return status;
    Audited audited;
    std::memcpy(&audited, mail().data, sizeof audited);
    AuditReport report;
    report.entries = audited.entries;
    report.leaked.blocks = audited.leaked_blocks;
    report.doubly_owned = audited.doubly_owned;
    if (mail().bytes > sizeof audited) {
      report.violations.emplace_back(mail().data + sizeof audited, mail().bytes - sizeof audited);
    }
    return report;
  }

  RemoteSurvivor& remote_survivor_;
  size_t max_key_bytes_, max_value_bytes_;
};

RemoteSurvivor::RemoteSurvivor(const Variant& variant, std::shared_ptr<Segment> segment)
    : variant_(variant), segment_(std::move(segment)), mail_(MapShared<Mailbox>()) {
  if (mail_ == nullptr) {
    std::perror("kill9 sweep: no memory for the mail of two survivors");
    std::abort();
  }
  const pid_t parent = getpid();
  pid_ = ForkAs(kRemotePid);
  if (pid_ == 0) {
    DieWithParent(parent);
    Serve();
  }
}

absl::StatusOr<std::unique_ptr<Store>> RemoteSurvivor::Attach(Died died) {
  died_ = std::move(died);
  absl::Status status = Ask(Mailbox::Kind::kAttach);
  if (!status.ok()) return status;
  return std::make_unique<RemoteStore>(*this);
}

absl::Status RemoteSurvivor::Ask(Mailbox::Kind kind, std::string_view key, std::string_view value) {
  if (key.size() > Mailbox::kMostKeyBytes || value.size() > Mailbox::kMostBytes) {
    return absl::InternalError("too much for the sweep's mail");
  }
  mail_->kind = kind;
  mail_->key_bytes = key.copy(mail_->key, key.size());
  mail_->bytes = value.copy(mail_->data, value.size());
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
    died_(WIFSIGNALED(status) ? absl::StrCat("died by signal ", WTERMSIG(status), " (",
                                             sigabbrev_np(WTERMSIG(status)), ")")
                              : absl::StrCat("ended with status ", WEXITSTATUS(status)));
  }
  return absl::Status(mail_->code, mail_->message);
}

void RemoteSurvivor::Serve() {
  for (uint32_t number = 1;; ++number) {
    while (mail_->asked.load(std::memory_order_acquire) != number) {
      FutexWait(mail_->asked, number - 1, kLookNanoseconds);
    }
    const absl::Status status = Do();
    mail_->code = status.code();
    const size_t size = std::string_view(status.message().data(), status.message().size())
                            .copy(mail_->message, Mailbox::kMostMessageBytes - 1);
    mail_->message[size] = '\0';
    Signal(mail_->answered, number);
  }
}

absl::Status RemoteSurvivor::Do() {
  const std::string_view key(mail_->key, mail_->key_bytes);
  const std::string_view value(mail_->data, mail_->bytes);
  auto note = [this](const absl::StatusOr<Version>& version) {
    if (version.ok()) mail_->version = *version;
    return version.status();
  };
  switch (mail_->kind) {
    case Mailbox::Kind::kAttach: {
      absl::StatusOr<std::unique_ptr<Store>> store = variant_.Attach(segment_);
      if (!store.ok()) return store.status();
      store_ = *std::move(store);
      mail_->max_key_bytes = store_->max_key_bytes();
      mail_->max_value_bytes = store_->max_value_bytes();
      return absl::OkStatus();
    }
    case Mailbox::Kind::kDetach:
      store_.reset();
      return absl::OkStatus();
    case Mailbox::Kind::kPut:
      return note(store_->Put(key, value));
    case Mailbox::Kind::kGet: {
      std::string read;
      absl::Status status = note(store_->Get(key, &read));
      if (!status.ok()) return status;
      if (read.size() > Mailbox::kMostBytes) return absl::InternalError("a value is too large");
      mail_->bytes = read.copy(mail_->data, read.size());
      return absl::OkStatus();
    }
    case Mailbox::Kind::kErase: {
      absl::StatusOr<bool> erased = store_->Erase(key);
      mail_->yes = erased.ok() && *erased;
      return erased.status();
    }
    case Mailbox::Kind::kForEach:
      return DoForEach();
    case Mailbox::Kind::kRecover: {
      absl::StatusOr<RecoveryReport> recovery = store_->Recover();
      if (recovery.ok()) mail_->recovery = *recovery;
      return recovery.status();
    }
    case Mailbox::Kind::kAudit: {
      const absl::StatusOr<AuditReport> report = store_->Audit();
      if (!report.ok()) return report.status();
      const Audited audited{report->entries, report->leaked.blocks, report->doubly_owned};
      std::memcpy(mail_->data, &audited, sizeof audited);
      mail_->bytes = sizeof audited;
      if (!report->violations.empty()) {
        mail_->bytes += report->violations.front().copy(mail_->data + sizeof audited,
                                                        Mailbox::kMostBytes - sizeof audited);
      }
      return absl::OkStatus();
    }
  }
  return absl::InternalError("no such operation");
}

absl::Status RemoteSurvivor::DoForEach() {
  mail_->bytes = 0;
  bool fits = true;
  absl::Status status = store_->ForEach([this, &fits](const EntryView& view) {
    const Visited visited{static_cast<uint32_t>(view.key.size()),
                          static_cast<uint32_t>(view.value.size()), view.version};
    fits =
        mail_->bytes + sizeof visited + view.key.size() + view.value.size() <= Mailbox::kMostBytes;
    if (!fits) return false;
    char* to = mail_->data + mail_->bytes;
    std::memcpy(to, &visited, sizeof visited);
    view.key.copy(to + sizeof visited, view.key.size());
    view.value.copy(to + sizeof visited + view.key.size(), view.value.size());
    mail_->bytes += sizeof visited + view.key.size() + view.value.size();
    return true;
  });
  if (status.ok() && !fits) return absl::InternalError("too many entries for the sweep's mail");
  return status;
}

}  // namespace kill9::sweep
