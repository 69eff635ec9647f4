#include "harness/run/attempt/attempt_pool.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/base/children_of.h"
#include "harness/base/process_end/kill_and_reap.h"

namespace kill9::run {
namespace {

constexpr int kLookMs = 200;

// Without a PID namespace, what an attempt leaves behind becomes a child of this process.
void KillOrphans(const std::vector<pid_t>& ours) {
  for (const pid_t child : NewChildren(ours)) {
    int status = 0;
    KillAndReap(child, &status);
  }
}

}  // namespace

AttemptPool::AttemptPool(const RunOptions& options, const AttemptSurroundings& surroundings)
    : options_(options), surroundings_(surroundings), others_(ChildrenOf(getpid())) {
  if (!surroundings.namespaces) prctl(PR_SET_CHILD_SUBREAPER, 1);
}

AttemptPool::~AttemptPool() {
  for (const Running& attempt : running_) {
    kill(attempt.pid, SIGKILL);
    close(attempt.socket);
    ending_.push_back(attempt.pid);
    finished_folders_.push_back(attempt.folder);
  }
  running_.clear();
  ReapEnding(/*wait=*/true);
  RemoveFinished();
  if (!surroundings_.namespaces) KillOrphans(others_);
}

void AttemptPool::ReapEnding(bool wait) {
  std::erase_if(ending_, [&](pid_t pid) {
    int status = 0;
    pid_t reaped = 0;
    do {
      reaped = waitpid(pid, &status, wait ? 0 : WNOHANG);
    } while (reaped < 0 && errno == EINTR);
    return reaped != 0;
  });
}

void AttemptPool::RemoveFinished() {
  std::error_code ignored;
  for (const std::string& folder : finished_folders_) std::filesystem::remove_all(folder, ignored);
  finished_folders_.clear();
}

absl::Status AttemptPool::Start(const AttemptRequest& request, size_t tag) {
  ReapEnding(/*wait=*/false);
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return absl::ErrnoToStatus(errno, "cannot make a socket pair");
  }
  const std::string folder = absl::StrCat(surroundings_.kept, "/", ++started_);
  if (mkdir(folder.c_str(), 0755) != 0) return absl::ErrnoToStatus(errno, "cannot make " + folder);
  AttemptSurroundings surroundings = surroundings_;
  // The same path each time: without namespaces attempts are made one after the other.
  surroundings.copy = absl::StrCat(surroundings_.kept, "/copy");
  if (!surroundings_.namespaces) {
    std::error_code ignored;
    ReapEnding(/*wait=*/true);
    KillOrphans(others_);
    std::filesystem::remove_all(surroundings.copy, ignored);
  }
  std::fflush(nullptr);
  const pid_t pid = ForkIsolated(surroundings_.namespaces);
  if (pid == 0) {
    parent_pipe_.DieWithParent(1);
    close(ends[0]);
    RunAttempt(options_, surroundings, request, folder, ends[1]);
  }
  const int error = errno;
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    rmdir(folder.c_str());
    return absl::FailedPreconditionError(
        absl::StrCat("cannot make namespaces: ", absl::ErrnoToStatus(error, "clone").message()));
  }
  running_.push_back({tag, pid, ends[0], folder, ""});
  return absl::OkStatus();
}

void AttemptPool::Finish(size_t n) {
  close(running_[n].socket);
  ending_.push_back(running_[n].pid);
  finished_folders_.push_back(running_[n].folder);
  running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(n));
}

// What has come from an attempt that can be read from.
std::optional<absl::StatusOr<AttemptPool::Message>> AttemptPool::Receive(size_t n) {
  Running& from = running_[n];
  char piece[64 << 10];
  const ssize_t got = read(from.socket, piece, sizeof piece);
  if (got < 0 && errno == EINTR) return std::nullopt;
  if (got <= 0) {
    Finish(n);
    return absl::InternalError("the process that follows the program has died");
  }
  from.text.append(piece, static_cast<size_t>(got));
  if (!from.text.ends_with('\n')) return std::nullopt;
  Message message{from.tag, Json::object(), from.folder};
  // "ready" and another may have come together.
  size_t begin = 0;
  for (size_t end; (end = from.text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    message.json.update(ParseJson(std::string_view(from.text).substr(begin, end - begin)));
  }
  from.text.clear();
  if (message.json.contains("error")) {
    const absl::Status error(static_cast<absl::StatusCode>(message.json["code"].get<int>()),
                             TextField(message.json, "error"));
    Finish(n);
    return error;
  }
  if (message.json.contains("done")) Finish(n);
  return message;
}

absl::StatusOr<AttemptPool::Message> AttemptPool::Next(const std::function<bool()>& go_on) {
  RemoveFinished();
  while (true) {
    if (!go_on()) return absl::CancelledError("interrupted");
    std::vector<pollfd> sockets;
    for (const Running& attempt : running_) {
      sockets.push_back({.fd = attempt.socket, .events = POLLIN, .revents = 0});
    }
    if (poll(sockets.data(), sockets.size(), kLookMs) <= 0) continue;
    for (size_t n = 0; n < sockets.size(); ++n) {
      if (sockets[n].revents == 0) continue;
      if (auto received = Receive(n); received.has_value()) return *std::move(received);
      break;
    }
  }
}

void AttemptPool::Answer(size_t tag, bool check) {
  for (const Running& attempt : running_) {
    if (attempt.tag == tag) (void)!send(attempt.socket, check ? "c" : "s", 1, MSG_NOSIGNAL);
  }
}

absl::StatusOr<AttemptPool::Message> AttemptPool::RunOne(const AttemptRequest& request, bool check,
                                                         const std::function<bool()>& go_on) {
  if (absl::Status status = Start(request, 0); !status.ok()) return status;
  Json all = Json::object();
  while (true) {
    absl::StatusOr<Message> message = Next(go_on);
    if (!message.ok()) return message;
    all.update(message->json);
    const bool done = message->json.contains("done") ||
                      (request.kind == AttemptKind::kProbe && message->json.contains("ready"));
    if (message->json.contains("left") && !done) Answer(0, check);
    if (!done) continue;
    if (!running_.empty()) Finish(0);
    return Message{0, std::move(all), message->folder};
  }
}

}  // namespace kill9::run
