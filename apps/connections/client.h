// The client's side of connections (connections.h).
//
// A client that was connected is connected again by itself as soon as there is a server, until it
// disconnects or the server closes it: both are events of Receive. What it sends meanwhile waits
// for the next server.
#ifndef KILL9_APPS_CONNECTIONS_CLIENT_H_
#define KILL9_APPS_CONNECTIONS_CLIENT_H_

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "apps/connections/connections.h"
#include "apps/connections/wire.h"

namespace kill9::connections {

class Client {
 public:
  // Attaches to what belongs to the name, and connects to nobody yet.
  static absl::StatusOr<std::unique_ptr<Client>> Open(const Options& options);
  // Disconnects.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Waits for a server, and for its welcome, until the deadline; no event tells of this one.
  absl::Status Connect(Deadline deadline);
  // The server gets what was sent before, and then the news.
  absl::Status Disconnect();

  // The next event, of any kind but a connection's first.
  absl::StatusOr<Event> Receive(Deadline deadline);
  absl::Status Send(const Outgoing& outgoing, Deadline deadline);
  // Sends a request and waits for its own answer. What else comes meanwhile, Receive tells later.
  // kUnavailable: the server died or ended; it may have done what was asked, or not.
  absl::StatusOr<Event> Ask(const Outgoing& outgoing, Deadline deadline);

  // There is a server, which knows of this client.
  bool is_connected() const { return is_connected_; }
  ParticipantId id() { return pool().id(); }
  BufferPool& pool() { return place_->pool(); }

 private:
  explicit Client(std::unique_ptr<Place> place) : place_(std::move(place)) {}
  // What a frame says, if it is for the user.
  absl::StatusOr<std::optional<Event>> ReceiveOne(Deadline deadline);
  std::optional<Event> Handle(const Frame& frame, ReceivedBuffer& received);
  std::optional<Event> LookForServer();
  Deadline NextPiece(Deadline deadline);
  std::optional<Event> Lose(EventKind kind);
  void TellOfRoom();
  absl::Status SendOn(FrameKind kind, uint64_t correlation, const Outgoing& outgoing,
                      Deadline deadline);
  buffers::SharedWord& OwnMark(Mark mark) { return pool().mark(id().slot, mark); }

  std::unique_ptr<Place> place_;
  std::unique_ptr<Channel> inbox_;
  std::unique_ptr<Channel> to_server_;
  std::deque<Event> events_;   // what Ask met
  std::optional<Event> next_;  // what comes right after what was told last
  std::chrono::milliseconds piece_{1};
  bool shortest_piece_ = false;
  uint32_t session_ = 0;  // of this connection, or of the last one
  bool wants_connection_ = false;
  bool is_connected_ = false;
  bool was_connected_ = false;  // in this session
  ParticipantId server_{~uint32_t{0}, 0};
  uint64_t last_correlation_ = 0;
  uint64_t awaited_ = 0;  // correlation; 0: no answer is
};

}  // namespace kill9::connections

#endif  // KILL9_APPS_CONNECTIONS_CLIENT_H_
