// kill9 inspect tells who is attached, alive, stopped or dead, and what each holds; of every
// design, and without leaving a trace.
#include <fcntl.h>
#include <sys/stat.h>

#include <cstring>
#include <optional>

#include "property/inspect/inspect_fixture.h"
#include "property/scaffold/overlay.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class Inspected : public InspectFixture {};

// Attaches, says so, and stays.
int Stay(const Design& design, const std::shared_ptr<Segment>& segment, Line& parent) {
  const absl::StatusOr<std::unique_ptr<SharedObject>> object = design.AttachObject(segment);
  CHILD_REQUIRE(object.ok());
  parent.Tell();
  parent.Await();
  return 0;
}

TEST_P(Inspected, TellsWhoIsAliveStoppedAndDead) {
  Make(*GetParam());
  const auto stay = [&](Line& parent) { return Stay(*design_, segment_, parent); };
  std::vector<Child> children = ReadyChildren(1, stay);
  for (int more = 0; more < 2; ++more) {  // one after the other: so their slots are known
    children.emplace_back(stay);
    ASSERT_TRUE(children.back().Await());
  }
  children[1].Signal(SIGSTOP);
  children[1].AwaitStopped();
  const pid_t dead = children[2].pid();
  children[2].KillAndReap();

  const std::string before = Bytes();
  const Json run = InspectQuiet();
  EXPECT_EQ(Bytes(), before);
  ASSERT_EQ(run["participants"].size(), 3u) << Dump(run, 2);
  const char* const states[] = {"alive", "stopped", "dead"};
  for (uint32_t slot = 0; slot < 3; ++slot) {
    const Json row = RowOf(run, slot);
    EXPECT_EQ(row["state"], states[slot]) << Dump(row);
    EXPECT_EQ(row["pid"], slot < 2 ? Json(children[slot].pid()) : Json());
    EXPECT_EQ(row["started_at"].is_null(), slot == 2) << Dump(row);
  }
  EXPECT_THAT(run["damage"], IsEmpty()) << Dump(run["damage"]);
  const std::string text = inspect::AsText(run);
  EXPECT_THAT(text, HasSubstr(absl::StrCat(children[1].pid())));
  EXPECT_THAT(text, Not(HasSubstr(absl::StrCat(" ", dead, " "))));
}

TEST_P(Inspected, WhereAllAreDeadTheyAreToldAndNotRecovered) {
  Make(*GetParam());
  std::vector<Child> children =
      ReadyChildren(3, [&](Line& parent) { return Stay(*design_, segment_, parent); });
  for (Child& child : children) child.KillAndReap();
  segment_.reset();
  const std::string before = Bytes();
  for (int again = 0; again < 2; ++again) {
    const Json run = InspectQuiet();
    ASSERT_EQ(run["participants"].size(), 3u);
    for (uint32_t slot = 0; slot < 3; ++slot) EXPECT_EQ(RowOf(run, slot)["state"], "dead");
    EXPECT_THAT(run["mapped_by_pids"], IsEmpty());
    EXPECT_THAT(run["damage"], IsEmpty());
  }
  EXPECT_EQ(Bytes(), before);
}

// Nobody who looks needs a slot of it.
TEST_P(Inspected, FullTableIsTold) {
  constexpr int kAll = 3;
  Make(*GetParam(), kAll);
  const std::vector<Child> children =
      ReadyChildren(kAll, [&](Line& parent) { return Stay(*design_, segment_, parent); });
  ASSERT_FALSE(design_->AttachObject(segment_).ok());  // the premise
  const Json run = InspectQuiet();
  ASSERT_EQ(run["participants"].size(), size_t{kAll});
  for (uint32_t slot = 0; slot < kAll; ++slot) {
    EXPECT_EQ(RowOf(run, slot)["state"], "alive");
    EXPECT_FALSE(RowOf(run, slot)["holds"].is_null()) << slot;
  }
}

INSTANTIATE_TEST_SUITE_P(Designs, Inspected, ::testing::ValuesIn(SoundDesigns()), DesignTestName);

class InspectedHeap : public InspectFixture {};

