// Copies of a segment's file that were taken in the middle of an operation, as backups, snapshots
// and restarts of the machine leave them: at every instruction of a Put after which the bytes
// differ. The process that was copied lives on, stopped there, so that what the copy says of it
// names a living thread; and it has nothing to do with the copy.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "property/scaffold/children.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

#if defined(__x86_64__)

constexpr uint64_t kSegmentBytes = 64 << 10;
constexpr uint64_t kMostCopies = 1000;
constexpr int kKeys = 12;

struct Copies {
  uint64_t count;
  char bytes[kMostCopies][kSegmentBytes];
};

std::string KeyOf(int key) { return absl::StrCat("key", key); }
std::string OldValue(int key) { return absl::StrCat("old", key, std::string(100, 'o')); }

// For the trap's handler.
Copies* copies;
const char* segment_bytes;

void CopyIfChanged(int) {
  if (copies->count == kMostCopies ||
      std::memcmp(copies->bytes[copies->count - 1], segment_bytes, kSegmentBytes) == 0) {
    return;
  }
  std::memcpy(copies->bytes[copies->count++], segment_bytes, kSegmentBytes);
}

class CopyOf : public ::testing::TestWithParam<const Variant*> {
 protected:
  void SetUp() override {
    SegmentOptions options;
    options.size_bytes = kSegmentBytes;
    options.max_participants = 3;
    options.expected_entries = 32;
    options.stripes = 2;
    options.hash_seed = 7;
    auto segment = GetParam()->Create(options);
    ASSERT_TRUE(segment.ok()) << segment.status();
    segment_ = *segment;
    segment_bytes = segment_->base();
    copies = &*copies_;
    auto store = *GetParam()->Attach(segment_);
    for (int key = 0; key < kKeys; ++key) {
      ASSERT_TRUE(store->Put(KeyOf(key), OldValue(key)).ok());
    }
    std::memcpy(copies->bytes[0], segment_bytes, kSegmentBytes);
    copies->count = 1;
  }

  // A process that takes a copy after each instruction of its Put, and goes on living.
  Child Victim(const std::string& value) const {
    return Child([&](Line& parent) {
      auto store = *GetParam()->Attach(segment_);
      struct sigaction action {};
      action.sa_handler = CopyIfChanged;
      sigaction(SIGTRAP, &action, nullptr);
      asm volatile(
          "lea -128(%%rsp), %%rsp\n pushfq\n orl $0x100, (%%rsp)\n popfq\n lea 128(%%rsp), %%rsp" ::
              : "memory", "cc");
      const bool ok = store->Put(KeyOf(7), value).ok();
      asm volatile(
          "lea -128(%%rsp), %%rsp\n pushfq\n andl $~0x100, (%%rsp)\n popfq\n"
          " lea 128(%%rsp), %%rsp" ::
              : "memory", "cc");
      CHILD_REQUIRE(ok);
      parent.Tell();
      for (;;) pause();
    });
  }

  // Opens a copy as a process does that comes later, and goes on working with it.
  int Judge(int fd, const std::string& new_value) const {
    auto segment = GetParam()->FromFd(fd);
    CHILD_REQUIRE(segment.ok());
    auto store = GetParam()->Attach(*segment);
    CHILD_REQUIRE(store.ok());
    const bool lossless = GetParam()->traits().lossless;
    for (int round = 0; round < 2; ++round) {
      std::string value;
      for (int key = 0; key < kKeys; ++key) {
        const auto got = (*store)->Get(KeyOf(key), &value);
        CHILD_REQUIRE(got.ok() || (absl::IsNotFound(got.status()) && !lossless));
        CHILD_REQUIRE(!got.ok() || value == OldValue(key) || (key == 7 && value == new_value));
      }
      CHILD_REQUIRE((*store)->Recover().ok());
      const auto report = (*store)->Audit();
      CHILD_REQUIRE(report.ok() && report->clean() && report->participants == 1);
    }
    for (int key = 0; key < kKeys; ++key) {
      std::string value;
      CHILD_REQUIRE((*store)->Put(KeyOf(key), "newer").ok());
      CHILD_REQUIRE((*store)->Get(KeyOf(key), &value).ok() && value == "newer");
    }
    return 0;
  }

