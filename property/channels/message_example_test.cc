// The example of a server and a client over a channel: either may be killed at any time.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "property/channels/channel_conformance.h"

namespace kill9 {
namespace {

// A program whose output goes to a file. It is killed with its object.
class Program {
 public:
  Program(const std::vector<std::string>& arguments, const std::string& output) : output_(output) {
    std::vector<char*> words;
    for (const std::string& argument : arguments) {
      words.push_back(const_cast<char*>(argument.c_str()));
    }
    words.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    if (posix_spawn(&pid_, words[0], &actions, nullptr, words.data(), environ) != 0) std::abort();
    posix_spawn_file_actions_destroy(&actions);
  }
  ~Program() { Kill(); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void Kill() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    Wait();
  }
  int Wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return status;
  }
  std::string output() const {
    std::ifstream in(output_);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }

 private:
  const std::string output_;
  pid_t pid_ = 0;
};

TEST(MessageExample, SurvivesTheDeathOfEitherSideAndComparesWithASocket) {
  const std::string name = absl::StrCat("kill9-message-example-", getpid());
  const SegmentLocation location{SegmentKind::kNamed, name};
  const auto output = [&name](const char* what) {
    return absl::StrCat(::testing::TempDir(), "/", name, "-", what);
  };
  const auto serve = [&] {
    auto server = std::make_unique<Program>(std::vector<std::string>{KILL9_MESSAGE_SERVER, name},
                                            output("server"));
    EXPECT_TRUE(Eventually([&] { return server->output().find("ready") != std::string::npos; }));
    return server;
  };
  const ChannelDesign& design = *AllChannels().front();
  std::unique_ptr<Program> server = serve();
  const std::shared_ptr<Segment> segment = design.Open(location).value();
  const std::unique_ptr<Channel> watcher =
      design.Attach(segment, {.role = MemberRole::kSender}).value();
  const auto has_begun = [&] { return watcher->Look().value().senders == 2; };

  // A client dies while it sends; what it has sent arrives.
  {
    Program client({KILL9_MESSAGE_CLIENT, name, "100000000"}, output("killed"));
    EXPECT_TRUE(Eventually(has_begun));
    client.Kill();
  }
  EXPECT_TRUE(Eventually([&] { return watcher->Look().value().bytes == 0; }));
  ASSERT_TRUE(watcher->Recover().ok());

  // The server dies while a client sends; the next one gets the rest.
  Program client({KILL9_MESSAGE_CLIENT, name, "30000"}, output("client"));
  EXPECT_TRUE(Eventually(has_begun));
  server->Kill();
  server = serve();
  EXPECT_EQ(client.Wait(), 0);
  EXPECT_NE(client.output().find("channel, in batches"), std::string::npos) << client.output();

  // And the comparison, with nobody killed.
  Program whole({KILL9_MESSAGE_CLIENT, name, "3000"}, output("whole"));
  EXPECT_EQ(whole.Wait(), 0);
  EXPECT_NE(whole.output().find("Unix socket, a write each"), std::string::npos) << whole.output();
  server->Kill();
  ASSERT_TRUE(watcher->Recover().ok());
  const AuditReport audit = watcher->Audit().value();
  EXPECT_TRUE(audit.clean()) << Show(audit);
  EXPECT_EQ(audit.entries, 0u);
  for (const char* one : {"server", "killed", "client", "whole"}) unlink(output(one).c_str());
  EXPECT_TRUE(Segment::Unlink(location).ok());
}

}  // namespace
}  // namespace kill9