TEST_P(InspectedHeap, TellsWhoOwnsWhatAndDrawsIt) {
  Make(*GetParam());
  const auto heap = Attach<Heap>();
  Shared<ParticipantId> victim;
  Child child([&](Line& parent) {
    const auto mine = Attach<Heap>();
    CHILD_REQUIRE(mine != nullptr);
    *victim = mine->id();
    CHILD_REQUIRE(mine->Allocate(50'000, Deadline::None()).ok());
    parent.Tell();
    parent.Await();
    return 0;
  });
  ASSERT_TRUE(child.Await());
  const absl::StatusOr<BlockHandle> own = heap->Allocate(1000, Deadline::None());
  const absl::StatusOr<BlockHandle> shared = heap->Allocate(70'000, Deadline::None());
  ASSERT_TRUE(own.ok() && shared.ok());
  ASSERT_TRUE(heap->Share(*shared, *victim).ok());
  const absl::StatusOr<HeapReserve> reserve = heap->Reserve(2, 30'000, Deadline::None());
  ASSERT_TRUE(reserve.ok());

  const Json alive = InspectQuiet();
  const Json mine = RowOf(alive, heap->id().slot)["owns"];
  EXPECT_EQ(mine["blocks"], 2u) << Dump(mine);
  EXPECT_EQ(mine["bytes"], 71'000u);
  EXPECT_EQ(mine["shared_blocks"], 1u);
  EXPECT_EQ(mine["reserved_blocks"], 2u);
  EXPECT_EQ(RowOf(alive, victim->slot)["owns"]["bytes"], 120'000u);
  EXPECT_EQ(alive["heap"]["live_bytes"], 121'000u);
  const auto letters = [](const Json& run) {
    return inspect::ForResultFile(run)["heap"]["map"]["cells"].get<std::string>();
  };
  for (const char letter : {'A', 'S', 'R', '.'}) {
    EXPECT_NE(letters(alive).find(letter), std::string::npos) << letter << "\n" << letters(alive);
  }
  EXPECT_EQ(letters(alive).find('D'), std::string::npos);

  child.KillAndReap();
  const Json dead = InspectQuiet();
  EXPECT_NE(letters(dead).find('D'), std::string::npos) << letters(dead);
  EXPECT_EQ(RowOf(dead, victim->slot)["owns"]["bytes"], 120'000u);
  EXPECT_EQ(dead["heap"]["live_bytes"], 121'000u);  // nothing is recovered
  EXPECT_THAT(inspect::AsText(dead), HasSubstr(letters(dead).substr(0, 64)));
  const std::string page = inspect::AsPage(dead);
  for (const char* part : {"<svg", "#7a5cc0", "#c9b458", "#c0392b", "hsl("}) {
    EXPECT_THAT(page, HasSubstr(part));
  }
}

// The first and the last of them share a block that nobody else owns, and the last, whom a look has
// to recover, has one of its own, one that is shared with another one, and a reserve.
TEST_P(InspectedHeap, OfAFullTableTellsWhatEachOwns) {
  constexpr int kAll = 4;
  Make(*GetParam(), kAll);
  std::vector<std::unique_ptr<Heap>> all;
  for (int n = 0; n < kAll; ++n) {
    all.push_back(Attach<Heap>());
    ASSERT_NE(all.back(), nullptr);
    ASSERT_EQ(all.back()->id().slot, static_cast<uint32_t>(n));
  }
  ASSERT_FALSE(design_->AttachObject(segment_).ok());  // the premise
  const auto allocate = [&](int who, uint64_t bytes) {
    return all[static_cast<size_t>(who)]->Allocate(bytes, Deadline::None());
  };
  const absl::StatusOr<BlockHandle> first = allocate(0, 3'000), own = allocate(3, 40'000);
  const absl::StatusOr<BlockHandle> of_two = allocate(3, 20'000), of_ends = allocate(0, 9'000);
  ASSERT_TRUE(first.ok() && own.ok() && of_two.ok() && of_ends.ok());
  ASSERT_TRUE(all[3]->Share(*of_two, all[1]->id()).ok());
  ASSERT_TRUE(all[0]->Share(*of_ends, all[3]->id()).ok());
  const absl::StatusOr<HeapReserve> reserve = all[3]->Reserve(2, 30'000, Deadline::None());
  ASSERT_TRUE(reserve.ok());

  const Json run = InspectQuiet();
  const Json last = RowOf(run, 3)["owns"];
  ASSERT_FALSE(last.is_null()) << Dump(run, 2);
  EXPECT_EQ(last["blocks"], 3u);
  EXPECT_EQ(last["bytes"], 69'000u);
  EXPECT_EQ(last["shared_blocks"], 2u);
  EXPECT_EQ(last["reserved_blocks"], 2u);
  EXPECT_EQ(RowOf(run, 0)["owns"]["bytes"], 12'000u);
  EXPECT_EQ(RowOf(run, 0)["owns"]["shared_blocks"], 1u);
  EXPECT_EQ(RowOf(run, 1)["owns"]["shared_blocks"], 1u);
  const Json& heap = run["heap"];
  EXPECT_EQ(heap["blocks"], 4u);
  EXPECT_EQ(heap["live_bytes"], 72'000u);
  EXPECT_EQ(heap["reserved_bytes"], 60'000u);
  uint64_t sum = 0;
  for (const char* part :
       {"free_bytes", "live_bytes", "reserved_bytes", "header_bytes", "rounding_bytes"}) {
    sum += heap[part].get<uint64_t>();
  }
  EXPECT_EQ(heap["room_bytes"], sum);
  EXPECT_THAT(run["damage"], IsEmpty());
}

std::vector<const Design*> HeapDesigns() {
  std::vector<const Design*> heaps;
  for (const Design* design : SoundDesigns()) {
    if (design->kind() == HeapDesign::kKind) heaps.push_back(design);
  }
  return heaps;
}
INSTANTIATE_TEST_SUITE_P(Heaps, InspectedHeap, ::testing::ValuesIn(HeapDesigns()), DesignTestName);

class InspectedOne : public InspectFixture {
 protected:
  // A change of one word of the body makes the heap's or the store's audit complain.
  void Damage(uint64_t offset) {
    const int fd = open(where_.c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    const uint64_t junk = 0x0123456789abcdef;
    EXPECT_EQ(pwrite(fd, &junk, sizeof junk, static_cast<off_t>(offset)),
              static_cast<ssize_t>(sizeof junk));
    close(fd);
  }
};

TEST_F(InspectedOne, StoreTellsItsKeysAndWhoPinsAValue) {
  for (const char* name : {"global_mutex", "cas_slots"}) {
    Make(*FindDesign(name), 8, 1 << 20, SegmentKind::kFile);
    const auto store = Attach<Store>();
    const std::string value(1000, 'v');
    for (int n = 0; n < 10; ++n) ASSERT_TRUE(store->Put(absl::StrCat("key-", n), value).ok());
    const absl::StatusOr<PinnedValue> pin = store->Pin("key-3");
    ASSERT_TRUE(pin.ok());
    ASSERT_TRUE(*store->Erase("key-3"));  // so that the pin alone holds it
    const Json run = InspectQuiet();
    EXPECT_EQ(run["store"]["keys"], 9u) << name;
    EXPECT_EQ(run["store"]["key_bytes"], 9 * 5u);
    EXPECT_EQ(run["store"]["value_bytes"], 9000u);
    EXPECT_GE(RowOf(run, 0)["holds"]["bytes"].get<uint64_t>(), value.size()) << Dump(run, 2);
    std::filesystem::remove(where_);
  }
}

TEST_F(InspectedOne, ChannelTellsItsOccupancyAndWhoHasTakenAMessage) {
  for (const char* name : {"mutex_vector", "slot_ring", "sender_lanes", "broadcast_ring"}) {
    Make(*FindDesign(name), 8, 1 << 20, SegmentKind::kFile);
    const auto channel = Attach<Channel>();
    const std::string message(3000, 'm');
    for (int n = 0; n < 5; ++n) ASSERT_TRUE(channel->Send(message, Deadline::None()).ok());
    const bool queue = static_cast<const ChannelDesign&>(*design_).traits().delivery ==
                       ChannelTraits::Delivery::kQueue;
    const absl::StatusOr<TakenMessage> taken = channel->Take(Deadline::None());
    ASSERT_TRUE(taken.ok());
    const Json run = InspectQuiet();
    EXPECT_EQ(run["channel"]["waiting"], queue ? 4u : 5u) << name;
    EXPECT_EQ(run["channel"]["taken"], queue ? 1u : 0u) << name;
    EXPECT_EQ(run["channel"]["senders"], 1u) << name;
    EXPECT_EQ(run["channel"]["receivers"], 1u) << name;
    const Json holds = RowOf(run, 0)["holds"];
    EXPECT_EQ(holds["taken_messages"], queue ? 1u : 0u) << name << Dump(run, 2);
    // A subscriber pins what it has taken.
    EXPECT_GE(holds["bytes"].get<uint64_t>(), queue ? 0 : message.size()) << name;
    std::filesystem::remove(where_);
  }
}

TEST_F(InspectedOne, DamageIsToldAndNothingElseIsCalledDamage) {
  Make(*FindDesign("coalescing_heap"));
  const auto heap = Attach<Heap>();
  const absl::StatusOr<BlockHandle> block = heap->Allocate(1000, Deadline::None());
  ASSERT_TRUE(block.ok());
  EXPECT_FALSE(inspect::IsDamaged(InspectQuiet()));
  // Its header, boundary tag and owners with it.
  for (uint64_t back = 8; back <= 48; back += 8) Damage(block->offset - back);
  const Json run = Inspect();
  EXPECT_TRUE(run.value("of_one_moment", false));
  EXPECT_TRUE(inspect::IsDamaged(run));
  EXPECT_THAT(inspect::AsText(run), HasSubstr("damage: "));
  // The heap is thrown away as it is.
  segment_.reset();
}

TEST_F(InspectedOne, SegmentWithoutANameIsFoundByAProcessThatHasIt) {
  Make(*FindDesign("size_class_heap"), 8, 1 << 20, SegmentKind::kAnonymous);
  const auto heap = Attach<Heap>();
  where_ = absl::StrCat("/proc/", getpid(), "/fd/", segment_->fd());
  const Json run = InspectQuiet();
  EXPECT_EQ(run["variant"], "size_class_heap");
  EXPECT_EQ(RowOf(run, 0)["pid"], getpid());
}

// Several participants of one process, and a slot that was another's before.
TEST_F(InspectedOne, EachSlotHasTheProcessThatHasItNow) {
  Make(*FindDesign("cas_slots"));
  const auto first = Attach<Store>();
  {
    const auto left = Attach<Store>();
    ASSERT_NE(left, nullptr);
  }
  Child child([&](Line& parent) { return Stay(*design_, segment_, parent); });
  ASSERT_TRUE(child.Await());
  const auto third = Attach<Store>();
  const Json run = InspectQuiet();
  ASSERT_EQ(run["participants"].size(), 3u);
  EXPECT_EQ(RowOf(run, 0)["pid"], getpid());
  EXPECT_EQ(RowOf(run, 1)["pid"], child.pid());
  EXPECT_EQ(RowOf(run, 1)["generation"], 2u);
  EXPECT_EQ(RowOf(run, 2)["pid"], getpid());
}

// A descriptor is the proof there, and no mapping shows it.
TEST(InspectedOnOverlay, ProcessIsFoundByItsDescriptor) {
  const int status = OnOverlay([](const std::string& folder) {
    SegmentOptions options;
    options.location = {SegmentKind::kFile, folder + "/segment"};
    options.size_bytes = 1 << 20;
    const Design& design = *FindDesign("cas_slots");
    const auto segment = design.Create(options);
    CHILD_REQUIRE(segment.ok());
    const auto first = design.AttachObject(*segment);
    const auto second = design.AttachObject(*segment);
    CHILD_REQUIRE(first.ok() && second.ok());
    const absl::StatusOr<Json> run = inspect::Inspect(options.location.name, kWatchdogSeconds);
    CHILD_REQUIRE(run.ok());
    for (size_t slot = 0; slot < 2; ++slot) {
      const Json& row = (*run)["participants"][slot];
      CHILD_REQUIRE(row["state"] == "alive" && row["pid"] == getpid());
    }
    return 0;
  });
  if (status == kNoOverlay) GTEST_SKIP() << "this machine lets us mount no overlayfs";
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace kill9
