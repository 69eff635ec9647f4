// The examples of connections, as apps/examples/README.md runs them.
#include <string>
#include <utility>
#include <vector>

#include "property/connections/connections_fixture.h"

namespace kill9::connections {
namespace {

class Running : public SpawnedProgram {
 public:
  explicit Running(std::vector<std::string> words)
      : SpawnedProgram(InTheBuild(std::move(words)), ::testing::TempDir()) {}
  void AwaitOutput(const std::string& text) const {
    while (!HasSaid(text)) SleepMicroseconds(2000);
  }

 private:
  static std::vector<std::string> InTheBuild(std::vector<std::string> words) {
    words[0] = absl::StrCat(KILL9_EXAMPLES "/", words[0]);
    return words;
  }
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
