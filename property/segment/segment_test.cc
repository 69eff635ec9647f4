// Segments: made in one step or not at all, and every bad thing that an opener can meet is a clear
// error.
#include "variants/segment.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "property/segment/segment_fixture.h"

namespace kill9 {
namespace {

using absl::StatusCode;
using ::testing::IsEmpty;

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
  EXPECT_EQ((*opened)->participants().size(), 4u + ParticipantTable::kRecovererSlots);
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
  struct stat stat {};
  ASSERT_EQ(fstat((*made)->fd(), &stat), 0);
  EXPECT_GE(stat.st_blocks * 512, 1 << 20);
  EXPECT_EQ(stat.st_size, 1 << 20);
  EXPECT_EQ(stat.st_mode & 0077, 0u) << "a segment is its owner's alone";
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

}  // namespace
}  // namespace kill9
