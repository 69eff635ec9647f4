#include "harness/stepper/shared_bytes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "property/scaffold/places.h"

namespace kill9::stepper {
namespace {

constexpr size_t kSegmentBytes = 8192;
constexpr off_t kSparseBytes = off_t{64} << 20;

class SharedBytesTest : public testing::Test {
 protected:
  SharedBytesTest() {
    std::ofstream(Path("small")) << "hello";
    std::ofstream(Path("sparse")) << "begins";
    std::filesystem::resize_file(Path("sparse"), kSparseBytes);
    EXPECT_TRUE(shared_.Open(segment_, sizeof segment_, folder_.path()).ok());
    snapshot_.emplace(shared_.snapshot_bytes());
    EXPECT_TRUE(shared_.Save(snapshot_->data()));
    hash_ = shared_.HashOutside();
  }

  std::string Path(const char* name) const { return absl::StrCat(folder_.path(), "/", name); }
  std::string Read(const char* name) const {
    std::ifstream file(Path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  ino_t Inode(const char* name) const {
    struct stat status {};
    stat(Path(name).c_str(), &status);
    return status.st_ino;
  }
  void Write(const char* name, off_t at, std::string_view text) const {
    const int fd = open(Path(name).c_str(), O_RDWR);
    EXPECT_EQ(pwrite(fd, text.data(), text.size(), at), static_cast<ssize_t>(text.size()));
    close(fd);
  }

  const OwnFolder folder_{"/dev/shm"};
  alignas(8) char segment_[kSegmentBytes] = "segment";
  SharedBytes shared_;
  std::optional<Snapshot> snapshot_;
  uint64_t hash_ = 0;
};

TEST_F(SharedBytesTest, PutsBackSegmentAndFilesInTheSameInodes) {
  const ino_t small = Inode("small"), sparse = Inode("sparse");
  std::strcpy(segment_, "other");
  Write("small", 3, "p, longer than before, and over a page");
  std::filesystem::resize_file(Path("small"), 9000);
  Write("sparse", 20 << 20, "in a hole");
  Write("sparse", 0, "ended?");
  EXPECT_NE(shared_.HashOutside(), hash_);
  ASSERT_TRUE(shared_.Restore(snapshot_->data())) << shared_.error();
  EXPECT_EQ(shared_.HashOutside(), hash_);
  EXPECT_STREQ(segment_, "segment");
  EXPECT_EQ(Read("small"), "hello");
  const std::string read = Read("sparse");
  EXPECT_EQ(read.size(), static_cast<size_t>(kSparseBytes));
  EXPECT_EQ(read.substr(0, 6), "begins");
  EXPECT_EQ(read.find_first_not_of('\0', 6), std::string::npos);
  EXPECT_EQ(Inode("small"), small);
  EXPECT_EQ(Inode("sparse"), sparse);
}

TEST_F(SharedBytesTest, AMappingThatStayedShowsWhatWasPutBack) {
  const int fd = open(Path("small").c_str(), O_RDWR);
  char* mapped = static_cast<char*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  close(fd);
  ASSERT_NE(mapped, MAP_FAILED);
  mapped[0] = 'j';
  EXPECT_NE(shared_.HashOutside(), hash_);
  ASSERT_TRUE(shared_.Restore(snapshot_->data()));
  EXPECT_EQ(mapped[0], 'h');
  munmap(mapped, 4096);
}

TEST_F(SharedBytesTest, OneByteOrOneSizeMakesAnotherHashAndPagesOfZerosDoNot) {
  Write("sparse", 30 << 20, std::string_view("\0", 1));  // allocates a page
  EXPECT_EQ(shared_.HashOutside(), hash_);
  Write("sparse", 30 << 20, "\1");
  EXPECT_NE(shared_.HashOutside(), hash_);
  Write("sparse", 30 << 20, std::string_view("\0", 1));
  EXPECT_EQ(shared_.HashOutside(), hash_);
  std::filesystem::resize_file(Path("sparse"), kSparseBytes + 1);
  EXPECT_NE(shared_.HashOutside(), hash_);
  const uint64_t segment = shared_.HashSegment();
  segment_[kSegmentBytes - 1] = 1;
  EXPECT_NE(shared_.HashSegment(), segment);
}

// The same text in another page or another file is another state.
TEST_F(SharedBytesTest, ThePlaceOfAPageCounts) {
  Write("sparse", 4096, "page");
  const uint64_t first = shared_.HashOutside();
  Write("sparse", 4096, std::string_view("\0\0\0\0", 4));
  Write("sparse", 8192, "page");
  EXPECT_NE(shared_.HashOutside(), first);
}

TEST_F(SharedBytesTest, AThreadIdOfWhoIsForkedAgainAndAgainCountsAsTheSame) {
  auto with = [this](uint32_t word, size_t number = 0) {
    Write("sparse", 4096, {reinterpret_cast<const char*>(&word), sizeof word});
    std::memcpy(segment_ + 16, &word, sizeof word);
    PidsByNumber pids{};
    pids[number] = static_cast<pid_t>(word & 0x3FFF'FFFF);
    return shared_.HashOutside(pids) + shared_.HashSegment(pids);
  };
  constexpr uint32_t kWaiters = 0x8000'0000;
  EXPECT_EQ(with(7001), with(7002));
  EXPECT_EQ(with(7001 | kWaiters), with(7002 | kWaiters));
  EXPECT_NE(with(7001), with(7002 | kWaiters));
  EXPECT_EQ(with(7001, 5), with(7002, 5));
  EXPECT_NE(with(7001, 0), with(7001, 1)) << "who it is counts";
}

TEST_F(SharedBytesTest, SnapshotsOfDifferentBytesDiffer) {
  const Snapshot other = shared_.NewSnapshot();
  ASSERT_TRUE(shared_.Save(other.data()));
  EXPECT_EQ(shared_.HashOf(other.data()), shared_.HashOf(snapshot_->data()));
  Write("small", 0, "j");
  ASSERT_TRUE(shared_.Save(other.data()));
  EXPECT_NE(shared_.HashOf(other.data()), shared_.HashOf(snapshot_->data()));
}

TEST_F(SharedBytesTest, AFileThatCameLaterIsRemoved) {
  std::ofstream(Path("later")) << "new";
  ASSERT_TRUE(shared_.Restore(snapshot_->data()));
  EXPECT_FALSE(std::filesystem::exists(Path("later")));
}

TEST_F(SharedBytesTest, AFileThatWasReplacedIsAnotherStateAndIsPutBack) {
  std::ofstream(Path("new")) << "other";
  std::filesystem::rename(Path("new"), Path("small"));
  EXPECT_NE(shared_.HashOutside(), hash_);
  ASSERT_TRUE(shared_.Restore(snapshot_->data())) << shared_.error();
  EXPECT_EQ(Read("small"), "hello");
  EXPECT_FALSE(std::filesystem::exists(Path("new")));
  EXPECT_EQ(shared_.HashOutside(), hash_);
}

TEST_F(SharedBytesTest, AFileThatIsGoneIsAnotherStateAndIsPutBack) {
  std::filesystem::remove(Path("small"));
  EXPECT_NE(shared_.HashOutside(), hash_);
  const Snapshot without = shared_.NewSnapshot();
  EXPECT_FALSE(shared_.Save(without.data()));
  ASSERT_TRUE(shared_.Restore(snapshot_->data())) << shared_.error();
  EXPECT_EQ(Read("small"), "hello");
  EXPECT_EQ(shared_.HashOutside(), hash_);
}

TEST_F(SharedBytesTest, WhatCannotBePutBackIsAnErrorAndNothingIsPretended) {
  std::filesystem::remove(Path("small"));
  std::filesystem::create_directory(Path("small"));
  EXPECT_FALSE(shared_.Restore(snapshot_->data()));
  EXPECT_NE(std::string(shared_.error()), "");
}

TEST_F(SharedBytesTest, FilesLargerThanASnapshotAreAnError) {
  const std::string page(4096, 'x');
  for (size_t n = 0; n <= SharedBytes::kMostPages; ++n) {
    Write("sparse", static_cast<off_t>(n * page.size()), page);
  }
  EXPECT_FALSE(shared_.Save(snapshot_->data()));
}

}  // namespace
}  // namespace kill9::stepper
