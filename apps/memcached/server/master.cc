#include "apps/memcached/server/master.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "apps/memcached/items/envelope.h"
#include "apps/memcached/server/listeners.h"
#include "apps/memcached/server/open_cache.h"

namespace kill9::memcached {
namespace {

constexpr rlim_t kOtherDescriptors = 64;
constexpr int kSecondsToEnd = 3;
constexpr int kLooks = 500;
constexpr unsigned kBetweenLooksUs = 2000;

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "kill9-memcached: %s\n", std::string(status.message()).c_str());
  return 1;
}

// Of a worker. All but these have their default effect, which is to end it.
const int kMasterSignals[] = {SIGCHLD, SIGTERM, SIGINT, SIGUSR1, SIGHUP};

sigset_t MasterSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : kMasterSignals) sigaddset(&set, signal);
  return set;
}

absl::Status BecomeUser(const std::string& name) {
  if (name.empty() || geteuid() != 0) return absl::OkStatus();
  const passwd* user = getpwnam(name.c_str());
  if (user == nullptr) return absl::NotFoundError(absl::StrCat("-u ", name, ": no such user"));
  if (initgroups(name.c_str(), user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
      setuid(user->pw_uid) != 0) {
    return absl::PermissionDeniedError(absl::StrCat("-u ", name, ": ", strerror(errno)));
  }
  return absl::OkStatus();
}

absl::Status WritePidFile(const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  std::FILE* file = std::fopen(path.c_str(), "we");
  if (file == nullptr) {
    return absl::PermissionDeniedError(absl::StrCat("-P ", path, ": ", strerror(errno)));
  }
  std::fprintf(file, "%d\n", getpid());
  std::fclose(file);
  return absl::OkStatus();
}

void RaiseDescriptorLimit(const Options& options) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = options.connections_most + kOtherDescriptors;
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = wanted;
  if (limit.rlim_max < wanted) limit.rlim_max = wanted;  // root may
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0) return;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  std::fprintf(stderr,
               "kill9-memcached: only %llu descriptors are allowed, -c asks for more: ulimit -n\n",
               static_cast<unsigned long long>(limit.rlim_cur));
}

// Goes into the background; who started it waits until it serves. `ready` tells so.
class Background {
 public:
  // In the parent it does not return.
  void Enter() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return;
    const pid_t child = fork();
    if (child != 0) {
      close(ends[1]);
      char byte = 0;
      _exit(child > 0 && read(ends[0], &byte, 1) == 1 ? 0 : 1);
    }
    close(ends[0]);
    ready_ = ends[1];
    setsid();
  }
  void Ready() {
    if (ready_ < 0) return;
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const int fd : {0, 1, 2}) dup2(null, fd);
    close(null);
    [[maybe_unused]] const ssize_t told = write(ready_, "r", 1);
    close(ready_);
  }

 private:
  int ready_ = -1;
};

class Master {
 public:
  explicit Master(ServerParts& parts) : parts_(parts) {}

  absl::Status Begin() {
    SharedState& shared = *parts_.shared;
    shared.master_pid = getpid();
    shared.workers = parts_.options.workers;
    auto store = parts_.design->Attach(parts_.segment);
    if (!store.ok()) return store.status();
    store_ = *std::move(store);
    if (absl::Status fits = CheckItemSize(); !fits.ok()) return fits;
    // What died with an earlier server is given back before the first client comes.
    if (auto report = store_->Recover(); !report.ok()) return report.status();
    for (int i = 0; i < shared.workers; ++i) {
      if (absl::Status started = Start(i); !started.ok()) return started;
    }
    return absl::OkStatus();
  }

  int Run() {
    const sigset_t signals = MasterSignals();
    for (;;) {
      const int signal = sigwaitinfo(&signals, nullptr);
      if (signal == SIGCHLD) ReplaceTheDead();
      if (signal == SIGTERM || signal == SIGINT || signal == SIGUSR1) break;
    }
    EndWorkers();
    return 0;
  }

 private:
  absl::Status CheckItemSize() {
    const uint64_t most = store_->max_value_bytes() - sizeof(Envelope);
    if (parts_.options.value_bytes_most <= most) return absl::OkStatus();
    // The default gives way to a small cache; what was asked for is not changed behind the back.
    if (parts_.options.value_bytes_most == Options().value_bytes_most) {
      parts_.options.value_bytes_most = most;
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat("-I: this cache takes values of at most ", most, " bytes; make -m larger"));
  }

