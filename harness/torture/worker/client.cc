#include "harness/torture/worker/client.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/torture/machine_check.h"

namespace kill9 {

Client::Client(const RunContext& context, uint32_t slot, uint32_t process)
    : context_(context),
      control_(context.control()),
      board_(context.control().boards[slot]),
      process_(process),
      recorder_(context.recording->recorder(slot)),
      pauses_(board_) {
  if (!timer_.ok() || !pauses_.ok()) {
    FailMachine(absl::StrCat("cannot make a kill timer: ", std::strerror(errno)));
  }
}

void Client::Progress() {
  // Relaxed, here and for the other fields of the board: they are this worker's own, and hints to
  // the watchdog.
  board_.progress.store(board_.progress.load(std::memory_order_relaxed) + 1,
                        std::memory_order_relaxed);
}

void Client::Announce(Function function, uint64_t subject) {
  pauses_.Perhaps();
  board_.function.store(function, std::memory_order_relaxed);
  board_.subject.store(subject, std::memory_order_relaxed);
}

void Client::Begin(Function function, uint64_t subject, uint64_t argument, uint64_t expected) {
  Announce(function, subject);
  recorder_.Begin(function, subject, argument, expected);
  const Activity activity = function == Function::kRecover  ? Activity::kRecovering
                            : function == Function::kAttach ? Activity::kAttaching
                            : function == Function::kDetach ? Activity::kDetaching
                                                            : Activity::kOperation;
  Enter(activity);
}

void Client::End(Outcome outcome, uint64_t result, uint64_t version) {
  recorder_.End(outcome, result, version);
  NoteEnd(1);
}

void Client::NoteEnd(uint64_t operations) {
  Enter(Activity::kBetween);
  board_.operations.store(board_.operations.load(std::memory_order_relaxed) + operations,
                          std::memory_order_relaxed);
  Progress();
}

void Client::BeginRow(Function function, uint64_t subject, std::span<const uint64_t> arguments) {
  Announce(function, subject);
  recorder_.BeginRow(function, subject, arguments);
  Enter(Activity::kOperation);
}

void Client::BeginKeys(Function function, std::span<const uint64_t> subjects) {
  Announce(function, subjects.front());
  recorder_.BeginKeys(function, subjects);
  Enter(Activity::kOperation);
}

void Client::BeginUnrecorded(Function function, uint64_t subject) {
  Announce(function, subject);
  Enter(Activity::kOperation);
}

void Client::EndUnrecorded() {
  Enter(Activity::kBetween);
  Progress();
}

void Client::NoteRefused() {
  board_.refused.store(board_.refused.load(std::memory_order_relaxed) + 1,
                       std::memory_order_relaxed);
}

void Client::Fail(Verdict verdict, const std::string& message) {
  timer_.Clear();
  control_.finding.Report(verdict, process_, absl::StrCat("process ", process_, ": ", message));
  _exit(kExitFinding);
}

void Client::FailMachine(const std::string& message) {
  control_.machine_refused.store(1, std::memory_order_relaxed);
  Fail(Verdict::kUndecided, message);
}

// A design is blamed only where the machine gives what attaching needs.
void Client::FailToAttach(Verdict verdict, const char* what, const absl::Status& status) {
  const std::string refused = WhatTheMachineRefuses(context_.segment_options.size_bytes);
  if (!refused.empty()) FailMachine(absl::StrCat(what, ": ", refused));
  Fail(verdict, absl::StrCat(what, ": ", status.ToString()));
}

absl::StatusOr<std::unique_ptr<SharedObject>> Client::AttachObject() {
  return context_.design.AttachObject(segment_);
}

void Client::Attach() {
  ++attachments_;
  Begin(Function::kAttach, 0);
  segment_ = context_.segment;
  if (segment_ == nullptr) {
    absl::StatusOr<std::shared_ptr<Segment>> opened = context_.design.Open(context_.location);
    if (!opened.ok()) {
      FailToAttach(Verdict::kAuditFailed, "cannot open the segment", opened.status());
    }
    segment_ = *std::move(opened);
  }
  absl::StatusOr<std::unique_ptr<SharedObject>> object = AttachObject();
  if (!object.ok()) {
    const bool full = absl::IsResourceExhausted(object.status());
    FailToAttach(full ? Verdict::kLeak : Verdict::kAuditFailed, "cannot attach", object.status());
  }
  object_ = *std::move(object);
  board_.cannot_audit.store(CanAudit() ? 0 : 1, std::memory_order_relaxed);
  board_.attached.store(1, std::memory_order_relaxed);
  End(Outcome::kOk);
  Attached();
}

void Client::Detach() {
  ReleaseAll();
  Begin(Function::kDetach, 0);
  object_.reset();
  segment_.reset();
  board_.attached.store(0, std::memory_order_relaxed);
  End(Outcome::kOk);
}

RecoveryReport Client::Recover() {
  const uint64_t deaths = control_.deaths_reaped.load(std::memory_order_acquire);
  const uint64_t begin = MonotonicNs();
  pauses_.PerhapsInRecovery();
  Begin(Function::kRecover, 0);
  const absl::StatusOr<RecoveryReport> report = object_->Recover();
  if (!report.ok()) {
    Fail(Verdict::kAuditFailed, absl::StrCat("Recover failed: ", report.status().ToString()));
  }
  End(Outcome::kOk);
  // Relaxed: statistics, read when the run is over.
  const uint64_t took = MonotonicNs() - begin;
  const uint64_t average = control_.recovery_ns.load(std::memory_order_relaxed);
  control_.recovery_ns.store(average == 0 ? took : (average * 15 + took) / 16,
                             std::memory_order_relaxed);
  const bool did_something =
      report->participants + report->blocks + report->rolled_back + report->rolled_forward > 0;
  if (did_something) control_.recoveries.fetch_add(1, std::memory_order_relaxed);
  control_.recovered_participants.fetch_add(report->participants, std::memory_order_relaxed);
  control_.recovered_blocks.fetch_add(report->blocks, std::memory_order_relaxed);
  control_.rolled_back.fetch_add(report->rolled_back, std::memory_order_relaxed);
  control_.rolled_forward.fetch_add(report->rolled_forward, std::memory_order_relaxed);
  Raise(control_.recovery_completed, deaths);
  return *report;
}

}  // namespace kill9
