// Clients and servers that are killed.
#include <random>
#include <set>
#include <vector>

#include "property/connections/connections_fixture.h"

namespace kill9::connections {
namespace {

class ConnectionDeaths : public ConnectionsFixture {};

TEST_F(ConnectionDeaths, WhatACrashedClientHadSentComesBeforeTheNewsOfItsDeath) {
  StartServer();
  constexpr int kMessages = 1000;  // more than after which the server looks for the dead
  Child child([&](Line& parent) {
    const std::unique_ptr<Client> client = Connected();
    CHILD_REQUIRE(client != nullptr);
    for (int i = 0; i < kMessages; ++i) {
      CHILD_REQUIRE(client->Send({.tag = i, .bytes = "m"}, Patient()).ok());
    }
    parent.Tell();
    pause();
    return 0;
  });
  const ClientId client = Next(EventKind::kConnected).client;
  ASSERT_TRUE(child.Await());
  child.KillAndReap();
  for (int i = 0; i < kMessages; ++i) {
    const Event event = Next(EventKind::kMessage);
    ASSERT_EQ(event.tag, i);
    ASSERT_EQ(event.client, client);
  }
  EXPECT_EQ(Next(EventKind::kDied).client, client);
  EXPECT_TRUE(absl::IsDeadlineExceeded(server_->Receive(kNow).status())) << "told once";
}

TEST_F(ConnectionDeaths, ADeathIsNewsForAServerThatWaitsForAnything) {
  StartServer();
  Child child([&](Line&) {
    const std::unique_ptr<Client> client = Connected();
    CHILD_REQUIRE(client != nullptr);
    SleepMicroseconds(20'000);
    raise(SIGKILL);
    return 0;
  });
  Next(EventKind::kConnected);
  Next(EventKind::kDied);
  EXPECT_EQ(child.ExitStatus(), 1000 + SIGKILL);
}

TEST_F(ConnectionDeaths, TheNextClientInTheSlotOfADeadOneComesAfterTheNewsOfTheDeath) {
  StartServer();
  std::vector<Child> children;
  ClientId before;
  for (int round = 0; round < 5; ++round) {
    children.emplace_back([&](Line& parent) {
      const std::unique_ptr<Client> client = Connected();
      CHILD_REQUIRE(client != nullptr && client->Send({.tag = round}, Patient()).ok());
      parent.Tell();
      pause();
      return 0;
    });
    if (round > 0) {
      // Its greeting waits, most likely, before the server looks for the dead.
      SleepMicroseconds(20'000);
      EXPECT_EQ(Next(EventKind::kMessage).tag, round - 1);
      EXPECT_EQ(Next(EventKind::kDied).client, before);
    }
    const ClientId client = Next(EventKind::kConnected).client;
    if (round > 0) {
      EXPECT_EQ(client.participant.slot, before.participant.slot) << "the premise";
      EXPECT_NE(client, before);
    }
    before = client;
    ASSERT_TRUE(children.back().Await());
    children.back().KillAndReap();
    ASSERT_TRUE(server_->pool().Recover().ok());
  }
}

// A server in a process of its own, which counts what comes until it is told to say so.
TEST_F(ConnectionDeaths, AServerThatWasKilledFindsItsClientsAgainAndWhatTheySentMeanwhile) {
  constexpr int kClients = 3, kRounds = 4;
  std::vector<Child> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&](Line& parent) {
      const std::unique_ptr<Client> client = Connected();
      CHILD_REQUIRE(client != nullptr);
      parent.Tell();
      for (int round = 0; round < kRounds; ++round) {
        absl::StatusOr<Event> event = client->Receive(Patient());
        CHILD_REQUIRE(event.ok() && event->kind == EventKind::kDied);
        CHILD_REQUIRE(!client->is_connected());
        // One is silent: it is found all the same.
        const Outgoing meanwhile{.tag = round, .bytes = "meanwhile"};
        CHILD_REQUIRE(i == 0 || client->Send(meanwhile, Patient()).ok());
        parent.Tell();
        event = client->Receive(Patient());
        CHILD_REQUIRE(event.ok() && event->kind == EventKind::kConnected && event->again);
        parent.Tell();
      }
      const absl::StatusOr<Event> end = client->Receive(Patient());
      CHILD_REQUIRE(end.ok() && end->bytes == "end");
      return 0;
    });
  }
  for (int round = 0; round <= kRounds; ++round) {
    std::unique_ptr<Child> server = std::make_unique<Child>([&](Line& parent) {
      const absl::StatusOr<std::unique_ptr<Server>> started = Server::Start(options_);
      CHILD_REQUIRE(started.ok());
      int connected = 0, messages = 0;
      while (connected < kClients || (round > 0 && messages < kClients - 1)) {
        const absl::StatusOr<Event> event = (*started)->Receive(Patient());
        CHILD_REQUIRE(event.ok());
        if (event->kind == EventKind::kConnected) {
          CHILD_REQUIRE(round == 0 || event->again);
          ++connected;
        } else {
          CHILD_REQUIRE(event->kind == EventKind::kMessage && event->tag == round - 1);
          ++messages;
        }
      }
      parent.Tell();
      CHILD_REQUIRE(parent.Await());
      CHILD_REQUIRE((*started)->SendToAll({.bytes = "end"}, Patient()) == kClients);
      parent.Tell();
      pause();
      return 0;
    });
    ASSERT_TRUE(server->Await()) << "round " << round;
    for (Child& client : clients) ASSERT_TRUE(client.Await());
    if (round == kRounds) {
      server->Tell();
      ASSERT_TRUE(server->Await());
      for (Child& client : clients) EXPECT_EQ(client.ExitStatus(), 0);
      break;
    }
    server->KillAndReap();
    for (Child& client : clients) ASSERT_TRUE(client.Await()) << "it saw the death";
  }
}

TEST_F(ConnectionDeaths, MoreClientsConnectThanTheServersChannelWouldHaveChunks) {
  constexpr size_t kMany = 300;
  options_.clients_most = kMany;
  StartServer();
  Child child([&](Line& parent) {
    std::vector<std::unique_ptr<Client>> clients;
    while (clients.size() < kMany) {
      clients.push_back(Connected());
      CHILD_REQUIRE(clients.back() != nullptr);
    }
    parent.Tell();
    pause();
    return 0;
  });
  for (size_t i = 0; i < kMany; ++i) Next(EventKind::kConnected);
  ASSERT_TRUE(child.Await());
  EXPECT_EQ(server_->clients().size(), kMany);
  child.KillAndReap();
  for (size_t i = 0; i < kMany; ++i) Next(EventKind::kDied);
}

// The client died while there was no server: its messages come, and then the news.
TEST_F(ConnectionDeaths, AClientThatDiedWhileThereWasNoServerIsToldOfByTheNextOne) {
  StartServer();
  Child child([&](Line& parent) {
    const std::unique_ptr<Client> client = Connected();
    CHILD_REQUIRE(client != nullptr && parent.Await());
    CHILD_REQUIRE(client->Send({.bytes = "last"}, Patient()).ok());
    parent.Tell();
    pause();
    return 0;
  });
  const ClientId client = Next(EventKind::kConnected).client;
  server_ = nullptr;
  child.Tell();
  ASSERT_TRUE(child.Await());
  child.KillAndReap();
  StartServer();
  EXPECT_EQ(Next(EventKind::kConnected).client, client);
  EXPECT_EQ(Next(EventKind::kMessage).bytes, "last");
  EXPECT_EQ(Next(EventKind::kDied).client, client);
}

// What was on its way to a client is free when the client is dead, whatever else died before.
TEST_F(ConnectionDeaths, BuffersOnTheirWayToAClientDoNotOutliveIt) {
  for (const bool closed : {false, true}) {
    StartServer();
    Child child([&](Line&) {
      const std::unique_ptr<Client> client = Connected();
      CHILD_REQUIRE(client != nullptr);
      pause();
      return 0;
    });
    const ClientId client = Next(EventKind::kConnected).client;
    Buffer buffer = *server_->pool().Allocate(1000, kNow);
    ASSERT_TRUE(server_->Send(client, {.buffer = &buffer}, kNow).ok());
    ExpectHolds(1);
    if (closed) {
      ASSERT_TRUE(server_->Close(client).ok());
      child.KillAndReap();
      EXPECT_TRUE(absl::IsDeadlineExceeded(server_->Receive(kNow).status()));
    } else {
      server_ = nullptr;
      child.KillAndReap();
      StartServer();
    }
    ExpectHolds(0);
    server_ = nullptr;
  }
}

TEST_F(ConnectionDeaths, ARequestWhoseServerDiesIsNotWaitedFor) {
  Child server([&](Line& parent) {
    const absl::StatusOr<std::unique_ptr<Server>> started = Server::Start(options_);
    CHILD_REQUIRE(started.ok());
    parent.Tell();
    for (;;) {
      const absl::StatusOr<Event> event = (*started)->Receive(Patient());
      if (event.ok() && event->kind == EventKind::kRequest) raise(SIGKILL);
    }
    return 0;
  });
  ASSERT_TRUE(server.Await());
  const std::unique_ptr<Client> client = Connected();
  ASSERT_NE(client, nullptr);
  EXPECT_TRUE(absl::IsUnavailable(client->Ask({.bytes = "die"}, Patient()).status()));
  const absl::StatusOr<Event> event = client->Receive(kNow);
  ASSERT_TRUE(event.ok());
  EXPECT_EQ(static_cast<int>(event->kind), static_cast<int>(EventKind::kDied));
  EXPECT_EQ(server.ExitStatus(), 1000 + SIGKILL);
}

}  // namespace
}  // namespace kill9::connections
