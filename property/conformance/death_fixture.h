// What the tests of deaths by SIGKILL share: victims, and what is expected after their deaths.
#ifndef KILL9_PROPERTY_CONFORMANCE_DEATH_FIXTURE_H_
#define KILL9_PROPERTY_CONFORMANCE_DEATH_FIXTURE_H_

#include "property/conformance/conformance.h"

namespace kill9 {

class ConformanceDeath : public Conformance {
 protected:
  // A process that attaches, does what `body` says, tells, and waits to be killed.
  Child Victim(absl::FunctionRef<int(Store&)> body) {
    Child child([&](Line& parent) {
      auto store = variant().Attach(segment_);
      CHILD_REQUIRE(store.ok());
      if (int result = body(**store); result != 0) return result;
      parent.Tell();
      for (;;) pause();
    });
    EXPECT_TRUE(child.Await()) << "the victim did not come so far";
    return child;
  }
  // After a death: what everybody may count on, found by a survivor that was there before.
  RecoveryReport ExpectRecovered(uint64_t participants) {
    RecoveryReport report = Recover();
    EXPECT_EQ(report.participants, participants);
    AuditReport audit = ExpectSoundAccount();
    EXPECT_EQ(audit.held.blocks, 0u) << Show(audit);
    if (traits().has_audit) {
      EXPECT_EQ(audit.participants, 1u) << Show(audit);
    }
    RecoveryReport again = Recover();
    EXPECT_EQ(again.participants + again.blocks + again.rolled_back + again.rolled_forward, 0u)
        << "recovery is not idempotent";
    return report;
  }
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_CONFORMANCE_DEATH_FIXTURE_H_
