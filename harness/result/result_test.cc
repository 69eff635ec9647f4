// Result files: whole or not at all, and nothing else is harmed.
#include "harness/result/result.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "property/scaffold/places.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;

class ResultFiles : public testing::Test {
 protected:
  std::string At(const char* name) const { return (folder_ / name).string(); }
  static std::string Content(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  size_t Files() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder_), {}));
  }

  const OwnFolder own_;
  const std::filesystem::path folder_ = own_.path();
};

TEST_F(ResultFiles, NewFileReplacesAnOlderOneAndLeavesNothingBeside) {
  std::ofstream(At("r.json")) << "old";
  ASSERT_TRUE(WriteResult(NewResult("torture", 7), At("r.json")).ok());
  EXPECT_EQ(Json::parse(Content(At("r.json")))["seed"], 7);
  EXPECT_EQ(Files(), 1u);
}

TEST_F(ResultFiles, TellsTheKindOfHost) {
  const Json host = NewResult("torture", 7)["host"];
  for (const char* field : {"kernel", "processor", "hypervisor"}) {
    EXPECT_FALSE(host.value(field, "").empty()) << field;
  }
  EXPECT_GT(host["page_fault_us"].get<double>(), 0);
  // A fork copies page tables, runs a child and waits for it: never cheaper than one fault.
  EXPECT_GT(host["fork_us"].get<double>(), host["page_fault_us"].get<double>());
}

TEST_F(ResultFiles, LinkStaysALink) {
  std::filesystem::create_symlink(At("target.json"), At("link.json"));
  std::ofstream(At("target.json")) << "old";
  ASSERT_TRUE(WriteResult(NewResult("torture", 7), At("link.json")).ok());
  EXPECT_TRUE(std::filesystem::is_symlink(At("link.json")));
  EXPECT_EQ(Json::parse(Content(At("target.json")))["seed"], 7);
}

// So does a device: `--json=/dev/null` must not replace it.
TEST_F(ResultFiles, PipeIsWrittenToAndStaysAPipe) {
  ASSERT_EQ(mkfifo(At("pipe").c_str(), 0600), 0);
  std::string read;
  std::thread reader([&] { read = Content(At("pipe")); });
  const absl::Status status = WriteResult(NewResult("torture", 7), At("pipe"));
  if (!std::filesystem::is_fifo(At("pipe"))) std::_Exit(1);  // the reader would wait for ever
  reader.join();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(Json::parse(read)["seed"], 7);
}

TEST_F(ResultFiles, WhereNoFileCanBeTheErrorSaysWhichAndWhy) {
  const absl::Status status = WriteResult(NewResult("torture", 7), At("absent/r.json"));
  EXPECT_THAT(std::string(status.message()), HasSubstr(At("absent/r.json")));
  EXPECT_THAT(std::string(status.message()), HasSubstr("No such file"));
  EXPECT_EQ(Files(), 0u);
}

}  // namespace
}  // namespace kill9
