#include "harness/stepper/process/shared_mappings.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

namespace kill9::stepper {
namespace {

constexpr size_t kBytes = 3 * 4096;

void* Map(int rights, int flags) {
  return mmap(nullptr, kBytes, rights, flags | MAP_ANONYMOUS, -1, 0);
}

bool Knows(const SharedMappings& mappings, const void* address) {
  const auto first = reinterpret_cast<uint64_t>(address);
  return std::ranges::any_of(mappings.ranges(), [first](const AddressRange& range) {
    return range.Has(first) && range.Has(first + kBytes - 1);
  });
}

TEST(SharedMappings, AreThoseThatOthersSeeAndThatMayBeWritten) {
  void* const shared = Map(PROT_READ | PROT_WRITE, MAP_SHARED);
  void* const read_only = Map(PROT_READ, MAP_SHARED);
  void* const own = Map(PROT_READ | PROT_WRITE, MAP_PRIVATE);
  SharedMappings mappings;
  ASSERT_TRUE(mappings.Read(getpid()));
  EXPECT_TRUE(Knows(mappings, shared));
  EXPECT_FALSE(Knows(mappings, read_only));
  EXPECT_FALSE(Knows(mappings, own));
  // It has become another by now.
  mprotect(read_only, kBytes, PROT_READ | PROT_WRITE);
  munmap(shared, kBytes);
  ASSERT_TRUE(mappings.Read(getpid()));
  EXPECT_FALSE(Knows(mappings, shared));
  EXPECT_TRUE(Knows(mappings, read_only));
  munmap(read_only, kBytes);
  munmap(own, kBytes);
}

TEST(SharedMappings, OfNobodyOrOfTooManyAreNotKnown) {
  SharedMappings mappings;
  EXPECT_FALSE(mappings.Read(-1));
  constexpr size_t kMany = 200;
  void* many[kMany];
  // Every second page of it may be written: they do not become one.
  for (void*& one : many) {
    one = Map(PROT_READ | PROT_WRITE, MAP_SHARED);
    mprotect(one, 4096, PROT_READ);
  }
  EXPECT_FALSE(mappings.Read(getpid()));
  for (void* one : many) munmap(one, kBytes);
}

TEST(SharedMappings, ChangeByTheCallsThatMap) {
  for (const long number : {SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect, SYS_shmat}) {
    EXPECT_TRUE(MapsMemory(number)) << number;
  }
  EXPECT_FALSE(MapsMemory(SYS_futex));
}

}  // namespace
}  // namespace kill9::stepper
