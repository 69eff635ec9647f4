// XXH3 over what the caller has just written as other types than the words that it reads.
#include "variants/segment/hash.h"

#include <sys/user.h>

#include <cstring>
#include <string>

#include "gtest/gtest.h"

namespace kill9 {
namespace {

// As the sweep hashes registers: a copy that is changed, then hashed, all of it inlined.
uint64_t HashOfAChangedCopy(user_regs_struct registers) {
  registers.eflags &= ~0x100ul;
  registers.orig_rax = 0;
  return XXH3_64bits(&registers, sizeof registers);
}

TEST(Hash, SeesWhatWasJustWrittenAsOtherTypes) {
  user_regs_struct registers{};
  for (unsigned long long n = 1; n <= 100; ++n) {
    registers.rax = n;
    registers.rip = n * n;
    registers.eflags = 0x346;
    registers.orig_rax = n;
    const uint64_t hash = HashOfAChangedCopy(registers);
    registers.eflags = 0x246;
    registers.orig_rax = 0;
    const std::string bytes(reinterpret_cast<const char*>(&registers), sizeof registers);
    EXPECT_EQ(hash, XXH3_64bits(bytes.data(), bytes.size())) << n;
  }
}

}  // namespace
}  // namespace kill9
