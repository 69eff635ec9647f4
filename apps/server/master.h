// A master of pre-forked workers: it starts them, starts a new one for each that dies, and ends
// with all of them. It takes no part in what they share, so a worker's death concerns the other
// workers only through the segment, and those are made for it.
//
//   SIGTERM, SIGINT   workers are asked to finish (SIGTERM), and killed after the grace time
//   SIGHUP            workers are asked to finish, and new ones take their places
//
// A worker never outlives its master, however that dies: the kernel kills it.
#ifndef KILL9_APPS_SERVER_MASTER_H_
#define KILL9_APPS_SERVER_MASTER_H_

#include <functional>

namespace kill9::server {

struct MasterOptions {
  int workers = 1;
  int grace_ms = 10'000;
  // Runs in worker number `worker` (0 to workers - 1), in a process of its own, with default signal
  // handling; what it returns is the process's exit status. It should return soon after a SIGTERM.
  std::function<int(int worker)> work;
  // Told in the master; both may be empty. `status` is as of waitpid(2).
  std::function<void(int worker, int pid)> started;
  std::function<void(int worker, int pid, int status)> ended;
};

// A worker that ends by itself with this status says that no other will do better: the master ends
// with it.
inline constexpr int kHopeless = 2;

// Returns the program's exit status. REQUIRES: this process has one thread.
int RunMaster(const MasterOptions& options);

}  // namespace kill9::server

#endif  // KILL9_APPS_SERVER_MASTER_H_
