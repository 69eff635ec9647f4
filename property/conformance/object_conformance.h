// What every design of every kind must do, whatever it contains: attach and detach, refuse
// inherited handles, recover the dead, tell an exact account, say clearly when its table of
// participants is full.
//
// A kind joins by saying how it is changed and looked at (ObjectKind), and its designs by a line:
//
//     INSTANTIATE_TEST_SUITE_P(Counters, ObjectConformance, ::testing::ValuesIn(CasesOf(kind)),
//                              ObjectTestName);
#ifndef KILL9_PROPERTY_CONFORMANCE_OBJECT_CONFORMANCE_H_
#define KILL9_PROPERTY_CONFORMANCE_OBJECT_CONFORMANCE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/scaffold/children.h"
#include "property/scaffold/places.h"
#include "variants/registry.h"

namespace kill9 {

// How the suite uses an object of a kind without knowing it.
struct ObjectKind {
  std::string_view name;
  // Change number `n`: it stays when its maker is gone. The object needs no more room for the
  // second thousand than for the first.
  std::function<absl::Status(SharedObject&, uint64_t n)> change;
  // That all changes from 0 to `first` - 1 are there, and none from `end` on. Of a lossy design:
  // that nothing else is there.
  std::function<absl::Status(SharedObject&, bool lossless, uint64_t first, uint64_t end)> find;
  // Every operation of the kind, but for Recover and Audit, and its answer.
  std::function<std::vector<absl::Status>(SharedObject&)> call_each;
};

struct ObjectCase {
  const Design* design;
  const ObjectKind* kind;
};

// The designs of the kind that are meant to be right.
inline std::vector<ObjectCase> CasesOf(const ObjectKind& kind) {
  std::vector<ObjectCase> cases;
  for (const Design* design : AllDesigns()) {
    if (design->kind() == kind.name && design->role() == Design::Role::kDesign) {
      cases.push_back({design, &kind});
    }
  }
  return cases;
}

inline std::string ObjectTestName(const ::testing::TestParamInfo<ObjectCase>& info) {
  return std::string(info.param.design->name());
}

class ObjectConformance : public ::testing::TestWithParam<ObjectCase> {
 protected:
  const Design& design() const { return *GetParam().design; }
  const ObjectKind& kind() const { return *GetParam().kind; }
  bool has_audit() const { return design().object_traits().has_audit; }

  void Make(uint32_t max_participants = 16, const SegmentLocation& location = {}) {
    SegmentOptions options;
    options.location = location;
    options.size_bytes = 8 << 20;
    options.max_participants = max_participants;
    options.hash_seed = TestSeed();
    absl::StatusOr<std::shared_ptr<Segment>> segment = design().Create(options);
    ASSERT_TRUE(segment.ok()) << segment.status();
    segment_ = *std::move(segment);
    object_ = Attach();
  }
  std::unique_ptr<SharedObject> Attach() {
    absl::StatusOr<std::unique_ptr<SharedObject>> object = design().AttachObject(segment_);
    if (!object.ok()) {
      ADD_FAILURE() << object.status();
      std::abort();
    }
    return *std::move(object);
  }

  void Change(SharedObject& object) {
    const absl::Status status = kind().change(object, changes_++);
    EXPECT_TRUE(status.ok()) << status;
  }
  absl::Status Find(SharedObject& object, uint64_t first, uint64_t end) {
    return kind().find(object, design().object_traits().lossless, first, end);
  }
  void ExpectAllChanges(SharedObject& object) {
    const absl::Status status = Find(object, changes_, changes_);
    EXPECT_TRUE(status.ok()) << status;
  }
  AuditReport ExpectSoundAccount(uint64_t participants) {
    absl::StatusOr<AuditReport> audit = object_->Audit();
    if (!has_audit()) return {};
    EXPECT_TRUE(audit.ok()) << audit.status();
    if (!audit.ok()) return {};
    EXPECT_TRUE(audit->clean()) << ::testing::PrintToString(audit->violations);
    EXPECT_EQ(audit->free.blocks + audit->live.blocks + audit->held.blocks, audit->capacity.blocks);
    EXPECT_EQ(audit->free.bytes + audit->live.bytes + audit->held.bytes, audit->capacity.bytes);
    EXPECT_EQ(audit->participants, participants);
    return *audit;
  }
  void ExpectRecovered(uint64_t participants) {
    absl::StatusOr<RecoveryReport> report = object_->Recover();
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->participants, participants);
    report = object_->Recover();
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->participants + report->blocks + report->rolled_back + report->rolled_forward,
              0u)
        << "recovery is not idempotent";
    EXPECT_EQ(ExpectSoundAccount(1).held.blocks, 0u);
  }
  // A process that attaches, makes the next change, tells, and waits to be killed.
  Child Victim() {
    const uint64_t n = changes_++;
    Child child([&](Line& parent) {
      auto object = design().AttachObject(segment_);
      CHILD_REQUIRE(object.ok());
      CHILD_REQUIRE(kind().change(**object, n).ok());
      parent.Tell();
      for (;;) pause();
    });
    EXPECT_TRUE(child.Await()) << "the victim did not come so far";
    return child;
  }

  std::shared_ptr<Segment> segment_;
  std::unique_ptr<SharedObject> object_;
  uint64_t changes_ = 0;
};

