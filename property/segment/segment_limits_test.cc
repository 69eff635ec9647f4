// Segments at the limits of the machine, each in a child of its own: an error, never a signal.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "property/segment/segment_fixture.h"

namespace kill9 {
namespace {

using absl::StatusCode;
using ::testing::IsEmpty;

TEST(SegmentLimits, FileSizeLimitIsAnErrorAndNoSignal) {
  Child child([](Line&) {
    struct rlimit limit {
      1 << 20, 1 << 20
    };
    CHILD_REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    absl::Status status = Make(Options({}, 2 << 20)).status();
    CHILD_REQUIRE(status.code() == StatusCode::kResourceExhausted);
    CHILD_REQUIRE(status.message().find("ulimit -f") != absl::string_view::npos);
    CHILD_REQUIRE(Make(Options({}, 1 << 20)).ok());
    return 0;
  });
  EXPECT_EQ(child.ExitStatus(), 0);
}

TEST(SegmentLimits, DescriptorLimitIsAnError) {
  Place place;
  SegmentLocation location = place.Location(SegmentKind::kFile);
  ASSERT_TRUE(Make(Options(location)).ok());
  Child child([&](Line&) {
    struct rlimit limit {
      3, 3
    };
    CHILD_REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHILD_REQUIRE(Make(Options({})).status().code() == StatusCode::kResourceExhausted);
    CHILD_REQUIRE(Segment::Open(location, Layout()).status().code() ==
                  StatusCode::kResourceExhausted);
    return 0;
  });
  EXPECT_EQ(child.ExitStatus(), 0);
}

TEST(SegmentLimits, AddressSpaceLimitIsAnErrorThatLeavesNothing) {
  Place place;
  Child child([&](Line&) {
    struct rlimit limit {
      64 << 20, 64 << 20
    };
    CHILD_REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
    absl::Status status = Make(Options(place.Location(SegmentKind::kNamed), 128 << 20)).status();
    CHILD_REQUIRE(status.code() == StatusCode::kResourceExhausted);
    return 0;
  });
  EXPECT_EQ(child.ExitStatus(), 0);
  EXPECT_THAT(place.Files(SegmentKind::kNamed), IsEmpty());
}

constexpr int kNotPossible = 77;

TEST(SegmentLimits, WithoutPermissionIsAnErrorThatSaysSo) {
  if (getuid() != 0) GTEST_SKIP() << "only root can become somebody who has no permission";
  Place place;
  SegmentLocation location = place.Location(SegmentKind::kFile);
  SegmentLocation named = place.Location(SegmentKind::kNamed);
  ASSERT_TRUE(Make(Options(location)).ok());
  ASSERT_TRUE(Make(Options(named)).ok());
  std::string readable = place.directory() + "/readable";
  std::filesystem::copy_file(location.name, readable);
  ASSERT_EQ(chmod(readable.c_str(), 0444), 0);
  ASSERT_EQ(chmod(place.directory().c_str(), 0755), 0);
  Child child([&](Line&) {
    constexpr uid_t kNobody = 65534;
    CHILD_REQUIRE(setgid(kNobody) == 0 && setuid(kNobody) == 0);
    for (const SegmentLocation& closed :
         {location, named, SegmentLocation{SegmentKind::kFile, readable}}) {
      absl::Status status = Segment::Open(closed, Layout()).status();
      CHILD_REQUIRE(status.code() == StatusCode::kPermissionDenied);
      CHILD_REQUIRE(status.message().find(closed.name) != absl::string_view::npos);
      CHILD_REQUIRE(status.message().find("read and write") != absl::string_view::npos);
    }
    SegmentLocation fresh{SegmentKind::kFile, place.directory() + "/fresh"};
    CHILD_REQUIRE(Make(Options(fresh)).status().code() == StatusCode::kPermissionDenied);
    CHILD_REQUIRE(Segment::Unlink(location).code() == StatusCode::kPermissionDenied);
    return 0;
  });
  EXPECT_EQ(child.ExitStatus(), 0);
}

// In a mount namespace of its own: a file system of 1 MiB over `directory`.
bool MountSmall(const std::string& directory, unsigned long flags) {
  if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  return mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("kill9", directory.c_str(), "tmpfs", flags, "size=1m") == 0;
}

TEST(SegmentLimits, FullDiskIsAnErrorAndNeverASigbus) {
  Place place;
  Child child([&](Line&) {
    if (!MountSmall(place.directory(), 0)) return kNotPossible;
    SegmentLocation location = place.Location(SegmentKind::kFile);
    absl::Status status = Make(Options(location, 2 << 20)).status();
    CHILD_REQUIRE(status.code() == StatusCode::kResourceExhausted);
    CHILD_REQUIRE(status.message().find("no room") != absl::string_view::npos);
    CHILD_REQUIRE(place.Files(SegmentKind::kFile).empty());
    CHILD_REQUIRE(Make(Options(location, 512 << 10)).ok());  // and the failed one has cost no room

    // A copy with a hole where the body was; then the disk fills up.
    std::string copy = place.directory() + "/copy";
    int from = open(location.name.c_str(), O_RDONLY | O_CLOEXEC);
    int to = open(copy.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char header[4096];
    CHILD_REQUIRE(read(from, header, sizeof header) == sizeof header);
    CHILD_REQUIRE(write(to, header, sizeof header) == sizeof header);
    CHILD_REQUIRE(ftruncate(to, 512 << 10) == 0);
    {
      std::ofstream filler(place.directory() + "/filler");
      filler << std::string(700 << 10, 'f');
    }
    status = Segment::Open({SegmentKind::kFile, copy}, Layout()).status();
    CHILD_REQUIRE(status.code() == StatusCode::kResourceExhausted);
    CHILD_REQUIRE(unlink((place.directory() + "/filler").c_str()) == 0);
    CHILD_REQUIRE(Segment::Unlink(location).ok());
    auto opened = Segment::Open({SegmentKind::kFile, copy}, Layout());
    CHILD_REQUIRE(opened.ok());
    std::memset((*opened)->body().data(), 1, (*opened)->body().size());
    return 0;
  });
  int status = child.ExitStatus();
  if (status == kNotPossible) GTEST_SKIP() << "this machine lets us mount no file system";
  EXPECT_EQ(status, 0);
}

TEST(SegmentLimits, ReadOnlyFileSystemIsAnError) {
  Place place;
  Child child([&](Line&) {
    if (!MountSmall(place.directory(), 0)) return kNotPossible;
    SegmentLocation location = place.Location(SegmentKind::kFile);
    CHILD_REQUIRE(Make(Options(location)).ok());
    CHILD_REQUIRE(
        mount(nullptr, place.directory().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0);
    CHILD_REQUIRE(Segment::Open(location, Layout()).status().code() ==
                  StatusCode::kPermissionDenied);
    location.name += "2";
    CHILD_REQUIRE(Make(Options(location)).status().code() == StatusCode::kPermissionDenied);
    return 0;
  });
  int status = child.ExitStatus();
  if (status == kNotPossible) GTEST_SKIP() << "this machine lets us mount no file system";
  EXPECT_EQ(status, 0);
}

TEST(SegmentLimits, ManySegmentsLeakNoDescriptorAndNoMapping) {
  Place place;
  auto mappings = [] {
    std::ifstream maps("/proc/self/maps");
    return std::count(std::istreambuf_iterator<char>(maps), {}, '\n');
  };
  SegmentLocation location = place.Location(SegmentKind::kNamed);
  int fd_before = dup(0);
  close(fd_before);
  long mappings_before = 0;
  for (int round = 0; round < 300; ++round) {
    if (round == 10) mappings_before = mappings();
    ASSERT_TRUE(Make(Options(location)).ok());
    ASSERT_FALSE(Make(Options(location)).ok());
    ASSERT_TRUE(Segment::Open(location, Layout()).ok());
    SegmentLayout other = Layout();
    other.layout_version = 9;
    ASSERT_FALSE(Segment::Open(location, other).ok());
    ASSERT_FALSE(Segment::FromFd(open("/dev/null", O_RDWR | O_CLOEXEC), Layout()).ok());
    ASSERT_TRUE(Segment::Unlink(location).ok());
    ASSERT_TRUE(Make(Options({})).ok());
  }
  int fd_after = dup(0);
  close(fd_after);
  EXPECT_EQ(fd_after, fd_before);
  EXPECT_LE(mappings(), mappings_before + 4);
}

}  // namespace
}  // namespace kill9
