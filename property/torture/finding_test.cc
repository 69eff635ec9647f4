// What a process has found is known, though it is killed while it tells.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/base/shared_mapping.h"
#include "harness/torture/control.h"

namespace kill9 {
namespace {

// It dies where it reads its own message. By hand: without the verdict in the claim a violation
// was a pass if its finder died one instruction before.
TEST(Findings, WhoDiesWhileItTellsHasFoundIt) {
  const SharedMapping<Finding> finding = MapShared<Finding>();
  const pid_t child = fork();
  if (child == 0) {
    void* const page = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    finding->Report(Verdict::kViolation, 1, {static_cast<const char*>(page), 100});
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << "it came to its end";
  ASSERT_TRUE(finding->is_being_written());
  finding->verdict.store(Verdict::kPass, std::memory_order_relaxed);  // had it died even sooner
  EXPECT_EQ(finding->found(), Verdict::kViolation);
  EXPECT_THAT(finding->reason(), testing::HasSubstr("killed before it had told"));
  EXPECT_FALSE(finding->Report(Verdict::kLeak, 2, "another"));
}

TEST(Findings, TheFirstOneStays) {
  const SharedMapping<Finding> finding = MapShared<Finding>();
  EXPECT_TRUE(finding->Report(Verdict::kLeak, 1, "a block"));
  EXPECT_FALSE(finding->Report(Verdict::kViolation, 2, "a value"));
  EXPECT_FALSE(finding->is_being_written());
  EXPECT_EQ(finding->found(), Verdict::kLeak);
  EXPECT_EQ(finding->reason(), "a block");
}

}  // namespace
}  // namespace kill9
