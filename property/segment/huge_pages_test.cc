// Segments in memory lie in huge pages, for their creator and for whoever maps them later; whoever
// cannot have them has small ones.
#include "variants/segment/file/huge_pages.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>

#include "property/segment/segment_fixture.h"

namespace kill9 {
namespace {

constexpr int kCollapse = 25;  // MADV_COLLAPSE
constexpr uint64_t kSize = 5 * kHugePageBytes + 12345;
constexpr uint64_t kWholeHugePages = 5 * kHugePageBytes;

// Of the mapping that `address` lies in, by /proc/self/smaps.
uint64_t BytesMappedAsHugePages(const char* address) {
  std::ifstream smaps("/proc/self/smaps");
  std::string line;
  bool inside = false;
  while (std::getline(smaps, line)) {
    unsigned long begin = 0, end = 0, kilobytes = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) {
      const auto at = reinterpret_cast<uintptr_t>(address);
      inside = begin <= at && at < end;
    } else if (inside && std::sscanf(line.c_str(), "ShmemPmdMapped: %lu", &kilobytes) == 1) {
      return uint64_t{kilobytes} << 10;
    }
  }
  return 0;
}

void TouchEveryPage(const Segment& segment) {
  for (size_t at = 0; at < segment.size(); at += 4096) {
    static_cast<void>(*static_cast<volatile char*>(segment.base() + at));
  }
}

// Asked without what is under test: one huge page by hand.
bool TheKernelMakesHugePages() {
  char* taken = static_cast<char*>(mmap(nullptr, 2 * kHugePageBytes, PROT_NONE,
                                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  if (taken == MAP_FAILED) return false;
  void* page = mmap(taken + (-reinterpret_cast<uintptr_t>(taken) % kHugePageBytes), kHugePageBytes,
                    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (page == MAP_FAILED) return false;
  std::memset(page, 1, kHugePageBytes);
  const bool made = madvise(page, kHugePageBytes, kCollapse) == 0;
  munmap(taken, 2 * kHugePageBytes);
  return made;
}

class HugePages : public ::testing::TestWithParam<SegmentKind> {
 protected:
  Place place_;
  SegmentLocation location_ = place_.Location(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Kinds, HugePages,
                         ::testing::Values(SegmentKind::kAnonymous, SegmentKind::kNamed),
                         [](const auto& test) {
                           return test.param == SegmentKind::kNamed ? "Named" : "Anonymous";
                         });

TEST_P(HugePages, AreThereForTheCreatorAndForEverybodyElse) {
  if (!TheKernelMakesHugePages())
    GTEST_SKIP() << "this kernel makes no huge pages of shared memory";
  auto made = Make(Options(location_, kSize));
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_TRUE(Complete(**made));
  TouchEveryPage(**made);
  EXPECT_EQ(BytesMappedAsHugePages((*made)->base()), kWholeHugePages);
  auto other = Segment::FromFd(dup((*made)->fd()), Layout());
  ASSERT_TRUE(other.ok()) << other.status();
  TouchEveryPage(**other);
  EXPECT_EQ(BytesMappedAsHugePages((*other)->base()), kWholeHugePages);
  Child child([&](Line&) {
    TouchEveryPage(**made);
    return BytesMappedAsHugePages((*made)->base()) == kWholeHugePages ? 0 : 1;
  });
  EXPECT_EQ(child.ExitStatus(), 0);
}

TEST_P(HugePages, AreNotForSmallSegments) {
  auto made = Make(Options(location_, kFewestBytesInHugePages - kHugePageBytes));
  ASSERT_TRUE(made.ok()) << made.status();
  TouchEveryPage(**made);
  EXPECT_EQ(BytesMappedAsHugePages((*made)->base()), 0u);
}

TEST_P(HugePages, TakeNoAddressesThatTheyDoNotUse) {
  const auto count = [] {
    std::ifstream maps("/proc/self/maps");
    std::string line;
    int lines = 0;
    while (std::getline(maps, line)) ++lines;
    return lines;
  };
  const int before = count();
  {
    auto made = Make(Options(location_, kSize));
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_LE(count(), before + 1);
  }
  EXPECT_LE(count(), before);
}

TEST_P(HugePages, ASegmentIsMadeWhereAddressesAreScarce) {
  Child child([&](Line&) {
    unsigned long pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    // Enough for the segment, not for the huge page more that choosing an address takes.
    const rlim_t enough = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + kSize + (1 << 20);
    const struct rlimit limit { enough, enough };
    CHILD_REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
    auto made = Make(Options(location_, kSize));
    CHILD_REQUIRE(made.ok() && Complete(**made));
    return 0;
  });
  EXPECT_EQ(child.ExitStatus(), 0);
}

}  // namespace
}  // namespace kill9
