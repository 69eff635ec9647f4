// Servers and clients that talk to each other, come, go, and find each other again.
#include <vector>

#include "property/connections/connections_fixture.h"

namespace kill9::connections {
namespace {

class Connections : public ConnectionsFixture {};

TEST_F(Connections, AMessageTellsItsSenderItsTagAndItsBytesAndIsAnswered) {
  StartServer();
  Child child([&](Line&) {
    const std::unique_ptr<Client> client = Connected();
    CHILD_REQUIRE(client != nullptr);
    CHILD_REQUIRE(client->Send({.tag = 7, .bytes = "hello"}, Patient()).ok());
    const absl::StatusOr<Event> answer = client->Ask({.tag = 8, .bytes = "what?"}, Patient());
    CHILD_REQUIRE(answer.ok() && answer->bytes == "that" && answer->tag == 9);
    // What came while it waited is not lost.
    const absl::StatusOr<Event> message = client->Receive(kNow);
    CHILD_REQUIRE(message.ok() && message->bytes == "between");
    return 0;
  });
  const Event connected = Next(EventKind::kConnected);
  EXPECT_FALSE(connected.again);
  const Event message = Next(EventKind::kMessage);
  EXPECT_EQ(message.client, connected.client);
  EXPECT_EQ(message.tag, 7);
  EXPECT_EQ(message.bytes, "hello");
  const Event request = Next(EventKind::kRequest);
  EXPECT_EQ(request.bytes, "what?");
  EXPECT_TRUE(server_->Send(request.client, {.bytes = "between"}, kNow).ok());
  EXPECT_TRUE(server_->Answer(request, {.tag = 9, .bytes = "that"}, kNow).ok());
  EXPECT_EQ(Next(EventKind::kDisconnected).client, connected.client);
  EXPECT_EQ(child.ExitStatus(), 0);
  EXPECT_TRUE(absl::IsUnavailable(server_->Send(connected.client, {}, kNow)));
}

TEST_F(Connections, ABufferGoesToAllWithoutACopyAndIsFreeWhenAllHaveLetGoOfIt) {
  StartServer();
  constexpr int kClients = 4;
  std::vector<Child> children;
  for (int i = 0; i < kClients; ++i) {
    children.emplace_back([&](Line& parent) {
      const std::unique_ptr<Client> client = Connected();
      CHILD_REQUIRE(client != nullptr);
      absl::StatusOr<Event> event = client->Receive(Patient());
      CHILD_REQUIRE(event.ok() && event->buffer.bytes() == std::string(100'000, 'p'));
      parent.Tell();
      CHILD_REQUIRE(parent.Await());
      return 0;
    });
  }
  for (int i = 0; i < kClients; ++i) Next(EventKind::kConnected);
  Buffer picture = *server_->pool().Allocate(0, kNow);
  ASSERT_TRUE(picture.Append(std::string(100'000, 'p'), kNow).ok());
  EXPECT_EQ(server_->SendToAll({.buffer = &picture}, kNow), 4u);
  for (Child& child : children) ASSERT_TRUE(child.Await());
  EXPECT_EQ(server_->pool().Account()->report.live.blocks, 1u);
  ExpectHolds(1 + kClients);
  picture.Release();
  // Two end in order, two are killed.
  for (int i = 0; i < kClients; ++i) {
    if (i % 2 == 0) {
      children[static_cast<size_t>(i)].Tell();
      EXPECT_EQ(children[static_cast<size_t>(i)].ExitStatus(), 0);
      Next(EventKind::kDisconnected);
    } else {
      children[static_cast<size_t>(i)].KillAndReap();
      Next(EventKind::kDied);
    }
  }
  ExpectHolds(0);
}

TEST_F(Connections, ThereIsOneServerOfANameAtATime) {
  StartServer();
  EXPECT_TRUE(absl::IsAlreadyExists(Server::Start(options_).status()));
  server_ = nullptr;
  StartServer();
}

TEST_F(Connections, WithoutAServerConnectEndsAtItsDeadlineAndLeavesNothing) {
  const absl::StatusOr<std::unique_ptr<Client>> client = Client::Open(options_);
  ASSERT_TRUE(client.ok()) << client.status();
  const Deadline soon = Deadline::After(std::chrono::milliseconds(50));
  EXPECT_TRUE(absl::IsDeadlineExceeded((*client)->Connect(soon)));
  EXPECT_TRUE(absl::IsUnavailable((*client)->Send({}, kNow)));
  StartServer();
  // The greeting that waits is of nobody any more.
  EXPECT_TRUE(absl::IsDeadlineExceeded(server_->Receive(kNow).status()));
  EXPECT_TRUE(server_->clients().empty());
}

TEST_F(Connections, WhoConnectsBeforeThereIsAServerIsFoundByIt) {
  Child child([&](Line&) {
    const std::unique_ptr<Client> client = Connected();
    CHILD_REQUIRE(client != nullptr && client->Send({.bytes = "first"}, Patient()).ok());
    return 0;
  });
  SleepMicroseconds(20'000);
  StartServer();
  Next(EventKind::kConnected);
  EXPECT_EQ(Next(EventKind::kMessage).bytes, "first");
  Next(EventKind::kDisconnected);
  EXPECT_EQ(child.ExitStatus(), 0);
}

TEST_F(Connections, TheServerEndsOneSessionOrAll) {
  StartServer();
  std::vector<Child> children;
  for (int i = 0; i < 3; ++i) {
    children.emplace_back([&](Line& parent) {
      const std::unique_ptr<Client> client = Connected();
      CHILD_REQUIRE(client != nullptr);
      uint64_t messages = 0;
      for (;;) {
        const absl::StatusOr<Event> event = client->Receive(Patient());
        CHILD_REQUIRE(event.ok());
        if (event->kind == EventKind::kDisconnected) break;
        ++messages;
      }
      CHILD_REQUIRE(absl::IsUnavailable(client->Send({}, kNow)));
      CHILD_REQUIRE(!client->is_connected());
      parent.Tell(messages);
      return 0;
    });
  }
  std::vector<ClientId> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(Next(EventKind::kConnected).client);
  ASSERT_TRUE(server_->Close(ids[1]).ok());
  EXPECT_EQ(server_->clients().size(), 2u);
  EXPECT_TRUE(absl::IsUnavailable(server_->Close(ids[1])));
  EXPECT_EQ(server_->SendTo(ids, {.bytes = "x"}, kNow), 2u) << "to several: who got it";
  server_->CloseAll();
  EXPECT_TRUE(server_->clients().empty());
  uint64_t messages = 0;
  for (Child& child : children) {
    uint64_t got = 0;
    EXPECT_TRUE(child.Await(&got));
    EXPECT_EQ(child.ExitStatus(), 0);
    messages += got;
  }
  EXPECT_EQ(messages, 2u);
  EXPECT_TRUE(absl::IsDeadlineExceeded(server_->Receive(kNow).status())) << "no news of the closed";
}

TEST_F(Connections, AClientThatIsStoppedIsSlowAndNotDeadAndOverloadIsToldWithItsEnd) {
  StartServer();
  Child child([&](Line& parent) {
    const std::unique_ptr<Client> client = Connected();
    CHILD_REQUIRE(client != nullptr && parent.Await());
    uint64_t got = 0;
    for (;;) {
      const absl::StatusOr<Event> event = client->Receive(Patient());
      CHILD_REQUIRE(event.ok());
      if (event->bytes == "end") break;
      ++got;
    }
    parent.Tell(got);
    return 0;
  });
  const ClientId client = Next(EventKind::kConnected).client;
  child.Signal(SIGSTOP);
  child.AwaitStopped();
  uint64_t sent = 0;
  const std::string bytes(1000, 'b');
  absl::Status status;
  while ((status = server_->Send(client, {.bytes = bytes}, kNow)).ok()) ++sent;
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_GT(sent, 20u);
  EXPECT_EQ(Next(EventKind::kOverloaded).client, client);
  EXPECT_TRUE(absl::IsDeadlineExceeded(server_->Receive(kNow).status())) << "told once, not dead";
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      server_->Send(client, {.bytes = bytes}, Deadline::After(std::chrono::milliseconds(20)))));
  child.Signal(SIGCONT);
  child.Tell();
  EXPECT_EQ(Next(EventKind::kRelieved).client, client);
  ASSERT_TRUE(server_->Send(client, {.bytes = "end"}, Patient()).ok());
  uint64_t got = 0;
  ASSERT_TRUE(child.Await(&got));
  EXPECT_EQ(got, sent) << "what was refused was not sent, what was sent came";
  Next(EventKind::kDisconnected);
}

TEST_F(Connections, AServerThatIsSlowIsToldOfToItsClientsWithItsEnd) {
  StartServer();
  Child child([&](Line& parent) {
    const std::unique_ptr<Client> client = Connected();
    CHILD_REQUIRE(client != nullptr);
    uint64_t sent = 0;
    const std::string bytes(4000, 'b');
    absl::Status status;
    while ((status = client->Send({.bytes = bytes}, kNow)).ok()) ++sent;
    CHILD_REQUIRE(absl::IsResourceExhausted(status));
    parent.Tell(sent);
    const absl::StatusOr<Event> event = client->Receive(Patient());
    CHILD_REQUIRE(event.ok() && event->kind == EventKind::kRelieved);
    CHILD_REQUIRE(client->Send({.bytes = "end"}, kNow).ok());
    return 0;
  });
  Next(EventKind::kConnected);
  uint64_t sent = 0, got = 0;
  ASSERT_TRUE(child.Await(&sent));
  EXPECT_GT(sent, 20u);
  while (Next(EventKind::kMessage).bytes != "end" && !HasFailure()) ++got;
  EXPECT_EQ(got, sent);
  EXPECT_EQ(child.ExitStatus(), 0);
}

TEST_F(Connections, AClientThatHangsIsAskedForASignOfLife) {
  StartServer();
  Child child([&](Line& parent) {
    const std::unique_ptr<Client> client = Connected();
    CHILD_REQUIRE(client != nullptr && parent.Await());
    CHILD_REQUIRE(absl::IsDeadlineExceeded(client->Receive(kNow).status()));
    parent.Tell();
    CHILD_REQUIRE(parent.Await());
    return 0;
  });
  const ClientId client = Next(EventKind::kConnected).client;
  const int64_t before = server_->HeardNs(client);
  ASSERT_TRUE(server_->Ping(client).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(server_->Receive(kNow).status()));
  EXPECT_EQ(server_->HeardNs(client), before) << "it hangs";
  child.Tell();
  ASSERT_TRUE(child.Await());
  EXPECT_TRUE(absl::IsDeadlineExceeded(server_->Receive(kNow).status())) << "a Pong is no event";
  EXPECT_GT(server_->HeardNs(client), before);
  child.Tell();
  Next(EventKind::kDisconnected);
}

}  // namespace
}  // namespace kill9::connections
