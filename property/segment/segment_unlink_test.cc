// What of the file system is a segment's, and so may be removed, and what is not.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "property/segment/segment_fixture.h"
#include "variants/segment/file/segment_file.h"

namespace kill9 {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;
using ::testing::ElementsAre;

void Write(const std::string& path, std::string_view text) { std::ofstream(path) << text; }
std::string Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// Somebody's own folder, which happens to be named as a segment's directory would be.
class SegmentUnlink : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_ + "/photos");
    Write(photo_, "years of work");
  }
  void ExpectFolderUntouched() const { EXPECT_EQ(Read(photo_), "years of work"); }

  Place place_;
  SegmentLocation location_ = place_.Location(SegmentKind::kFile);
  std::string folder_ = location_.name + ".files";
  std::string photo_ = folder_ + "/photos/a.jpg";
};

TEST_F(SegmentUnlink, LeavesAloneWhatIsNoSegment) {
  Write(location_.name, "a text, not a segment");
  ExpectError(Segment::Unlink(location_), StatusCode::kInvalidArgument, "left alone");
  EXPECT_EQ(Read(location_.name), "a text, not a segment");
  ExpectFolderUntouched();
  fs::remove(location_.name);
  ExpectError(Segment::Unlink(location_), StatusCode::kNotFound, location_.name);
  ExpectFolderUntouched();
  for (const char* target : {"photo", "/nonexistent/target"}) {
    fs::create_symlink(target, location_.name);
    ExpectError(Segment::Unlink(location_), StatusCode::kInvalidArgument, "symbolic link");
    EXPECT_TRUE(fs::is_symlink(location_.name));
    fs::remove(location_.name);
  }
}

TEST_F(SegmentUnlink, OfASegmentLeavesAFolderThatWasThereBefore) {
  ASSERT_TRUE(Make(Options(location_)).ok());
  EXPECT_TRUE(Segment::Unlink(location_).ok());
  EXPECT_FALSE(fs::exists(location_.name));
  ExpectFolderUntouched();
}

TEST_F(SegmentUnlink, RemovesADamagedSegment) {
  ASSERT_TRUE(Make(Options(location_)).ok());
  fs::resize_file(location_.name, 100);
  ASSERT_EQ(Segment::Open(location_, Layout()).status().code(), StatusCode::kDataLoss);
  EXPECT_TRUE(Segment::Unlink(location_).ok());
  EXPECT_FALSE(fs::exists(location_.name));
}

TEST_F(SegmentUnlink, RemovesTheDirectoryThatTheSegmentMade) {
  ExpectError(Segment::MakeDirectory(location_).status(), StatusCode::kAlreadyExists, folder_);
  ExpectFolderUntouched();
  fs::remove_all(folder_);
  for (const bool segment_was_made : {true, false}) {
    // An empty directory, as a creator leaves that is killed at once, is taken.
    if (segment_was_made) fs::create_directory(folder_);
    ASSERT_TRUE(Segment::MakeDirectory(location_).ok());
    fs::create_directory(folder_ + "/more");
    Write(folder_ + "/more/data", "data");
    fs::create_symlink(place_.directory(), folder_ + "/link");
    if (segment_was_made) {
      ASSERT_TRUE(Make(Options(location_)).ok());
    }
    EXPECT_EQ(Segment::Unlink(location_).ok(), segment_was_made);
    EXPECT_FALSE(fs::exists(folder_));
    EXPECT_TRUE(fs::exists(place_.directory()));
  }
}

TEST_F(SegmentUnlink, OfADirectoryInWhichFilesWereStillMadeAllGoesLater) {
  const std::string made = folder_ + "/made";
  const auto make = [&] {
    ASSERT_TRUE(Segment::MakeDirectory(location_).ok());
    fs::create_directory(made);
  };
  fs::remove_all(folder_);
  make();
  std::atomic<bool> goes_on{true};
  std::thread maker([&] {
    for (uint64_t n = 0; goes_on; ++n) Write(made + "/" + std::to_string(n % 100), "data");
  });
  bool too_early = false;
  for (int tries = 0; tries < 100'000 && !too_early; ++tries) {
    segment_file::RemoveDirectory(folder_);
    too_early = fs::exists(folder_);
    if (!too_early) make();
  }
  goes_on = false;
  maker.join();
  EXPECT_TRUE(too_early);
  segment_file::RemoveDirectory(folder_);
  EXPECT_FALSE(fs::exists(folder_));
}

TEST_F(SegmentUnlink, FollowsNoLinkToADirectory) {
  fs::remove_all(folder_);
  ASSERT_TRUE(Segment::MakeDirectory(location_).ok());
  Write(folder_ + "/data", "data");
  SegmentLocation other{SegmentKind::kFile, place_.directory() + "/other"};
  fs::create_directory_symlink(folder_, other.name + ".files");
  ASSERT_TRUE(Make(Options(other)).ok());
  EXPECT_TRUE(Segment::Unlink(other).ok());
  EXPECT_EQ(Read(folder_ + "/data"), "data");
}

