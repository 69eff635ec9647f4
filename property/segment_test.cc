// Segments: made in one step or not at all, and every bad thing that an opener can meet is a clear
// error.
#include "variants/segment.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/children.h"
#include "property/places.h"
#include "variants/hash.h"

namespace kill9 {
namespace {

using absl::StatusCode;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kPattern = 0x5a;

SegmentLayout Layout() {
  SegmentLayout layout;
  layout.design = "segment-test";
  layout.layout_version = 3;
  layout.ledger_bytes = 64;
  return layout;
}

SegmentOptions Options(const SegmentLocation& location, uint64_t size_bytes = 64 << 10) {
  SegmentOptions options;
  options.location = location;
  options.size_bytes = size_bytes;
  options.max_participants = 4;
  return options;
}

absl::Status FillBody(Segment& segment, SegmentHeader& header) {
  header.parameters[0] = segment.body().size();
  std::memset(segment.body().data(), kPattern, segment.body().size());
  return absl::OkStatus();
}

bool Complete(const Segment& segment) {
  return segment.header().parameters[0] == segment.body().size() &&
         std::all_of(segment.body().begin(), segment.body().end(),
                     [](char c) { return c == kPattern; });
}

absl::StatusOr<std::shared_ptr<Segment>> Make(const SegmentOptions& options) {
  return Segment::Create(options, Layout(), FillBody);
}

// Checks code and words of an error; a message that says nothing is no message.
void ExpectError(const absl::Status& status, StatusCode code, const std::string& words) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(words));
}

