// Programs as processes: a command line is run, once for each participant; or once as a fork
// server, which forks a child for each connection to its socket.
#ifndef KILL9_HARNESS_PROGRAMS_PROCESS_LAUNCH_H_
#define KILL9_HARNESS_PROGRAMS_PROCESS_LAUNCH_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "harness/programs/process/sandbox.h"

namespace kill9::programs {

// The words of a command line as a shell splits and unquotes them; variables are filled in. What
// only a shell can do (pipes, lists, redirections) is an error.
absl::StatusOr<std::vector<std::string>> SplitCommand(const std::string& command);

struct LaunchOptions {
  std::vector<std::string> words;
  std::vector<std::string> environment;  // NAME=value, beside the caller's own
  int stderr_fd = 2;
};

// A line to one process that speaks the protocol.
struct Connection {
  pid_t pid = 0;   // 0: not known yet (a fork server's child, before its first line)
  int pidfd = -1;  // readable when it has ended
  int to = -1;
  int from = -1;         // may be `to`
  bool is_child = true;  // of this process, which reaps it

  // Closes what is open.
  void Close();
  // Nothing more is sent; nothing more will come.
  void CloseSending();
  void CloseReading();
};

// Runs the words with a pipe as standard input, and one as standard output.
absl::StatusOr<Connection> Launch(const LaunchOptions& options, const Sandbox& sandbox);

// Reads what is there, and appends it to *text. False: nothing more will come.
bool ReadAvailable(Connection& connection, std::string* text);
// False: nobody reads it any more.
bool SendLine(const Connection& connection, const std::string& line);

// A program that serves a listening socket, which it finds as descriptor 3 (KILL9_SOCKET=3).
class ForkServer {
 public:
  static absl::StatusOr<std::unique_ptr<ForkServer>> Start(const LaunchOptions& options,
                                                           const Sandbox& sandbox);
  ~ForkServer();
  ForkServer(const ForkServer&) = delete;
  ForkServer& operator=(const ForkServer&) = delete;

  absl::StatusOr<Connection> Connect();
  const Connection& process() const { return process_; }
  // It has ended, and was reaped.
  void Forget();

 private:
  ForkServer() = default;
  Connection process_;
  std::string address_;
};

}  // namespace kill9::programs

#endif  // KILL9_HARNESS_PROGRAMS_PROCESS_LAUNCH_H_