  absl::Status Start(int index) {
    WorkerSlot& slot = Slot(index);
    // Relaxed: the worker does not live yet.
    slot.connections.store(0, std::memory_order_relaxed);
    const pid_t master = getpid();
    const pid_t child = fork();
    if (child < 0) {
      return absl::ResourceExhaustedError(absl::StrCat("cannot start a worker: ", strerror(errno)));
    }
    if (child == 0) {
      // It ends with its master, which may have died just now.
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != master) _exit(1);
      const sigset_t signals = MasterSignals();
      sigprocmask(SIG_UNBLOCK, &signals, nullptr);
      const int code = RunWorker(parts_, index);
      std::fflush(nullptr);
      _exit(code);
    }
    slot.pid.store(child, std::memory_order_relaxed);
    return absl::OkStatus();
  }

  void ReplaceTheDead() {
    int status = 0;
    bool any = false;
    for (pid_t dead; (dead = waitpid(-1, &status, WNOHANG)) > 0;) {
      for (int i = 0; i < parts_.shared->workers; ++i) {
        if (Slot(i).pid.load(std::memory_order_relaxed) == dead) Replace(i, status);
      }
      any = true;
    }
    if (!any) return;
    if (auto report = store_->Recover(); !report.ok()) Fail(report.status());
  }

  void Replace(int index, int status) {
    WorkerSlot& slot = Slot(index);
    if (parts_.options.verbosity > 0) {
      std::fprintf(stderr, "kill9-memcached: worker %d died (%s %d); another one begins\n", index,
                   WIFSIGNALED(status) ? "signal" : "exit code",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    slot.pid.store(0, std::memory_order_relaxed);
    parts_.shared->restarts.fetch_add(1, std::memory_order_relaxed);
    // Who ended by itself would do so again at once.
    if (!WIFSIGNALED(status)) usleep(100000);
    if (absl::Status started = Start(index); !started.ok()) Fail(started);
  }

  void EndWorkers() {
    for (int i = 0; i < parts_.shared->workers; ++i) Signal(i, SIGTERM);
    const sigset_t signals = MasterSignals();
    const timespec patience = {kSecondsToEnd, 0};
    int left = parts_.shared->workers;
    while (left > 0) {
      for (pid_t dead; (dead = waitpid(-1, nullptr, WNOHANG)) > 0;) --left;
      if (left > 0 && sigtimedwait(&signals, nullptr, &patience) < 0) break;
    }
    for (int i = 0; i < parts_.shared->workers; ++i) Signal(i, SIGKILL);
  }

  void Signal(int index, int signal) {
    const pid_t pid = Slot(index).pid.load(std::memory_order_relaxed);
    if (pid > 0) kill(pid, signal);
  }

  // Its pid is the master's to write: relaxed.
  WorkerSlot& Slot(int index) { return parts_.shared->slots[static_cast<size_t>(index)]; }

  ServerParts& parts_;
  std::unique_ptr<kill9::Store> store_;
};

}  // namespace

int RunServer(const Options& options) {
  const sigset_t signals = MasterSignals();
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  RaiseDescriptorLimit(options);
  ServerParts parts;
  parts.options = options;
  auto listeners = Listen(options);
  // Of a server that has just been killed, the workers end a moment later.
  for (int i = 0; i < kLooks && absl::IsAlreadyExists(listeners.status()); ++i) {
    usleep(kBetweenLooksUs);
    listeners = Listen(options);
  }
  if (!listeners.ok()) return Fail(listeners.status());
  parts.listeners = *std::move(listeners);
  Background background;
  if (options.daemon) background.Enter();
  if (absl::Status status = WritePidFile(options.pid_file); !status.ok()) return Fail(status);
  if (absl::Status status = BecomeUser(options.user); !status.ok()) return Fail(status);
  if (absl::Status status = OpenCache(&parts); !status.ok()) return Fail(status);
  Master master(parts);
  if (absl::Status status = master.Begin(); !status.ok()) return Fail(status);
  background.Ready();
  const int code = master.Run();
  if (!options.pid_file.empty()) unlink(options.pid_file.c_str());
  if (!options.unix_path.empty()) unlink(options.unix_path.c_str());
  return code;
}

}  // namespace kill9::memcached
