// Damage of any kind, anywhere: inspect ends, crashes never, and says what it can.
#include <random>

#include "property/inspect/inspect_fixture.h"

namespace kill9 {
namespace {

class InspectedDamage : public InspectFixture {};

TEST_P(InspectedDamage, AnywhereInASegmentNeitherEndsWhoLooksNorKeepsItForEver) {
  constexpr int kRounds = 12;
  constexpr double kShortSeconds = 2;  // of a look that has no end; then it is cut off
  std::mt19937_64 random(TestSeed());
  int damaged = 0;
  for (int round = 0; round < kRounds; ++round) {
    Make(*GetParam(), 4, 1 << 18, SegmentKind::kFile);
    { const auto object = Attach<SharedObject>(); }
    const uint64_t begin = round % 3 == 0 ? Segment::kHeaderBytes : segment_->header().body_offset;
    std::string bytes = Bytes();
    const uint64_t end = round % 3 == 0 ? segment_->header().body_offset : bytes.size();
    segment_.reset();
    // Few words, or many; in the table of participants, or behind it.
    for (int n = round % 2 == 0 ? 4 : 400; n > 0; --n) {
      const uint64_t word = random() >> random() % 64;
      bytes.replace(begin + random() % (end - begin - 8) / 8 * 8, 8,
                    reinterpret_cast<const char*>(&word), 8);
    }
    std::ofstream(where_, std::ios::binary) << bytes;
    const absl::StatusOr<Json> run = inspect::Inspect(where_, kShortSeconds);
    if (run.ok()) {
      EXPECT_FALSE(inspect::AsText(*run).empty());
      EXPECT_FALSE(inspect::AsPage(*run).empty());
      EXPECT_FALSE(Dump(inspect::ForResultFile(*run)).empty());
      damaged += inspect::IsDamaged(*run) ? 1 : 0;
    }
    EXPECT_EQ(Bytes(), bytes);
    std::filesystem::remove(where_);
  }
  EXPECT_GT(damaged, 0);  // the premise: some of it matters
}

INSTANTIATE_TEST_SUITE_P(Designs, InspectedDamage, ::testing::ValuesIn(SoundDesigns()),
                         DesignTestName);

}  // namespace
}  // namespace kill9
