// An object in use by one process of a run: what workers and auditors of every kind have in common.
// Every operation is recorded, announced on the worker's board, and what comes back is checked at
// once. A kind's driver derives from it and adds the kind's own operations.
//
// The first finding ends the process (kExitFinding): every call below returns only if nothing was
// found.
#ifndef KILL9_HARNESS_TORTURE_WORKER_CLIENT_H_
#define KILL9_HARNESS_TORTURE_WORKER_CLIENT_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/strings/str_cat.h"
#include "harness/base/random.h"
#include "harness/torture/kill_timer.h"
#include "harness/torture/run_context.h"
#include "harness/torture/worker/pauses.h"

namespace kill9 {

class Client {
 public:
  Client(const RunContext& context, uint32_t slot, uint32_t process);
  virtual ~Client() = default;

  void Attach();
  // As the participant that the kind makes of this worker.
  virtual absl::StatusOr<std::unique_ptr<SharedObject>> AttachObject();
  // Whether it may be asked to audit: it can do all that an audit does.
  virtual bool CanAudit() const { return true; }
  // Right after the object was attached to: what the kind records of it.
  virtual void Attached() {}
  void Detach();
  RecoveryReport Recover();
  // In a forked child: destroys the handle that it has inherited, which must change nothing.
  void LetGoOfInherited() { object_.reset(); }

  // One random step: calls, records, checks. False: the step is to rest for a moment, which is the
  // caller's to do. REQUIRES, here and below: attached.
  virtual bool Act(Random& random) = 0;
  // Gives up what is held beyond an operation.
  virtual void ReleaseAll() {}
  // Looks at all that the object contains, and checks it.
  virtual void Visit() = 0;
  // Adds until the object is full; whether it came to that. RemoveFilling takes it all out again.
  virtual bool Fill() { return false; }
  virtual void RemoveFilling() {}
  // Whether who is refused for want of room has recovered the dead before, and looked again.
  virtual bool RecoversBeforeRefusal() const { return false; }
  // Removes all that the object contains. REQUIRES: the segment is quiet.
  virtual void Empty() {}
  // Called where this process is about to stop working for a while, or for good: ends what others
  // may wait for without a deadline.
  virtual void LetOthersGo() {}
  // Whether the run goes on with another object since an audit: this one is to be left then.
  virtual bool ObjectWasReplaced() { return false; }
  // Whether what others hold stays among the entries that an audit counts when all is removed.
  virtual bool HoldsStay() const { return false; }
  // Whether Empty leaves nothing.
  virtual bool Empties() const { return true; }

  [[noreturn]] void Fail(Verdict verdict, const std::string& message);
  [[noreturn]] void FailStatus(const char* operation, const absl::Status& status) {
    Fail(Verdict::kViolation, absl::StrCat(operation, ": ", status.ToString()));
  }

  SharedObject& object() { return *object_; }
  const std::shared_ptr<Segment>& segment() const { return segment_; }
  WorkerBoard& board() { return board_; }
  uint32_t process() const { return process_; }
  // How often it has attached.
  uint32_t attachments() const { return attachments_; }
  const RunContext& context() const { return context_; }
  DeathTimer& timer() { return timer_; }
  Pauses& pauses() { return pauses_; }
  // As the activity of a step that is not an operation of its own.
  void Enter(Activity activity) { board_.activity.store(activity, std::memory_order_relaxed); }
  void Progress();

 protected:
  // An operation, from its announcement to its record. `subject`: the part of the object that the
  // operation concerns; the checker looks at each part on its own.
  void Begin(Function function, uint64_t subject, uint64_t argument = kNothing,
             uint64_t expected = 0);
  void End(Outcome outcome, uint64_t result = kNothing, uint64_t version = 0);
  // Of the open operation, before End.
  void TellMissed(uint64_t missed) { recorder_.TellMissed(missed); }
  // The same of a compare-and-swap that looks by itself what is there.
  void TellExpected(uint64_t version) { recorder_.TellMissed(version); }
  // A call that is an operation for each of several messages, as Recorder::BeginRow and EndRow.
  void BeginRow(Function function, uint64_t subject, std::span<const uint64_t> arguments);
  // The same of one operation for each part; ended by EndRow.
  void BeginKeys(Function function, std::span<const uint64_t> subjects);
  template <typename ResultOf>
  void EndRow(size_t count, ResultOf result_of) {
    recorder_.EndRow(count, result_of);
    NoteEnd(count);
  }
  // A call that is not recorded, from its announcement to its end.
  void BeginUnrecorded(Function function, uint64_t subject);
  void EndUnrecorded();
  // That the segment was full.
  void NoteRefused();
  void NoteHeld(size_t holds) {
    board_.held.store(static_cast<uint32_t>(holds), std::memory_order_relaxed);
  }
  [[noreturn]] void FailMachine(const std::string& message);

 private:
  [[noreturn]] void FailToAttach(Verdict verdict, const char* what, const absl::Status& status);
  void Announce(Function function, uint64_t subject);
  void NoteEnd(uint64_t operations);

  const RunContext& context_;
  Control& control_;
  WorkerBoard& board_;
  const uint32_t process_;
  uint32_t attachments_ = 0;
  Recorder recorder_;
  DeathTimer timer_{board_};
  Pauses pauses_;
  std::shared_ptr<Segment> segment_;
  std::unique_ptr<SharedObject> object_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_WORKER_CLIENT_H_
