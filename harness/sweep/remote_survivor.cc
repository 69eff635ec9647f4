#include "harness/sweep/remote_survivor.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/base/die_with_parent.h"
#include "harness/stepper/process/futex_word.h"
#include "harness/stepper/process/tracee.h"

namespace kill9::sweep {

using stepper::ForkAs;
using stepper::FutexWait;
using stepper::kLookNanoseconds;
using stepper::Signal;

namespace {

constexpr pid_t kPartnerPid = 105;

// What for_each visits, one after the other in the mail's data.
struct Visited {
  uint32_t key_bytes, value_bytes;
  Version version;
};

}  // namespace

class RemoteStore final : public CopyingStore {
 public:
  explicit RemoteStore(RemoteSurvivor& remote_survivor)
      : CopyingStore(remote_survivor.scene_.variant->name(), remote_survivor.scene_.segment),
        remote_survivor_(remote_survivor),
        max_key_bytes_(remote_survivor.mail_->max_key_bytes),
        max_value_bytes_(remote_survivor.mail_->max_value_bytes) {}
  ~RemoteStore() override { remote_survivor_.Ask(PartnerMail::Kind::kDetach).IgnoreError(); }

  size_t max_key_bytes() const override { return max_key_bytes_; }
  size_t max_value_bytes() const override { return max_value_bytes_; }

 private:
  const PartnerMail& mail() const { return *remote_survivor_.mail_; }

  absl::StatusOr<Version> DoPut(std::string_view key, std::string_view value) override {
    absl::Status status = remote_survivor_.Ask(PartnerMail::Kind::kPut, key, value);
    if (!status.ok()) return status;
    return mail().version;
  }
  absl::StatusOr<Version> DoGet(std::string_view key, std::string* value) override {
    absl::Status status = remote_survivor_.Ask(PartnerMail::Kind::kGet, key);
    if (!status.ok()) return status;
    if (value != nullptr) value->assign(mail().data, mail().bytes);
    return mail().version;
  }
  absl::StatusOr<bool> DoErase(std::string_view key) override {
    absl::Status status = remote_survivor_.Ask(PartnerMail::Kind::kErase, key);
    if (!status.ok()) return status;
    return mail().yes;
  }
  absl::StatusOr<CasResult> DoCompareAndSwap(std::string_view, Version, std::string_view) override {
    return Lacks("CompareAndSwap");
  }
  absl::Status DoForEach(absl::FunctionRef<bool(const EntryView&)> visit) override {
    absl::Status status = remote_survivor_.Ask(PartnerMail::Kind::kForEach);
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
    absl::Status status = remote_survivor_.Ask(PartnerMail::Kind::kRecover);
    if (!status.ok()) return status;
    return mail().recovery;
  }

  RemoteSurvivor& remote_survivor_;
  size_t max_key_bytes_, max_value_bytes_;
};

RemoteSurvivor::RemoteSurvivor(const Scene& scene, PartnerMail* mail) : scene_(scene), mail_(mail) {
  mail_->asked.store(0, std::memory_order_relaxed);  // the fork orders them
  mail_->answered.store(0, std::memory_order_relaxed);
  const pid_t parent = getpid();
  const pid_t child = ForkAs(kPartnerPid);
  if (child == 0) {
    DieWithParent(parent);
    Serve();
  }
  mail_->remote_survivor = child;
}

absl::StatusOr<std::unique_ptr<Store>> RemoteSurvivor::Attach(Died died) {
  died_ = std::move(died);
  absl::Status status = Ask(PartnerMail::Kind::kAttach);
  if (!status.ok()) return status;
  return std::make_unique<RemoteStore>(*this);
}

absl::Status RemoteSurvivor::Ask(PartnerMail::Kind kind, std::string_view key,
                                 std::string_view value) {
  if (key.size() > PartnerMail::kMostKeyBytes || value.size() > PartnerMail::kMostBytes) {
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
        waitpid(mail_->remote_survivor, &status, WNOHANG) != mail_->remote_survivor) {
      continue;
    }
    mail_->remote_survivor = 0;
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
                            .copy(mail_->message, PartnerMail::kMostMessageBytes - 1);
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
    case PartnerMail::Kind::kAttach: {
      absl::StatusOr<std::unique_ptr<Store>> store = scene_.variant->Attach(scene_.segment);
      if (!store.ok()) return store.status();
      store_ = *std::move(store);
      mail_->max_key_bytes = store_->max_key_bytes();
      mail_->max_value_bytes = store_->max_value_bytes();
      return absl::OkStatus();
    }
    case PartnerMail::Kind::kDetach:
      store_.reset();
      return absl::OkStatus();
    case PartnerMail::Kind::kPut:
      return note(store_->Put(key, value));
    case PartnerMail::Kind::kGet: {
      std::string read;
      absl::Status status = note(store_->Get(key, &read));
      if (!status.ok()) return status;
      if (read.size() > PartnerMail::kMostBytes) return absl::InternalError("a value is too large");
      mail_->bytes = read.copy(mail_->data, read.size());
      return absl::OkStatus();
    }
    case PartnerMail::Kind::kErase: {
      absl::StatusOr<bool> erased = store_->Erase(key);
      mail_->yes = erased.ok() && *erased;
      return erased.status();
    }
    case PartnerMail::Kind::kForEach:
      return DoForEach();
    case PartnerMail::Kind::kRecover: {
      absl::StatusOr<RecoveryReport> recovery = store_->Recover();
      if (recovery.ok()) mail_->recovery = *recovery;
      return recovery.status();
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
    fits = mail_->bytes + sizeof visited + view.key.size() + view.value.size() <=
           PartnerMail::kMostBytes;
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
