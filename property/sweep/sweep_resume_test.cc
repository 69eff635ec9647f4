// What a stop is for is checked at each, and where it cannot be had the cell is no pass.
#include <gtest/gtest.h>

#include "harness/sweep/sweep.h"
#include "property/sweep/sweep_array_store.h"
#include "property/sweep/sweep_main.h"

namespace kill9::sweep {
namespace {

CellResult ResumeOfRecover(const char* variant, const char* state) {
  SweepOptions options;
  options.variants = {FindArrayVariant(variant)};
  options.operations = {"recover"};
  options.states = {state};
  options.resume = true;
  options.pairs = 8;
  options.watchdog_seconds = 1;
  options.most_failures = 2;
  CellResult result{};
  const absl::Status status =
      RunCells(PlanCells(options), 0, nullptr,
               [&](const CellRequest&, CellArea& area, pid_t) { result = area.result; });
  EXPECT_TRUE(status.ok()) << status;
  return result;
}

// Otherwise what the late recoverer takes of the next owner of a slot would never show.
TEST(SweepResume, TheFurtherParticipantBesideARecovererHasTheSlotOfTheDead) {
  const CellResult right = ResumeOfRecover("array", "half_done_put");
  EXPECT_EQ(right.verdict, Verdict::kPass) << right.error << right.failure[0].message;
  EXPECT_GT(right.resume_stops, 0u);
  const CellResult elsewhere = ResumeOfRecover("array_takes_most_used_slot", "half_done_put");
  EXPECT_EQ(elsewhere.verdict, Verdict::kUndecided) << elsewhere.failure[0].message;
  EXPECT_STREQ(elsewhere.error, "the further participant was not given the slot of the dead one");
}

TEST(SweepResume, WhereNobodyIsDeadTheFurtherParticipantMayHaveAnySlot) {
  const CellResult result = ResumeOfRecover("array_takes_most_used_slot", "one_entry");
  EXPECT_EQ(result.verdict, Verdict::kPass) << result.error << result.failure[0].message;
  EXPECT_GT(result.resume_stops, 0u);
}

}  // namespace
}  // namespace kill9::sweep

int main(int argc, char** argv) { return kill9::sweep::RunTestsOrWorker(argc, argv); }
