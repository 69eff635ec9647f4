#include "harness/base/mappings/mappings.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "property/scaffold/children.h"

namespace kill9 {
namespace {

struct Found {
  std::string rights, path;
  uint64_t begin = 0, end = 0, offset = 0;
  dev_t device = 0;
  ino_t inode = 0;
};

std::optional<Found> MappingAt(pid_t pid, const void* address) {
  const auto at = reinterpret_cast<uintptr_t>(address);
  std::optional<Found> found;
  EXPECT_EQ(VisitMappings(pid,
                          [&](const Mapping& one) {
                            if (at < one.begin || at >= one.end) return true;
                            found = {std::string(one.rights),
                                     std::string(one.path),
                                     one.begin,
                                     one.end,
                                     one.offset,
                                     one.device,
                                     one.inode};
                            return false;
                          }),
            0);
  return found;
}

// A file whose name is as long as one can be, of bytes that the kernel writes as four each.
class MappedFile : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "/" + std::to_string(getpid()) + std::string(200, '\n');
    fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ASSERT_GE(fd_, 0);
    ASSERT_EQ(ftruncate(fd_, 4 * page_), 0);
  }
  void TearDown() override {
    close(fd_);
    unlink(path_.c_str());
  }
  char* Map(int protection, int flags, off_t page) const {
    void* const mapped = mmap(nullptr, page_, protection, flags, fd_, page * page_);
    EXPECT_NE(mapped, MAP_FAILED);
    return static_cast<char*>(mapped);
  }

  const off_t page_ = sysconf(_SC_PAGESIZE);
  std::string path_;
  int fd_ = -1;
};

TEST_F(MappedFile, IsToldWithItsRightsItsPlaceAndItsName) {
  char* const mapped = Map(PROT_READ | PROT_WRITE, MAP_SHARED, 3);
  const std::optional<Found> found = MappingAt(0, mapped);
  ASSERT_TRUE(found.has_value());
  struct stat status {};
  ASSERT_EQ(fstat(fd_, &status), 0);
  EXPECT_EQ(found->rights, "rw-s");
  EXPECT_EQ(found->begin, reinterpret_cast<uintptr_t>(mapped));
  EXPECT_EQ(found->end - found->begin, static_cast<uint64_t>(page_));
  EXPECT_EQ(found->offset, static_cast<uint64_t>(3 * page_));
  EXPECT_EQ(found->inode, status.st_ino);
  EXPECT_TRUE(found->path.ends_with("\\012\\012")) << found->path;
  EXPECT_EQ(found->path.find('\n'), std::string::npos);
  munmap(mapped, page_);
  EXPECT_FALSE(MappingAt(0, mapped).has_value());
}

TEST_F(MappedFile, WhoMaySeeAWriteIsTold) {
  for (const auto& [protection, flags, shared, to_write] :
       {std::tuple(PROT_READ | PROT_WRITE, MAP_SHARED, true, true),
        std::tuple(PROT_READ, MAP_SHARED, true, false),
        std::tuple(PROT_READ | PROT_WRITE, MAP_PRIVATE, false, false)}) {
    char* const mapped = Map(protection, flags, 0);
    bool seen = false;
    VisitMappings(0, [&](const Mapping& one) {
      if (one.begin != reinterpret_cast<uintptr_t>(mapped)) return true;
      seen = true;
      EXPECT_EQ(one.IsShared(), shared) << one.rights;
      EXPECT_EQ(one.IsSharedToWrite(), to_write) << one.rights;
      return false;
    });
    EXPECT_TRUE(seen);
    munmap(mapped, page_);
  }
}

// More text than one read gives: none of its lines is missing.
TEST_F(MappedFile, ManyLinesAreRead) {
  constexpr int kMany = 300;
  std::vector<char*> mapped;
  for (int n = 0; n < kMany; ++n) mapped.push_back(Map(PROT_READ, MAP_SHARED, 2 * (n % 2)));
  int met = 0;
  uint64_t last_end = 0;
  size_t text = 0;
  EXPECT_EQ(VisitMappings(0,
                          [&](const Mapping& one) {
                            EXPECT_LE(last_end, one.begin);
                            last_end = one.end;
                            text += one.path.size();
                            met += one.path.ends_with("\\012") ? 1 : 0;
                            return true;
                          }),
            0);
  EXPECT_EQ(met, kMany);
  EXPECT_GT(text, size_t{1} << 16) << "it would have been one piece";
  for (char* const one : mapped) munmap(one, page_);
}

TEST_F(MappedFile, OfAnotherProcessAndOfNobody) {
  const auto lines_of = [this](pid_t pid) {
    int lines = 0;
    const int error = VisitMappings(pid, [&](const Mapping& one) {
      struct stat status {};
      lines += fstat(fd_, &status) == 0 && one.inode == status.st_ino ? 1 : 0;
      return true;
    });
    return error == 0 ? lines : -error;
  };
  char* const mapped = Map(PROT_READ, MAP_SHARED, 0);
  const std::vector<Child> children = ReadyChildren(1, [](Line& parent) {
    parent.Tell();
    for (;;) pause();
    return 0;
  });
  munmap(mapped, page_);
  EXPECT_EQ(lines_of(children.front().pid()), 1);
  EXPECT_EQ(lines_of(0), 0);
  EXPECT_EQ(lines_of(-1), -ENOENT);
}

}  // namespace
}  // namespace kill9
