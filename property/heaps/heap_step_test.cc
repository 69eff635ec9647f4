// A participant that is killed at every single instruction of an operation, and what its survivors
// own then (trap_steps.h).
#include <functional>
#include <optional>

#include "property/heaps/heap_fixture.h"
#include "property/scaffold/trap_steps.h"

namespace kill9 {
namespace {

#if defined(__x86_64__)

// What the victim has when its operation begins: a block of its own, one that it shares with two
// survivors, and a reserve. They are named here for the survivors.
struct Handles {
  BlockHandle mine;
  BlockHandle shared;
  BlockHandle small;    // its own, as well
  BlockHandle between;  // its own, with free room on both sides
};

struct Victim {
  Heap& heap;
  Handles& handles;
  std::vector<ParticipantId> survivors;  // the third owns nothing of it
  std::optional<HeapReserve>& reserve;
};

struct Operation {
  const char* name;
  std::function<bool(Victim&)> run;
  bool may_give_mine = false;    // to the first survivor
  bool may_give_shared = false;  // to the third
  bool dead_owner = false;       // one that died before, with a block of its own, and a shared one
  uint32_t crowd = 0;            // so many others are attached: slots of more than one word
};

// What changes the room, or is a transaction.
std::vector<Operation> OperationsOnRoom() {
  constexpr Deadline kNow = Deadline::None();
  std::vector<Operation> all;
  all.push_back({"allocate", [](Victim& v) { return v.heap.Allocate(100, kNow).ok(); }});
  all.push_back(
      {"allocate_a_large_one", [](Victim& v) { return v.heap.Allocate(9000, kNow).ok(); }});
  all.push_back({"allocate_what_lives_long",
                 [](Victim& v) { return v.heap.Allocate(100, kNow, Lifetime::kLong).ok(); }});
  all.push_back({"refused", [](Victim& v) {
                   return absl::IsDeadlineExceeded(
                       v.heap.Allocate(v.heap.max_block_bytes(), kNow).status());
                 }});
  all.push_back({"free", [](Victim& v) { return v.heap.Free(v.handles.mine).ok(); }});
  all.push_back({"free_a_small_one", [](Victim& v) { return v.heap.Free(v.handles.small).ok(); }});
  all.push_back(
      {"free_one_between", [](Victim& v) { return v.heap.Free(v.handles.between).ok(); }});
  all.push_back({"reserve", [](Victim& v) { return v.heap.Reserve(3, 60, kNow).ok(); }});
  all.push_back({"release", [](Victim& v) { return v.heap.Release(*std::move(v.reserve)).ok(); }});
  all.push_back({.name = "recover",
                 .run = [](Victim& v) { return v.heap.Recover().ok(); },
                 .dead_owner = true});
  all.push_back(
      {.name = "transfer_to_another_word",
       .run = [](Victim& v) { return v.heap.Transfer(v.handles.mine, v.survivors[0]).ok(); },
       .may_give_mine = true,
       .crowd = 64});
  return all;
}

// What changes who owns a block.
std::vector<Operation> OperationsOnOwners() {
  std::vector<Operation> all;
  all.push_back(
      {.name = "transfer",
       .run = [](Victim& v) { return v.heap.Transfer(v.handles.mine, v.survivors[0]).ok(); },
       .may_give_mine = true});
  all.push_back(
      {.name = "transfer_a_shared_one",
       .run = [](Victim& v) { return v.heap.Transfer(v.handles.shared, v.survivors[2]).ok(); },
       .may_give_shared = true});
  all.push_back(
      {"free_a_shared_one", [](Victim& v) { return v.heap.Free(v.handles.shared).ok(); }});
  all.push_back({.name = "share",
                 .run = [](Victim& v) { return v.heap.Share(v.handles.mine, v.survivors[0]).ok(); },
                 .may_give_mine = true});
  all.push_back(
      {.name = "share_a_shared_one",
       .run = [](Victim& v) { return v.heap.Share(v.handles.shared, v.survivors[2]).ok(); },
       .may_give_shared = true});
  all.push_back({"allocate_from_the_reserve",
                 [](Victim& v) { return v.heap.Allocate(*v.reserve, 50).ok(); }});
  return all;
}

class HeapStep : public HeapFixture {
 protected:
  static constexpr uint64_t kMineSeed = 11, kSharedSeed = 12, kOwnSeed = 13;

