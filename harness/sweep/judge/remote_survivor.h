// A survivor in a process of its own, which the judge's process uses as if it were here.
//
// The judge lets two survivors take turns. Most objects may be attached twice in one process; those
// that keep files may not (tdb refuses, LMDB's manual forbids it, since closing one would drop the
// other's file locks), so there the second survivor is a process of its own. It is asked for whole
// steps: to hand over each operation would cost more than most operations do.
#ifndef KILL9_HARNESS_SWEEP_JUDGE_REMOTE_SURVIVOR_H_
#define KILL9_HARNESS_SWEEP_JUDGE_REMOTE_SURVIVOR_H_

#include <sys/types.h>

#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "harness/base/shared_mapping.h"
#include "harness/sweep/driver/driver.h"

namespace kill9::sweep {

// REQUIRES: used by the process that made it, which has not attached yet when it makes it, so that
// the other process inherits no handle.
class RemoteSurvivor {
 public:
  // Forks it; it ends with this process. `log`: in memory that both share. Aborts if there is no
  // memory for the mail.
  RemoteSurvivor(const Scene& scene, OperationLog log);
  ~RemoteSurvivor();
  RemoteSurvivor(const RemoteSurvivor&) = delete;
  RemoteSurvivor& operator=(const RemoteSurvivor&) = delete;
  pid_t pid() const { return pid_; }

  // One at a time: the survivor that it returned before is gone. What it finds there is told to
  // `findings` here, and so is its end in the middle of a step.
  absl::StatusOr<std::unique_ptr<Survivor>> Attach(CellProcess process, Findings& findings);

 private:
  friend class RemoteSteps;
  struct Mailbox;
  enum class Step : uint8_t;
  class FindingsInMail;

  [[noreturn]] void Serve(const Scene& scene, OperationLog log);
  // Asks, and waits for the answer.
  absl::Status Ask(Step step);

  const SharedMapping<Mailbox> mail_;
  pid_t pid_ = 0;
  Findings* findings_ = nullptr;
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_JUDGE_REMOTE_SURVIVOR_H_
