// What `./dev endurance` works on: every design of ours passes, and what is wrong is noticed.
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/base/random.h"
#include "stress/benchmarks/endurance/filling.h"
#include "stress/benchmarks/endurance/subject.h"
#include "variants/channel.h"
#include "variants/registry.h"
#include "variants/store.h"

namespace kill9::endurance {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kBytes = 1u << 20;

std::unique_ptr<Subject> Worn(const Design& design, Counts* counts) {
  std::unique_ptr<Subject> subject = MakeSubject(design, kBytes).value();
  Random random(3);
  for (const Sizes& sizes : kPhases) {
    EXPECT_TRUE(subject->Work(random, sizes, 1000, counts).ok()) << design.name();
  }
  return subject;
}

TEST(Endurance, OurDesignsHaveWhatWasLeftInThem) {
  int designs = 0;
  for (const Design* design : AllDesigns()) {
    if (design->role() != Design::Role::kDesign || design->kind() == "pool") continue;
    ++designs;
    Counts counts;
    const std::unique_ptr<Subject> worn = Worn(*design, &counts);
    EXPECT_EQ(counts.operations, 3000u);
    Random random(5);
    const auto fresh = worn->Fresh(random);
    ASSERT_TRUE(fresh.ok()) << design->name() << ": " << fresh.status();
    EXPECT_TRUE(worn->Probe(random, 500).ok()) << design->name();
    for (Subject* subject : {worn.get(), fresh->get()}) {
      const auto room = subject->Room();
      ASSERT_TRUE(room.ok()) << design->name() << ": " << room.status();
      EXPECT_TRUE(subject->Check().ok()) << design->name() << ": " << subject->Check();
      EXPECT_TRUE(subject->object().Audit()->clean()) << design->name();
    }
  }
  EXPECT_GE(designs, 10);
}

TEST(Endurance, AKeyThatIsGoneIsMissed) {
  Counts counts;
  const std::unique_ptr<Subject> worn = Worn(*FindDesign("cas_slots"), &counts);
  auto& store = static_cast<Store&>(worn->object());
  std::string first;
  ASSERT_TRUE(store
                  .ForEach([&](const EntryView& entry) {
                    first = entry.key;
                    return false;
                  })
                  .ok());
  ASSERT_TRUE(store.Erase(first).value());
  EXPECT_THAT(worn->Check().ToString(), HasSubstr("is not as it was left"));
}

TEST(Endurance, AValueOfAnotherSizeIsNoticedAndSoIsAStranger) {
  for (const char* name : {"striped_locks", "seqlock_ring"}) {
    Counts counts;
    const std::unique_ptr<Subject> worn = Worn(*FindDesign(name), &counts);
    auto& store = static_cast<Store&>(worn->object());
    ASSERT_TRUE(store.Put("a stranger", "x").ok());
    EXPECT_THAT(worn->Check().ToString(), HasSubstr("what for_each shows")) << name;
    ASSERT_TRUE(store.Erase("a stranger").value());
    ASSERT_TRUE(worn->Check().ok()) << worn->Check();
    std::string last;
    ASSERT_TRUE(store
                    .ForEach([&](const EntryView& entry) {
                      last = entry.key;
                      return true;
                    })
                    .ok());
    ASSERT_TRUE(store.Put(last, "x").ok());
    EXPECT_FALSE(worn->Check().ok()) << name;
  }
}

TEST(Endurance, AMessageThatIsGoneIsMissed) {
  Counts counts;
  const std::unique_ptr<Subject> worn = Worn(*FindDesign("slot_ring"), &counts);
  std::string message;
  ASSERT_TRUE(static_cast<Channel&>(worn->object()).Receive(&message, Deadline::None()).ok());
  EXPECT_FALSE(worn->Check().ok());
}

TEST(Endurance, AFullSegmentIsARefusalAndWhatIsInItIsLookedFor) {
  for (const char* name : {"cas_slots", "global_mutex"}) {
    const absl::Status full =
        FillTable(*FindDesign(name), {.entries = 400'000, .entry_bytes = 1, .steps = 2}).status();
    EXPECT_THAT(full.ToString(), HasSubstr("of 400000 entries")) << name;
    EXPECT_EQ(VerdictOf(full), Verdict::kUndecided) << name;
    EXPECT_TRUE(FillTable(*FindDesign(name), {.entries = 4000, .steps = 2}).ok()) << name;
  }
  const absl::Status full = FillLarge(*FindDesign("striped_locks"), 6 << 20).status();
  EXPECT_EQ(VerdictOf(full), Verdict::kUndecided) << full;
  EXPECT_EQ(VerdictOf(absl::DataLossError("")), Verdict::kViolation);
  EXPECT_EQ(VerdictOf(absl::OkStatus()), Verdict::kPass);
}

TEST(Endurance, BytesBelongToANumber) {
  for (const size_t size : {1u, 8u, 9u, 4000u}) {
    std::string bytes = BytesOf(300, size);
    EXPECT_EQ(bytes.size(), size);
    EXPECT_TRUE(AreBytesOf(300, bytes));
    EXPECT_FALSE(AreBytesOf(301, bytes));
    bytes.back() = '!';
    EXPECT_FALSE(AreBytesOf(300, bytes));
  }
}

}  // namespace
}  // namespace kill9::endurance
