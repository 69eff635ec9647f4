#include "apps/connections/server.h"

#include <poll.h>
#include <time.h>

#include <algorithm>

namespace kill9::connections {
namespace {

// The server looks for the dead when nothing waits, and after so many messages.
constexpr uint32_t kLookEvery = 256;
// The kernel tells of a death a moment before it can be proved (sleepers.h): so the next looks
// follow soon, each after twice as long, until this.
constexpr int64_t kFirstLookNs = 100'000;
constexpr int64_t kLastLookNs = 1'000'000'000;
// A look is a system call for each client. So that looks take a small share of the server's time
// where there are more than a few, the next one comes no sooner than after so many times what it
// took.
constexpr size_t kFewClients = 16;
constexpr int64_t kTimesOfALook = 8;
constexpr int64_t kLongestPutOffNs = 100'000'000;
// Where there is no descriptor that tells of news.
constexpr int64_t kLookWithoutDescriptorNs = 20'000'000;

int64_t ProcessorNs() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const Options& options) {
  absl::StatusOr<std::unique_ptr<Place>> place = Place::Open(options);
  if (!place.ok()) return place.status();
  std::unique_ptr<Server> server(new Server(*std::move(place)));
  if (absl::Status status = server->pool().TakeSeat(kServerSeat); !status.ok()) return status;
  absl::StatusOr<std::unique_ptr<Channel>> inbox =
      server->place_->JoinServerChannel(MemberRole::kBoth);
  if (!inbox.ok()) return inbox.status();
  server->inbox_ = *std::move(inbox);
  const absl::StatusOr<int> descriptor = server->inbox_->ReadinessDescriptor();
  if (descriptor.ok()) server->inbox_descriptor_ = *descriptor;
  if (absl::Status status = server->pool().Recover().status(); !status.ok()) return status;
  server->FindClients();
  // What was on its way to clients that died while there was no server.
  server->pool()
      .DropSent([&](uint32_t box) {
        if (box == kServerBox) return false;
        const uint32_t slot = box - 1;
        return slot >= server->pool().participants().size() ||
               !server->pool().IsAlive({slot, server->pool().participants().generation(slot)});
      })
      .IgnoreError();
  return server;
}

Server::~Server() {
  for (auto& [slot, connection] : connections_) {
    SendOn(connection, FrameKind::kStopped, 0, {}, Deadline::None()).IgnoreError();
  }
}

// ---- Who is connected ---------------------------------------------------------------------------

// Those whose mark says that they want to be. Who marks itself later sends a Hello after that.
void Server::FindClients() {
  for (uint32_t slot = 0; slot < pool().participants().size(); ++slot) {
    const uint32_t generation = pool().participants().generation(slot);
    // Seq_cst: with the client's store, which comes before its Hello.
    const uint64_t mark = pool().mark(slot, kSession).load(std::memory_order_seq_cst);
    const auto session = static_cast<uint32_t>(mark);
    const ClientId id{{slot, generation}, session};
    if (session == 0 || mark != MarkOf(generation, session) || !pool().IsAlive(id.participant)) {
      continue;
    }
    Connect(id, true).IgnoreError();
  }
}

Server::Connection* Server::Find(const ClientId& id) {
  const auto found = connections_.find(id.participant.slot);
  return found != connections_.end() && found->second.id == id ? &found->second : nullptr;
}
const Server::Connection* Server::Find(const ClientId& id) const {
  return const_cast<Server*>(this)->Find(id);
}

absl::StatusOr<Server::Connection*> Server::Connect(const ClientId& id, bool again) {
  const uint32_t slot = id.participant.slot;
  // Who had the slot before has gone: its Bye, or what it sent last, came before this.
  if (const auto old = connections_.find(slot); old != connections_.end()) {
    const ClientId gone = old->second.id;
    Forget(gone, gone.participant == id.participant ? EventKind::kDisconnected : EventKind::kDied);
  }
  // What is on its way to an earlier one, before anything is to this one.
  if (std::erase_if(closed_with_buffers_,
                    [slot](const ClientId& old) { return old.participant.slot == slot; }) != 0) {
    pool().DropSent(BoxOf(slot)).IgnoreError();
  }
  std::shared_ptr<Channel>& channel = channels_[slot];
  if (channel == nullptr) {
    absl::StatusOr<std::unique_ptr<Channel>> joined =
        place_->JoinClientChannel(slot, MemberRole::kSender);
    if (!joined.ok()) return joined.status();
    channel = *std::move(joined);
  }
  Connection& connection = connections_[slot];
  connection = {.id = id, .channel = channel, .heard_ns = NowNs()};
  Event event;
  event.kind = EventKind::kConnected;
  event.client = id;
  event.again = again;
  events_.push_back(std::move(event));
  SendOn(connection, FrameKind::kWelcome, 0, {}, Deadline::None()).IgnoreError();
  return &connection;
}

// The news of it comes next.
void Server::Forget(const ClientId& id, EventKind kind) {
  Event event;
  event.kind = kind;
  event.client = id;
  events_.push_back(std::move(event));
  const bool had_buffers = connections_[id.participant.slot].had_buffers;
  connections_.erase(id.participant.slot);
  closed_[id.participant.slot] = id;
  // What is on its way to it: nobody will receive it.
  if (had_buffers) pool().DropSent(BoxOf(id.participant.slot)).IgnoreError();
  if (kind == EventKind::kDied) pool().Recover().IgnoreError();
}

bool Server::IsLookDue() const { return NowNs() >= no_look_before_ns_; }

bool Server::LookForDead() {
  received_ = 0;
  look_was_put_off_ = false;
  const bool are_few = connections_.size() + closed_with_buffers_.size() <= kFewClients;
  // Of the processor: how long it stood still says nothing.
  const int64_t begin_ns = are_few ? 0 : ProcessorNs();
  for (auto& [slot, connection] : connections_) {
    if (connection.is_dead || pool().IsAlive(connection.id.participant)) continue;
    connection.is_dead = true;
  }
  std::erase_if(closed_with_buffers_, [this](const ClientId& id) {
    if (pool().IsAlive(id.participant)) return false;
    pool().DropSent(BoxOf(id.participant.slot)).IgnoreError();
    return true;
  });
  if (!are_few) {
    no_look_before_ns_ =
        NowNs() + std::min(kTimesOfALook * (ProcessorNs() - begin_ns), kLongestPutOffNs);
  }
  return AnnounceDead();
}

// The news goes through the inbox, and so comes behind all that the dead had sent.
bool Server::AnnounceDead() {
  bool any = false;
  for (auto& [slot, connection] : connections_) {
    if (!connection.is_dead || connection.is_announced) continue;
    const Frame frame{.kind = FrameKind::kDied,
                      .session = connection.id.session,
                      .client = connection.id.participant};
    const absl::Status sent = SendFrame(pool(), *inbox_, frame, {}, Deadline::None(), kServerBox);
    if (!sent.ok()) break;  // no room yet: after the next messages
    connection.is_announced = any = true;
  }
  return any;
}

// ---- Receiving ----------------------------------------------------------------------------------

absl::StatusOr<Event> Server::Receive(Deadline deadline) {
  for (;;) {
    Event event;
    absl::StatusOr<bool> got = ReceiveOne(&event);
    if (!got.ok()) return got.status();
    if (*got) return event;
    if (!deadline.waits()) return absl::DeadlineExceededError("nothing has come");
    if (absl::Status status = WaitForNews(deadline); !status.ok()) return status;
  }
}

absl::StatusOr<bool> Server::ReceiveOne(Event* event) {
  for (;;) {
    if (!events_.empty()) {
      *event = std::move(events_.front());
      events_.pop_front();
      return true;
    }
    if (++received_ >= kLookEvery && IsLookDue()) LookForDead();
    absl::StatusOr<ReceivedBuffer> received = pool().Receive(*inbox_, Deadline::None());
    if (absl::IsDeadlineExceeded(received.status())) {
      TellOfRoom();
      look_was_put_off_ = !IsLookDue();
      if (look_was_put_off_ || !LookForDead()) return false;
      continue;
    }
    if (absl::IsInvalidArgument(received.status())) continue;  // somebody else's message
    if (!received.ok()) return received.status();
    const std::optional<Frame> frame = Unpack(received->header);
    if (frame.has_value() && Handle(*frame, *received, event)) {
      // What it says comes behind what it made known.
      if (events_.empty()) return true;
      events_.push_back(std::move(*event));
    }
  }
}

bool Server::Handle(const Frame& frame, ReceivedBuffer& received, Event* event) {
  const ClientId id{frame.client, frame.session};
  if (id.participant.slot >= pool().participants().size()) return false;
  if (frame.kind == FrameKind::kHello) {
    Greet(id);
    return false;
  }
  Connection* connection = Find(id);
  if (connection == nullptr) {
    // Of a session that is over, or of a client that died while there was no server.
    const auto closed = closed_.find(id.participant.slot);
    const bool is_over = closed != closed_.end() &&
                         closed->second.participant.generation == id.participant.generation &&
                         closed->second.session >= id.session;
    if (is_over || (frame.kind != FrameKind::kMessage && frame.kind != FrameKind::kRequest)) {
      return false;
    }
    const absl::StatusOr<Connection*> connected = Connect(id, true);
    if (!connected.ok()) return false;
    connection = *connected;
  }
  connection->heard_ns = NowNs();
  switch (frame.kind) {
    case FrameKind::kBye:
      Forget(id, EventKind::kDisconnected);
      return false;
    case FrameKind::kDied:
      Forget(id, EventKind::kDied);
      return false;
    case FrameKind::kRelieved:
      connection->overloaded = false;
      event->kind = EventKind::kRelieved;
      break;
    case FrameKind::kMessage:
    case FrameKind::kRequest:
      event->kind = frame.kind == FrameKind::kMessage ? EventKind::kMessage : EventKind::kRequest;
      event->bytes = received.header.substr(sizeof(Frame));
      event->buffer = std::move(received.buffer);
      break;
    default:
      return false;  // a Pong says enough by coming
  }
  event->client = id;
  event->tag = frame.tag;
  event->correlation = frame.correlation;
  return true;
}

void Server::Greet(const ClientId& id) {
  // Seq_cst: with the client's store before its Hello.
  const uint64_t mark = MarkOfClient(id, kSession).load(std::memory_order_seq_cst);
  // It has given up since, or was found by its mark.
  if (mark != MarkOf(id.participant.generation, id.session) || Find(id) != nullptr) return;
  Connect(id, false).IgnoreError();
}

// Sleeps until there may be something: a message, or a death.
absl::Status Server::WaitForNews(Deadline deadline) {
  const int64_t now_ns = NowNs();
  const auto over = [] { return absl::DeadlineExceededError("nothing has come"); };
  if (!deadline.forever() && now_ns >= deadline.monotonic_ns()) return over();
  int64_t wait_ns = deadline.forever() ? INT64_MAX : deadline.monotonic_ns() - now_ns;
  if (inbox_descriptor_ < 0) wait_ns = std::min(wait_ns, kLookWithoutDescriptorNs);
  if (next_look_ns_ != 0) wait_ns = std::min(wait_ns, next_look_ns_);
  if (look_was_put_off_) {
    wait_ns = std::min(wait_ns, std::max<int64_t>(no_look_before_ns_ - now_ns, 0));
  }
  const bool is_for_next_look = next_look_ns_ != 0 && wait_ns == next_look_ns_;
  pollfd inbox{inbox_descriptor_, POLLIN, 0};
  const timespec wait{.tv_sec = wait_ns / 1'000'000'000, .tv_nsec = wait_ns % 1'000'000'000};
  const int ready = ppoll(&inbox, inbox_descriptor_ < 0 ? 0 : 1, &wait, nullptr);
  if (ready > 0) {
    next_look_ns_ = kFirstLookNs;
  } else if (is_for_next_look) {
    next_look_ns_ = next_look_ns_ >= kLastLookNs ? 0 : next_look_ns_ * 2;
  }
  return absl::OkStatus();
}

// ---- Sending ------------------------------------------------------------------------------------

absl::Status Server::SendOn(Connection& to, FrameKind kind, uint64_t correlation,
                            const Outgoing& outgoing, Deadline deadline) {
  const Frame frame{.kind = kind,
                    .session = to.id.session,
                    .client = to.id.participant,
                    .tag = outgoing.tag,
                    .correlation = correlation};
  if (outgoing.buffer != nullptr) to.had_buffers = true;
  const auto send = [&] {
    return SendFrame(pool(), *to.channel, frame, outgoing, deadline, BoxOf(to.id.participant.slot));
  };
  absl::Status sent = send();
  if (!absl::IsResourceExhausted(sent)) return sent;
  // Announced first, and tried once more: the client looks for the mark when it has received all.
  // Seq_cst: before the second try; with the client's look.
  MarkOfClient(to.id, kOverloaded)
      .store(MarkOf(to.id.participant.generation, 1), std::memory_order_seq_cst);
  sent = send();
  if (absl::IsResourceExhausted(sent) && !to.overloaded) {
    to.overloaded = true;
    Event event;
    event.kind = EventKind::kOverloaded;
    event.client = to.id;
    events_.push_back(std::move(event));
  }
  return sent;
}

absl::Status Server::Send(const ClientId& to, const Outgoing& outgoing, Deadline deadline) {
  Connection* const connection = Find(to);
  if (connection == nullptr || connection->is_dead) {
    return absl::UnavailableError("the client is not connected");
  }
  return SendOn(*connection, FrameKind::kMessage, 0, outgoing, deadline);
}

size_t Server::SendTo(std::span<const ClientId> clients, const Outgoing& outgoing,
                      Deadline deadline) {
  size_t got = 0;
  for (const ClientId& client : clients) {
    Outgoing one = outgoing;
    Buffer share;
    if (outgoing.buffer != nullptr && outgoing.buffer->has_block()) {
      absl::StatusOr<Buffer> other = outgoing.buffer->Share();
      if (!other.ok()) continue;
      share = *std::move(other);
      one.buffer = &share;
    }
    got += Send(client, one, deadline).ok() ? 1 : 0;
  }
  return got;
}

size_t Server::SendToAll(const Outgoing& outgoing, Deadline deadline) {
  return SendTo(clients(), outgoing, deadline);
}

absl::Status Server::Answer(const Event& request, const Outgoing& outgoing, Deadline deadline) {
  Connection* const connection = Find(request.client);
  if (connection == nullptr || connection->is_dead) {
    return absl::UnavailableError("the client is not connected");
  }
  return SendOn(*connection, FrameKind::kAnswer, request.correlation, outgoing, deadline);
}

absl::Status Server::Close(const ClientId& client) {
  Connection* const connection = Find(client);
  if (connection == nullptr) return absl::UnavailableError("the client is not connected");
  // The mark says it too: it may have no room for the message. Seq_cst, also of a failure, after
  // which nothing is left to do: with the client's stores and looks.
  uint64_t mark = MarkOf(client.participant.generation, client.session);
  MarkOfClient(client, kSession)
      .compare_exchange_strong(mark, 0, std::memory_order_seq_cst, std::memory_order_seq_cst);
  SendOn(*connection, FrameKind::kClosed, 0, {}, Deadline::None()).IgnoreError();
  if (connection->had_buffers) closed_with_buffers_.push_back(client);
  connections_.erase(client.participant.slot);
  closed_[client.participant.slot] = client;
  return absl::OkStatus();
}

void Server::CloseAll() {
  for (const ClientId& client : clients()) Close(client).IgnoreError();
}

absl::Status Server::Ping(const ClientId& client) {
  Connection* const connection = Find(client);
  if (connection == nullptr) return absl::UnavailableError("the client is not connected");
  return SendOn(*connection, FrameKind::kPing, 0, {}, Deadline::None());
}

int64_t Server::HeardNs(const ClientId& client) const {
  const Connection* const connection = Find(client);
  return connection != nullptr ? connection->heard_ns : 0;
}

// Who found the inbox full is told that it is empty.
void Server::TellOfRoom() {
  for (auto& [slot, connection] : connections_) {
    uint64_t mark = MarkOf(connection.id.participant.generation, 1);
    buffers::SharedWord& wants = MarkOfClient(connection.id, kWantsRoom);
    // Seq_cst, both: after the look at the inbox; with the client's store.
    if (wants.load(std::memory_order_seq_cst) != mark ||
        !wants.compare_exchange_strong(mark, 0, std::memory_order_seq_cst,
                                       std::memory_order_seq_cst)) {
      continue;
    }
    SendOn(connection, FrameKind::kRelieved, 0, {}, Deadline::None()).IgnoreError();
  }
}

std::vector<ClientId> Server::clients() const {
  std::vector<ClientId> all;
  for (const auto& [slot, connection] : connections_) all.push_back(connection.id);
  return all;
}

}  // namespace kill9::connections
