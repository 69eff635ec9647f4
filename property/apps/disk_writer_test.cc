// Who writes a mapped file to the disk: one of all, and another one when it dies.
#include "apps/server/disk_writer.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>

#include "gtest/gtest.h"

namespace kill9::server {
namespace {

constexpr size_t kBytes = 1 << 20;
constexpr long kTmpfs = 0x01021994;

class DiskWriterTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "/kill9-disk-writer-XXXXXX";
    fd_ = mkstemp(path_.data());
    ASSERT_GE(fd_, 0);
    ASSERT_EQ(ftruncate(fd_, kBytes), 0);
  }
  void TearDown() override {
    close(fd_);
    unlink(path_.c_str());
  }
  std::unique_ptr<DiskWriter> NewWriter() const {
    auto writer = DiskWriter::Open(fd_);
    EXPECT_TRUE(writer.ok()) << writer.status();
    return writer.ok() ? *std::move(writer) : nullptr;
  }
  bool Writes(DiskWriter& writer) const {
    const absl::StatusOr<bool> wrote = writer.Turn();
    EXPECT_TRUE(wrote.ok()) << wrote.status();
    return wrote.ok() && *wrote;
  }

  std::string path_;
  int fd_ = -1;
};

TEST_F(DiskWriterTest, OneOfAllWritesAndTheNextWhenThatOneIsKilled) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t first = fork();
  if (first == 0) {
    const auto writer = DiskWriter::Open(fd_);
    const auto wrote = writer.ok() ? (*writer)->Turn() : writer.status();
    const char answer = wrote.ok() && *wrote ? 'y' : 'n';
    (void)!write(ends[1], &answer, 1);
    pause();
    _exit(0);
  }
  char answer = 0;
  ASSERT_EQ(read(ends[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  const auto second = NewWriter(), third = NewWriter();
  for (int n = 0; n < 3; ++n) {
    EXPECT_FALSE(Writes(*second));
    EXPECT_FALSE(Writes(*third));
  }
  kill(first, SIGKILL);
  ASSERT_EQ(waitpid(first, nullptr, 0), first);
  for (int n = 0; n < 3; ++n) {
    EXPECT_TRUE(Writes(*second));
    EXPECT_FALSE(Writes(*third));
  }
  close(ends[0]);
  close(ends[1]);
}

// KiB of the mapping that the disk does not have yet, as the kernel counts them.
int DirtyKib(const void* mapping) {
  std::ifstream maps("/proc/self/smaps");
  char begin[32];
  std::snprintf(begin, sizeof begin, "%lx-", reinterpret_cast<unsigned long>(mapping));
  bool is_it = false;
  int dirty = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find("-") < 20 && line.find(' ') > line.find("-")) is_it = line.starts_with(begin);
    const bool counts = line.starts_with("Shared_Dirty:") || line.starts_with("Private_Dirty:");
    if (is_it && counts) dirty += std::atoi(line.c_str() + line.find(':') + 1);
  }
  return dirty;
}

TEST_F(DiskWriterTest, WhatIsStoredInAMappingIsWritten) {
  struct statfs where {};
  ASSERT_EQ(fstatfs(fd_, &where), 0);
  if (where.f_type == kTmpfs) GTEST_SKIP() << path_ << " is in memory: there is no disk";
  void* const mapping = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  ASSERT_NE(mapping, MAP_FAILED);
  const auto writer = NewWriter();
  for (const char byte : {'a', 'b'}) {
    // On a busy machine the kernel may write it by itself, within no time.
    int dirty = 0;
    for (int attempt = 0; dirty == 0 && attempt < 1000; ++attempt) {
      std::memset(mapping, byte, kBytes);
      dirty = DirtyKib(mapping);
    }
    EXPECT_GT(dirty, 0);
    EXPECT_TRUE(Writes(*writer));
    EXPECT_EQ(DirtyKib(mapping), 0);
  }
  munmap(mapping, kBytes);
}

TEST_F(DiskWriterTest, TakesTurnsUntilItIsDestroyed) {
  std::atomic<uint64_t> written = 0, in_vain = 0;
  auto first = NewWriter(), second = NewWriter();
  first->Begin(0.001, &written);
  while (written < 3) usleep(100);
  second->Begin(0.001, &in_vain);
  while (written < 6) usleep(100);
  EXPECT_EQ(in_vain, 0u);
  first.reset();
  while (in_vain < 3) usleep(100);
  second.reset();
  const uint64_t at_the_end = in_vain;
  EXPECT_TRUE(Writes(*NewWriter())) << "the lock was given back";
  EXPECT_EQ(in_vain, at_the_end);
}

}  // namespace
}  // namespace kill9::server
