// Where programs run: a fresh state directory, and, as far as the machine allows namespaces, a
// /dev/shm, a /tmp, System V objects and PIDs of their own. Then whatever they leave goes with the
// run, however it ends, and no process outlives it.
//
// Isolated, the first process of the PID namespace (the keeper) makes the mounts and then only
// waits: the kernel kills all others when it dies, and it dies with who made the sandbox.
#ifndef KILL9_HARNESS_PROGRAMS_PROCESS_SANDBOX_H_
#define KILL9_HARNESS_PROGRAMS_PROCESS_SANDBOX_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "harness/base/process_end/die_with_parent.h"

namespace kill9::programs {

struct SandboxOptions {
  bool isolated = true;
  bool private_tmp = true;  // isolated: /tmp, too
  // Not isolated: a folder without a state, which its maker removes; the state directory is in it.
  std::string folder = {};
  uint32_t pages = 1;  // marks of so many participants
};

class Sandbox {
 public:
  // Called once in a process, which then makes its children in the namespaces. An error: the
  // machine refuses it; the process is of no use for another attempt.
  static absl::StatusOr<std::unique_ptr<Sandbox>> Make(const SandboxOptions& options);
  // Why this machine lets nobody be isolated; empty: it does. By its effect, in a child.
  static std::string WhyNotIsolated(bool private_tmp);
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  // In a child that was just forked: everything but its PID becomes the sandbox's. False: it did
  // not, and errno says why.
  bool Enter() const;
  // As those inside name it.
  const std::string& state() const { return state_; }
  // The file of the pages: a participant's is at its number times kPageBytes.
  std::string pages() const;
  static constexpr size_t kPageBytes = 4096;
  // The first word of a participant's page: not 0 while it is inside an operation.
  uint32_t Mark(uint32_t participant) const;
  void ClearMark(uint32_t participant);

 private:
  explicit Sandbox(const SandboxOptions& options) : options_(options) {}
  absl::Status Isolate();
  [[noreturn]] void Keep(int report_fd);
  absl::Status MapPages(int fd);

  SandboxOptions options_;
  std::string folder_;  // of all that is made, as those inside name it
  std::string state_;
  std::string current_;  // folder of the process
  pid_t keeper_ = 0;
  int mounts_fd_ = -1;
  int objects_fd_ = -1;  // of System V
  ParentPipe lives_;
  char* marks_ = nullptr;
};

}  // namespace kill9::programs

#endif  // KILL9_HARNESS_PROGRAMS_PROCESS_SANDBOX_H_
