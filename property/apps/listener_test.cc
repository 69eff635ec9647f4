// Sockets that servers listen on.
#include "apps/server/listener.h"

#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace kill9::server {
namespace {

using Sockets = absl::StatusOr<std::vector<int>>;

// A path: nobody else of the machine has it.
TEST(Listeners, AnAddressIsAskedForAgainUntilItIsFree) {
  const std::string address = absl::StrCat("unix:", testing::TempDir(), "/listener");
  const Sockets before = Listen(address);
  ASSERT_TRUE(before.ok()) << before.status();
  ASSERT_TRUE(absl::IsAlreadyExists(Listen(address).status())) << "the premise";
  int asked = 0;
  const Sockets after = OnceFree([&] {
    if (++asked == 3) close(before->front());
    return Listen(address);
  });
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(asked, 3);
  close(after->front());
}

TEST(Listeners, OneThatIsNotGivenUpIsAnErrorInTheEnd) {
  int asked = 0;
  const Sockets never = OnceFree([&asked] {
    ++asked;
    return Sockets(absl::AlreadyExistsError("somebody's"));
  });
  EXPECT_TRUE(absl::IsAlreadyExists(never.status()));
  EXPECT_GT(asked, 100);
  asked = 0;
  EXPECT_FALSE(OnceFree([&asked] {
                 ++asked;
                 return Sockets(absl::InvalidArgumentError("no address"));
               }).ok());
  EXPECT_EQ(asked, 1) << "what is wrong stays so";
}

}  // namespace
}  // namespace kill9::server
