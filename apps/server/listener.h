// Sockets that a server accepts clients on. A master opens them before it forks: all workers accept
// from the same queue, so no client that waits in it is lost when a worker dies.
#ifndef KILL9_APPS_SERVER_LISTENER_H_
#define KILL9_APPS_SERVER_LISTENER_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace kill9::server {

// Opens a listening socket that does not block. The address is one of
//   PORT, :PORT, localhost:PORT   loopback only
//   HOST:PORT, [IPV6]:PORT        that address
//   *:PORT                        all addresses
//   unix:PATH                     a Unix socket; one that nobody listens on is replaced
// kInvalidArgument: not an address; kUnavailable: the system refuses it, and why.
absl::StatusOr<int> Listen(std::string_view address);

// The next client of a listening socket, not blocking, closed on exec; -1 if none waits (errno).
int Accept(int listener);

// Of the socket's other end: "127.0.0.1", "::1", "unix".
std::string PeerAddress(int client);
// Whether that is this machine.
bool IsLocalAddress(std::string_view peer);

}  // namespace kill9::server

#endif  // KILL9_APPS_SERVER_LISTENER_H_
