#include "apps/connections/client.h"

#include <algorithm>
#include <chrono>

namespace kill9::connections {
namespace {

// A wait for a message is cut into pieces of so long, after each of which the client looks whether
// its server lives. News of a death ends a piece at once.
constexpr std::chrono::milliseconds kPiece(200);

// The first piece after the news that the last server has gone; each next one is twice as long.
constexpr std::chrono::milliseconds kShortestPiece(1);

bool IsOver(Deadline deadline) {
  return !deadline.waits() || (!deadline.forever() && NowNs() >= deadline.monotonic_ns());
}

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Client::Open(const Options& options) {
  absl::StatusOr<std::unique_ptr<Place>> place = Place::Open(options);
  if (!place.ok()) return place.status();
  std::unique_ptr<Client> client(new Client(*std::move(place)));
  absl::StatusOr<std::unique_ptr<Channel>> inbox =
      client->place_->JoinClientChannel(client->id().slot, MemberRole::kReceiver);
  if (!inbox.ok()) return inbox.status();
  client->inbox_ = *std::move(inbox);
  absl::StatusOr<std::unique_ptr<Channel>> to_server =
      client->place_->JoinServerChannel(MemberRole::kSender);
  if (!to_server.ok()) return to_server.status();
  client->to_server_ = *std::move(to_server);
  // What was for an earlier client of the slot.
  while (client->pool().Receive(*client->inbox_, Deadline::None()).ok()) {
  }
  return client;
}

Client::~Client() {
  Disconnect().IgnoreError();
  if (inbox_ == nullptr) return;
  while (pool().Receive(*inbox_, Deadline::None()).ok()) {
  }
}

// ---- Connecting ---------------------------------------------------------------------------------

absl::Status Client::Connect(Deadline deadline) {
  if (wants_connection_) Disconnect().IgnoreError();
  ++session_;
  wants_connection_ = true;
  was_connected_ = false;
  // Seq_cst: before the Hello. Who starts as a server finds the mark, or receives the Hello.
  OwnMark(kSession).store(MarkOf(id().generation, session_), std::memory_order_seq_cst);
  absl::Status sent = SendOn(FrameKind::kHello, 0, {}, deadline);
  while (sent.ok()) {
    absl::StatusOr<std::optional<Event>> event = ReceiveOne(NextPiece(deadline));
    if (is_connected_) return absl::OkStatus();
    if (event.ok() && event->has_value()) events_.push_back(**std::move(event));
    if (!event.ok() && !absl::IsDeadlineExceeded(event.status())) sent = event.status();
    if (IsOver(deadline)) break;
  }
  // No server will take the Hello for one that is meant.
  OwnMark(kSession).store(0, std::memory_order_seq_cst);
  wants_connection_ = false;
  return sent.ok() ? absl::DeadlineExceededError("no server has answered") : sent;
}

absl::Status Client::Disconnect() {
  if (!wants_connection_) return absl::OkStatus();
  // Seq_cst: before the Bye, and before the slot is another's.
  OwnMark(kSession).store(0, std::memory_order_seq_cst);
  wants_connection_ = is_connected_ = false;
  return SendOn(FrameKind::kBye, 0, {}, Deadline::After(kPiece));
}

std::optional<Event> Client::Lose(EventKind kind) {
  if (!is_connected_) return std::nullopt;
  is_connected_ = false;
  Event event;
  event.kind = kind;
  return event;
}

std::optional<Event> Client::LookForServer() {
  if (!is_connected_) return std::nullopt;
  // Seq_cst: with the server's CAS, which ends the session.
  if (OwnMark(kSession).load(std::memory_order_seq_cst) != MarkOf(id().generation, session_)) {
    wants_connection_ = false;
    return Lose(EventKind::kDisconnected);
  }
  return pool().IsAlive(server_) ? std::nullopt : Lose(EventKind::kDied);
}

Deadline Client::NextPiece(Deadline deadline) {
  if (!deadline.waits()) return deadline;
  piece_ = std::exchange(shortest_piece_, false) ? kShortestPiece : std::min(2 * piece_, kPiece);
  const Deadline piece = Deadline::After(piece_);
  return piece.monotonic_ns() < deadline.monotonic_ns() ? piece : deadline;
}

// ---- Receiving ----------------------------------------------------------------------------------

absl::StatusOr<Event> Client::Receive(Deadline deadline) {
  if (!events_.empty()) {
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
  }
  for (;;) {
    absl::StatusOr<std::optional<Event>> event = ReceiveOne(NextPiece(deadline));
    if (event.ok() && event->has_value()) return **std::move(event);
    if (!event.ok() && !absl::IsDeadlineExceeded(event.status())) return event.status();
    if (!event.ok() && IsOver(deadline)) return event.status();
  }
}

absl::StatusOr<std::optional<Event>> Client::ReceiveOne(Deadline deadline) {
  if (next_.has_value()) return std::exchange(next_, std::nullopt);
  absl::StatusOr<ReceivedBuffer> received = pool().Receive(*inbox_, Deadline::None());
  if (absl::IsDeadlineExceeded(received.status())) {
    TellOfRoom();
    // All that the server had sent has come.
    if (std::optional<Event> event = LookForServer(); event.has_value()) return event;
    if (deadline.waits()) received = pool().Receive(*inbox_, deadline);
  }
  if (absl::IsUnavailable(received.status())) {
    // The last server has gone, or none has come yet. The kernel drops the locks of the dead one
    // after the other: those of the pool may be the last.
    if (std::optional<Event> event = LookForServer(); event.has_value()) return event;
    shortest_piece_ = true;
    return std::nullopt;
  }
  if (absl::IsInvalidArgument(received.status())) return std::nullopt;
  if (!received.ok()) return received.status();
  const std::optional<Frame> frame = Unpack(received->header);
  if (!frame.has_value()) return std::nullopt;
  return Handle(*frame, *received);
}

std::optional<Event> Client::Handle(const Frame& frame, ReceivedBuffer& received) {
  // Of a session that is over, or for another client of the slot.
  if (!wants_connection_ || frame.client != id() || frame.session != session_) return std::nullopt;
  Event event;
  switch (frame.kind) {
    case FrameKind::kWelcome: {
      server_ = pool().SeatedAt(kServerSeat);
      // The server of before died so late that this is the first news of it.
      std::optional<Event> lost = Lose(EventKind::kDied);
      is_connected_ = true;
      event.kind = EventKind::kConnected;
      event.again = std::exchange(was_connected_, true);
      if (!event.again) return std::nullopt;
      if (!lost.has_value()) return event;
      next_ = std::move(event);
      return lost;
    }
    case FrameKind::kClosed:
      wants_connection_ = false;
      return Lose(EventKind::kDisconnected);
    case FrameKind::kStopped:
      return Lose(EventKind::kDisconnected);
    case FrameKind::kPing:
      SendOn(FrameKind::kPong, 0, {}, Deadline::None()).IgnoreError();
      return std::nullopt;
    case FrameKind::kRelieved:
      event.kind = EventKind::kRelieved;
      return event;
    case FrameKind::kAnswer:
      // One that nobody waits for any more is dropped, and its buffer with it.
      if (frame.correlation != awaited_) return std::nullopt;
      awaited_ = 0;
      [[fallthrough]];
    case FrameKind::kMessage:
      event.tag = frame.tag;
      event.correlation = frame.correlation;
      event.bytes = received.header.substr(sizeof(Frame));
      event.buffer = std::move(received.buffer);
      return event;
    default:
      return std::nullopt;
  }
}

// The server found no room here, and now all is received.
void Client::TellOfRoom() {
  uint64_t mark = MarkOf(id().generation, 1);
  // Seq_cst, both: after the look at the inbox; with the server's store.
  if (OwnMark(kOverloaded).load(std::memory_order_seq_cst) != mark) return;
  if (!SendOn(FrameKind::kRelieved, 0, {}, Deadline::None()).ok()) return;  // the next look
  OwnMark(kOverloaded)
      .compare_exchange_strong(mark, 0, std::memory_order_seq_cst, std::memory_order_seq_cst);
}

// ---- Sending ------------------------------------------------------------------------------------

absl::Status Client::SendOn(FrameKind kind, uint64_t correlation, const Outgoing& outgoing,
                            Deadline deadline) {
  const Frame frame{.kind = kind,
                    .session = session_,
                    .client = id(),
                    .tag = outgoing.tag,
                    .correlation = correlation};
  return SendFrame(pool(), *to_server_, frame, outgoing, deadline, kServerBox);
}

absl::Status Client::Send(const Outgoing& outgoing, Deadline deadline) {
  if (!wants_connection_) return absl::UnavailableError("the client is not connected");
  absl::Status sent = SendOn(FrameKind::kMessage, 0, outgoing, deadline);
  if (!absl::IsResourceExhausted(sent)) return sent;
  // Announced first, and tried once more: the server looks for the mark when it has received all.
  // Seq_cst: before the second try; with the server's look.
  OwnMark(kWantsRoom).store(MarkOf(id().generation, 1), std::memory_order_seq_cst);
  return SendOn(FrameKind::kMessage, 0, outgoing, deadline);
}

absl::StatusOr<Event> Client::Ask(const Outgoing& outgoing, Deadline deadline) {
  if (!is_connected_) return absl::UnavailableError("the client is not connected");
  awaited_ = ++last_correlation_;
  absl::Status failed = SendOn(FrameKind::kRequest, awaited_, outgoing, deadline);
  while (failed.ok()) {
    absl::StatusOr<std::optional<Event>> event = ReceiveOne(NextPiece(deadline));
    if (event.ok() && event->has_value()) {
      if (awaited_ == 0) return **std::move(event);
      const EventKind kind = (*event)->kind;
      events_.push_back(**std::move(event));
      if (kind == EventKind::kDied || kind == EventKind::kDisconnected)
        failed = absl::UnavailableError("the server has gone");
    } else if (!event.ok() && !absl::IsDeadlineExceeded(event.status())) {
      failed = event.status();
    } else if (!event.ok() && IsOver(deadline)) {
      failed = event.status();
    }
  }
  awaited_ = 0;
  return failed;
}

}  // namespace kill9::connections
