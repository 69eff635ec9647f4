// What a stop is for is checked at each, and where it cannot be had the cell is no pass.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "harness/store_driver/sweep/store_scene.h"
#include "harness/sweep/sweep.h"
#include "property/sweep/sweep_array_store.h"
#include "property/sweep/sweep_designs.h"

namespace kill9::sweep {
namespace {

CellResult ResultOf(SweepOptions options, const char* variant, const char* operation,
                    const char* state) {
  options.variants = {FindDesignOfTests(variant)};
  options.operations = {operation};
  options.states = {state};
  options.most_failures = 2;
  CellResult result{};
  const absl::Status status =
      RunCells(PlanCells(options), 0, nullptr,
               [&](const CellRequest&, CellArea& area, pid_t) { result = area.result; });
  EXPECT_TRUE(status.ok()) << status;
  return result;
}

CellResult ResumeOfRecover(const char* variant, const char* state) {
  SweepOptions options;
  options.resume = true;
  options.pairs = 8;
  options.watchdog_seconds = 1;
  return ResultOf(options, variant, "recover", state);
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

// This heap names whom it recovers, and their places are given to nobody meanwhile.
TEST(SweepResume, APlaceMayBeKeptUntilAllWhoRecoverItsOwnerAreThrough) {
  const CellResult kept = ResumeOfRecover("size_class_heap", "held_by_dead");
  EXPECT_EQ(kept.verdict, Verdict::kPass) << kept.error << kept.failure[0].message;
  EXPECT_GT(kept.resume_stops, kept.resume_places_given);
}

TEST(SweepResume, WhereNobodyIsDeadTheFurtherParticipantMayHaveAnySlot) {
  const CellResult result = ResumeOfRecover("array_takes_most_used_slot", "one_entry");
  EXPECT_EQ(result.verdict, Verdict::kPass) << result.error << result.failure[0].message;
  EXPECT_GT(result.resume_stops, 0u);
}

// Its value is refused, and the key may be absent by then: no swap that should have been one.
TEST(SweepResume, ALeaseMayBeOverBeforeItsValueComes) {
  SweepOptions options;
  options.resume = true;
  options.pairs = 6;
  const CellResult result = ResultOf(options, "global_mutex", "put_leased", "one_entry");
  EXPECT_EQ(result.verdict, Verdict::kPass) << result.error << result.failure[0].message;
  EXPECT_GT(result.resume_stops, 0u);
}

// Of a long copy: each byte is a state, and is killed in once; at its ends under every plan.
TEST(SweepOfAString, AmongManyIterationsEachIsKilledInUnderOnePlan) {
  SweepOptions options;
  options.breakpoints = stepper::BreakpointChoice::kInt3;
  options.sample = 0;
  uint32_t states = 0;
  const auto left_out = [&](const char* variant) {
    const CellResult result = ResultOf(options, variant, "put_insert", "empty");
    EXPECT_EQ(result.verdict, Verdict::kPass) << result.error << result.failure[0].message;
    EXPECT_EQ(result.instructions_killed + result.instructions_spoken_for,
              result.instructions + 1u);
    states = result.distinct_states;
    return int64_t{kPlanCount} * (states + 1) - static_cast<int64_t>(result.kill_points);
  };
  EXPECT_EQ(left_out("array"), 0);
  const uint32_t states_without_iterations = states;
  const int64_t of_string = left_out("array_wipes_and_copies_by_string");
  ASSERT_GT(states, states_without_iterations + kValueBytes / 2);
  EXPECT_GT(of_string, kValueBytes / 2);
  EXPECT_EQ(of_string % (kPlanCount - 1), 0);
  // 16 iterations at each end are left as they are.
  EXPECT_LE(of_string, (kPlanCount - 1) * (int64_t{kValueBytes} - 1 - 2 * 16));
  options.full = true;
  EXPECT_LE(left_out("array_wipes_and_copies_by_string"), 0);
}

// Of a sweep that asks for no mode, some cells have one, at a few places; which, the seed says.
TEST(SweepOfNoMode, SomeCellsHaveOneModeEach) {
  SweepOptions options;
  options.variants = {FindVariant("cas_slots"), FindVariant("striped_locks")};
  options.samples_modes = true;
  const std::vector<CellRequest> cells = PlanCells(options);
  const auto modes_of = [](const CellRequest& cell) {
    return std::array<uint8_t, 6>{cell.resume,   cell.kill_after_resume, cell.reuse,
                                  cell.recovery, cell.two_victims,       cell.three_members};
  };
  std::array<size_t, 6> of_each{};
  size_t with_one = 0;
  for (const CellRequest& cell : cells) {
    const std::array<uint8_t, 6> modes = modes_of(cell);
    const auto asked = std::count(modes.begin(), modes.end(), 1);
    ASSERT_EQ(asked, cell.samples_mode);
    EXPECT_EQ(cell.pairs == 0, asked == 0);
    with_one += cell.samples_mode;
    for (size_t i = 0; i < modes.size(); ++i) of_each[i] += modes[i];
  }
  EXPECT_GT(with_one, cells.size() / 8);
  EXPECT_LT(with_one, cells.size() / 2);
  for (const size_t cells_with_it : of_each) EXPECT_GT(cells_with_it, 0u);
  options.seed = 2;
  const std::vector<CellRequest> others = PlanCells(options);
  const auto same = [&](const CellRequest& one, const CellRequest& other) {
    return modes_of(one) == modes_of(other);
  };
  EXPECT_FALSE(std::equal(cells.begin(), cells.end(), others.begin(), others.end(), same));
  options.samples_modes = false;
  for (const CellRequest& cell : PlanCells(options)) ASSERT_EQ(cell.samples_mode, 0);
}

}  // namespace
}  // namespace kill9::sweep
