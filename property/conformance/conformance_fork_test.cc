// Conformance: handles that were inherited through fork, and children that outlive their parents.
#include "property/conformance/conformance.h"
#include "property/scaffold/eventually.h"

namespace kill9 {
namespace {

using absl::StatusCode;

class ConformanceFork : public Conformance {};
INSTANTIATE_FOR_ALL_VARIANTS(ConformanceFork);

TEST_P(ConformanceFork, InheritedHandleIsRefusedAndTheParentIsUnaffected) {
  Make();
  Put("key", "value");
  PinnedValue pin;
  Draft draft;
  if (traits().has_pin) {
    absl::StatusOr<PinnedValue> got = store_->Pin("key");
    if (got.ok()) pin = *std::move(got);
  }
  if (traits().has_draft) {
    absl::StatusOr<Draft> got = store_->Reserve("draft", 5);
    ASSERT_TRUE(got.ok());
    draft = *std::move(got);
    std::string_view("bytes").copy(draft.bytes().data(), 5);
  }
  AuditReport before = ExpectSoundAccount();
  for (bool exec_style : {false, true}) {
    Child child([&](Line&) {
      auto refused = [](const absl::Status& status) {
        return status.code() == StatusCode::kFailedPrecondition &&
               status.message().find("fork") != absl::string_view::npos;
      };
      CHILD_REQUIRE(refused(store_->Put("key", "child").status()));
      CHILD_REQUIRE(refused(store_->Get("key", nullptr).status()));
      CHILD_REQUIRE(refused(store_->Erase("key").status()));
      CHILD_REQUIRE(refused(store_->CompareAndSwap("key", 1, "child").status()));
      CHILD_REQUIRE(refused(store_->Pin("key").status()));
      CHILD_REQUIRE(refused(store_->Reserve("key", 5).status()));
      CHILD_REQUIRE(refused(store_->ForEach([](const EntryView&) { return true; })));
      CHILD_REQUIRE(refused(store_->Recover().status()));
      CHILD_REQUIRE(refused(store_->Audit().status()));
      if (traits().has_draft) {
        CHILD_REQUIRE(refused(store_->Commit(std::move(draft)).status()));
      }
      auto own = variant().Attach(segment_);
      CHILD_REQUIRE(own.ok());
      CHILD_REQUIRE((*own)->Put("child", "value").ok());
      CHILD_REQUIRE((*own)->Recover().ok());
      if (exec_style) return 0;  // dies with everything
      pin.Release();
      draft.Drop();
      store_.reset();  // must not detach the parent
      own->reset();
      segment_.reset();
      return 0;
    });
    EXPECT_EQ(child.ExitStatus(), 0);
    Recover();
    AuditReport after = ExpectSoundAccount();
    if (traits().has_audit) {
      EXPECT_EQ(after.participants, 1u) << Show(after);
      if (lossless()) {
        EXPECT_EQ(after.held.bytes, before.held.bytes) << Show(after);
      }
    }
  }
  if (pin.version() != kAbsent) {
    EXPECT_EQ(pin.value(), "value");
  }
  if (traits().has_draft) {
    EXPECT_TRUE(store_->Commit(std::move(draft)).ok());
    ExpectValue("draft", "bytes");
  }
  ExpectValue("key", "value");
  ExpectValue("child", "value");
  pin.Release();
  ExpectNothingHeld();
}

TEST_P(ConformanceFork, OfAParentIsSeenAlthoughItsChildLivesOn) {
  Make();
  REQUIRE_TRAIT(SurvivesDeaths() && traits().has_pin);
  Put("key", "value");
  Child parent_of_another([&](Line& grandparent) {
    auto store = variant().Attach(segment_);
    CHILD_REQUIRE(store.ok());
    static absl::StatusOr<PinnedValue> pin = (*store)->Pin("key");
    if (pid_t pid = fork(); pid == 0) {
      alarm(kWatchdogSeconds);
      auto own = variant().Attach(segment_);
      CHILD_REQUIRE(own.ok());
      grandparent.Tell(static_cast<uint64_t>(getpid()));
      for (;;) pause();
    }
    for (;;) pause();
  });
  uint64_t orphan = 0;
  ASSERT_TRUE(parent_of_another.Await(&orphan));
  parent_of_another.KillAndReap();
  EXPECT_EQ(Recover().participants, 1u);
  AuditReport audit = ExpectSoundAccount();
  if (traits().has_audit) {
    EXPECT_EQ(audit.participants, 2u) << "the orphan lives";
  }
  kill(static_cast<pid_t>(orphan), SIGKILL);
  uint64_t recovered = 0;
  EXPECT_TRUE(Eventually([&] { return (recovered = Recover().participants) != 0; }));
  EXPECT_EQ(recovered, 1u);
  ExpectNothingHeld();
}

}  // namespace
}  // namespace kill9