  // The same each time, so that the operation has the same instructions.
  void Prepare(const Operation& operation) {
    others_.clear();
    Make((192 << 10) + operation.crowd * 1024, 8 + operation.crowd);
    for (uint32_t i = 0; i < 2 + operation.crowd; ++i) others_.push_back(Attach());
    std::vector<BlockHandle> holes;
    for (size_t i = 0; i < 12; ++i) {
      const BlockHandle block = Allocate(*heap_, i % 2 == 0 ? 100 : 1500);
      if (i % 3 == 0) holes.push_back(block);
    }
    FreeAll(holes);
    own_ = Allocate(*heap_, 300);
    Fill(*heap_->Data(own_), kOwnSeed);
    if (!operation.dead_owner) return;
    Child dead([&](Line&) {
      const std::unique_ptr<Heap> heap = Attach();
      CHILD_REQUIRE(heap != nullptr && MakeHandles(*heap, *handles_));
      const absl::StatusOr<HeapReserve> reserve = heap->Reserve(3, 60, Deadline::None());
      CHILD_REQUIRE(reserve.ok());
      _exit(0);
    });
    ASSERT_EQ(dead.ExitStatus(), 0);
    dead_ = *handles_;
  }
  std::vector<ParticipantId> Survivors() const {
    return {heap_->id(), others_[0]->id(), others_[1]->id()};
  }
  bool MakeHandles(Heap& heap, Handles& handles) const {
    constexpr Deadline kNow = Deadline::None();
    const absl::StatusOr<BlockHandle> before = heap.Allocate(1700, kNow);
    const absl::StatusOr<BlockHandle> between = heap.Allocate(1700, kNow);
    const absl::StatusOr<BlockHandle> after = heap.Allocate(1700, kNow);
    const absl::StatusOr<BlockHandle> mine = heap.Allocate(2000, kNow);
    const absl::StatusOr<BlockHandle> shared = heap.Allocate(200, kNow);
    const absl::StatusOr<BlockHandle> small = heap.Allocate(20, kNow);
    if (!before.ok() || !between.ok() || !after.ok() || !mine.ok() || !shared.ok() || !small.ok()) {
      return false;
    }
    handles = {*mine, *shared, *small, *between};
    Fill(*heap.Data(*mine), kMineSeed);
    Fill(*heap.Data(*shared), kSharedSeed);
    return heap.Free(*before).ok() && heap.Free(*after).ok() &&
           heap.Share(*shared, heap_->id()).ok() && heap.Share(*shared, others_[0]->id()).ok();
  }
  // A child that does the operation and is killed after so many instructions of it. Its exit
  // status.
  int RunUntil(const Operation& operation, uint64_t steps, TrapPath& path) {
    int status = 0;
    do {
      Prepare(operation);
      status = HasFatalFailure() ? 1 : RunOnce(operation, steps, path.LeapTo(steps));
    } while (path.Strayed(status));
    return status;
  }
  int RunOnce(const Operation& operation, uint64_t steps, const TrapPath::Leap& leap) {
    Child child([&](Line&) {
      const std::unique_ptr<Heap> heap = Attach();
      CHILD_REQUIRE(heap != nullptr && MakeHandles(*heap, *handles_));
      absl::StatusOr<HeapReserve> got = heap->Reserve(4, 60, Deadline::None());
      CHILD_REQUIRE(got.ok());
      std::optional<HeapReserve> reserve(*std::move(got));
      Victim victim{*heap, *handles_, Survivors(), reserve};
      const bool done = RunWithSteps(
          steps, SIGKILL, [&] { return operation.run(victim); }, leap);
      _exit(done ? 0 : 2);
    });
    return child.ExitStatus();
  }
  // Who owns the block: empty if it is free.
  std::vector<ParticipantId> OwnersOf(BlockHandle block) const {
    const absl::StatusOr<std::vector<ParticipantId>> owners = heap_->Owners(block);
    if (owners.ok()) return *owners;
    EXPECT_EQ(owners.status().code(), absl::StatusCode::kNotFound) << owners.status();
    return {};
  }
  // After the death and a recovery. Whether something was given away.
  bool CheckWhatIsLeft(const Operation& operation) {
    const Handles& handles = *handles_;
    const HeapAccount account = Account();
    EXPECT_EQ(account.report.held.blocks, 0u) << "a reserve of the dead is left";
    EXPECT_THAT(OwnersOf(handles.small), ::testing::IsEmpty());
    EXPECT_THAT(OwnersOf(handles.between), ::testing::IsEmpty());
    const std::vector<ParticipantId> of_mine = OwnersOf(handles.mine);
    if (!of_mine.empty()) {
      EXPECT_TRUE(operation.may_give_mine) << "a block of the dead is owned";
      EXPECT_THAT(of_mine, ::testing::ElementsAre(heap_->id()));
      EXPECT_TRUE(IsFilled(*heap_->Data(handles.mine), kMineSeed));
    }
    std::vector<ParticipantId> expected = {heap_->id(), others_[0]->id()};
    const std::vector<ParticipantId> of_shared = OwnersOf(handles.shared);
    const bool given_shared = of_shared.size() > 2;
    if (given_shared) {
      EXPECT_TRUE(operation.may_give_shared);
      expected.push_back(others_[1]->id());
    }
    EXPECT_THAT(of_shared, ::testing::ElementsAreArray(expected)) << "it was freed under them";
    const absl::StatusOr<std::span<char>> data = heap_->Data(handles.shared);
    EXPECT_TRUE(data.ok() && IsFilled(*data, kSharedSeed));
    EXPECT_TRUE(IsFilled(*heap_->Data(own_), kOwnSeed));
    // Of one that died before, only what survivors share is left.
    const uint64_t of_dead = operation.dead_owner ? 1 : 0;
    if (operation.dead_owner) {
      EXPECT_THAT(OwnersOf(dead_.mine), ::testing::IsEmpty());
      EXPECT_THAT(OwnersOf(dead_.shared), ::testing::ElementsAre(heap_->id(), others_[0]->id()));
    }
    EXPECT_EQ(account.report.live.blocks, 9u + 1 + of_dead + (of_mine.empty() ? 0 : 1))
        << Show(account);
    return given_shared || !of_mine.empty();
  }
  // All let go, all is free.
  void LetGoOfAll() {
    others_.clear();
    std::vector<BlockHandle> rest;
    ASSERT_TRUE(heap_
                    ->ForEach([&](const HeapBlock& block) {
                      rest.push_back(block.handle);
                      return true;
                    })
                    .ok());
    FreeAll(rest);
    ExpectEmpty();
  }

