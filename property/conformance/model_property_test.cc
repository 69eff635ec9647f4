// Stateful properties (rapidcheck): random commands by several participants against a plain map,
// where *a participant dies at a random point* is one of the commands.
//
// What a command finds may depend on more than the commands before it (how full the segment is,
// where a timer's SIGKILL lands), so the map is kept beside the store and follows what was observed
// wherever the contract leaves both outcomes open; everything else it decides itself. Only the
// moment of a death is not repeated by the seed.
#include <rapidcheck.h>
#include <rapidcheck/state.h>

#include "harness/store_driver/shape/draw_shape.h"
#include "property/conformance/model_system.h"

namespace kill9 {
namespace {

struct NoState {};  // the commands do not depend on one another

class StepCommand : public rc::state::Command<NoState, System> {
 public:
  StepCommand() {
    using rc::gen::inRange;
    step_.action = *rc::gen::weightedElement<ModelAction>({
        {8, ModelAction::kPut},
        {4, ModelAction::kGet},
        {3, ModelAction::kErase},
        {4, ModelAction::kCompareAndSwap},
        {3, ModelAction::kPin},
        {2, ModelAction::kReleasePin},
        {3, ModelAction::kReserve},
        {2, ModelAction::kCommit},
        {1, ModelAction::kDrop},
        {1, ModelAction::kForEach},
        {1, ModelAction::kRecover},
        {2, ModelAction::kAudit},
        {1, ModelAction::kReattach},
        {3, ModelAction::kDie},
    });
    step_.participant = *inRange<uint32_t>(0, System::kParticipants);
    step_.key = *inRange<uint32_t>(0, System::kKeys);
    step_.which = *inRange<uint32_t>(0, 100);
    step_.size = *rc::gen::oneOf(inRange<uint32_t>(0, 200), inRange<uint32_t>(0, 9000),
                                 inRange<uint32_t>(0, 120'000));
    step_.seed = *inRange<uint64_t>(0, 1'000'000);
    step_.expected = *inRange<uint32_t>(0, 5);
    step_.dying_in = *rc::gen::element(ModelAction::kPut, ModelAction::kPut, ModelAction::kErase,
                                       ModelAction::kGet, ModelAction::kReserve,
                                       ModelAction::kRecover, ModelAction::kReattach);
    step_.delay_ns = *rc::gen::oneOf(inRange<uint32_t>(0, 5'000), inRange<uint32_t>(0, 50'000));
    step_.held = *inRange<uint32_t>(0, 4);
  }
  void run(const NoState&, System& system) const override { system.Do(step_); }
  void show(std::ostream& out) const override {
    out << kActionNames[static_cast<int>(step_.action)] << "(participant " << step_.participant
        << ", key " << step_.key << ", size " << step_.size << ", seed " << step_.seed << ", which "
        << step_.which << ", expected " << step_.expected;
    if (step_.action == ModelAction::kDie) {
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
    // A shape of its own for each: soon full, and often without a slot to spare.
    const uint64_t shape_seed = *rc::gen::inRange<uint64_t>(0, 1'000'000);
    Random random(shape_seed);
    ShapeBounds bounds{.least_participants = System::kParticipants + 1, .always_full = true};
    bounds.most_segment_bytes = kMiB;
    const absl::StatusOr<DrawnShape> drawn =
        DrawShape(variant(), StoreShape{.segment_bytes = 512 << 10, .participants = 8}, shape_seed,
                  bounds, random);
    RC_ASSERT(drawn.ok());
    const std::shared_ptr<Segment>& segment = drawn->trial.segment;
    RC_LOG() << "shape seed " << shape_seed << ": " << ShapeText(drawn->shape) << std::endl;
    System system(variant(), segment,
                  KeysOf(drawn->shape.family, System::kKeys, variant().traits().edges.max_key_bytes,
                         [&](std::string_view key) { return segment->Hash(key); }),
                  counts);
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
