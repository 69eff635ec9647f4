#include "apps/memcached/server/master.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "apps/cluster/cluster.h"
#include "apps/memcached/items/envelope.h"
#include "apps/memcached/server/listeners.h"
#include "apps/memcached/server/open_cache.h"
#include "apps/server/listener.h"
#include "apps/server/master.h"

namespace kill9::memcached {
namespace {

constexpr rlim_t kOtherDescriptors = 64;
constexpr int kGraceMs = 3000;

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "kill9-memcached: %s\n", std::string(status.message()).c_str());
  return 1;
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
    ready_ = -1;
  }

 private:
  int ready_ = -1;
};

absl::Status CheckItemSize(const server::Cluster& stores, Options* options) {
  const uint64_t most = stores.max_value_bytes() - sizeof(ItemHead);
  if (options->value_bytes_most <= most) return absl::OkStatus();
  // The default gives way to a small cache; what was asked for is not changed behind the back.
  if (options->value_bytes_most == Options().value_bytes_most) {
    options->value_bytes_most = most;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("-I: this cache takes values of at most ", most, " bytes; make -m larger"));
}

// Starts the workers, and gives back what dies with them, until the server is told to end.
int ServeByWorkers(ServerParts& parts, server::Cluster& stores, Background& background) {
  SharedState& shared = *parts.shared;
  // Relaxed: its pid is the master's to write, and a worker that is not there counts nothing.
  const auto slot = [&shared](int worker) -> WorkerSlot& {
    return shared.slots[static_cast<size_t>(worker)];
  };
  server::MasterOptions master;
  master.workers = shared.workers;
  master.grace_ms = kGraceMs;
  master.work = [&parts](int worker) { return RunWorker(parts, worker); };
  master.started = [&](int worker, int pid) {
    slot(worker).pid.store(pid, std::memory_order_relaxed);
    if (worker == shared.workers - 1) background.Ready();
  };
  master.ended = [&](int worker, int, int status) {
    if (parts.options.verbosity > 0) {
      std::fprintf(stderr, "kill9-memcached: worker %d died (%s %d)\n", worker,
                   WIFSIGNALED(status) ? "signal" : "exit code",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    slot(worker).pid.store(0, std::memory_order_relaxed);
    slot(worker).connections.store(0, std::memory_order_relaxed);
    shared.restarts.fetch_add(1, std::memory_order_relaxed);
    if (const absl::Status recovered = stores.Recover(); !recovered.ok()) Fail(recovered);
  };
  return server::RunMaster(master);
}

}  // namespace

int RunServer(const Options& options, FindDesign find) {
  signal(SIGPIPE, SIG_IGN);
  RaiseDescriptorLimit(options);
  ServerParts parts;
  parts.options = options;
  parts.design = find(options.design);
  auto listeners = server::OnceFree([&options] { return Listen(options); });
  if (!listeners.ok()) return Fail(listeners.status());
  parts.listeners = *std::move(listeners);
  auto hand_over = server::HandOver::Make(options.workers);
  if (!hand_over.ok()) return Fail(hand_over.status());
  parts.hand_over = *std::move(hand_over);
  Background background;
  if (options.daemon) background.Enter();
  if (absl::Status status = WritePidFile(options.pid_file); !status.ok()) return Fail(status);
  if (absl::Status status = BecomeUser(options.user); !status.ok()) return Fail(status);
  if (absl::Status status = OpenCache(&parts); !status.ok()) return Fail(status);
  parts.shared->master_pid = getpid();
  parts.shared->workers = parts.options.workers;
  auto stores = server::Cluster::Attach(*parts.design, parts.segments);
  if (!stores.ok()) return Fail(stores.status());
  if (absl::Status fits = CheckItemSize(**stores, &parts.options); !fits.ok()) return Fail(fits);
  // What died with an earlier server is given back before the first client comes.
  if (absl::Status status = (*stores)->Recover(); !status.ok()) return Fail(status);
  parts.shared->Reset((*stores)->Counted());
  const int code = ServeByWorkers(parts, **stores, background);
  if (!options.pid_file.empty()) unlink(options.pid_file.c_str());
  if (!options.unix_path.empty()) unlink(options.unix_path.c_str());
  return code;
}

}  // namespace kill9::memcached