  static int FileOf(uint64_t copy) {
    const int fd = memfd_create("kill9-copy", MFD_CLOEXEC);
    EXPECT_EQ(pwrite(fd, copies->bytes[copy], kSegmentBytes, 0),
              static_cast<ssize_t>(kSegmentBytes));
    return fd;
  }

  std::shared_ptr<Segment> segment_;
  Shared<Copies> copies_;
};

TEST_P(CopyOf, EveryStateOfAPutIsWorkedWith) {
  const std::string values[] = {OldValue(8), "short", std::string(700, 'n')};
  uint64_t judged = 0;
  for (const std::string& value : values) {
    SCOPED_TRACE(absl::StrCat("a Put of ", value.size(), " bytes"));
    ASSERT_NO_FATAL_FAILURE(SetUp());
    const Child victim = Victim(value);
    ASSERT_TRUE(victim.Await());
    ASSERT_LT(copies->count, kMostCopies);
    for (uint64_t copy = 0; copy < copies->count; ++copy, ++judged) {
      const int fd = FileOf(copy);
      ASSERT_EQ(Child([&](Line&) { return Judge(fd, value); }).ExitStatus(), 0)
          << "copy " << copy << " of " << copies->count;
      close(fd);
    }
  }
  EXPECT_GT(judged, 60u) << "a Put changes more than that: vacuous";
}

// Who comes first is not the only one who comes.
TEST_P(CopyOf, IsOpenedBySeveralAtOnce) {
  const std::string value(700, 'n');
  const Child victim = Victim(value);
  ASSERT_TRUE(victim.Await());
  for (uint64_t copy = 1; copy < copies->count; ++copy) {
    const int fd = FileOf(copy);
    Shared<std::atomic<int>> go;
    std::vector<Child> openers;
    for (int opener = 0; opener < 3; ++opener) {
      openers.emplace_back([&](Line& parent) {
        auto segment = GetParam()->FromFd(dup(fd));
        CHILD_REQUIRE(segment.ok());
        parent.Tell();
        while (go->load(std::memory_order_acquire) == 0) sched_yield();
        auto store = GetParam()->Attach(*segment);
        // The copied process's slot may be taken for a living one's by who comes at the same time.
        CHILD_REQUIRE(store.ok() || absl::IsResourceExhausted(store.status()));
        if (!store.ok()) return 0;
        for (int i = 0; i < 50; ++i) {
          CHILD_REQUIRE((*store)->Put(absl::StrCat("own", opener), std::to_string(i)).ok());
          const auto put = (*store)->Put(KeyOf(7), std::string(static_cast<size_t>(i * 10), 'x'));
          CHILD_REQUIRE(put.ok() || absl::IsResourceExhausted(put.status()));  // it is small
        }
        return 0;
      });
    }
    for (const Child& opener : openers) ASSERT_TRUE(opener.Await());
    go->store(1, std::memory_order_release);
    for (Child& opener : openers) ASSERT_EQ(opener.ExitStatus(), 0) << "copy " << copy;
    auto segment = *GetParam()->FromFd(fd);
    auto store = *GetParam()->Attach(segment);
    ASSERT_TRUE(store->Recover().ok());
    const auto report = store->Audit();
    ASSERT_TRUE(report.ok() && report->clean()) << copy;
  }
}

#else
class CopyOf : public ::testing::TestWithParam<const Variant*> {};
TEST_P(CopyOf, NeedsATrapFlag) { GTEST_SKIP() << "this processor has none"; }
#endif

INSTANTIATE_TEST_SUITE_P(Designs, CopyOf, ::testing::ValuesIn(StoreDesigns()),
                         [](const auto& test) { return std::string(test.param->name()); });

}  // namespace
}  // namespace kill9
