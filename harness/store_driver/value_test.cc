#include "harness/store_driver/value.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kill9 {
namespace {

std::string Make(ValueId id, uint64_t key, size_t size) {
  std::string value(size, '\0');
  FillValue(id, key, value);
  return value;
}

const size_t kSizes[] = {0, 1, 7, 8, 9, 15, 16, 23, 24, 25, 31, 32, 33, 64, 1000, 4097, 65536};

TEST(Value, OfAnySizeIsSoundAndTellsItsId) {
  for (const size_t size : kSizes) {
    const ValueId id = MakeValueId(3, 9);
    const ValueCheck check = CheckValue(17, Make(id, 17, size));
    EXPECT_EQ(check.defect, ValueDefect::kNone) << size;
    EXPECT_EQ(check.id, size < kSmallestNamedValue ? TinyValueId(size) : id) << size;
    EXPECT_EQ(IsTiny(check.id), size < kSmallestNamedValue);
  }
}

TEST(Value, WithAnyOneByteChangedIsTorn) {
  for (const size_t size : kSizes) {
    if (size > 4097) continue;
    const std::string sound = Make(MakeValueId(3, 9), 17, size);
    for (size_t at = 0; at<size; at += size> 100 ? 13 : 1) {
      // One byte beyond the id is all the room that a value of 9 bytes has: chance may hide a
      // change of its id.
      if (size > 8 && size < 12 && at < 8) continue;
      if (size == 8) continue;  // an id alone; that nobody wrote it is for the caller to see
      std::string changed = sound;
      changed[at] = static_cast<char>(changed[at] ^ 0x40);
      EXPECT_EQ(CheckValue(17, changed).defect, ValueDefect::kTorn) << size << " at " << at;
    }
  }
}

TEST(Value, CutShortOrPaddedIsTorn) {
  for (const size_t size : {12u, 24u, 64u, 4096u}) {
    const std::string sound = Make(MakeValueId(3, 9), 17, size);
    EXPECT_EQ(CheckValue(17, sound.substr(0, size - 1)).defect, ValueDefect::kTorn);
    EXPECT_EQ(CheckValue(17, sound + '\0').defect, ValueDefect::kTorn);
  }
}

TEST(Value, OfHalfOneWriterAndHalfAnotherIsTorn) {
  const std::string one = Make(MakeValueId(3, 9), 17, 256);
  const std::string other = Make(MakeValueId(4, 10), 17, 256);
  for (size_t at = 1; at < 256; ++at) {
    EXPECT_EQ(CheckValue(17, one.substr(0, at) + other.substr(at)).defect, ValueDefect::kTorn)
        << at;
  }
}

TEST(Value, OfAnotherKeyIsForeign) {
  const ValueCheck check = CheckValue(18, Make(MakeValueId(3, 9), 17, 64));
  EXPECT_EQ(check.defect, ValueDefect::kForeign);
  EXPECT_EQ(ProcessOf(check.id), 3u);
  EXPECT_EQ(SequenceOf(check.id), 9u);
}

}  // namespace
}  // namespace kill9
