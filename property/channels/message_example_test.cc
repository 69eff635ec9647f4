// The example of a server and a client over a channel: either may be killed at any time.
#include <signal.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "property/channels/channel_conformance.h"

namespace kill9 {
namespace {

std::unique_ptr<SpawnedProgram> Spawn(std::vector<std::string> words) {
  return std::make_unique<SpawnedProgram>(std::move(words), ::testing::TempDir());
}

TEST(MessageExample, SurvivesTheDeathOfEitherSideAndComparesWithASocket) {
  const std::string name = absl::StrCat("kill9-message-example-", getpid());
  const SegmentLocation location{SegmentKind::kNamed, name};
  const auto serve = [&] {
    std::unique_ptr<SpawnedProgram> server = Spawn({KILL9_MESSAGE_SERVER, name});
    EXPECT_TRUE(Eventually([&] { return server->HasSaid("ready"); }));
    return server;
  };
  const ChannelDesign& design = *AllChannels().front();
  std::unique_ptr<SpawnedProgram> server = serve();
  const std::shared_ptr<Segment> segment = design.Open(location).value();
  const std::unique_ptr<Channel> watcher =
      design.Attach(segment, {.role = MemberRole::kSender}).value();
  const auto has_begun = [&] { return watcher->Look().value().senders == 2; };

  // A client dies while it sends; what it has sent arrives.
  {
    const auto client = Spawn({KILL9_MESSAGE_CLIENT, name, "100000000"});
    EXPECT_TRUE(Eventually(has_begun));
    client->End(SIGKILL);
  }
  EXPECT_TRUE(Eventually([&] { return watcher->Look().value().bytes == 0; }));
  ASSERT_TRUE(watcher->Recover().ok());

  // The server dies while a client sends; the next one gets the rest.
  const auto client = Spawn({KILL9_MESSAGE_CLIENT, name, "30000"});
  EXPECT_TRUE(Eventually(has_begun));
  server->End(SIGKILL);
  server = serve();
  EXPECT_EQ(client->Wait(), 0);
  EXPECT_TRUE(client->HasSaid("channel, in batches")) << client->output();

  // And the comparison, with nobody killed.
  const auto whole = Spawn({KILL9_MESSAGE_CLIENT, name, "3000"});
  EXPECT_EQ(whole->Wait(), 0);
  EXPECT_TRUE(whole->HasSaid("Unix socket, a write each")) << whole->output();
  server->End(SIGKILL);
  ASSERT_TRUE(watcher->Recover().ok());
  const AuditReport audit = watcher->Audit().value();
  EXPECT_TRUE(audit.clean()) << Show(audit);
  EXPECT_EQ(audit.entries, 0u);
  EXPECT_TRUE(Segment::Unlink(location).ok());
}

}  // namespace
}  // namespace kill9
