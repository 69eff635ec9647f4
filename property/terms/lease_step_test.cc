// The holder of a lease is killed at one instruction after another of what ends the lease, while
// another sleeps for it: that one has the value or the lease, each time.
#include <functional>
#include <vector>

#include "property/scaffold/trap_steps.h"
#include "property/terms/terms_fixture.h"

namespace kill9 {
namespace {

#if defined(__x86_64__)

struct Ending {
  const char* name;
  std::function<bool(Store&, const LeaseToken&)> run;
};

std::vector<Ending> Endings() {
  return {
      {"put_leased",
       [](Store& store, const LeaseToken& lease) { return store.PutLeased(lease, "put").ok(); }},
      {"drop", [](Store& store, const LeaseToken& lease) { return store.DropLease(lease).ok(); }},
      {"erase", [](Store& store, const LeaseToken&) { return store.Erase("key").ok(); }},
      {"put", [](Store& store, const LeaseToken&) { return store.Put("key", "put").ok(); }},
      {"clear", [](Store& store, const LeaseToken&) { return store.Clear().ok(); }},
  };
}

class LeaseStep : public TermsFixture {
 protected:
  static LeaseOptions Waiting() {
    LeaseOptions options;
    options.wait = Deadline::Never();
    options.lease_for = std::chrono::hours(1);
    return options;
  }

  // The holder dies after so many instructions of the ending. False: there are no more.
  bool Try(const Ending& ending, uint64_t steps) {
    Child holder([&](Line& parent) {
      auto store = variant().Attach(segment_);
      CHILD_REQUIRE(store.ok());
      const absl::StatusOr<LeaseAnswer> mine = (*store)->GetOrLease("key", nullptr, Waiting());
      CHILD_REQUIRE(mine.ok() && mine->kind == LeaseAnswer::Kind::kLease);
      parent.Tell();
      CHILD_REQUIRE(parent.Await());
      const bool done =
          RunWithSteps(steps, SIGKILL, [&] { return ending.run(**store, mine->lease); });
      CHILD_REQUIRE(done);
      _exit(0);
    });
    EXPECT_TRUE(holder.Await());
    const uint64_t waits = store_->Counted()->waits;
    Child waiter([&](Line&) {
      auto store = variant().Attach(segment_);
      CHILD_REQUIRE(store.ok());
      std::string value;
      const absl::StatusOr<LeaseAnswer> answer = (*store)->GetOrLease("key", &value, Waiting());
      CHILD_REQUIRE(answer.ok());
      if (answer->kind == LeaseAnswer::Kind::kHit) {
        CHILD_REQUIRE(value == "put");
        return 0;
      }
      CHILD_REQUIRE(answer->kind == LeaseAnswer::Kind::kLease);
      CHILD_REQUIRE((*store)->PutLeased(answer->lease, "put")->swapped);
      return 0;
    });
    EXPECT_TRUE(Eventually([&] { return store_->Counted()->waits > waits; }));
    holder.Tell();
    const int ended = holder.ExitStatus();
    EXPECT_TRUE(ended == 0 || ended == 1000 + SIGKILL) << ended;
    EXPECT_EQ(waiter.ExitStatus(), 0) << ending.name << " cut off after " << steps;
    ExpectValue("key", "put");
    Recover();
    EXPECT_TRUE(store_->Erase("key").ok());
    ExpectNothingHeld();
    return ended != 0;
  }
};
INSTANTIATE_TEST_SUITE_P(All, LeaseStep, ::testing::ValuesIn(VariantsWithTerms()), VariantTestName);

TEST_P(LeaseStep, WhoWaitsIsNeverForgottenWhereverTheHolderDies) {
  const TrapSteps steps(251);
  uint64_t deaths = 0;
  for (const Ending& ending : Endings()) {
    for (uint64_t step = steps.first; Try(ending, step) && !HasFailure(); step = steps.Next(step)) {
      ++deaths;
    }
  }
  EXPECT_GE(deaths, Endings().size()) << "nobody died in the middle";
}

#endif

}  // namespace
}  // namespace kill9