TEST_P(ObjectConformance, SegmentNamesTheDesignAndIsRefusedByOthers) {
  Place place;
  const SegmentLocation location = place.Location(SegmentKind::kFile);
  Make(16, location);
  EXPECT_EQ(std::string(segment_->header().design), design().name());
  EXPECT_EQ(Segment::DesignOf(location).value_or(""), design().name());
  int others = 0;
  for (const Design* other : AllDesigns()) {
    if (other == &design() || other->role() == Design::Role::kPeer) continue;
    const absl::Status status = other->Open(location).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition)
        << other->name() << ": " << status;
    ++others;
  }
  EXPECT_GT(others, 0);
  EXPECT_TRUE(design().Open(location).ok());
}

TEST_P(ObjectConformance, OutlivesItsParticipants) {
  Place place;
  const SegmentLocation location = place.Location(SegmentKind::kNamed);
  Make(16, location);
  for (int i = 0; i < 20; ++i) Change(*object_);
  object_.reset();
  segment_.reset();
  absl::StatusOr<std::shared_ptr<Segment>> again = design().Open(location);
  ASSERT_TRUE(again.ok()) << again.status();
  segment_ = *std::move(again);
  object_ = Attach();
  ExpectAllChanges(*object_);
  ExpectSoundAccount(1);
}

TEST_P(ObjectConformance, AttachingAndDetachingManyTimesLeavesNothing) {
  Make(4);
  const int before = dup(0);
  close(before);
  for (int round = 0; round < 2000; ++round) {
    auto visitor = Attach();
    Change(*visitor);
  }
  const int after = dup(0);
  close(after);
  EXPECT_EQ(after, before) << "descriptors leaked";
  ExpectAllChanges(*object_);
  EXPECT_EQ(ExpectSoundAccount(1).held.blocks, 0u);
}

TEST_P(ObjectConformance, NoSlotLeftIsAClearErrorAndTheOthersGoOn) {
  Make(3);
  std::vector<std::unique_ptr<SharedObject>> others;
  for (int i = 0; i < 2; ++i) others.push_back(Attach());
  for (int i = 0; i < 5; ++i) {
    const absl::Status full = design().AttachObject(segment_).status();
    EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted) << full;
    EXPECT_THAT(std::string(full.message()), ::testing::HasSubstr("3"));
  }
  for (auto& other : others) Change(*other);
  others.pop_back();
  auto again = Attach();
  ExpectAllChanges(*again);
}

TEST_P(ObjectConformance, RecoveryWithNobodyDeadDoesNothing) {
  Make();
  auto other = Attach();
  Change(*other);
  for (int i = 0; i < 10; ++i) {
    absl::StatusOr<RecoveryReport> report = (i % 2 == 0 ? *object_ : *other).Recover();
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->participants + report->blocks + report->rolled_back + report->rolled_forward,
              0u);
  }
  ExpectAllChanges(*object_);
  ExpectSoundAccount(2);
}

