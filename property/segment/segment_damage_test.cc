// What an opener may find under a segment's name, and names and sizes that cannot be: a clear error
// each.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <fstream>
#include <vector>

#include "property/segment/segment_fixture.h"
#include "variants/segment/hash.h"

namespace kill9 {
namespace {

using absl::StatusCode;
using ::testing::HasSubstr;

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
  struct sockaddr_un address {};
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

}  // namespace
}  // namespace kill9
