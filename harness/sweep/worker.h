// A worker: this program started anew, with a memory image that does not depend on who asked for
// what.
//
// Address-space randomisation is off, the arguments and the environment are always the same, and
// all that is asked comes through shared memory: so a cell gives the same trace in `sweep` and in
// `replay`. Where the machine allows, a worker is the first process of a PID namespace of its own
// (thread ids repeat, and nothing can outlive it) with a private /dev/shm.
#ifndef KILL9_HARNESS_SWEEP_WORKER_H_
#define KILL9_HARNESS_SWEEP_WORKER_H_

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "harness/sweep/cell.h"

namespace kill9::sweep {

// To be called first in main: if this process was started as a worker, it works, and the exit code
// is returned. `find` knows the variants that requests may name.
std::optional<int> RunIfWorker(int argc, char** argv, VariantFinder find = VariantFinder());

class Worker {
 public:
  static absl::StatusOr<std::unique_ptr<Worker>> Start();
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Fill in area().request first. One cell at a time; readable(fd()) tells that it is done.
  void Send();
  // Takes the answer. False: the worker itself died.
  bool Receive();
  int fd() const { return socket_; }
  pid_t pid() const { return pid_; }
  CellArea& area() { return *area_; }
  bool has_namespace() const { return has_namespace_; }

 private:
  Worker() = default;
  absl::Status Launch(int clone_flags);

  pid_t pid_ = 0;
  int socket_ = -1;
  int area_fd_ = -1;
  CellArea* area_ = nullptr;
  bool has_namespace_ = false;
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_WORKER_H_
