// Stateful properties (rapidcheck): random commands by several participants against a plain map,
// where *a participant dies at a random point* is one of the commands.
//
// What a command finds may depend on more than the commands before it (how full the segment is,
// where a timer's SIGKILL lands), so the map is kept beside the store and follows what was observed
// wherever the contract leaves both outcomes open; everything else it decides itself. Only the
// moment of a death is not repeated by the seed.
#include <rapidcheck.h>
#include <rapidcheck/state.h>

#include "property/conformance/model_system.h"

namespace kill9 {
namespace {

struct NoState {};  // the commands do not depend on one another

class StepCommand : public rc::state::Command<NoState, System> {
 public:
  StepCommand() {
    using rc::gen::inRange;
    step_.action = *rc::gen::weightedElement<Action>({
        {8, Action::kPut},
        {4, Action::kGet},
        {3, Action::kErase},
        {4, Action::kCompareAndSwap},
        {3, Action::kPin},
        {2, Action::kReleasePin},
        {3, Action::kReserve},
        {2, Action::kCommit},
        {1, Action::kDrop},
        {1, Action::kForEach},
        {1, Action::kRecover},
        {2, Action::kAudit},
        {1, Action::kReattach},
        {3, Action::kDie},
    });
    step_.participant = *inRange<uint32_t>(0, System::kParticipants);
    step_.key = *inRange<uint32_t>(0, System::kKeys);
    step_.which = *inRange<uint32_t>(0, 100);
    step_.size = *rc::gen::oneOf(inRange<uint32_t>(0, 200), inRange<uint32_t>(0, 9000),
                                 inRange<uint32_t>(0, 120'000));
    step_.seed = *inRange<uint64_t>(0, 1'000'000);
    step_.expected = *inRange<uint32_t>(0, 5);
    step_.dying_in = *rc::gen::element(Action::kPut, Action::kPut, Action::kErase, Action::kGet,
                                       Action::kReserve, Action::kRecover, Action::kReattach);
    step_.delay_ns = *rc::gen::oneOf(inRange<uint32_t>(0, 5'000), inRange<uint32_t>(0, 50'000));
    step_.held = *inRange<uint32_t>(0, 4);
  }
  void run(const NoState&, System& system) const override { system.Do(step_); }
  void show(std::ostream& out) const override {
    out << kActionNames[static_cast<int>(step_.action)] << "(participant " << step_.participant
        << ", key " << step_.key << ", size " << step_.size << ", seed " << step_.seed << ", which "
        << step_.which << ", expected " << step_.expected;
    if (step_.action == Action::kDie) {
      out << ", in " << kActionNames[static_cast<int>(step_.dying_in)] << " after "
          << step_.delay_ns << " ns, holding " << step_.held;
    }
    out << ")";
  }

 private:
  Step step_;
};

class ModelProperty : public Conformance {};
INSTANTIATE_FOR_ALL_VARIANTS(ModelProperty);

TEST_P(ModelProperty, EveryParticipantSeesAPlainMapWhoeverDies) {
  // RC_PARAMS, where set, decides (seed, max_success, reproduce).
  setenv("RC_PARAMS", absl::StrCat("seed=", TestSeed(), " max_success=100 max_size=300").c_str(),
         0);
  std::cout << "[ seed     ] RC_PARAMS='" << std::getenv("RC_PARAMS")
            << "' (deterministic but for the moments of death: best effort)\n";
  Counts counts;
  EXPECT_TRUE(rc::check([&] {
    SegmentOptions options;
    options.size_bytes = 512 << 10;  // soon full
    options.max_participants = 8;
    options.hash_seed = TestSeed();
    absl::StatusOr<std::shared_ptr<Segment>> segment = variant().Create(options);
    if (absl::IsInvalidArgument(segment.status())) {  // a design that needs more for the same
      options.size_bytes = 4 * kMiB;
      segment = variant().Create(options);
    }
    RC_ASSERT(segment.ok());
    System system(variant(), *segment, counts);
    rc::state::check(NoState{}, system, rc::state::gen::execOneOfWithArgs<StepCommand>());
    system.Finish();
  }));
  std::cout << "[ model    ] " << variant().name() << ": " << counts.commands << " commands, "
            << counts.refused_full << " refused for want of room, " << counts.deaths << " deaths, "
            << counts.cut_off << " inside an operation, of which " << counts.happened
            << " had happened\n";
  EXPECT_GT(counts.commands, 1000u);
  if (SurvivesDeaths()) {
    EXPECT_GT(counts.cut_off, 0u) << "no death inside an operation: vacuous";
  }
  if (lossless()) {
    EXPECT_GT(counts.refused_full, 0u) << "the segment was never full: vacuous";
  }
}

}  // namespace
}  // namespace kill9
