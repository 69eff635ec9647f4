// The examples of connections, as apps/examples/README.md runs them.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "property/connections/connections_fixture.h"

namespace kill9::connections {
namespace {

class Running {
 public:
  explicit Running(std::vector<std::string> words) {
    words[0] = absl::StrCat(KILL9_EXAMPLES "/", words[0]);
    output_ = absl::StrCat(::testing::TempDir(), "/kill9_example_", getpid(), "_", next_++);
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, output_.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    if (posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ) != 0) {
      std::abort();
    }
    posix_spawn_file_actions_destroy(&actions);
  }
  ~Running() {
    End(SIGKILL);
    unlink(output_.c_str());
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  int Wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return status;
  }
  void End(int signal) {
    if (pid_ == 0) return;
    kill(pid_, signal);
    Wait();
  }
  void AwaitOutput(const std::string& text) const {
    while (output().find(text) == std::string::npos) SleepMicroseconds(2000);
  }
  std::string output() const {
    std::ifstream in(output_);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }

 private:
  static inline int next_ = 0;
  std::string output_;
  pid_t pid_ = 0;
};

class ConnectionExamples : public ConnectionsFixture {};

TEST_F(ConnectionExamples, ThePictureServerIsKilledAndItsClientsGetTheirPicturesAllTheSame) {
  Running first({"picture_client", options_.name, "3000"});
  auto server =
      std::make_unique<Running>(std::vector<std::string>{"picture_server", options_.name});
  server->AwaitOutput("ready");
  Running second({"picture_client", options_.name, "3000", "5"});
  SleepMicroseconds(20'000);
  server->End(SIGKILL);
  server = std::make_unique<Running>(std::vector<std::string>{"picture_server", options_.name});
  EXPECT_EQ(first.Wait(), 0) << first.output();
  EXPECT_EQ(second.Wait(), 0) << second.output();
  EXPECT_THAT(first.output(), ::testing::HasSubstr("3000 pictures"));
  Running third({"picture_client", options_.name, "1", "none of them"});
  EXPECT_NE(third.Wait(), 0);
  EXPECT_THAT(third.output(), ::testing::HasSubstr("there is no picture"));
  server->End(SIGTERM);
  EXPECT_THAT(server->output(), ::testing::HasSubstr("handed out"));
}

TEST_F(ConnectionExamples, TheStressPairAccountsForEveryBuffer) {
  Running stress({"buffer_stress", options_.name, "150"});
  EXPECT_EQ(stress.Wait(), 0) << stress.output();
  EXPECT_THAT(stress.output(), ::testing::HasSubstr("every buffer accounted for"));
}

}  // namespace
}  // namespace kill9::connections
