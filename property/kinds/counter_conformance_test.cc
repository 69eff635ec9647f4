// The counter joins what every object must do (property/conformance/object_conformance.h).
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "property/conformance/object_conformance.h"
#include "property/kinds/counter/counter_kind.h"

namespace kill9 {
namespace {

// Before the suite asks for the list of designs.
const bool kRegistered = RegisterOwn(CounterKind()).ok();

absl::Status Add(SharedObject& object, uint64_t) { return static_cast<Counter&>(object).Add(); }

absl::Status Find(SharedObject& object, bool, uint64_t first, uint64_t end) {
  const absl::StatusOr<uint64_t> sum = static_cast<Counter&>(object).Read();
  if (!sum.ok()) return sum.status();
  if (*sum >= first && *sum <= end) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("the sum is ", *sum));
}

std::vector<absl::Status> CallEach(SharedObject& object) {
  Counter& counter = static_cast<Counter&>(object);
  return {counter.Add(), counter.Read().status()};
}

const ObjectKind kCounters = {CounterDesign::kKind, Add, Find, CallEach};

INSTANTIATE_TEST_SUITE_P(Counters, ObjectConformance, ::testing::ValuesIn(CasesOf(kCounters)),
                         ObjectTestName);

TEST(CounterConformance, IsOfTheDesignThatIsMeantToBeRight) {
  ASSERT_TRUE(kRegistered);
  const std::vector<ObjectCase> cases = CasesOf(kCounters);
  ASSERT_EQ(cases.size(), 1u);
  EXPECT_EQ(cases[0].design->name(), "atomic_counter");
}

// What the suite finds in the other one: the changes of the dead are gone.
TEST(CounterConformance, WouldSeeThatTheDeadAreForgotten) {
  const Design& design = *FindDesign("forgetful_counter");
  SegmentOptions options;
  options.size_bytes = 1 << 20;
  absl::StatusOr<std::shared_ptr<Segment>> segment = design.Create(options);
  ASSERT_TRUE(segment.ok()) << segment.status();
  absl::StatusOr<std::unique_ptr<SharedObject>> object = design.AttachObject(*segment);
  ASSERT_TRUE(object.ok()) << object.status();
  ASSERT_TRUE(Add(**object, 0).ok());
  Child victim([&](Line& parent) {
    auto own = design.AttachObject(*segment);
    CHILD_REQUIRE(own.ok() && Add(**own, 1).ok());
    parent.Tell();
    for (;;) pause();
  });
  ASSERT_TRUE(victim.Await());
  EXPECT_TRUE(Find(**object, true, 2, 2).ok()) << "it is right while nobody dies";
  victim.KillAndReap();
  ASSERT_EQ((*object)->Recover().value_or(RecoveryReport{}).participants, 1u);
  EXPECT_FALSE(Find(**object, true, 2, 2).ok());
}

}  // namespace
}  // namespace kill9
