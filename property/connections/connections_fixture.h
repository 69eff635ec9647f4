// What the tests of connections share: a name that is removed, and clients as processes.
#ifndef KILL9_PROPERTY_CONNECTIONS_CONNECTIONS_FIXTURE_H_
#define KILL9_PROPERTY_CONNECTIONS_CONNECTIONS_FIXTURE_H_

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "apps/connections/client.h"
#include "apps/connections/server.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/scaffold/children.h"

namespace kill9::connections {

// Against what hangs, not what is slow. `kill9 planted` knows of a bug in it, and waits less.
inline Deadline Patient() {
  static const long seconds = [] {
    const char* const text = std::getenv("KILL9_WATCHDOG_S");
    return text != nullptr ? std::strtol(text, nullptr, 10) : long{kWatchdogSeconds};
  }();
  return Deadline::After(std::chrono::seconds(seconds));
}

class ConnectionsFixture : public ::testing::Test {
 protected:
  static constexpr Deadline kNow = Deadline::None();

  ConnectionsFixture() {
    static int number = 0;
    options_.name = absl::StrCat("kill9_connections_", getpid(), "_", number++);
    options_.clients_most = 16;
    options_.pool_bytes = 8 << 20;
    options_.buffers_most = 256;
    options_.server_channel_bytes = 1 << 20;
  }
  ~ConnectionsFixture() override {
    server_ = nullptr;
    Place::Remove(options_.name);
  }
  void StartServer() {
    absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(options_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  // A client that is connected; null on an error.
  std::unique_ptr<Client> Connected() const {
    absl::StatusOr<std::unique_ptr<Client>> client = Client::Open(options_);
    if (!client.ok() || !(*client)->Connect(Patient()).ok()) return nullptr;
    return *std::move(client);
  }
  // The server's next event.
  Event Next() {
    absl::StatusOr<Event> event = server_->Receive(Patient());
    EXPECT_TRUE(event.ok()) << event.status();
    return event.ok() ? *std::move(event) : Event{};
  }
  // Which must be of this kind.
  Event Next(EventKind kind) {
    Event event = Next();
    EXPECT_EQ(static_cast<int>(event.kind), static_cast<int>(kind)) << event.bytes;
    return event;
  }
  // That nobody has anything of the pool but the server what it is known to have.
  void ExpectHolds(uint64_t holds) {
    ASSERT_TRUE(server_->pool().Recover().ok());
    const absl::StatusOr<BufferPoolAccount> account = server_->pool().Account();
    ASSERT_TRUE(account.ok()) << account.status();
    EXPECT_TRUE(account->report.clean()) << ::testing::PrintToString(account->report.violations);
    EXPECT_EQ(account->holds, holds);
  }

  Options options_;
  std::unique_ptr<Server> server_;
};

}  // namespace kill9::connections

#endif  // KILL9_PROPERTY_CONNECTIONS_CONNECTIONS_FIXTURE_H_