TEST(SegmentOpen, FollowsNoSymbolicLink) {
  Place place;
  const SegmentLocation location = place.Location(SegmentKind::kFile);
  ASSERT_TRUE(Make(Options(location)).ok());
  const SegmentLocation link{SegmentKind::kFile, place.directory() + "/link"};
  fs::create_symlink(location.name, link.name);
  ExpectError(Segment::Open(link, Layout()).status(), StatusCode::kInvalidArgument,
              "symbolic link");
  ExpectError(Segment::DesignOf(link).status(), StatusCode::kInvalidArgument, "symbolic link");
}

uint64_t OpenDescriptors() {
  const fs::directory_iterator descriptors("/proc/self/fd");
  return static_cast<uint64_t>(std::distance(fs::begin(descriptors), fs::end(descriptors)));
}

TEST(SegmentOpen, RefusesWhatAnotherUserOwnsUnlessTold) {
  if (getuid() != 0) GTEST_SKIP() << "only root can give a file to somebody else";
  constexpr uid_t kSomebody = 12345;
  Place place;
  for (const SegmentKind kind : {SegmentKind::kNamed, SegmentKind::kFile}) {
    SegmentLocation location = place.Location(kind);
    ASSERT_TRUE(Make(Options(location)).ok());
    ASSERT_TRUE(Segment::Open(location, Layout()).ok());
    ASSERT_EQ(chown(place.Path(location).c_str(), kSomebody, kSomebody), 0);
    const uint64_t descriptors = OpenDescriptors();
    ExpectError(Segment::Open(location, Layout()).status(), StatusCode::kPermissionDenied, "12345");
    EXPECT_EQ(OpenDescriptors(), descriptors) << "a refusal leaves one open";
    ExpectError(Segment::DesignOf(location).status(), StatusCode::kPermissionDenied, "12345");
    location.of_any_user = true;
    EXPECT_TRUE(Segment::Open(location, Layout()).ok());
    EXPECT_EQ(*Segment::DesignOf(location), "segment-test");
    // Whoever passes a descriptor on is trusted.
    EXPECT_TRUE(
        Segment::FromFd(open(place.Path(location).c_str(), O_RDWR | O_CLOEXEC), Layout()).ok());
    EXPECT_TRUE(Segment::Unlink(location).ok());
  }
}

// From here on this process sees a file system without nameless files.
bool ForbidNamelessFiles() {
  struct sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog filter {
    sizeof program / sizeof *program, program
  };
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}
constexpr int kNoMount = 77;

class CreatorWithoutNamelessFiles : public ::testing::Test {
 protected:
  std::vector<std::string> Files() const { return place_.Files(SegmentKind::kFile); }
  // A child that creates a segment, and tells in the midst of it.
  Child Creator(absl::FunctionRef<void()> in_the_midst) const {
    return Child([&](Line&) {
      if (!ForbidNamelessFiles()) return kNoMount;
      auto made = Segment::Create(Options(location_), Layout(),
                                  [&](Segment& segment, SegmentHeader& header) {
                                    in_the_midst();
                                    return FillBody(segment, header);
                                  });
      CHILD_REQUIRE(made.ok());
      return 0;
    });
  }

  Place place_;
  SegmentLocation location_ = place_.Location(SegmentKind::kFile);
};

TEST_F(CreatorWithoutNamelessFiles, LeavesItsSegmentOnly) {
  const int status = Creator([] {}).ExitStatus();
  if (status == kNoMount) GTEST_SKIP() << "this process may filter no system calls";
  ASSERT_EQ(status, 0);
  EXPECT_THAT(Files(), ElementsAre("segment"));
  auto opened = Segment::Open(location_, Layout());
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_TRUE(Complete(**opened));
}

TEST_F(CreatorWithoutNamelessFiles, RemovesWhatAKilledOneLeft) {
  const int status = Creator([] { raise(SIGKILL); }).ExitStatus();
  if (status == kNoMount) GTEST_SKIP() << "this process may filter no system calls";
  ASSERT_EQ(status, 1000 + SIGKILL);
  ASSERT_EQ(Files().size(), 1u) << "nothing was left over: vacuous";
  ASSERT_EQ(Creator([] {}).ExitStatus(), 0);
  EXPECT_THAT(Files(), ElementsAre("segment"));
}

TEST_F(CreatorWithoutNamelessFiles, LeavesAloneTheFileOfALivingOne) {
  Child first([&](Line& parent) {
    if (!ForbidNamelessFiles()) return kNoMount;
    auto made =
        Segment::Create(Options(location_), Layout(), [&](Segment& segment, SegmentHeader& header) {
          parent.Tell();
          parent.Await();
          return FillBody(segment, header);
        });
    CHILD_REQUIRE(made.ok());
    return 0;
  });
  if (!first.Await()) GTEST_SKIP() << "this process may filter no system calls";
  Child second([&](Line&) {
    CHILD_REQUIRE(ForbidNamelessFiles());
    CHILD_REQUIRE(Make(Options({SegmentKind::kFile, location_.name + "2"})).ok());
    return 0;
  });
  ASSERT_EQ(second.ExitStatus(), 0);
  EXPECT_EQ(Files().size(), 2u) << "the second one's segment, and the first one's file";
  first.Tell();
  EXPECT_EQ(first.ExitStatus(), 0);
  EXPECT_THAT(Files(), ::testing::UnorderedElementsAre("segment", "segment2"));
}

}  // namespace
}  // namespace kill9