  void KilledAnywhere(const std::vector<Operation>& operations, const TrapSteps& steps);

  std::vector<std::unique_ptr<Heap>> others_;
  BlockHandle own_;
  Handles dead_;
  Shared<Handles> handles_;
};
INSTANTIATE_FOR_ALL_HEAPS(HeapStep);

TEST_P(HeapStep, KilledWhileItChangesTheRoomItLeavesItsSurvivorsWhatIsTheirs) {
  KilledAnywhere(OperationsOnRoom(), TrapSteps(15));
}

// A buffer of several owners, one of which crashes, neither leaks nor is freed under the others.
TEST_P(HeapStep, OneOfThreeOwnersIsKilledAtEveryInstructionOfSharingPassingOnAndReleasing) {
  KilledAnywhere(OperationsOnOwners(), TrapSteps(1));
}

void HeapStep::KilledAnywhere(const std::vector<Operation>& operations, const TrapSteps& steps) {
  for (const Operation& operation : operations) {
    if (!CanHave(operation.crowd + 8)) continue;
    SCOPED_TRACE(operation.name);
    uint64_t instructions = 0;
    bool seen_given = false, seen_kept = false;
    TrapPath path;
    for (uint64_t step = steps.first;; step = steps.Next(step)) {
      SCOPED_TRACE(absl::StrCat("killed at instruction ", step));
      const int status = RunUntil(operation, step, path);
      if (status == 0) break;
      ASSERT_EQ(status, 1000 + SIGKILL);
      instructions = step;
      ASSERT_TRUE(heap_->Recover().ok());
      (CheckWhatIsLeft(operation) ? seen_given : seen_kept) = true;
      ASSERT_NO_FATAL_FAILURE(LetGoOfAll());
      if (HasFailure()) return;
    }
    EXPECT_GT(instructions, 30u) << "the premise: it was killed inside";
    if (!operation.may_give_mine && !operation.may_give_shared) continue;
    EXPECT_TRUE(seen_given) << "the premise: both before it took effect and after";
    EXPECT_TRUE(seen_kept);
  }
}

#endif

}  // namespace
}  // namespace kill9
