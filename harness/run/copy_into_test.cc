#include "harness/run/attempt/copy_into.h"

#include <sys/stat.h>
#include <sys/xattr.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/command/command_for_tests.h"

namespace kill9::run {
namespace {

using ::testing::HasSubstr;

class CopyIntoTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* one : {"/from", "/to"}) std::filesystem::create_directory(folder_ + one);
  }
  void TearDown() override { RunLine("chmod -R u+w " + folder_); }  // so that it can be removed
  void Make(const std::string& lines) const {
    const Ended made = RunLine("cd " + folder_ + "/from && set -e && " + lines + " 2>&1");
    ASSERT_EQ(made.exit_code, 0) << made.output;
  }
  // Names, kinds, rights, owners, times, links, sizes of files; then what is in them.
  std::string Listing(const std::string& of) const {
    return RunLine("cd " + folder_ + of +
                   " && find . -mindepth 1 -path ./kill9-out -prune -o -mindepth 1 "
                   "-printf '%P %y %m %U:%G %T@ %n %l\\n' | sort && "
                   "find . -path ./kill9-out -prune -o -type f -exec cksum {} + | sort -k3")
        .output;
  }

  const OwnFolder own_;
  const std::string& folder_ = own_.path();
};

TEST_F(CopyIntoTest, KeepsWhatACopyCanKeep) {
  Make(
      "mkdir -p a/b/kill9-out kill9-out && echo one >a/one && ln a/one a/b/again && "
      "ln -s ../nowhere a/link && mkfifo a/fifo && : >empty && printf two >a/b/kill9-out/two && "
      "chmod 4755 a/one && chmod 600 empty && touch -d 2001-02-03T04:05:06.7 empty a/one && "
      "touch -h -d 2002-02-03 a/link && chmod 555 a/b && touch -d 2003-02-03 a/b a && "
      "truncate -s 64M a/holes && printf five | dd of=a/holes bs=1 seek=32M conv=notrunc "
      "status=none && echo kept >kill9-out/kept");
  const bool has_attribute =
      setxattr((folder_ + "/from/a/one").c_str(), "user.mine", "yes", 3, 0) == 0;
  ASSERT_TRUE(CopyInto(folder_ + "/from", folder_ + "/to").ok());
  const std::string listing = Listing("/from");
  EXPECT_THAT(listing, HasSubstr("a/b/again f 4755 ")) << listing;
  EXPECT_EQ(Listing("/to"), listing);
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/to/kill9-out"));
  struct stat status {};
  ASSERT_EQ(stat((folder_ + "/to/a/holes").c_str(), &status), 0);
  EXPECT_LT(status.st_blocks, 2048) << "a hole was filled";
  char value[3];
  EXPECT_EQ(getxattr((folder_ + "/to/a/one").c_str(), "user.mine", value, sizeof value) == 3,
            has_attribute);
}

TEST_F(CopyIntoTest, SaysWhatCannotBeCopied) {
  Make("mkdir a && echo one >a/one && echo other >../to/a");
  const absl::Status status = CopyInto(folder_ + "/from", folder_ + "/to");
  EXPECT_THAT(std::string(status.message()), HasSubstr("cannot copy the state (a): File exists"));
  Make("rm -r a && mkdir ../to/file && echo one >file");
  EXPECT_THAT(std::string(CopyInto(folder_ + "/from", folder_ + "/to").message()),
              HasSubstr("cannot copy the state (file): File exists"));
  EXPECT_FALSE(CopyInto(folder_ + "/nowhere", folder_ + "/to").ok());
  EXPECT_FALSE(CopyInto(folder_ + "/from", folder_ + "/nowhere").ok());
}

}  // namespace
}  // namespace kill9::run