TEST_P(ObjectConformance, InheritedHandleIsRefusedAndTheParentIsUnaffected) {
  Make();
  Change(*object_);
  for (const bool exits_at_once : {false, true}) {
    Child child([&](Line&) {
      const auto refused = [](const absl::Status& status) {
        return status.code() == absl::StatusCode::kFailedPrecondition &&
               status.message().find("fork") != absl::string_view::npos;
      };
      const std::vector<absl::Status> answers = kind().call_each(*object_);
      CHILD_REQUIRE(!answers.empty());
      for (const absl::Status& answer : answers) CHILD_REQUIRE(refused(answer));
      CHILD_REQUIRE(refused(object_->Recover().status()));
      CHILD_REQUIRE(refused(object_->Audit().status()));
      auto own = design().AttachObject(segment_);
      CHILD_REQUIRE(own.ok());
      CHILD_REQUIRE(kind().change(**own, changes_).ok());
      if (exits_at_once) return 0;
      object_.reset();  // must not detach the parent
      own->reset();
      segment_.reset();
      return 0;
    });
    EXPECT_EQ(child.ExitStatus(), 0);
    ++changes_;
    ASSERT_TRUE(object_->Recover().ok());
    ExpectSoundAccount(1);
    ExpectAllChanges(*object_);
  }
}

TEST_P(ObjectConformance, DeathOfAnIdleParticipantIsRecoveredAndItsChangesStay) {
  Make();
  for (int round = 0; round < 5; ++round) {
    Victim().KillAndReap();
    ExpectRecovered(1);
    ExpectAllChanges(*object_);
  }
}

TEST_P(ObjectConformance, DeathGivesTheSlotBackToWhoeverAttaches) {
  Make(3);
  for (int round = 0; round < 20; ++round) {
    std::vector<Child> victims;
    for (int i = 0; i < 2; ++i) victims.push_back(Victim());
    EXPECT_EQ(design().AttachObject(segment_).status().code(),
              absl::StatusCode::kResourceExhausted);
    victims[static_cast<size_t>(round) % 2].KillAndReap();
    auto successor = Attach();  // without anybody's calling Recover()
    Change(*successor);
    EXPECT_EQ(design().AttachObject(segment_).status().code(),
              absl::StatusCode::kResourceExhausted);
  }
  ASSERT_TRUE(object_->Recover().ok());
  ExpectAllChanges(*object_);
}

TEST_P(ObjectConformance, StoppedParticipantIsNotDead) {
  Make();
  Child stopped = Victim();
  stopped.Signal(SIGSTOP);
  stopped.AwaitStopped();
  for (int i = 0; i < 20; ++i) {
    absl::StatusOr<RecoveryReport> report = object_->Recover();
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->participants, 0u);
  }
  ExpectSoundAccount(2);
  stopped.KillAndReap();
  ExpectRecovered(1);
}

TEST_P(ObjectConformance, DeathAtAnyMomentLosesNothingAcknowledged) {
  Make();
  constexpr uint64_t kVictims = 40;
  for (uint64_t i = 0; i < kVictims; ++i) {
    const uint64_t least = changes_ + 5 + i * 37 % 400;
    Shared<std::atomic<uint64_t>> acknowledged;
    Child victim([&](Line& parent) {
      auto object = design().AttachObject(segment_);
      CHILD_REQUIRE(object.ok());
      for (uint64_t n = changes_;; ++n) {
        CHILD_REQUIRE(kind().change(**object, n).ok());
        // release: pairs with the acquire below; who sees the count finds the changes.
        acknowledged->store(n + 1, std::memory_order_release);
        if (n + 1 == least) parent.Tell();
      }
    });
    ASSERT_TRUE(victim.Await());
    victim.KillAndReap();  // somewhere in what follows

    const uint64_t sure = acknowledged->load(std::memory_order_acquire);
    EXPECT_GE(sure, least);
    // The one that was under way may be there, or not.
    const absl::Status found = Find(*object_, sure, sure + 1);
    EXPECT_TRUE(found.ok()) << found;
    ExpectRecovered(1);
    const absl::Status after = Find(*object_, sure, sure + 1);
    EXPECT_TRUE(after.ok()) << after;
    // The next victim begins anew where nothing is in doubt.
    const bool done = Find(*object_, sure + 1, sure + 1).ok();
    changes_ = done && design().object_traits().lossless ? sure + 1 : sure;
  }
}

}  // namespace kill9

#endif  // KILL9_PROPERTY_CONFORMANCE_OBJECT_CONFORMANCE_H_