class SegmentKinds : public ::testing::TestWithParam<SegmentKind> {
 protected:
  Place place_;
  SegmentLocation location_ = place_.Location(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Kinds, SegmentKinds,
                         ::testing::Values(SegmentKind::kNamed, SegmentKind::kFile),
                         [](const auto& test) {
                           return test.param == SegmentKind::kNamed ? "Named" : "File";
                         });

TEST_P(SegmentKinds, IsSharedByWhoeverOpensIt) {
  absl::StatusOr<std::shared_ptr<Segment>> made = Make(Options(location_));
  ASSERT_TRUE(made.ok()) << made.status();
  absl::StatusOr<std::shared_ptr<Segment>> opened = Segment::Open(location_, Layout());
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_NE((*made)->base(), (*opened)->base());
  EXPECT_EQ((*opened)->size(), 64u << 10);
  EXPECT_TRUE(Complete(**opened));
  (*made)->body()[17] = 'x';
  EXPECT_EQ((*opened)->body()[17], 'x');
  EXPECT_EQ((*made)->Hash("key"), (*opened)->Hash("key"));
  EXPECT_EQ((*opened)->participants().size(), 4u);
  Child child([&](Line&) {
    auto inside = Segment::Open(location_, Layout());
    CHILD_REQUIRE(inside.ok() && (*inside)->Hash("key") == (*made)->Hash("key"));
    (*inside)->body()[18] = 'y';
    return 0;
  });
  EXPECT_EQ(child.ExitStatus(), 0);
  EXPECT_EQ((*made)->body()[18], 'y');
  EXPECT_EQ(*Segment::DesignOf(location_), "segment-test");
}

TEST_P(SegmentKinds, GoesOnForThoseAttachedWhenItsNameIsRemoved) {
  auto made = Make(Options(location_));
  ASSERT_TRUE(made.ok());
  EXPECT_TRUE(Segment::Unlink(location_).ok());
  (*made)->body()[0] = 'x';
  EXPECT_TRUE((*made)->participants().Claim().ok());  // its file is still there for locks
  ExpectError(Segment::Open(location_, Layout()).status(), StatusCode::kNotFound, location_.name);
  ExpectError(Segment::Unlink(location_), StatusCode::kNotFound, location_.name);
  ExpectError(Segment::DesignOf(location_).status(), StatusCode::kNotFound, location_.name);
  EXPECT_TRUE(Make(Options(location_)).ok());
}

TEST_P(SegmentKinds, ExistingNameIsRefusedAndLeftAlone) {
  auto made = Make(Options(location_));
  ASSERT_TRUE(made.ok());
  ExpectError(Make(Options(location_)).status(), StatusCode::kAlreadyExists, "remove it");
  EXPECT_TRUE(Complete(**Segment::Open(location_, Layout())));
  ASSERT_TRUE(Segment::Unlink(location_).ok());
  // A dangling link is a name too.
  std::filesystem::create_symlink("/nonexistent/target", place_.Path(location_));
  ExpectError(Make(Options(location_)).status(), StatusCode::kAlreadyExists, location_.name);
  EXPECT_EQ(place_.Files(GetParam()).size(), 1u);
}

TEST_P(SegmentKinds, OneOfSeveralCreatorsWins) {
  for (int round = 0; round < 20; ++round) {
    Shared<std::atomic<int>> go;
    std::vector<Child> creators;
    for (int i = 0; i < 4; ++i) {
      creators.emplace_back([&](Line& parent) {
        parent.Tell();
        while (go->load(std::memory_order_acquire) == 0) sched_yield();
        auto made = Make(Options(location_));
        if (made.ok()) return 10;
        return made.status().code() == StatusCode::kAlreadyExists ? 11 : 1;
      });
    }
    for (Child& creator : creators) ASSERT_TRUE(creator.Await());
    go->store(1, std::memory_order_release);
    int winners = 0;
    for (Child& creator : creators) {
      int status = creator.ExitStatus();
      EXPECT_THAT(status, ::testing::AnyOf(10, 11));
      if (status == 10) ++winners;
    }
    EXPECT_EQ(winners, 1);
    EXPECT_EQ(place_.Files(GetParam()).size(), 1u);
    ASSERT_TRUE(Segment::Unlink(location_).ok());
  }
}

// S1, bug classes 37 and 38.
TEST_P(SegmentKinds, CreatorKilledAnywhereLeavesACompleteSegmentOrNone) {
  std::mt19937_64 random(TestSeed());
  int complete = 0;
  int none = 0;
  for (int round = 0; round < 300; ++round) {
    Child creator([&](Line& parent) {
      parent.Tell();
      auto made = Make(Options(location_, 256 << 10));
      CHILD_REQUIRE(made.ok());
      for (;;) pause();
    });
    ASSERT_TRUE(creator.Await());
    // Openers come all the time until the moment of the kill, and after it.
    const uint64_t looks = random() % 40;
    for (uint64_t look = 0; look < looks; ++look) {
      auto opened = Segment::Open(location_, Layout());
      if (opened.ok()) {
        ASSERT_TRUE(Complete(**opened));
      } else {
        ASSERT_EQ(opened.status().code(), StatusCode::kNotFound) << opened.status();
      }
    }
    SleepMicroseconds(random() % 100);
    creator.KillAndReap();
    auto opened = Segment::Open(location_, Layout());
    if (opened.ok()) {
      ASSERT_TRUE(Complete(**opened));
      ++complete;
      ASSERT_TRUE(Segment::Unlink(location_).ok());
    } else {
      ASSERT_EQ(opened.status().code(), StatusCode::kNotFound) << opened.status();
      ++none;
    }
    ASSERT_THAT(place_.Files(GetParam()), IsEmpty()) << "left over in round " << round;
  }
  EXPECT_GT(complete, 0) << "no creator ever got through: vacuous";
  EXPECT_GT(none, 0) << "no creator was ever killed in time: vacuous";
}

TEST_P(SegmentKinds, CreatorKilledWhileLayingOutLeavesNothing) {
  Child creator([&](Line&) {
    auto made =
        Segment::Create(Options(location_), Layout(), [](Segment& segment, SegmentHeader& header) {
          FillBody(segment, header).IgnoreError();
          raise(SIGKILL);
          return absl::OkStatus();
        });
    return 1;
  });
  EXPECT_EQ(creator.ExitStatus(), 1000 + SIGKILL);
  EXPECT_THAT(place_.Files(GetParam()), IsEmpty());
}

TEST_P(SegmentKinds, FailedFormatIsReportedAndLeavesNothing) {
  auto made = Segment::Create(Options(location_), Layout(), [](Segment&, SegmentHeader&) {
    return absl::InvalidArgumentError("stripes must be a power of two");
  });
  ExpectError(made.status(), StatusCode::kInvalidArgument, "stripes must be a power of two");
  EXPECT_THAT(place_.Files(GetParam()), IsEmpty());
}

TEST_P(SegmentKinds, HasItsRoomFromTheStart) {
  auto made = Make(Options(location_, 1 << 20));
  ASSERT_TRUE(made.ok());
  struct stat stat{};
  ASSERT_EQ(fstat((*made)->fd(), &stat), 0);
  EXPECT_GE(stat.st_blocks * 512, 1 << 20);
  EXPECT_EQ(stat.st_size, 1 << 20);
  EXPECT_EQ(stat.st_mode & 0077, 0u) << "a segment is its owner's alone";
}

// --- what an opener may find under the name ---

class DamagedSegment : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = Make(Options(location_));
    ASSERT_TRUE(made.ok()) << made.status();
    bytes_ = Read();
    ASSERT_EQ(bytes_.size(), 64u << 10);
  }
  std::string Read() const {
    std::ifstream file(location_.name, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  void Write(std::string_view bytes) const {
    std::ofstream file(location_.name, std::ios::binary | std::ios::trunc);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  // Changes the header and makes its checksum right again.
  void WriteHeader(absl::FunctionRef<void(SegmentHeader&)> change) const {
    SegmentHeader header{};
    std::memcpy(&header, bytes_.data(), sizeof header);
    change(header);
    header.checksum = XXH3_64bits(&header, offsetof(SegmentHeader, checksum));
    std::string changed = bytes_;
    std::memcpy(changed.data(), &header, sizeof header);
    Write(changed);
  }
  absl::Status Open() const { return Segment::Open(location_, Layout()).status(); }
  absl::Status FromFd() const {
    return Segment::FromFd(open(location_.name.c_str(), O_RDWR | O_CLOEXEC), Layout()).status();
  }
  void ExpectRefused(StatusCode code, const std::string& words) const {
    ExpectError(Open(), code, words);
    ExpectError(Open(), code, location_.name);
    ExpectError(FromFd(), code, words);
  }

  Place place_;
  SegmentLocation location_ = place_.Location(SegmentKind::kFile);
  std::string bytes_;
};

TEST_F(DamagedSegment, IntactCopyOpens) {
  Write(bytes_);
  EXPECT_TRUE(Open().ok()) << Open();
  EXPECT_TRUE(FromFd().ok());
  WriteHeader([](SegmentHeader&) {});
  EXPECT_TRUE(Open().ok()) << "this test's own checksum is wrong";
}

TEST_F(DamagedSegment, EveryCorruptedHeaderByteIsRefused) {
  int fd = open(location_.name.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  for (size_t at = 0; at < sizeof(SegmentHeader); ++at) {
    for (unsigned char flip : {0x01, 0x80, 0xff}) {
      char damaged = static_cast<char>(bytes_[at] ^ flip);
      ASSERT_EQ(pwrite(fd, &damaged, 1, static_cast<off_t>(at)), 1);
      absl::Status status = Open();
      EXPECT_THAT(status.code(),
                  ::testing::AnyOf(StatusCode::kInvalidArgument, StatusCode::kDataLoss,
                                   StatusCode::kFailedPrecondition))
          << "byte " << at << ": " << status;
      EXPECT_FALSE(Segment::DesignOf(location_).ok()) << "byte " << at;
      ASSERT_EQ(pwrite(fd, &bytes_[at], 1, static_cast<off_t>(at)), 1);
    }
  }
  EXPECT_TRUE(Open().ok());
  close(fd);
}

TEST_F(DamagedSegment, EveryTruncationIsRefused) {
  std::vector<size_t> lengths;
  for (size_t length = 0; length <= sizeof(SegmentHeader) + 8; ++length) lengths.push_back(length);
  for (size_t length = 4096; length < bytes_.size(); length += 4096) {
    lengths.insert(lengths.end(), {length - 1, length, length + 1});
  }
  lengths.push_back(bytes_.size() - 1);
  for (size_t length : lengths) {
    ASSERT_EQ(truncate(location_.name.c_str(), static_cast<off_t>(length)), 0);
    Write(std::string_view(bytes_).substr(0, length));
    absl::Status status = Open();
    if (length < 8) {
      ExpectError(status, StatusCode::kInvalidArgument, "is not a kill9 segment");
    } else {
      ExpectError(status, StatusCode::kDataLoss, "truncated");
    }
  }
}

TEST_F(DamagedSegment, GrownFileIsRefused) {
  Write(bytes_ + "x");
  ExpectRefused(StatusCode::kDataLoss, "65537 bytes instead of 65536");
}

TEST_F(DamagedSegment, ForeignFilesAreRefused) {
  Write("");
  ExpectRefused(StatusCode::kInvalidArgument, "is not a kill9 segment");
  Write(std::string(64 << 10, '\0'));
  ExpectRefused(StatusCode::kInvalidArgument, "is not a kill9 segment");
  Write("#!/bin/sh\necho this is somebody else's file, which must stay as it is\n");
  ExpectRefused(StatusCode::kInvalidArgument, "is not a kill9 segment");
  EXPECT_THAT(Read(), HasSubstr("must stay"));
}

TEST_F(DamagedSegment, OtherFormatVersionIsRefused) {
  WriteHeader([](SegmentHeader& header) { header.format_version = 99; });
  ExpectRefused(StatusCode::kFailedPrecondition, "format version 99");
  ExpectError(Open(), StatusCode::kFailedPrecondition, "create it anew");
}

TEST_F(DamagedSegment, OtherDesignOrLayoutIsRefused) {
  SegmentLayout layout = Layout();
  layout.design = "another";
  ExpectError(Segment::Open(location_, layout).status(), StatusCode::kFailedPrecondition,
              "was made by design 'segment-test', not by 'another'");
  layout = Layout();
  layout.layout_version = 4;
  ExpectError(Segment::Open(location_, layout).status(), StatusCode::kFailedPrecondition,
              "layout version 3");
  layout = Layout();
  layout.ledger_bytes = 128;
  ExpectError(Segment::Open(location_, layout).status(), StatusCode::kFailedPrecondition, "ledger");
}

TEST_F(DamagedSegment, HeaderThatContradictsItselfIsRefused) {
  auto refused = [&](absl::FunctionRef<void(SegmentHeader&)> change) {
    WriteHeader(change);
    ExpectRefused(StatusCode::kDataLoss, "damaged");
  };
  refused([](SegmentHeader& header) { header.header_bytes = 8192; });
  refused([](SegmentHeader& header) { header.max_participants = 0; });
  refused([](SegmentHeader& header) { header.max_participants = 4097; });
  refused([](SegmentHeader& header) { header.max_participants = 0xffffffff; });
  refused([](SegmentHeader& header) { header.body_offset = 0; });
  refused([](SegmentHeader& header) { header.body_offset = 4096; });  // inside the table
  refused([](SegmentHeader& header) { header.body_offset = header.size_bytes; });
  refused([](SegmentHeader& header) { header.body_offset = ~uint64_t{0}; });
  refused([](SegmentHeader& header) { header.body_offset += 1; });
  WriteHeader([](SegmentHeader& header) { header.size_bytes = 1 << 20; });
  ExpectRefused(StatusCode::kDataLoss, "65536 bytes instead of 1048576");
  WriteHeader([](SegmentHeader& header) { std::memset(header.design, 'x', sizeof header.design); });
  ExpectRefused(StatusCode::kFailedPrecondition, "was made by design 'xxx");
}

TEST(WhatIsNoSegment, DirectoryFifoSocketAndDeviceAreRefusedWithoutWaiting) {
  Place place;
  auto refused = [](const std::string& path, const std::string& words) {
    SegmentLocation location{SegmentKind::kFile, path};
    ExpectError(Segment::Open(location, Layout()).status(), StatusCode::kInvalidArgument, words);
    ExpectError(Segment::Open(location, Layout()).status(), StatusCode::kInvalidArgument, path);
    ExpectError(Segment::DesignOf(location).status(), StatusCode::kInvalidArgument, path);
  };
  refused(place.directory(), "directory");
  std::string fifo = place.directory() + "/fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  refused(fifo, "is not a regular file");
  refused("/dev/null", "is not a regular file");
  refused("/dev/zero", "is not a regular file");
  std::string path = place.directory() + "/socket";
  struct sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(fd, reinterpret_cast<struct sockaddr*>(&address), sizeof address), 0);
  refused(path, "socket");
  close(fd);
  for (SegmentKind kind : {SegmentKind::kFile, SegmentKind::kNamed}) {
    ExpectError(Segment::Open(place.Location(kind), Layout()).status(), StatusCode::kNotFound,
                "cannot open");
  }
}

TEST(SegmentNames, ThatCannotBeNamesAreRefused) {
  using std::string_literals::operator""s;
  for (const std::string& name : {""s, "."s, ".."s, "a/b"s, "/a"s, "../a"s, "a\0b"s,
                                  std::string(201, 'n'), std::string(100'000, 'n')}) {
    SegmentLocation location{SegmentKind::kNamed, name};
    ExpectError(Make(Options(location)).status(), StatusCode::kInvalidArgument,
                "1 to 200 bytes without '/'");
    ExpectError(Segment::Open(location, Layout()).status(), StatusCode::kInvalidArgument,
                "1 to 200 bytes");
    ExpectError(Segment::Unlink(location), StatusCode::kInvalidArgument, "1 to 200 bytes");
  }
  ExpectError(Make(Options({SegmentKind::kFile, ""})).status(), StatusCode::kInvalidArgument,
              "needs a path");
  ExpectError(Make(Options({SegmentKind::kFile, "/tmp/a\0b"s})).status(),
              StatusCode::kInvalidArgument, "zero byte");
  ExpectError(Make(Options({SegmentKind::kFile, "/tmp/" + std::string(300, 'n')})).status(),
              StatusCode::kInvalidArgument, "name too long");
  ExpectError(Make(Options({SegmentKind::kFile, "/nonexistent/directory/file"})).status(),
              StatusCode::kNotFound, "/nonexistent/directory/");
  ExpectError(Make(Options({SegmentKind::kFile, "/dev/null/file"})).status(),
              StatusCode::kInvalidArgument, "/dev/null/");
  ExpectError(Segment::Open({SegmentKind::kAnonymous, ""}, Layout()).status(),
              StatusCode::kInvalidArgument, "descriptor");
  EXPECT_TRUE(Make(Options({SegmentKind::kAnonymous, ""})).ok());
  Place place;
  SegmentLocation longest = place.Location(SegmentKind::kNamed);
  longest.name.resize(200, 'n');
  EXPECT_TRUE(Make(Options(longest)).ok());
  EXPECT_TRUE(Segment::Unlink(longest).ok());
}

TEST(SegmentSizes, ThatCannotBeAreRefused) {
  auto make = [](uint64_t size_bytes, uint32_t participants) {
    SegmentOptions options = Options({});
    options.size_bytes = size_bytes;
    options.max_participants = participants;
    return Make(options).status();
  };
  EXPECT_TRUE(make(64 << 10, 1).ok());
  ExpectError(make(0, 1), StatusCode::kInvalidArgument, "at least 65536");
  ExpectError(make(60 << 10, 1), StatusCode::kInvalidArgument, "at least 65536");
  ExpectError(make(64 << 10, 4096), StatusCode::kInvalidArgument, "for 4096 participants");
  ExpectError(make(~uint64_t{0}, 1), StatusCode::kInvalidArgument, "");
  ExpectError(make(uint64_t{1} << 63, 1), StatusCode::kResourceExhausted, "the machine has");
  ExpectError(make(uint64_t{1} << 50, 1), StatusCode::kResourceExhausted, "the machine has");
  ExpectError(make(1 << 20, 0), StatusCode::kInvalidArgument, "max_participants is 0");
  ExpectError(make(1 << 20, 4097), StatusCode::kInvalidArgument, "1 to 4096");
  auto odd = Make(Options({}, (64 << 10) + 1));
  ASSERT_TRUE(odd.ok());
  EXPECT_EQ((*odd)->size(), (64u << 10) + 4096);  // rounded up to pages
}

TEST(AnonymousSegment, PassesThroughAForkAndAsADescriptor) {
  auto made = Make(Options({}));
  ASSERT_TRUE(made.ok());
  auto again = Segment::FromFd(dup((*made)->fd()), Layout());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(Complete(**again));
  Child child([&](Line&) {
    (*made)->body()[0] = 'f';
    auto inside = Segment::FromFd(dup((*made)->fd()), Layout());
    CHILD_REQUIRE(inside.ok() && (*inside)->participants().Claim().ok());
    (*inside)->body()[1] = 'd';
    return 0;
  });
  EXPECT_EQ(child.ExitStatus(), 0);
  EXPECT_EQ((*again)->body()[0], 'f');
  EXPECT_EQ((*again)->body()[1], 'd');
  // Nobody can take its room away under those who have it mapped.
  EXPECT_NE(ftruncate((*made)->fd(), 4096), 0);
}

TEST(AnonymousSegment, DescriptorThatIsNoSegmentIsRefusedAndTakenOver) {
  ExpectError(Segment::FromFd(-1, Layout()).status(), StatusCode::kInvalidArgument,
              "Bad file descriptor");
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  ExpectError(Segment::FromFd(ends[0], Layout()).status(), StatusCode::kInvalidArgument,
              "is not a regular file");
  EXPECT_EQ(fcntl(ends[0], F_GETFD), -1) << "it must be closed";
  close(ends[1]);
  Place place;
  SegmentLocation location = place.Location(SegmentKind::kFile);
  ASSERT_TRUE(Make(Options(location)).ok());
  ExpectError(Segment::FromFd(open(location.name.c_str(), O_RDONLY | O_CLOEXEC), Layout()).status(),
              StatusCode::kPermissionDenied, "read and write");
}

TEST(SegmentHash, IsSeededPerSegmentUnlessTheSeedIsGiven) {
  auto first = Make(Options({}));
  auto second = Make(Options({}));
  EXPECT_NE((*first)->Hash("key"), (*second)->Hash("key"));
  SegmentOptions options = Options({});
  options.hash_seed = 7;
  EXPECT_EQ((*Make(options))->Hash("key"), (*Make(options))->Hash("key"));
  EXPECT_NE((*Make(options))->Hash("key"), (*first)->Hash("key"));
}

// --- limits of the machine, each in a child of its own ---

TEST(SegmentLimits, FileSizeLimitIsAnErrorAndNoSignal) {
  Child child([](Line&) {
    struct rlimit limit{1 << 20, 1 << 20};
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
    struct rlimit limit{3, 3};
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
    struct rlimit limit{64 << 20, 64 << 20};
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
