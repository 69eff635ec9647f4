// A server and its clients over shared memory: what both sides have in common. server.h, client.h.
//
// A server has a name. Clients connect to it, and either side may be killed at any moment, and come
// back. Data are not copied: a message has bytes of its own, or hands over a Buffer, or both.
//
// What belongs to a name stays: the pool, the server's channel, and a channel for each client. So
// what clients send while there is no server waits for the next one, which finds its clients again.
// Remove() removes all, where nobody uses the name.
//
// Errors, of both sides:
//
//   kResourceExhausted   a call that does not wait found no room: the other side is overloaded.
//                        Nothing was sent. The end of it is an event (kRelieved)
//   kDeadlineExceeded    nothing was sent, or there was nothing to receive, until the deadline
//   kUnavailable         not connected; or the other side has gone
//   kAlreadyExists       another server of the name lives
//
// One thread at a time uses a Server, or a Client.
#ifndef KILL9_APPS_CONNECTIONS_CONNECTIONS_H_
#define KILL9_APPS_CONNECTIONS_CONNECTIONS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/buffers/buffer_pool.h"
#include "variants/registry.h"

namespace kill9::connections {

// The first who comes makes what belongs to the name, with these.
struct Options {
  std::string name;            // of POSIX shared memory, without slashes
  uint32_t clients_most = 60;  // at once, at most 4,000
  uint64_t pool_bytes = 64 << 20;
  uint64_t buffers_most = 4096;
  uint64_t server_channel_bytes = 4 << 20;  // at least; and 4 KiB for each client
  uint64_t client_channel_bytes = 128 << 10;
};

enum class EventKind : uint8_t {
  kConnected,     // `again`: it was there before this server (of a client: once more)
  kDisconnected,  // the other side ended the session, or the server ended, in order
  kDied,          // the other side was killed. All that it had sent has come before
  kOverloaded,    // a message to this client found no room (of a server)
  kRelieved,      // there is room again
  kMessage,
  kRequest,  // to be answered (of a server)
};

// A client of a server, for as long as it is connected; no two are equal.
struct ClientId {
  ParticipantId participant;
  uint32_t session = 0;
  friend constexpr bool operator==(const ClientId&, const ClientId&) = default;
};

struct Event {
  EventKind kind = EventKind::kMessage;
  ClientId client;  // of a server: whom it is about, or from
  bool again = false;
  int64_t tag = 0;
  std::string bytes;
  Buffer buffer;  // without a block: none was sent
  uint64_t correlation = 0;
};

// What is sent. A buffer is handed over; it is empty then, and as it was on an error.
struct Outgoing {
  int64_t tag = 0;
  std::string_view bytes = {};
  Buffer* buffer = nullptr;
};

// The segments of a name, as one process has opened them.
class Place {
 public:
  static absl::StatusOr<std::unique_ptr<Place>> Open(const Options& options);
  // Removes all that belongs to the name. REQUIRES: nobody uses it.
  static void Remove(const std::string& name);

  BufferPool& pool() { return *pool_; }
  absl::StatusOr<std::unique_ptr<Channel>> JoinServerChannel(MemberRole role) const;
  // The channel to the client in this slot of the pool.
  absl::StatusOr<std::unique_ptr<Channel>> JoinClientChannel(uint32_t slot, MemberRole role) const;
  // Whether the server that sits there lives. Slot ~0: there has been none.
  bool IsServerAlive() const;

 private:
  explicit Place(Options options) : options_(std::move(options)) {}

  const Options options_;
  std::unique_ptr<BufferPool> pool_;
};

int64_t NowNs();  // CLOCK_MONOTONIC

// Sends a frame, and hands over the buffer, if there is one. Does not wait with Deadline::None():
// kResourceExhausted then.
struct Frame;
absl::Status SendFrame(BufferPool& pool, Channel& channel, const Frame& frame,
                       const Outgoing& outgoing, Deadline deadline, uint32_t box);

}  // namespace kill9::connections

#endif  // KILL9_APPS_CONNECTIONS_CONNECTIONS_H_
