// Options at and beyond every bound: Create refuses them, or makes a segment that works.
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/scaffold/children.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

std::string Describe(const SegmentOptions& options) {
  return absl::StrCat(options.size_bytes, " bytes, ", options.max_participants, " participants, ",
                      options.expected_entries, " entries, ", options.stripes, " stripes");
}

// Near each power of two, where products and roundings overflow, and small numbers.
uint64_t Extreme(std::mt19937_64& random, int highest_bit) {
  const uint64_t power = uint64_t{1} << random() % static_cast<uint64_t>(highest_bit + 1);
  switch (random() % 4) {
    case 0:
      return random() % 3;
    case 1:
      return power - 1;
    case 2:
      return power + random() % 3;
    default:
      return ~uint64_t{0} - random() % 3;
  }
}

class SegmentOptionsOfDesign : public ::testing::TestWithParam<const Variant*> {
 protected:
  // Whether it was made; then it works.
  bool MakesOneThatWorksOrRefuses(const SegmentOptions& options) {
    SCOPED_TRACE(Describe(options));
    auto segment = GetParam()->Create(options);
    if (!segment.ok()) {
      EXPECT_TRUE(absl::IsInvalidArgument(segment.status()) ||
                  absl::IsResourceExhausted(segment.status()))
          << segment.status();
      EXPECT_NE(segment.status().message(), "");
      return false;
    }
    auto store = GetParam()->Attach(*segment);
    EXPECT_TRUE(store.ok()) << store.status();
    if (!store.ok()) return true;
    EXPECT_GE((*store)->max_key_bytes(), 250u);
    EXPECT_GT((*store)->max_value_bytes(), 0u);
    EXPECT_LT((*store)->max_value_bytes(), (*segment)->size());
    const auto put = (*store)->Put("key", "value");
    EXPECT_TRUE(put.ok()) << put.status();
    std::string value;
    const auto got = (*store)->Get("key", &value);
    EXPECT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(value, "value");
    const auto report = (*store)->Audit();
    EXPECT_TRUE(report.ok() && report->clean());
    return true;
  }
};

TEST_P(SegmentOptionsOfDesign, ExtremesAreRefusedOrWork) {
  std::mt19937_64 random(TestSeed());
  int made = 0;
  int refused = 0;
  for (int i = 0; i < 400; ++i) {
    SegmentOptions options;
    options.hash_seed = 7;
    options.size_bytes = (64 << 10) + random() % 3 * (96 << 10);
    options.max_participants = 1 + static_cast<uint32_t>(random() % 3);
    // One of them, or two.
    for (uint64_t which = 1 + random() % 15; which != 0; which &= which - 1) {
      if (which & 1) options.expected_entries = Extreme(random, 63);
      if (which & 2) options.stripes = static_cast<uint32_t>(Extreme(random, 31));
      if (which & 4) options.max_participants = static_cast<uint32_t>(Extreme(random, 31));
      // What could be had is not tried: it would be had.
      if (which & 8 && random() % 4 == 0) options.size_bytes = Extreme(random, 17);
    }
    ++(MakesOneThatWorksOrRefuses(options) ? made : refused);
    ASSERT_FALSE(HasFailure()) << "KILL9_SEED=" << TestSeed();
  }
  EXPECT_GT(made, 20) << "vacuous";
  EXPECT_GT(refused, 20) << "vacuous";
}

TEST_P(SegmentOptionsOfDesign, EachBoundIsToldWhenItIsPassed) {
  const auto refusal = [](auto change) {
    SegmentOptions options;
    options.size_bytes = 1 << 20;
    change(options);
    const absl::Status status = GetParam()->Create(options).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << Describe(options) << ": " << status;
    return std::string(status.message());
  };
  using ::testing::HasSubstr;
  for (const uint64_t entries : {uint64_t{1} << 61, (uint64_t{1} << 62) - 1, uint64_t{1} << 62,
                                 uint64_t{1} << 63, ~uint64_t{0}}) {
    EXPECT_THAT(refusal([&](SegmentOptions& options) { options.expected_entries = entries; }),
                HasSubstr("cannot hold the expected"));
  }
  EXPECT_THAT(refusal([](SegmentOptions& options) { options.max_participants = 4097; }),
              HasSubstr("1 to 4096"));
  EXPECT_THAT(refusal([](SegmentOptions& options) {
                options.max_participants = 4096;
                options.size_bytes = 64 << 10;
              }),
              HasSubstr("for 4096 participants"));
  EXPECT_THAT(refusal([](SegmentOptions& options) {
                options.location = {SegmentKind::kNamed, "kill9-test-too-large"};
                options.size_bytes = uint64_t{1} << 63;
              }),
              HasSubstr("at most 9223372036854775807"));
}

INSTANTIATE_TEST_SUITE_P(Designs, SegmentOptionsOfDesign, ::testing::ValuesIn(StoreDesigns()),
                         [](const auto& test) { return std::string(test.param->name()); });

}  // namespace
}  // namespace kill9
