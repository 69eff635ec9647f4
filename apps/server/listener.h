// Sockets that a server accepts clients on. A master opens them before it forks: all workers accept
// from the same queue, so no client that waits in it is lost when a worker dies.
#ifndef KILL9_APPS_SERVER_LISTENER_H_
#define KILL9_APPS_SERVER_LISTENER_H_

#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace kill9::server {

// All return sockets that listen, do not block, and are closed on exec. kInvalidArgument: not an
// address; kAlreadyExists: somebody has it; kUnavailable: the system refuses it, and why.

// Every address that the host has; an empty one stands for all of this machine.
absl::StatusOr<std::vector<int>> ListenTcp(const std::string& host, const std::string& port,
                                           int backlog);
// A socket's path that nobody listens on any more gives way. `mode`: who may connect, as of chmod.
absl::StatusOr<int> ListenUnix(std::string_view path, unsigned mode, int backlog);
// The address is one of
//   PORT, :PORT, localhost:PORT   loopback only
//   HOST:PORT, [IPV6]:PORT        that address
//   *:PORT                        all addresses
//   unix:PATH                     a Unix socket
absl::StatusOr<std::vector<int>> Listen(std::string_view address);

// Asks `listen` again, for a second, while somebody has the address: of a server that has just been
// killed, the workers end a moment later.
template <typename Listening>
auto OnceFree(Listening listen) {
  constexpr int kLooks = 500;
  constexpr unsigned kBetweenLooksUs = 2000;
  auto listeners = listen();
  for (int i = 0; i < kLooks && absl::IsAlreadyExists(listeners.status()); ++i) {
    usleep(kBetweenLooksUs);
    listeners = listen();
  }
  return listeners;
}

// The next client of a listening socket, not blocking, closed on exec; -1 if none waits (errno).
int Accept(int listener);

// Of the socket's other end: "127.0.0.1", "::1", "unix".
std::string PeerAddress(int client);
// Whether that is this machine.
bool IsLocalAddress(std::string_view peer);

}  // namespace kill9::server

#endif  // KILL9_APPS_SERVER_LISTENER_H_
