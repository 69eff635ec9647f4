// The server's side of connections (connections.h).
//
// Events and messages come in one order: what a client sent before it disconnected or died comes
// before the news of that. A client that is stopped is slow, and not dead. One that hangs is what
// the user says: Ping it, look at HeardNs, and Close it.
#ifndef KILL9_APPS_CONNECTIONS_SERVER_H_
#define KILL9_APPS_CONNECTIONS_SERVER_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "apps/connections/connections.h"
#include "apps/connections/wire.h"

namespace kill9::connections {

class Server {
 public:
  // Finds the clients of a server of before: each is an event. kAlreadyExists.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const Options& options);
  // In order: the clients are told, and connect again by themselves when the next one comes.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // The next event. Deaths are seen at once, also while others send.
  absl::StatusOr<Event> Receive(Deadline deadline);

  absl::Status Send(const ClientId& to, const Outgoing& outgoing, Deadline deadline);
  // To each, a share of the buffer, which stays the caller's. How many got it; none is waited for
  // longer than until the deadline, which is the same for all.
  size_t SendToAll(const Outgoing& outgoing, Deadline deadline);
  size_t SendTo(std::span<const ClientId> clients, const Outgoing& outgoing, Deadline deadline);
  // `request`: as Receive told it.
  absl::Status Answer(const Event& request, const Outgoing& outgoing, Deadline deadline);
  // Ends the session. What the client has sent and nobody has received is dropped.
  absl::Status Close(const ClientId& client);
  void CloseAll();

  // Asks for a sign of life, which the client gives in its next call; and when it last gave one, by
  // CLOCK_MONOTONIC. 0: it is not connected.
  absl::Status Ping(const ClientId& client);
  int64_t HeardNs(const ClientId& client) const;

  std::vector<ClientId> clients() const;
  BufferPool& pool() { return place_->pool(); }

 private:
  struct Connection {
    ClientId id;
    std::shared_ptr<Channel> channel;
    int64_t heard_ns = 0;
    bool overloaded = false;
    bool had_buffers = false;
    bool is_dead = false;       // and the news of it is on its way, or waits for room
    bool is_announced = false;  // on its way
  };

  explicit Server(std::unique_ptr<Place> place) : place_(std::move(place)) {}
  void FindClients();
  // What can be told now, if anything: what is queued, or what a frame says.
  absl::StatusOr<bool> ReceiveOne(Event* event);
  bool Handle(const Frame& frame, ReceivedBuffer& received, Event* event);
  void Greet(const ClientId& id);
  Connection* Find(const ClientId& id);
  const Connection* Find(const ClientId& id) const;
  absl::StatusOr<Connection*> Connect(const ClientId& id, bool again);
  void Forget(const ClientId& id, EventKind kind);
  // Whether there is news of it in the inbox now.
  bool LookForDead();
  bool IsLookDue() const;
  bool AnnounceDead();
  void TellOfRoom();
  absl::Status SendOn(Connection& to, FrameKind kind, uint64_t correlation,
                      const Outgoing& outgoing, Deadline deadline);
  absl::Status WaitForNews(Deadline deadline);
  buffers::SharedWord& MarkOfClient(const ClientId& id, Mark mark) {
    return pool().mark(id.participant.slot, mark);
  }

  std::unique_ptr<Place> place_;
  std::unique_ptr<Channel> inbox_;
  int inbox_descriptor_ = -1;
  std::map<uint32_t, Connection> connections_;             // by slot
  std::map<uint32_t, std::shared_ptr<Channel>> channels_;  // by slot; they stay
  std::map<uint32_t, ClientId> closed_;                    // by slot: what still comes is dropped
  std::vector<ClientId> closed_with_buffers_;  // which may be on their way to them still
  std::deque<Event> events_;
  uint32_t received_ = 0;     // since the last look for the dead
  int64_t next_look_ns_ = 0;  // how long the next wait may last after news; 0: no such
  int64_t no_look_before_ns_ = 0;
  bool look_was_put_off_ = false;
};

}  // namespace kill9::connections

#endif  // KILL9_APPS_CONNECTIONS_SERVER_H_
